"""`SHA256SUMS`: the checksums of a folder's packages, as `sha256sum --check` reads them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from authkit.packaging.whole_files import write_whole

__all__ = ["add_checksums"]


def add_checksums(folder: Path, files: Iterable[Path]) -> Path:
    """Write checksums into `SHA256SUMS`, keep those of other files that are there, and return its path."""
    path = folder / "SHA256SUMS"
    lines = path.read_text().splitlines() if path.exists() else []
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    sums |= {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    present = sorted(name for name in sums if (folder / name).is_file())
    write_whole(path, "".join(f"{sums[name]}  {name}\n" for name in present).encode())
    return path
