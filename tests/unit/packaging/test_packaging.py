"""The parts of packaging that need neither a compiler nor an index."""

from __future__ import annotations

import ctypes
import io
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from authkit.packaging.archives import Member, compress, tar
from authkit.packaging.checksums import add_checksums
from authkit.packaging.confinement.openssl import settings_folder, verify_settings_folder
from authkit.packaging.confinement.runpaths import remove_outer_runpaths
from authkit.packaging.errors import PackagingError
from authkit.packaging.interpreter import find_glibc, find_glibc_files
from authkit.packaging.lock import install
from authkit.packaging.programs import run
from authkit.packaging.project import Project, read_project

PROJECT = '[project]\nname = "my-method"\n[tool.authkit]\nplugin = "my_method:MyMethod"\n'


def test_a_project_names_its_plugin(tmp_path: Path) -> None:
    """Its lock lies beside it."""
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    found = read_project(tmp_path)
    assert found == Project(folder=tmp_path, plugin="my_method:MyMethod")
    assert found.lock == tmp_path / "requirements.lock"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "has no pyproject.toml; authkit new writes one"),
        ("[project", "can't be read"),
        ('[project]\nname = "a"\n', r"names no plugin: add plugin = "),
        (PROJECT.replace("my_method:MyMethod", "my_method"), "names no plugin"),
        (PROJECT.replace('"my_method:MyMethod"', "3"), "names no plugin"),
        ('tool = 3\nproject = "x"\n', "names no plugin"),
    ],
)
def test_what_a_project_lacks_is_told(tmp_path: Path, text: str | None, said: str) -> None:
    """With what to add."""
    if text is not None:
        (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(PackagingError, match=said):
        read_project(tmp_path)


def test_without_a_lock_nothing_is_installed(tmp_path: Path) -> None:
    """Never what the index has today."""
    project = Project(folder=tmp_path, plugin="a:A")
    with pytest.raises(
        PackagingError, match=r"requirements.lock can't be read .*authkit build --lock writes one"
    ):
        install(project, tmp_path / "target", without=())
    assert not (tmp_path / "target").exists()


def test_a_program_that_fails_is_quoted() -> None:
    """What it said last; its output is returned otherwise."""
    assert run([sys.executable, "-c", "print(1)"], "counting") == "1\n"
    with pytest.raises(PackagingError, match=r"^counting: python\S* failed\nno$"):
        run([sys.executable, "-c", "import sys; sys.exit('no')"], "counting")
    with pytest.raises(PackagingError, match=r"counting: .*No such file"):
        run(["/nowhere"], "counting")


def test_checksums_of_other_files_are_kept(tmp_path: Path) -> None:
    """As long as the files are there."""
    first, second, third = (tmp_path / name for name in "abc")
    for path in (first, second, third):
        path.write_text(path.name)
    add_checksums(tmp_path, [first, second])
    second.unlink()
    listed = add_checksums(tmp_path, [third]).read_text().splitlines()
    assert [line.partition("  ")[2] for line in listed] == ["a", "c"]


def test_archives_are_the_same_each_time(tmp_path: Path) -> None:
    """Whatever the date, the owner and the mode of a file are."""
    file = tmp_path / "f"
    file.write_text("x")
    members = [Member("d", mode=0o1777), Member("d/f", file, 0o755), Member("g", b"y")]
    first = tar(members)
    file.chmod(0o600)
    assert compress(tar(members)) == compress(first)
    with tarfile.open(fileobj=io.BytesIO(first)) as archive:
        seen = [(each.name, each.mode, each.uid, each.mtime) for each in archive.getmembers()]
    assert seen == [("d", 0o1777, 0, 0), ("d/f", 0o755, 0, 0), ("g", 0o644, 0, 0)]


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is Linux's")
def test_the_glibc_of_the_interpreter_is_found(tmp_path: Path) -> None:
    """Its loader, its library, and the version that a program asks for."""
    names = {path.name for path in find_glibc_files()}
    assert "libc.so.6" in names
    assert any(name.startswith("ld-linux") for name in names)
    (tmp_path / "text").write_text("no program")
    assert find_glibc(tmp_path) == "2.17"
    (tmp_path / "python").write_bytes(Path(sys.executable).resolve().read_bytes())
    major, minor = map(int, find_glibc(tmp_path).split("."))
    assert (major, minor) >= (2, 17)


def link(library: Path, runpath: str) -> None:
    """Make a library that searches others in the path."""
    library.parent.mkdir(parents=True, exist_ok=True)
    options = ["-shared", "-x", "c", f"-Wl,-rpath,{runpath}", "-o", library]
    subprocess.run(["cc", *options, "/dev/null"], check=True, capture_output=True)


def runpath_of(library: Path) -> str | None:
    """Return what it searches, as ld.so reads it."""
    with library.open("rb") as file:
        (dynamic,) = ELFFile(file).iter_segments("PT_DYNAMIC")
        return next((tag.runpath for tag in dynamic.iter_tags("DT_RUNPATH")), None)


@pytest.mark.skipif(not shutil.which("cc") or sys.platform != "linux", reason="no linker for Linux")
@pytest.mark.parametrize(
    ("runpath", "kept"),
    [
        ("/home/builder/lib", False),
        ("$ORIGIN/../a.libs", True),
        ("${ORIGIN}:$ORIGIN/b", True),
        ("$ORIGIN/../../../lib", False),
        ("$ORIGIN/$LIB", False),
        ("relative", False),
        ("$ORIGINAL/b", False),
    ],
)
def test_libraries_are_not_searched_outside(tmp_path: Path, runpath: str, kept: bool) -> None:
    """Who has a folder of that name on a server would run code in the plugin."""
    library = tmp_path / "tree/lib/a/b.so"
    link(library, f"{runpath},--enable-new-dtags")
    assert runpath_of(library) == runpath
    remove_outer_runpaths(tmp_path / "tree")
    assert runpath_of(library) == (runpath if kept else None)
    ctypes.CDLL(str(library))


@pytest.mark.skipif(not shutil.which("cc") or sys.platform != "linux", reason="no linker for Linux")
@pytest.mark.parametrize("runpath", ["$ORIGIN:/home/builder/lib", "$ORIGIN::$ORIGIN/b"])
def test_a_library_that_searches_inside_and_outside_is_refused(tmp_path: Path, runpath: str) -> None:
    """It might not find what it needs without the path; an empty one is the working directory."""
    link(tmp_path / "b.so", runpath)
    with pytest.raises(PackagingError, match=r"b\.so searches libraries outside of the package: \$ORIGIN:"):
        remove_outer_runpaths(tmp_path)


def test_settings_of_openssl_are_roots() -> None:
    """Also where nobody has made the folder yet; the interpreter of the tests has one."""
    verify_settings_folder(Path("/nowhere/ssl"))
    assert settings_folder().is_absolute()


def test_settings_of_openssl_in_somebodys_home_are_refused(tmp_path: Path) -> None:
    """They name libraries to load."""
    home = tmp_path / "home"
    home.mkdir()
    os.chmod(home, 0o777)  # as root runs the tests, it would be root's
    with pytest.raises(PackagingError, match=r"reads settings from .*ssl, and .*home is not root's alone"):
        verify_settings_folder(home / "miniconda3/ssl")
