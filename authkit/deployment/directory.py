"""A plugin's file in the plugin directory of a server: with the right owner and mode, whole or not at all."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from authkit.deployment.errors import DeploymentError
from authkit.deployment.release import Release
from authkit.packaging.whole_files import write_whole

__all__ = ["copy_file", "find_sha256", "is_copied"]

_MODE = 0o755


def is_copied(release: Release, directory: Path) -> bool:
    """Whether the directory has the file already.

    Raises:
        DeploymentError: the directory cannot be used by a server.
    """
    _verify(directory)
    return find_sha256(release, directory) == release.sha256 and os.access(
        directory / release.file.name, os.X_OK
    )


def find_sha256(release: Release, directory: Path) -> str:
    """Return the checksum of the file that the directory has under the release's name; empty if none."""
    target = directory / release.file.name
    if target.is_symlink() or not target.is_file():
        return ""
    return hashlib.sha256(target.read_bytes()).hexdigest()


def copy_file(release: Release, directory: Path) -> Path:
    """Copy the file into the directory, and return where it is.

    The directory's owner owns it too, if this process may decide that: hosts can be told to check
    (Vault 1.21, VAULT_ENABLE_FILE_PERMISSIONS_CHECK).

    Raises:
        DeploymentError: the directory cannot be used by a server, or not written to; the file has changed.
    """
    _verify(directory)
    target = directory / release.file.name
    content = _read(release)
    try:
        found = directory.stat()
        owner = (found.st_uid, found.st_gid) if os.geteuid() == 0 else None
        write_whole(target, content, mode=_MODE, owner=owner)
    except OSError as error:
        raise DeploymentError(f"{target} can't be written: {error.strerror}") from None
    return target


def _read(release: Release) -> bytes:
    """Return what is in the file, which everybody will be able to read: only what `read_release` has seen."""
    content = release.file.read_bytes()
    if hashlib.sha256(content).hexdigest() != release.sha256:
        raise DeploymentError(f"{release.file} has changed while it was copied")
    return content


def _verify(directory: Path) -> None:
    if not directory.is_dir():
        raise DeploymentError(f"{directory} is not a folder")
    if directory.resolve() != Path(os.path.abspath(directory)):
        raise DeploymentError(
            f"{directory} is a symlink, or lies under one: servers start no plugin from it; "
            f"set plugin_directory to {directory.resolve()}"
        )
