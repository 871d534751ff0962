"""What kinds of plugins have their mounts at, and what they are called in the catalog."""

from __future__ import annotations

from typing import Final

from authkit.values import Value

__all__ = ["AUTH", "DATABASE", "KINDS", "SECRET", "Kind"]


class Kind(Value, frozen=True, kw_only=True):
    """One kind of plugin."""

    name: str
    """In the catalog."""
    mounts: str = ""
    """Where a server lists and enables its mounts; empty for a kind without mounts of its own."""
    prefix: str = ""
    """What the paths of its mounts begin with in requests."""

    def shown(self, path: str) -> str:
        """Return a mount's path as servers show it: `auth/jwt/`, `postgres/`."""
        return f"{self.prefix}{path}/"

    def mount_path(self, text: str) -> str:
        """Return the path of a mount, given with or without `auth/` and slashes."""
        return text.strip("/").removeprefix(self.prefix)


AUTH: Final = Kind(name="auth", mounts="sys/auth", prefix="auth/")
SECRET: Final = Kind(name="secret", mounts="sys/mounts")
DATABASE: Final = Kind(name="database")
KINDS: Final = {kind.name: kind for kind in (AUTH, SECRET, DATABASE)}
