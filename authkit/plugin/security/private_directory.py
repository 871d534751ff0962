"""Directories that nobody else may enter, also where others may rename what is theirs beside it.

In a directory that others may write to (a TMPDIR without sticky bit, a socket directory of a group) a
name can be made to lead elsewhere between two steps. So the directory is kept open once it was
verified, and what is done in it is done through that descriptor.

Its process holds a lock on it. One that is killed cannot remove its directory: the next process finds
it without a lock and does that.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
from contextlib import closing, suppress
from itertools import islice

from authkit.errors import HandshakeError

__all__ = ["PrivateDirectory", "remove_abandoned"]

_DESCRIPTORS = "/proc/self/fd"
"""Linux: a path that leads to an open directory, whatever its name is by now."""

_OPEN_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_NAME_BYTES = 8
_TRIES = 5
"""A new directory without a lock yet looks abandoned: another process may remove it in this moment."""
_MAX_ENTRIES = 10_000
"""Entries of the parent that are read: a start must not take long because /tmp has many."""


class PrivateDirectory:
    """A new directory, empty, of mode 0700, in `parent`.

    `variable` is what an operator reads of where it should be.

    Raises:
        HandshakeError: it could not be made, or somebody has put something else in its place.
    """

    def __init__(self, parent: str, *, prefix: str, variable: str) -> None:
        self._variable = variable
        self.path, self.descriptor = self._make(parent, prefix)
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
        _remove(self.path, descriptor)
        os.close(descriptor)

    def _make(self, parent: str, prefix: str) -> tuple[str, int]:
        """Return the path of a new directory, as others may dial it, and the descriptor with its lock."""
        for _ in range(_TRIES):
            path = os.path.join(parent, f"{prefix}{os.urandom(_NAME_BYTES).hex()}")
            try:
                os.mkdir(path, 0o700)
                descriptor = os.open(path, _OPEN_FLAGS)
            except FileNotFoundError as error:
                if os.path.isdir(parent):
                    continue
                raise self._not_made(error) from error
            except OSError as error:
                raise self._not_made(error) from error
            if _hold(descriptor):
                return path, descriptor
            os.close(descriptor)
        raise self._replaced()

    def _not_made(self, error: OSError) -> HandshakeError:
        return HandshakeError(f"{self._variable}: cannot make a private directory: {error.strerror}")

    def _verify(self, found: os.stat_result) -> None:
        if not _is_ours(found) or os.listdir(self.descriptor):
            raise self._replaced()

    def _find_inside(self, parent: str) -> str:
        inside = f"{_DESCRIPTORS}/{self.descriptor}"
        with suppress(OSError):
            if os.path.samestat(os.stat(inside), os.fstat(self.descriptor)):
                return inside
        # Only the name is left, which must be safe then.
        if _others_may_rename(parent):
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


def remove_abandoned(parent: str, *, prefix: str) -> int:
    """Remove what processes that were killed have left in `parent`; return how many directories.

    Those are directories of this user, of mode 0700, named as `PrivateDirectory` names them, on which no
    process holds the lock. Nothing is removed where locks do not work, nor where others, such as the owner of
    `parent`, could give such a name to something else.
    """
    name = re.compile(re.escape(prefix) + f"[0-9a-f]{{{2 * _NAME_BYTES}}}")
    removed = 0
    with suppress(OSError), closing(os.scandir(parent)) as entries:
        if _others_may_rename(parent) or os.stat(parent).st_uid not in (0, os.geteuid()):
            return 0
        for entry in islice(entries, _MAX_ENTRIES):
            if name.fullmatch(entry.name):
                removed += _remove_if_abandoned(entry.path)
    return removed


def _remove_if_abandoned(path: str) -> bool:
    try:
        descriptor = os.open(path, _OPEN_FLAGS)
    except OSError:
        return False
    try:
        # Without the lock, its process still runs, or another process is removing it.
        return _is_ours(os.fstat(descriptor)) and _lock(descriptor) and _remove(path, descriptor)
    finally:
        os.close(descriptor)


def _others_may_rename(parent: str) -> bool:
    mode = os.stat(parent).st_mode
    return bool(mode & (stat.S_IWGRP | stat.S_IWOTH)) and not mode & stat.S_ISVTX


def _is_ours(found: os.stat_result) -> bool:
    return found.st_uid == os.geteuid() and not found.st_mode & 0o077


def _hold(descriptor: int) -> bool:
    """Lock a new directory; return whether it is there: another process may have removed it before."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # no locks on this file system: nobody else takes one either
    return os.fstat(descriptor).st_nlink > 0


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _remove(path: str, descriptor: int) -> bool:
    """Remove the files of an open directory, then the directory; return whether it is gone."""
    with suppress(OSError):
        for name in os.listdir(descriptor):
            os.unlink(name, dir_fd=descriptor)
    # Another directory may have that name by now: it is removed only if it is empty.
    with suppress(OSError):
        os.rmdir(path)
        return True
    return False
