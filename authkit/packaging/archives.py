"""Archives that are the same each time: members in order, without owners, with one date."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

from authkit.values import Value

__all__ = ["Member", "compress", "tar"]


class Member(Value, frozen=True):
    """A file or a folder of an archive."""

    name: str
    """Its path, with slashes."""
    source: Path | bytes | None = None
    """Of a file; `None` for a folder."""
    mode: int = 0o644


def tar(members: Iterable[Member]) -> bytes:
    """Return an uncompressed archive."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member in members:
            entry = tarfile.TarInfo(member.name)
            entry.mode = member.mode
            if member.source is None:
                entry.type = tarfile.DIRTYPE
                archive.addfile(entry)
                continue
            content = member.source if isinstance(member.source, bytes) else member.source.read_bytes()
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return plain.getvalue()


def compress(archive: bytes) -> bytes:
    """Return an archive compressed by gzip."""
    return gzip.compress(archive, compresslevel=9, mtime=0)
