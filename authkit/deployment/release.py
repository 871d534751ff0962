"""One version of a plugin: its file, name, version and checksum."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from authkit.deployment.errors import DeploymentError
from authkit.values import Value

__all__ = ["Release", "read_release", "version_key"]

_FILE = re.compile(r"(?P<name>.+?)-(?P<version>\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.+-]*)?)")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")


class Release(Value, frozen=True, kw_only=True):
    """A file as it is registered. Read by `read_release`."""

    file: Path
    name: str
    """In the catalog."""
    version: str
    """With the `v` that hosts want."""
    sha256: str
    env: tuple[str, ...] = ()
    """Variables `KEY=VALUE` that the server gives the plugin."""

    unshown = ("env",)


def read_release(file: Path, *, name: str = "", version: str = "", env: tuple[str, ...] = ()) -> Release:
    """Return what a file is. `authkit build` names it `NAME-VERSION`; other files need both to be given.

    Raises:
        DeploymentError: it is no regular file, its name says neither, or a variable is not `KEY=VALUE`.
    """
    if not all(_VARIABLE.match(each) for each in env):
        raise DeploymentError("--env takes KEY=VALUE, once for each variable")
    if file.is_symlink() or not file.is_file():
        raise DeploymentError(f"{file} is not a regular file")
    found = _FILE.fullmatch(file.name)
    name = name or (found["name"] if found else "")
    version = version or (found["version"] if found else "")
    if not name or not version:
        raise DeploymentError(f"{file.name} is not named NAME-VERSION: give --name and --plugin-version")
    version_key(version)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    return Release(file=file, name=name, version=f"v{version.removeprefix('v')}", sha256=sha256, env=env)


def version_key(version: str) -> tuple[int, int, int, bool, str]:
    """Return what orders versions: a pre-release lies before its release.

    Raises:
        DeploymentError: it is not a semantic version, as hosts want it.
    """
    found = _VERSION.fullmatch(version)
    if found is None:
        raise DeploymentError(f"{version!r} is not a semantic version, such as 0.2.0")
    return int(found[1]), int(found[2]), int(found[3]), not found[4], found[4] or ""
