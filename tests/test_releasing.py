"""The scripts of a release: tag, versions and changelog agree; notes, checksums and lists of contents."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

CHANGELOG = """# Changelog

## 1.10.0 (2026-12-01)

### Added

- A door.

## 1.1.0 (unreleased)

- A window.

## 1.0.0

- A wall.
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a folder with the scripts, a changelog and both projects, at version 1.10.0."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/release", tmp_path / "scripts")
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    (tmp_path / "examples/jwt_auth").mkdir(parents=True)
    write_versions(tmp_path, "1.10.0")
    return tmp_path


def write_versions(repository: Path, version: str, example: str = "") -> None:
    """Write the versions of authkit and of the example; by default, the same."""
    (repository / "pyproject.toml").write_text(f'[project]\nversion = "{version}"\n')
    (repository / "examples/jwt_auth/pyproject.toml").write_text(
        f'[project]\nversion = "{example or version}"\n'
    )


def run(repository: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `scripts/release`."""
    command = [sys.executable, repository / "scripts/release", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_tag_that_agrees_with_everything(repository: Path) -> None:
    """Nothing is printed."""
    done = run(repository, "check", "v1.10.0")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    "tag", ["1.10.0", "v1.10", "v1.10.0rc1", "v1.10.0\n", "v\u0661.10.0", "v1.10.0;id", ""]
)
def test_other_tags_are_refused(repository: Path, tag: str) -> None:
    """The form is `v` and three numbers."""
    done = run(repository, "check", tag)
    assert done.returncode == 1
    assert "three numbers" in done.stderr


def test_both_versions_are_compared(repository: Path) -> None:
    """Each file that has to change is named, with the version that it needs."""
    write_versions(repository, "1.10.0", example="1.9.0")
    assert run(repository, "check", "v1.10.0").stderr == (
        "examples/jwt_auth/pyproject.toml has the version 1.9.0: the tag v1.10.0 needs 1.10.0 there\n"
    )
    write_versions(repository, "1.10.0.dev0")
    assert len(run(repository, "check", "v1.10.0").stderr.splitlines()) == 2


@pytest.mark.parametrize(
    ("version", "error"),
    [
        ("1.1.0", "`## 1.1.0 (YYYY-MM-DD)`; it has `(unreleased)`"),
        ("1.0.0", "`## 1.0.0 (YYYY-MM-DD)`; it has `()`"),
        ("1.2.0", "CHANGELOG.md has no section `## 1.2.0 (YYYY-MM-DD)`"),
    ],
)
def test_the_changelog_needs_a_section_with_a_day(repository: Path, version: str, error: str) -> None:
    """Also where another version begins with the same numbers."""
    write_versions(repository, version)
    done = run(repository, "check", f"v{version}")
    assert done.returncode == 1
    assert error in done.stderr


@pytest.mark.parametrize("day", ["2026-13-01", "20261201", "tomorrow", "2026-W49-2"])
def test_the_day_is_a_day(repository: Path, day: str) -> None:
    """In one form."""
    (repository / "CHANGELOG.md").write_text(CHANGELOG.replace("2026-12-01", day))
    assert run(repository, "check", "v1.10.0").returncode == 1


def test_an_empty_section_is_refused(repository: Path) -> None:
    """There would be nothing to announce."""
    (repository / "CHANGELOG.md").write_text(
        "# Changelog\n\n## 1.10.0 (2026-12-01)\n\n## 1.0.0\n\n- A wall.\n"
    )
    assert "nothing below" in run(repository, "check", "v1.10.0").stderr


def test_a_version_has_one_section(repository: Path) -> None:
    """The notes would be one of two."""
    (repository / "CHANGELOG.md").write_text(
        CHANGELOG.replace("## 1.1.0 (unreleased)", "## 1.10.0 (unreleased)")
    )
    assert run(repository, "check", "v1.10.0").stderr.splitlines() == [
        "CHANGELOG.md needs the heading `## 1.10.0 (YYYY-MM-DD)`; it has `(unreleased)` in place of the day",
        "CHANGELOG.md has 2 sections of 1.10.0: make one of them",
    ]


def test_no_fragment_is_left_behind(repository: Path) -> None:
    """Whatever its name is. What keeps the folder in the repository is none."""
    (repository / "changelog.d").mkdir()
    (repository / "changelog.d/.gitkeep").touch()
    assert run(repository, "check", "v1.10.0").returncode == 0
    (repository / "changelog.d/+door.added").write_text("A second door.\n")
    assert run(repository, "check", "v1.10.0").stderr == (
        "changelog.d/+door.added is in no version: `towncrier build --version 1.10.0` takes it in\n"
    )


def test_the_notes_are_the_section(repository: Path) -> None:
    """Without its heading, and without the next section."""
    assert run(repository, "notes", "v1.10.0").stdout == "### Added\n\n- A door.\n"


def test_the_files_are_notes_and_checksums(repository: Path, tmp_path: Path) -> None:
    """`sha256sum` reads them, in the folder of the archives."""
    archives, files = tmp_path / "archives", tmp_path / "files"
    archives.mkdir()
    (archives / "a.whl").write_bytes(b"a")
    (archives / "a.tar.gz").write_bytes(b"b")
    assert run(repository, "files", "v1.10.0", archives, files).returncode == 0
    assert (files / "NOTES.md").read_text() == "### Added\n\n- A door.\n"
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", files / "SHA256SUMS"],
        cwd=archives,
        capture_output=True,
        text=True,
        check=True,
    )
    assert checked.stdout == "a.tar.gz: OK\na.whl: OK\n"


def test_nothing_is_written_for_a_tag_that_does_not_agree(repository: Path, tmp_path: Path) -> None:
    """`files` and `notes` check first."""
    assert run(repository, "notes", "v1.1.0").stdout == ""
    assert run(repository, "files", "v1.1.0", tmp_path, tmp_path / "files").returncode == 1
    assert not (tmp_path / "files").exists()


def test_both_distributions_of_this_checkout_have_one_version() -> None:
    """They are released together."""
    projects = (ROOT / "pyproject.toml", ROOT / "examples/jwt_auth/pyproject.toml")
    assert len({tomllib.loads(path.read_text())["project"]["version"] for path in projects}) == 1


def test_nothing_but_pyproject_has_the_version() -> None:
    """The code reads no version of authkit, and README and the page on releases name none."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for page in ("README.md", "docs/releasing.md"):
        assert version not in (ROOT / page).read_text()
        assert version.removesuffix(".dev0") not in (ROOT / page).read_text()


def test_a_release_is_built_by_the_versions_of_development() -> None:
    """With hashes, so that the index cannot give another file."""
    lines = [line for line in (ROOT / "requirements/release.txt").read_text().splitlines() if line[0] != "#"]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+ --hash=sha256:[0-9a-f]{64}", line) for line in lines)
    developed = set((ROOT / "requirements/development.txt").read_text().splitlines())
    assert {line.split(" ")[0] for line in lines} <= developed
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert set(needed) <= {line.split(" ")[0] for line in lines}


@pytest.fixture
def listed(tmp_path: Path) -> dict[str, object]:
    """Return the list of contents of a wheel that needs one distribution always and one for its extra."""
    with zipfile.ZipFile(tmp_path / "some_thing-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(
            "some_thing-1.0.dist-info/METADATA",
            "Name: some-thing\nVersion: 1.0\nLicense-Expression: Apache-2.0\nRequires-Dist: Always>=2\n"
            "Requires-Dist: rarely>=3; extra == 'more'\nRequires-Dist: some-thing[more]; extra == 'all'\n",
        )
    command = [sys.executable, ROOT / "scripts/sbom", tmp_path, tmp_path / "lists"]
    subprocess.run(command, check=True, env={"SOURCE_DATE_EPOCH": "1000000000"})
    (path,) = (tmp_path / "lists").iterdir()
    assert path.name == "some_thing.cdx.json"
    return json.loads(path.read_text())  # type: ignore[no-any-return]


def test_the_list_of_contents_says_what_a_wheel_needs(listed: dict) -> None:
    """Ranges, no versions: pip chooses them at the installation."""
    assert (listed["bomFormat"], listed["specVersion"]) == ("CycloneDX", "1.6")
    assert listed["metadata"]["timestamp"] == "2001-09-09T01:46:40+00:00"
    component = listed["metadata"]["component"]
    assert (component["purl"], component["licenses"]) == (
        "pkg:pypi/some-thing@1.0",
        [{"expression": "Apache-2.0"}],
    )
    assert [
        (each["name"], each["scope"], each["properties"][0]["value"], "version" in each)
        for each in listed["components"]
    ] == [
        ("always", "required", "Always>=2", False),
        ("rarely", "optional", 'rarely>=3; extra == "more"', False),
    ]
