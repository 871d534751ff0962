"""Files and folders that no other user can read, change or replace: made exclusively, or refused.

What a plugin stores is read from such a file, and launchers that are executed lie in such a folder. Another
user who may write beside them could plant either before it is made, or put a link in its place. Directories
for a while: `authkit.host.supervisor.directories`.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

__all__ = [
    "NotPrivateError",
    "make_private_file",
    "make_private_folder",
    "private_path",
    "verify_private_file",
]

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_OTHERS_ACCESS = stat.S_IRWXG | stat.S_IRWXO


class NotPrivateError(OSError):
    """Another user could read or replace what is needed; the text says which and what to do."""


def private_path(path: Path) -> Path:
    """Return `path` with links in its folders resolved, if no other user can put anything in its place.

    The folder, and every one above it, belongs to this user or root, and only they can write there. Above
    it one may be writable by all if it is sticky, as /tmp is: there nobody can rename what another owns.

    Raises:
        NotPrivateError: another user can.
        OSError: the folder does not exist.
    """
    folder = path.parent.resolve(strict=True)
    for above in (folder, *folder.parents):
        found = above.lstat()
        if found.st_uid not in (0, os.geteuid()):
            raise NotPrivateError(f"{above} belongs to another user: use a folder of your own")
        is_guarded = above != folder and found.st_mode & stat.S_ISVTX
        if found.st_mode & _OTHERS_WRITE and not is_guarded:
            raise NotPrivateError(
                f"other users may write to {above}: use a folder of your own, or chmod go-w {above}"
            )
    return folder / path.name


def make_private_file(path: Path) -> None:
    """Make an empty file with mode 0600, or accept the one that is there. `path` is a `private_path`.

    Raises:
        NotPrivateError: what is there is a link or no file, or another user's, or others have access to it.
        OSError: it cannot be made.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
    except FileExistsError:
        verify_private_file(path)


def verify_private_file(path: Path) -> None:
    """Raise NotPrivateError unless `path`, a `private_path`, is absent or a file of this user alone."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode):
        raise NotPrivateError(f"{path} is a link or not a file: remove it, or use another name")
    _verify_owner(path, found)
    if found.st_mode & _OTHERS_ACCESS:
        raise NotPrivateError(f"other users have access to {path}: if its content is yours, chmod 600 {path}")


def make_private_folder(path: Path) -> None:
    """Make a folder with mode 0700, or accept the one that is there. `path` is a `private_path`.

    Raises:
        NotPrivateError: what is there is a link or no folder, or another user's, or others may write to it.
        OSError: it cannot be made.
    """
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode):
            raise NotPrivateError(
                f"{path} is a link or not a folder: remove it, or use another name"
            ) from None
        _verify_owner(path, found)
        if found.st_mode & _OTHERS_WRITE:
            raise NotPrivateError(f"other users may write to {path}: remove it, it is made anew") from None


def _verify_owner(path: Path, found: os.stat_result) -> None:
    if found.st_uid != os.geteuid():
        raise NotPrivateError(f"{path} belongs to another user: remove it, or use another name")
