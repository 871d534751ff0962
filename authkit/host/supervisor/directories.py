"""Temporary directories for sockets and keys, with paths short enough for a socket.

Unlike `authkit.plugin.security.private_directory` it removes whole trees: a killed plugin leaves a
directory in it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from authkit.errors import PluginStartError

__all__ = ["lend_directory"]

MAX_BASE_BYTES = 55
"""A socket path has at most 107 bytes on Linux, and a plugin adds a directory and a socket below."""

_FALLBACK = "/tmp"  # noqa: S108 (only the private directory in it is used)


@contextmanager
def lend_directory() -> Iterator[str]:
    """Create a directory of mode 0700, and remove it with its content at the end of the context.

    Raises:
        PluginStartError: the directory cannot be created. `TMPDIR` chooses its parent.
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
