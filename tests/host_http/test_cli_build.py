"""`authkit build`: what it asks of packaging, what it prints, and what it says when it cannot build."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from authkit.cli.main import cli
from authkit.packaging import lock, oci
from authkit.packaging.errors import PackagingError
from authkit.packaging.forms import standalone, zipapp
from authkit.packaging.forms.executable import Executable
from authkit.packaging.oci import Image
from authkit.packaging.project import Project
from authkit.values import replace

SHA256 = "5a" * 32


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that names its plugin."""
    (tmp_path / "pyproject.toml").write_text('[tool.authkit]\nplugin = "my_method:MyMethod"\n')
    return tmp_path


class Builds:
    """Stands in for packaging, and keeps what was asked of it."""

    def __init__(self) -> None:
        self.options: dict[str, Any] = {}
        self.imaged: list[Path] = []

    def build(self, project: Project, output: Path, **options: Any) -> Executable:
        """Return a file that nobody has made."""
        self.options = {"project": project, "output": output, **options}
        return Executable(
            name="my_method",
            version="v0.2.0",
            kind="auth",
            file=output / "my_method-0.2.0",
            size=23_400_000,
            unpacked=57_000_000,
            sha256=SHA256,
            needs="glibc 2.34 or later",
            has_interpreter=True,
            sbom=output / "my_method-0.2.0.cdx.json",
        )

    def build_zipapp(self, project: Project, output: Path, **options: Any) -> Executable:
        """Return one without an interpreter."""
        built = self.build(project, output, **options)
        return replace(built, needs="CPython 3.11 and glibc 2.34 or later", has_interpreter=False)

    def write_image(self, built: Executable, output: Path) -> Image:
        """Return an image that nobody has made."""
        self.imaged.append(output)
        name = f"{built.file.name}.oci"
        return Image(folder=output / name, archive=output / f"{name}.tar", digest="sha256:7b")


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> Builds:
    """Builds without a compiler."""
    made = Builds()
    monkeypatch.setattr(standalone, "build_standalone", made.build)
    monkeypatch.setattr(zipapp, "build_zipapp", made.build_zipapp)
    monkeypatch.setattr(oci, "write_image", made.write_image)
    return made


def run(*arguments: object) -> Result:
    """Run the command; an error of it is raised."""
    return CliRunner().invoke(cli, ["build", *map(str, arguments)], standalone_mode=False)


def test_it_prints_the_file_and_the_commands_that_register_it(builds: Builds, project: Path) -> None:
    """For both servers; the file goes into the project's `dist`, without the second engine."""
    done = run(project)
    assert done.exception is None
    assert builds.options == {
        "project": Project(folder=project, plugin="my_method:MyMethod"),
        "output": project / "dist",
        "keep": (),
        "find_links": [],
    }
    options = f"-sha256={SHA256} -command=my_method-0.2.0"
    assert done.stdout.splitlines() == [
        "building my_method:MyMethod ...",
        f"{project}/dist/my_method-0.2.0: 23.4 MB, unpacked 57.0 MB",
        f"sha256 {SHA256}",
        "for Linux with glibc 2.34 or later; my_method-0.2.0.cdx.json lists what is in it",
        "",
        "Put the file into the server's plugin directory, and:",
        f"    vault plugin register {options} auth my_method",
        f"    bao plugin register {options} auth my_method",
    ]
    assert builds.imaged == []


def test_a_zipapp_says_what_the_machine_needs(builds: Builds, project: Path) -> None:
    """And makes no image, which would have no interpreter."""
    done = run(project, "--zipapp")
    assert "for Linux with CPython 3.11 and glibc 2.34 or later; " in done.stdout
    refused = run(project, "--zipapp", "--oci")
    assert "--zipapp leaves the interpreter out" in str(refused.exception)
    assert builds.imaged == []


def test_options_reach_packaging(builds: Builds, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders become absolute, and the lock is written before the build."""
    written: list[object] = []

    def write_lock(project: Project, *, find_links: object) -> int:
        assert not builds.options
        written.append(find_links)
        return 21

    monkeypatch.setattr(lock, "write_lock", write_lock)
    monkeypatch.chdir(project)
    (project / "wheels").mkdir()
    done = run("--lock", "--oci", "--with-grpcio", "--find-links", "wheels", "--output", "out")
    assert done.exception is None
    assert written == [[project / "wheels"]] == [builds.options["find_links"]]
    assert (builds.options["keep"], builds.options["output"]) == (("grpcio",), project / "out")
    assert builds.imaged == [project / "out"]
    assert "requirements.lock: 21 distributions" in done.stdout
    image = f"{project}/out/my_method-0.2.0.oci and my_method-0.2.0.oci.tar: image sha256:7b"
    assert image in done.stdout.splitlines()


def failing(error: Exception) -> Callable[..., Executable]:
    """Return a build that fails."""

    def build(*_: object, **__: object) -> Executable:
        raise error

    return build


def test_a_failure_is_told_with_what_packaging_says(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not as an unexpected error."""
    monkeypatch.setattr(standalone, "build_standalone", failing(PackagingError("no compiler: install Go")))
    assert str(run(project).exception) == "no compiler: install Go"


def test_without_the_extra_it_says_what_to_install(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command itself is there with the extra `dev`."""
    monkeypatch.setitem(sys.modules, "authkit.packaging.forms.standalone", None)
    said = str(run(project).exception)
    assert said.endswith("install vault-authkit with its extra `build`")
