"""The interpreter of a standalone plugin: a copy of the one that builds, without what no server needs."""

from __future__ import annotations

import re
import shutil
import sys
import sysconfig
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

from authkit.packaging.errors import PackagingError
from authkit.packaging.programs import find_program, run

__all__ = [
    "PROGRAM",
    "copy_interpreter",
    "copy_libraries",
    "find_glibc",
    "find_glibc_files",
    "site_packages",
    "standard_library",
]

_VERSION = f"python{sys.version_info[0]}.{sys.version_info[1]}"
PROGRAM = f"bin/{_VERSION}"
"""Of the interpreter, below the folder."""

LEFT_OUT = (
    *("__pycache__", "site-packages", "dist-packages", "test", "tests", "config-*"),
    *(
        "idlelib",
        "tkinter",
        "turtledemo",
        "turtle.py",
        "ensurepip",
        "venv",
        "lib2to3",
        "pydoc_data",
        "distutils",
    ),
    *("_test*", "_ctypes_test*", "xxlimited*", "xxsubtype*", "_xx*"),
    # Their libraries are large, or under the GPL.
    *("_tkinter*", "_curses*", "readline*", "_gdbm*", "_dbm*", "_crypt*", "nis*"),
)
"""Of the standard library: tests, windows, installers, and modules of terminals and old databases."""

_GLIBC = re.compile(
    r"(ld-linux|linux-vdso|lib(c|m|dl|pthread|rt|util|resolv|anl|nsl|crypt|mvec|BrokenLocale)\.so)"
)
_RESOLVED = re.compile(r"^\s*(\S+) => (/\S+) \(0x", re.MULTILINE)
_GLIBC_PARTS = (
    *("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1"),
    *("libresolv.so.2", "libanl.so.1", "libnss_dns.so.2", "libnss_files.so.2"),
)
_LOADER = re.compile(r"^\s*(/\S*ld-linux\S*) \(0x", re.MULTILINE)
_GLIBC_VERSION = re.compile(r"GLIBC_([0-9]+)\.([0-9]+)")


def standard_library(tree: Path) -> Path:
    """Return the folder of the standard library."""
    return tree / "lib" / _VERSION


def site_packages(tree: Path) -> Path:
    """Return the folder of what was installed."""
    return standard_library(tree) / "site-packages"


def copy_interpreter(tree: Path) -> None:
    """Copy the program, its library and the standard library, all without debugging symbols.

    Raises:
        PackagingError: this interpreter cannot be copied.
    """
    if sys.platform != "linux" or sys.implementation.name != "cpython":
        raise PackagingError("a standalone plugin can be built on Linux, with CPython")
    program = tree / PROGRAM
    program.parent.mkdir(parents=True)
    shutil.copyfile(_original(), program)
    program.chmod(0o755)
    library = standard_library(tree)
    ignore = shutil.ignore_patterns(*LEFT_OUT)
    shutil.copytree(sysconfig.get_path("stdlib"), library, ignore=ignore, symlinks=False)
    extensions = library / "lib-dynload"
    if not extensions.is_dir():
        shutil.copytree(sysconfig.get_config_var("DESTSHARED"), extensions, ignore=ignore)
    _strip([program, *extensions.glob("*.so")])
    # The interpreter takes the first that it finds in its own or any folder above (getpath.py): this one.
    with zipfile.ZipFile(tree / sys.platlibdir / f"{_VERSION.replace('.', '')}.zip", "w"):
        pass


def copy_libraries(tree: Path) -> None:
    """Copy the shared libraries that the programs and extensions of the tree need, but glibc's.

    Raises:
        PackagingError: a library is missing on this machine.
    """
    found: dict[str, Path] = {}
    own = {path.name for path in tree.rglob("*.so*")}
    for file in [_original(), *tree.rglob("*.so"), *tree.rglob("*.so.*")]:
        listed = run(["ldd", file], f"the libraries of {file.name} can't be listed")
        if "not found" in listed:
            missing = ", ".join(re.findall(r"(\S+) => not found", listed))
            raise PackagingError(f"{file.name} needs a library that this machine does not have: {missing}")
        found.update((name, Path(path)) for name, path in _RESOLVED.findall(listed) if name not in own)
    copies = []
    for name, path in sorted(found.items()):
        if not _GLIBC.match(name):
            copies.append(tree / "lib" / name)
            shutil.copyfile(path.resolve(), copies[-1])
            copies[-1].chmod(0o755)
    _strip(copies)


def find_glibc_files() -> list[Path]:
    """Return the files of glibc that the interpreter and its libraries may need, with their usual paths.

    Raises:
        PackagingError: the libraries of the interpreter cannot be listed.
    """
    listed = run(["ldd", _original()], "the libraries of the interpreter can't be listed")
    loaders = map(Path, _LOADER.findall(listed))
    found = {Path(path) for name, path in _RESOLVED.findall(listed) if _GLIBC.match(name)}
    folders = {path.parent for path in found}
    others = {folder / name for folder in folders for name in _GLIBC_PARTS if (folder / name).exists()}
    return [*loaders, *sorted(found | others)]


def find_glibc(tree: Path) -> str:
    """Return the oldest version of glibc that everything in the tree takes, such as `2.34`."""
    versions = {(2, 17)}  # of manylinux2014: no interpreter that is supported takes an older one
    for path in tree.rglob("*"):
        if path.is_file():
            versions.update(_glibc_versions(path))
    return ".".join(map(str, max(versions)))


def _glibc_versions(path: Path) -> Iterator[tuple[int, int]]:
    with path.open("rb") as file:
        try:
            sections = list(ELFFile(file).iter_sections())
        except ELFError:
            return
        for section in sections:
            if isinstance(section, GNUVerNeedSection):
                for _, versions in section.iter_versions():
                    for each in versions:
                        if version := _GLIBC_VERSION.fullmatch(each.name):
                            yield int(version[1]), int(version[2])


def _original() -> Path:
    """Return the interpreter that runs. In an environment `sys.executable` is a link to it."""
    return Path(getattr(sys, "_base_executable", sys.executable)).resolve()


def _strip(files: Iterable[Path]) -> None:
    strip = find_program("strip")
    if strip is not None:  # else the file becomes larger, no more
        for file in files:
            file.chmod(0o755)
            run([strip, "--strip-unneeded", file], f"{file.name} can't be stripped")
