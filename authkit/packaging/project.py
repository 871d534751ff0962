"""What the `pyproject.toml` of a plugin's project says: the class to serve."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from authkit.packaging.errors import PackagingError
from authkit.packaging.kinds import KINDS
from authkit.values import Value

__all__ = ["PLUGIN_CLASS", "Project", "read_project"]

PLUGIN_CLASS = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
"""`package.module:Class`."""


class Project(Value, frozen=True, kw_only=True):
    """One project, read by `read_project`."""

    folder: Path
    plugin: str
    """The class to serve, as `package.module:Class`."""
    is_database: bool = False
    """Whether it is a database plugin, and no auth method or secrets engine."""

    @property
    def lock(self) -> Path:
        """The file with the exact versions and hashes of what the plugin needs."""
        return self.folder / "requirements.lock"


def read_project(folder: Path) -> Project:
    """Return the project of a folder.

    Raises:
        PackagingError: it has no `pyproject.toml`, or that names no plugin.
    """
    file = folder / "pyproject.toml"
    try:
        content = tomllib.loads(file.read_text())
    except FileNotFoundError:
        raise PackagingError(f"{folder} has no pyproject.toml; authkit new writes one") from None
    except (OSError, ValueError) as error:
        raise PackagingError(f"{file} can't be read: {error}") from None
    plugin = _get(content, "tool", "authkit", "plugin")
    if not isinstance(plugin, str) or not PLUGIN_CLASS.fullmatch(plugin):
        raise PackagingError(f'{file} names no plugin: add plugin = "package.module:Class" to [tool.authkit]')
    kind = _get(content, "tool", "authkit", "kind")
    if kind not in (None, *KINDS):
        raise PackagingError(f"{file}: kind in [tool.authkit] is one of {', '.join(KINDS)}")
    return Project(folder=folder, plugin=plugin, is_database=kind == "database")


def _get(content: Any, *keys: str) -> object:
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content
