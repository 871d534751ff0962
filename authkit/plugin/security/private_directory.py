"""Directories that nobody else may enter, also where others may rename what is theirs beside it.

In a directory that others may write to (a TMPDIR without sticky bit, a socket directory of a group) a
name can be made to lead elsewhere between two steps. So the directory is kept open once it was
verified, and what is done in it is done through that descriptor.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from authkit.errors import HandshakeError

__all__ = ["PrivateDirectory"]

_DESCRIPTORS = "/proc/self/fd"
"""Linux: a path that leads to an open directory, whatever its name is by now."""


class PrivateDirectory:
    """A new directory, empty, of mode 0700, in `parent`.

    `variable` is what an operator reads of where it should be.

    Raises:
        HandshakeError: it could not be made, or somebody has put something else in its place.
    """

    def __init__(self, parent: str, *, prefix: str, variable: str) -> None:
        self.path = os.path.join(parent, f"{prefix}{os.urandom(8).hex()}")
        """Its name, as others may dial it."""
        self._variable = variable
        try:
            os.mkdir(self.path, 0o700)
            self.descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError as error:
            raise HandshakeError(f"{variable}: cannot make a private directory: {error.strerror}") from error
        try:
            self._verify(os.fstat(self.descriptor))
            self.inside = self._find_inside(parent)
            """A path that leads to it also after somebody has renamed it: for whatever is kept in it."""
        except BaseException:
            self.close()
            raise

    def verify_holds(self, name: str) -> None:
        """Raise HandshakeError if the entry of this name is not in the directory itself."""
        try:
            os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except OSError as error:
            raise self._replaced() from error

    def close(self) -> None:
        """Remove it and the files in it. Does nothing the second time."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor < 0:
            return
        with suppress(OSError):
            for name in os.listdir(descriptor):
                os.unlink(name, dir_fd=descriptor)
        os.close(descriptor)
        # What stands there now, if it is another one, is empty or stays.
        with suppress(OSError):
            os.rmdir(self.path)

    def _verify(self, found: os.stat_result) -> None:
        is_ours = found.st_uid == os.geteuid() and not found.st_mode & 0o077
        if not is_ours or os.listdir(self.descriptor):
            raise self._replaced()

    def _find_inside(self, parent: str) -> str:
        inside = f"{_DESCRIPTORS}/{self.descriptor}"
        with suppress(OSError):
            if os.path.samestat(os.stat(inside), os.fstat(self.descriptor)):
                return inside
        # Only the name is left, which must be safe then.
        mode = os.stat(parent).st_mode
        if mode & (stat.S_IWGRP | stat.S_IWOTH) and not mode & stat.S_ISVTX:
            raise HandshakeError(
                f"{self._variable}: others may rename what is in {parent}; take their right to write, or set "
                "the sticky bit (chmod +t)"
            )
        return self.path

    def _replaced(self) -> HandshakeError:
        return HandshakeError(
            f"{self._variable}: somebody has replaced a directory of this process; use a directory that "
            "nobody else may write to, or one with the sticky bit (chmod +t)"
        )
