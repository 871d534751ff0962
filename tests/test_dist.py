"""`make dist`: what is in the archives of both distributions, and that a second build makes the same ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from email.parser import HeaderParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

pytestmark = [
    pytest.mark.skipif(
        not (ROOT / "authkit").is_dir(), reason="the source is out of reach (scripts/test_wheel)"
    ),
    pytest.mark.skipif(not (ROOT / ".git").exists(), reason="git says which files are released"),
]


def run(*command: str | Path, folder: Path, **environment: str) -> str:
    """Run a command that must succeed, and return what it prints."""
    variables = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
    done = subprocess.run(
        command, cwd=folder, env=variables | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with what `make dist` builds of this checkout."""
    folder = tmp_path_factory.mktemp("first")
    run(sys.executable, ROOT / "scripts/dist", folder, folder=ROOT)
    return folder


@pytest.fixture
def other_checkout(tmp_path: Path) -> Iterator[Path]:
    """Yield a checkout of the same files: elsewhere, older, for the owner only, with untracked files."""
    tracked = run("git", "ls-files", "-z", folder=ROOT).split("\0")
    before = os.umask(0o077)
    for path in tracked:
        if path and (ROOT / path).is_file():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, tmp_path / path)
            (tmp_path / path).chmod(0o700 if os.access(ROOT / path, os.X_OK) else 0o600)
            os.utime(tmp_path / path, (1_000_000_000, 1_000_000_000))
    date = run("git", "log", "-1", "--format=%ct", folder=ROOT).strip()
    identity = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    run("git", "init", "--quiet", folder=tmp_path)
    run("git", "add", "--all", "--force", folder=tmp_path)
    commit = ("git", "-c", "commit.gpgsign=false", "commit", "--quiet", "--message", "the same files")
    run(*commit, folder=tmp_path, GIT_COMMITTER_DATE=f"{date} +0500", **identity)
    for stray in (
        "authkit/x.py",
        "authkit/__pycache__/x.pyc",
        "proto/x.proto",
        "examples/jwt_auth/x.py",
    ):
        (tmp_path / stray).parent.mkdir(exist_ok=True)
        (tmp_path / stray).write_text("a file of the working place")
    yield tmp_path
    os.umask(before)


def test_a_second_build_makes_the_same_bytes(built: Path, other_checkout: Path, tmp_path: Path) -> None:
    """In another folder, with another umask, at another time, among files that are not released."""
    target = tmp_path / "dist"
    target.mkdir()
    (target / "vault_authkit-0.0.1-py3-none-any.whl").touch()
    printed = run(sys.executable, "scripts/dist", folder=other_checkout, TZ="Asia/Tokyo", PYTHONHASHSEED="7")
    first, second = ({file.name: file.read_bytes() for file in each.iterdir()} for each in (built, target))
    assert sorted(first) == sorted(second)
    assert len(first) == 4
    for name in first:
        assert first[name] == second[name], name
        assert name in printed


def test_a_missing_file_stops_the_build(other_checkout: Path, tmp_path: Path) -> None:
    """Nothing is written then: here, a module that the build excludes."""
    project = other_checkout / "pyproject.toml"
    wheel = "[tool.hatch.build.targets.wheel]\n"
    project.write_text(project.read_text().replace(wheel, wheel + 'exclude = ["py.typed"]\n'))
    command = [sys.executable, "scripts/dist", str(tmp_path / "unwritten")]
    done = subprocess.run(command, cwd=other_checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "py3-none-any.whl lacks authkit/py.typed" in done.stderr
    assert not (tmp_path / "unwritten").exists()


def wheel_of(built: Path, name: str) -> zipfile.ZipFile:
    """Return the wheel of a distribution."""
    (path,) = built.glob(f"{name}-[0-9]*.whl")
    return zipfile.ZipFile(path)


def source_of(built: Path, name: str) -> set[str]:
    """Return the files of a source archive, without the folder that they are all in."""
    (path,) = built.glob(f"{name}-[0-9]*.tar.gz")
    with tarfile.open(path) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def test_the_wheel_has_what_runs_and_nothing_else(built: Path) -> None:
    """Types for checkers, sources of the launcher, templates of projects and pages, the licence."""
    wheel = wheel_of(built, "vault_authkit")
    names = set(wheel.namelist())
    assert {
        "authkit/py.typed",
        "authkit/wire/pb/backend_pb2.pyi",
        "authkit/packaging/launcher/main.go",
        "authkit/packaging/launcher/go.mod",
        "authkit/cli/project/pyproject.toml.jinja",
        "authkit/host/page/templates/base.html",
        "authkit/host/page/style.css",
    } <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"authkit", "vault_authkit"}
    assert {Path(name).suffix for name in names if name.startswith("authkit/")} == {
        *(".py", ".pyi", ".typed", ".go", ".mod", ".jinja", ".html", ".css"),
    }
    assert not {name for name in names if "__pycache__" in name or "tests" in Path(name).parts[:2]}
    (licence,) = (name for name in names if name.endswith("licenses/LICENSE"))
    assert wheel.read(licence) == (ROOT / "LICENSE").read_bytes()


def test_the_example_s_wheel_has_its_package_and_the_licence(built: Path) -> None:
    """No tests; the licence of the whole repository."""
    wheel = wheel_of(built, "vault_authkit_jwt")
    names = wheel.namelist()
    assert "jwt_auth/__main__.py" in names
    assert {Path(name).suffix for name in names if name.startswith("jwt_auth/")} == {".py"}
    (licence,) = (name for name in names if name.endswith("licenses/LICENSE"))
    assert wheel.read(licence) == (ROOT / "LICENSE").read_bytes()


@pytest.mark.parametrize("name", ["vault_authkit", "vault_authkit_jwt"])
def test_the_source_archive_has_no_tests_and_no_scripts(built: Path, name: str) -> None:
    """Only what a wheel is built from, and what a reader needs beside it."""
    names = source_of(built, name)
    top = {path.split("/")[0] for path in names}
    common = {"README.md", "LICENSE", "pyproject.toml", "PKG-INFO", ".gitignore"}
    own = {"authkit", "proto", "CHANGELOG.md"} if name == "vault_authkit" else {"jwt_auth"}
    assert top == common | own


@pytest.mark.parametrize("name", ["vault_authkit", "vault_authkit_jwt"])
def test_the_metadata_name_the_licence_and_no_address(built: Path, name: str) -> None:
    """The public address is the owner's to add (docs/releasing.md)."""
    wheel = wheel_of(built, name)
    (path,) = (each for each in wheel.namelist() if each.endswith("dist-info/METADATA"))
    metadata = HeaderParser().parsestr(wheel.read(path).decode())
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["License-File"] == "LICENSE"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert "Programming Language :: Python :: 3.11" in metadata.get_all("Classifier", [])
    assert not metadata.get_all("Project-URL")
