"""Directories for sockets and keys: private, gone afterwards, and short enough for a socket's path."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from authkit.errors import PluginStartError

__all__ = ["lend_directory"]

MAX_BASE_BYTES = 55
"""A socket path has 107 bytes on Linux. A plugin makes a directory of its own below, and a socket in it."""

_FALLBACK = "/tmp"  # noqa: S108 (only the private directory in it is used)


@contextmanager
def lend_directory() -> Iterator[str]:
    """Lend a directory that nobody else may enter (mode 0700), gone afterwards with all that is in it.

    Raises:
        PluginStartError: it could not be made; `TMPDIR` says where.
    """
    base = tempfile.gettempdir()
    if len(os.fsencode(base)) > MAX_BASE_BYTES:
        base = _FALLBACK
    try:
        directory = tempfile.TemporaryDirectory(prefix="ak-", dir=base, ignore_cleanup_errors=True)
    except OSError as error:
        raise PluginStartError(f"TMPDIR: cannot make a private directory: {error.strerror}") from error
    with directory as path:
        yield path
