"""A plugin's file in the plugin directory of a server: with the right owner and mode, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from authkit.deployment.errors import DeploymentError
from authkit.deployment.release import Release

__all__ = ["copy_file", "is_copied"]

_MODE = 0o755


def is_copied(release: Release, directory: Path) -> bool:
    """Whether the directory has the file already.

    Raises:
        DeploymentError: the directory cannot be used by a server.
    """
    _verify(directory)
    target = directory / release.file.name
    if target.is_symlink() or not target.is_file():
        return False
    return hashlib.sha256(target.read_bytes()).hexdigest() == release.sha256 and os.access(target, os.X_OK)


def copy_file(release: Release, directory: Path) -> Path:
    """Copy the file into the directory, and return where it is.

    The directory's owner owns it too, if this process may decide that: hosts can be told to check
    (Vault 1.21, VAULT_ENABLE_FILE_PERMISSIONS_CHECK).

    Raises:
        DeploymentError: the directory cannot be used by a server, or not written to; the file has changed.
    """
    _verify(directory)
    target = directory / release.file.name
    beside = directory / f".{release.file.name}.{secrets.token_hex(4)}"
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _MODE)
        try:
            with open(descriptor, "wb") as out:
                out.write(_read(release))
                os.fchmod(out.fileno(), _MODE)
                if os.geteuid() == 0:
                    owner = directory.stat()
                    os.fchown(out.fileno(), owner.st_uid, owner.st_gid)
                out.flush()
                os.fsync(out.fileno())
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
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
