"""Shared libraries: copies of all but those of glibc, which the server has."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

from authkit.packaging.errors import PackagingError
from authkit.packaging.interpreter.program import original_interpreter, strip
from authkit.packaging.programs import run

__all__ = ["copy_libraries", "glibc_files", "glibc_version"]

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


def copy_libraries(tree: Path) -> None:
    """Copy the shared libraries that the programs and extensions of the tree need, but glibc's.

    Raises:
        PackagingError: a library is missing on this machine.
    """
    found: dict[str, Path] = {}
    own = {path.name for path in tree.rglob("*.so*")}
    for file in [original_interpreter(), *tree.rglob("*.so"), *tree.rglob("*.so.*")]:
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
    strip(copies)


def glibc_files() -> list[Path]:
    """Return the files of glibc that the interpreter and its libraries may need, with their usual paths.

    Raises:
        PackagingError: the libraries of the interpreter cannot be listed.
    """
    listed = run(["ldd", original_interpreter()], "the libraries of the interpreter can't be listed")
    loaders = map(Path, _LOADER.findall(listed))
    found = {Path(path) for name, path in _RESOLVED.findall(listed) if _GLIBC.match(name)}
    folders = {path.parent for path in found}
    others = {folder / name for folder in folders for name in _GLIBC_PARTS if (folder / name).exists()}
    return [*loaders, *sorted(found | others)]


def glibc_version(tree: Path) -> str:
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
