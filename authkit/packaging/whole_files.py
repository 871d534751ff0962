"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

__all__ = ["write_whole"]


def write_whole(
    path: Path, content: bytes, *, mode: int = 0o644, owner: tuple[int, int] | None = None
) -> None:
    """Put a file in the place of what has its name, also of a link. Readers of the one before keep that.

    `mode` is the file's whatever the umask is; `owner` are ids of a user and a group, those of this process
    otherwise.

    Raises:
        OSError: it cannot be written; what was there is there still.
    """
    # The name is fresh, and nobody has opened it: others may be able to write to the folder.
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as beside:
        try:
            beside.write(content)
            beside.flush()
            if owner is not None:
                os.fchown(beside.fileno(), *owner)
            os.fchmod(beside.fileno(), mode)
            os.fsync(beside.fileno())
            os.replace(beside.name, path)
        except BaseException:
            os.unlink(beside.name)
            raise
