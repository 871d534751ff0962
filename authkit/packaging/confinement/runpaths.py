"""Executables and libraries look for libraries in what was packed, and where every program does.

A path that a linker has written into a file (`DT_RUNPATH`, `DT_RPATH`) comes before the machine's own
folders. If it names a folder of the machine that builds, who has that folder on a server runs code in the
plugin.
"""

from __future__ import annotations

import io
import os.path
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from authkit.packaging.errors import PackagingError

__all__ = ["remove_outer_runpaths"]

_ORIGINS = ("$ORIGIN", "${ORIGIN}")
"""How a path names the folder of the file that it is in (`man ld.so`)."""


def remove_outer_runpaths(tree: Path) -> None:
    """Remove the search paths that lead out of the tree from all executables and libraries in it.

    Raises:
        PackagingError: one file has paths that lead out and others: it would lose both.
    """
    for path in tree.rglob("*"):
        if path.is_file() and not path.is_symlink():
            _remove(path, tree)


def _remove(path: Path, tree: Path) -> None:
    content = path.read_bytes()
    try:
        segments = list(ELFFile(io.BytesIO(content)).iter_segments("PT_DYNAMIC"))
    except ELFError:
        return
    changed = content
    for segment in segments:
        changed = _without_outer(changed, segment, path, tree)
    if changed != content:
        path.write_bytes(changed)


def _without_outer(content: bytes, segment: Any, path: Path, tree: Path) -> bytes:
    begin, size = segment["p_offset"], segment["p_filesz"]
    width = segment.elffile.structs.Elf_Dyn.sizeof()
    kept = b""
    for number, tag in enumerate(segment.iter_tags()):
        at = begin + number * width
        if not _leads_out(tag, path, tree):
            kept += content[at : at + width]
    # The first entry of zeros ends the list.
    return content[:begin] + kept.ljust(size, b"\0") + content[begin + size :]


def _leads_out(tag: Any, path: Path, tree: Path) -> bool:
    listed = getattr(tag, "runpath", None) or getattr(tag, "rpath", None)
    if listed is None:
        return False
    inside = {_is_inside(each, path, tree) for each in listed.split(":")}
    if len(inside) > 1:
        raise PackagingError(f"{path.relative_to(tree)} searches libraries outside of the package: {listed}")
    return inside == {False}


def _is_inside(listed: str, path: Path, tree: Path) -> bool:
    for origin in _ORIGINS:
        if listed == origin or listed.startswith(f"{origin}/"):
            named = listed.removeprefix(origin)
            return "$" not in named and Path(os.path.normpath(f"{path.parent}{named}")).is_relative_to(tree)
    return False
