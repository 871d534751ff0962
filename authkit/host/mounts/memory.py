"""The storage of one mount, in memory."""

from __future__ import annotations

from authkit.host.store.storage import children
from authkit.logical import StorageEntry, check_key, check_prefix

__all__ = ["InMemoryStorage"]


class InMemoryStorage:
    """`authkit.logical.Storage` in memory."""

    def __init__(self) -> None:
        self._entries: dict[str, StorageEntry] = {}

    async def list(self, prefix: str = "") -> list[str]:
        """Return the direct children of `prefix`, sorted."""
        return children(self._entries, check_prefix(prefix))

    async def get(self, key: str) -> StorageEntry | None:
        """Return the entry, or `None`."""
        return self._entries.get(check_key(key))

    async def put(self, entry: StorageEntry) -> None:
        """Store the entry."""
        self._entries[check_key(entry.key)] = entry

    async def delete(self, key: str) -> None:
        """Remove the entry, if there."""
        self._entries.pop(check_key(key), None)
