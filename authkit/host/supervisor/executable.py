"""Checks of a plugin's file: place, owner, mode and checksum.

Rules and texts of Vault 1.21 (vault/plugincatalog/plugin_catalog.go, helper/osutil/fileinfo.go,
go-plugin's SecureConfig). See `authkit.host.supervisor.child` for the start.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
from collections.abc import Callable, Sequence
from grp import getgrgid
from pathlib import Path
from pwd import getpwuid
from typing import Any

from authkit.errors import PluginStartError

__all__ = [
    "MAX_FIRST_LINE_BYTES",
    "check_permissions",
    "check_sum",
    "describe_file",
    "file_sum",
    "find_command",
]

MAX_FIRST_LINE_BYTES = 255
"""Linux reads this much of a script's `#!` line (BINPRM_BUF_SIZE 256, since 5.1) and cuts the rest."""


def find_command(directory: str | os.PathLike[str], command: str) -> Path:
    """Return the path of a command in the plugin directory, as registration does.

    The file may be a symlink, but only to a file in the very same directory.

    Raises:
        PluginStartError: the command may not be registered.
    """
    if not os.fspath(directory):
        raise PluginStartError("could not set plugin, plugin directory is not configured")
    if ".." in command:
        raise PluginStartError("path cannot contain parent references")
    directory = os.path.abspath(directory)
    path = os.path.join(directory, command.lstrip("/"))
    try:
        found = os.path.dirname(os.path.realpath(path, strict=True))
    except OSError as error:
        reason = f"lstat {error.filename or path}: {_reason(error)}"
        raise PluginStartError(f"error while validating the command path: {reason}") from error
    if found != directory:
        raise PluginStartError(
            f"cannot execute files outside of configured plugin directory {directory}: "
            f"expected {directory}, got {found}"
        )
    return Path(path)


def check_permissions(path: str | os.PathLike[str]) -> None:
    """Raise PluginStartError if owner or mode are unsafe, as with VAULT_ENABLE_FILE_PERMISSIONS_CHECK."""
    name = os.fspath(path)
    try:
        found = os.stat(path)
    except OSError as error:
        raise PluginStartError(f'error stating "{name}": stat {name}: {_reason(error)}') from error
    if found.st_uid != os.getuid():
        raise PluginStartError(f'path "{name}" is not owned by my uid {os.getuid()}')
    permissions = stat.S_IMODE(found.st_mode) & 0o777
    if permissions & 0o022:
        raise PluginStartError(
            f'path "{name}" has insecure permissions {permissions:o}. '
            "Vault expects no write permissions for group or others"
        )


def file_sum(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's content in hexadecimal. Symlinks are followed.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_sum(path: str | os.PathLike[str], expected: str) -> None:
    """Raise PluginStartError if the file does not have the registered SHA-256 (hexadecimal, either case)."""
    name = os.fspath(path)
    try:
        found = file_sum(path)
    except OSError as error:
        verb = "read" if isinstance(error, IsADirectoryError) else "open"
        raise PluginStartError(f"error verifying checksum: {verb} {name}: {_reason(error)}") from error
    if not hmac.compare_digest(found, expected.strip().lower()):
        raise PluginStartError("checksums did not match", hint=f"{name} has the sha256 {found}.")


def describe_file(path: str | os.PathLike[str]) -> str:
    """Return the notes that a host adds to a handshake that failed (go-plugin 1.6.3, cmdrunner)."""
    try:
        found = os.stat(path)
    except OSError:
        return ""
    user, group = _name(getpwuid, os.getuid()), _name(getgrgid, os.getgid())
    return (
        "\nAdditional notes about plugin:\n"
        f"  Path: {os.fspath(path)}\n"
        f"  Mode: {stat.filemode(found.st_mode)}\n"
        f"  Owner: {found.st_uid} [{_name(getpwuid, found.st_uid)}] (current: {os.getuid()} [{user}])\n"
        f"  Group: {found.st_gid} [{_name(getgrgid, found.st_gid)}] (current: {os.getgid()} [{group}])\n"
    )


def _name(entry_of: Callable[[int], Sequence[Any]], number: int) -> str:
    """Return the name of a user or a group."""
    try:
        return str(entry_of(number)[0])
    except KeyError:
        return "?"


def _reason(error: OSError) -> str:
    """Return the reason in lower case, as in a Vault server's texts."""
    return os.strerror(error.errno or 0).lower()
