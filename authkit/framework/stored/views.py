"""A part of a mount's storage, under a prefix.

Values are bytes; models in storage are `authkit.framework.stored.store`, which does not see what is written
through a view: give data of your own a prefix that no model has.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from authkit.errors import StorageError
from authkit.logical import Storage, StorageEntry, check_key, check_prefix

__all__ = ["MAX_SCANNED_KEYS", "MAX_SCAN_DEPTH", "StorageView"]

MAX_SCANNED_KEYS: Final = 100_000
"""Keys that one scan returns at most; a mount with more needs a scan of its parts."""

MAX_SCAN_DEPTH: Final = 64
"""How deep a scan goes. Nobody nests keys like that on purpose."""


class StorageView:
    """Storage below a prefix. Keys are relative to it; it is a `Storage` itself, so views nest.

    Raises:
        ValueError: the prefix is empty or does not end with `/`.
        StorageError: the prefix is not usable.
    """

    def __init__(self, storage: Storage, prefix: str) -> None:
        if not prefix.endswith("/"):
            raise ValueError(f"the prefix {prefix!r} has to end with '/'")
        self._storage = storage
        self.prefix = check_prefix(prefix)

    async def list(self, prefix: str = "") -> list[str]:
        """Return the direct children of `prefix`; one that ends with `/` has children of its own."""
        return await self._storage.list(self.prefix + check_prefix(prefix))

    async def get(self, key: str) -> StorageEntry | None:
        """Return the entry, `None` when there is none."""
        entry = await self._storage.get(self.prefix + check_key(key))
        return None if entry is None else StorageEntry(key, entry.value, entry.seal_wrap)

    async def put(self, entry: StorageEntry) -> None:
        """Store the entry."""
        key = self.prefix + check_key(entry.key)
        await self._storage.put(StorageEntry(key, entry.value, entry.seal_wrap))

    async def delete(self, key: str) -> None:
        """Remove the entry, if there."""
        await self._storage.delete(self.prefix + check_key(key))

    async def scan(self, *, limit: int = MAX_SCANNED_KEYS) -> AsyncIterator[str]:
        """Yield every key, depth first; each level is listed when it is reached.

        Raises:
            StorageError: there are more than `limit` keys, or they are nested deeper than
                `MAX_SCAN_DEPTH`. What came before stands.
        """
        pending = sorted(await self.list(), reverse=True)
        found = 0
        while pending:
            key = pending.pop()
            if not key.endswith("/"):
                found += 1
                if found > limit:
                    raise StorageError(f"more than {limit} keys to scan")
                yield key
                continue
            if key.count("/") > MAX_SCAN_DEPTH:
                raise StorageError(f"keys are nested deeper than {MAX_SCAN_DEPTH} levels")
            pending += sorted((key + name for name in await self.list(key)), reverse=True)

    async def clear(self, *, limit: int = MAX_SCANNED_KEYS) -> int:
        """Delete every key and return how many there were. Without transactions: all or as many as went.

        Raises:
            StorageError: there are more than `limit` keys, then nothing is deleted; or the host refused.
        """
        keys = [key async for key in self.scan(limit=limit)]
        for key in keys:
            await self.delete(key)
        return len(keys)
