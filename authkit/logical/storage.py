"""Storage: what a mount keeps, as the host offers it.

Implementations: `authkit.wire.host_services` talks to a host, `authkit.testing.InMemoryStorage` keeps
it in memory.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from authkit.errors import StorageError
from authkit.values import Value

__all__ = ["Storage", "StorageEntry", "check_key", "check_prefix"]


class StorageEntry(Value, frozen=True):
    """One stored item."""

    key: str
    """Relative to the mount; set by the caller who stores it."""
    value: bytes
    """Opaque; the host encrypts it."""
    seal_wrap: bool = False
    """Whether the host should encrypt it with the seal as well, where it can."""

    def __repr__(self) -> str:
        return f"StorageEntry(key={self.key!r}, value=<{len(self.value)} bytes>)"


@runtime_checkable
class Storage(Protocol):
    """The private storage of one mount.

    Every call raises `StorageError` when the host refuses it, `ReadOnlyError` when this node may
    not write. Keys are relative to the mount.
    """

    async def list(self, prefix: str = "") -> list[str]:
        """Return the direct children of `prefix`, which is empty or ends with `/`.

        Names are relative to the prefix; one that ends with `/` has children of its own. Sorted.
        """
        ...

    async def get(self, key: str) -> StorageEntry | None:
        """Return the entry, or `None` when there is none."""
        ...

    async def put(self, entry: StorageEntry) -> None:
        """Store the entry, replacing what was there."""

    async def delete(self, key: str) -> None:
        """Remove the entry. A missing entry is not an error."""


def check_key(key: str) -> str:
    """Return `key` when it is one that can be stored, listed and found again.

    A host would take a leading `/`, a trailing `/` and the empty key, and then lists them wrongly
    (observed on Vault 1.21.1); `..` it refuses.

    Raises:
        StorageError: the key is not usable.
    """
    if not key or key.startswith("/") or key.endswith("/"):
        raise StorageError("a storage key must not be empty, nor begin or end with '/'")
    if ".." in key:
        raise StorageError("relative paths not supported")
    return key


def check_prefix(prefix: str) -> str:
    """Return `prefix` when it can be listed: empty, or ending with `/`.

    Raises:
        StorageError: the prefix is not usable. A host answers one without `/` with nonsense.
    """
    if prefix.startswith("/") or (prefix and not prefix.endswith("/")):
        raise StorageError("a storage prefix must be empty or end with '/', without leading '/'")
    if ".." in prefix:
        raise StorageError("relative paths not supported")
    return prefix
