"""Models in storage: encoding, a bounded cache, one lock for each key.

An object that nobody writes stays the same object, as long as the cache has room: what is derived from it
is known by that. Where the operator has switched caches off, it is read each time, and stays the same as
long as what is stored does.

The cache is emptied of a key by every write, every delete and every invalidation from the host, also while
a read of that key is under way. Between two of these a key has one object: code that keeps something made
from it (`authkit.framework.objects.cached`) recognises it by identity. That nothing is stored under a key
is not remembered: strangers may ask for any name. Paths and operations:
`authkit.framework.objects.served`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar
from weakref import WeakValueDictionary

from authkit.errors import InternalError, SystemViewError
from authkit.framework.models import Model
from authkit.framework.stored.codec import decode_entry, encode_entry
from authkit.logical import Storage, StorageEntry, SystemView
from authkit.values import Value

if TYPE_CHECKING:
    import asyncio

__all__ = ["MAX_CACHED_OBJECTS", "MAX_TOGETHER", "ObjectStore"]

M = TypeVar("M", bound=Model)

MAX_CACHED_OBJECTS: Final = 10_000
"""Objects kept in memory for each mount; beyond it the one unused for longest is read again."""


MAX_TOGETHER: Final = 1_000
"""Objects that are kept in memory as a whole collection; a larger one is read each time."""


class _Kept(Value, frozen=True, eq=False):
    """An object in memory, and the bytes from which it was read."""

    data: bytes
    found: Model

    unshown: ClassVar = ("data",)


class ObjectStore:
    """The stored models of one mount. For use in one event loop."""

    def __init__(self, storage: Storage, *, max_cached: int = MAX_CACHED_OBJECTS) -> None:
        self._storage = storage
        self._max_cached = max_cached
        self._cache: OrderedDict[str, _Kept] = OrderedDict()
        """The one used last at the end. Not a class of cachetools, which answers in two calls of Python: each
        login looks three times."""
        self._together: dict[str, Mapping[str, Any]] = {}
        self.changes = 0
        """How often something may have changed: every write, delete and invalidation counts."""
        self._caching = True
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def cached(self) -> int:
        """How many objects are kept in memory."""
        return len(self._cache)

    async def respect_host(self, system: SystemView) -> None:
        """Read at each request where the operator switched caches off (`disable_cache`).

        An object is kept there as well, and stays the same one while its bytes do. A host that cannot
        say is taken to have caches on, as all hosts do by default.
        """
        try:
            self._caching = not await system.caching_disabled()
        except SystemViewError:
            return

    def lock(self, key: str) -> asyncio.Lock:
        """Return the lock of a key: hold it from reading an object until its new state is stored."""
        import asyncio

        lock = self._locks.get(key)
        if lock is None:
            # The dictionary keeps a lock only as long as somebody holds or awaits it.
            lock = self._locks[key] = asyncio.Lock()
        return lock

    def peek(self, key: str, model: type[M]) -> M | None:
        """Return the object if it can be used from memory, `None` where `find` has to look."""
        kept = self._cache.get(key)
        if kept is None:
            return None
        self._cache.move_to_end(key)
        return kept.found if self._caching and isinstance(kept.found, model) else None

    async def find(self, key: str, model: type[M]) -> M | None:
        """Return the object, from memory if it is there, `None` when nothing is stored.

        The same object until the key is written, deleted or invalidated, also when these change nothing.

        Raises:
            InternalError: what is stored cannot be read.
            StorageError: the host refused the read.
        """
        known = self.peek(key, model)
        if known is not None:
            return known
        changes = self.changes
        entry = await self._storage.get(key)
        kept = self._cache.get(key)
        if (
            entry is not None
            and kept is not None
            and isinstance(kept.found, model)
            and kept.data == entry.value
        ):
            return kept.found  # if somebody wrote meanwhile, it was another key: this one would be gone
        if changes != self.changes:
            # Somebody wrote meanwhile, and what was read may be older than that.
            return None if entry is None else _decode(key, entry.value, model)
        if entry is None:
            self._cache.pop(key, None)
            return None
        found = _decode(key, entry.value, model)
        self._cache[key] = _Kept(entry.value, found)
        self._cache.move_to_end(key)
        if len(self._cache) > self._max_cached:
            self._cache.popitem(last=False)
        return found

    async def find_all(self, prefix: str, model: type[M]) -> Mapping[str, M]:
        """Return all objects below a prefix that ends with `/`, by name.

        As long as nothing below it changes, and there are not too many, the same mapping from memory.

        Raises:
            InternalError: one of them cannot be read.
            StorageError: the host refused to list or to read.
        """
        known = self._together.get(prefix)
        if known is not None:
            return known
        changes = self.changes
        found = {name: await self.find(prefix + name, model) for name in await self.names(prefix)}
        together = MappingProxyType({name: each for name, each in found.items() if each is not None})
        if self._caching and changes == self.changes and len(together) <= MAX_TOGETHER:
            self._together[prefix] = together
        return together

    async def put(self, key: str, value: Model, *, seal_wrap: bool = False) -> None:
        """Store the object.

        Raises:
            StorageError: the host refused the write.
        """
        entry = StorageEntry(key, encode_entry(value.to_stored()), seal_wrap)
        try:
            await self._storage.put(entry)
        finally:
            # Also after a failure: nobody knows what a write that broke off has left behind.
            self.forget(key)

    async def delete(self, key: str) -> None:
        """Remove the object, if there.

        Raises:
            StorageError: the host refused it.
        """
        try:
            await self._storage.delete(key)
        finally:
            self.forget(key)

    async def names(self, prefix: str) -> list[str]:
        """Return the names below a prefix that ends with `/`, sorted.

        Raises:
            StorageError: the host refused the list.
        """
        return [name for name in await self._storage.list(prefix) if not name.endswith("/")]

    def forget(self, key: str) -> None:
        """Drop a key from memory, or all keys below one that is empty or ends with `/`."""
        self.changes += 1
        for prefix in [prefix for prefix in self._together if _touches(key, prefix)]:
            del self._together[prefix]
        if key and not key.endswith("/"):
            self._cache.pop(key, None)
            return
        for known in [known for known in self._cache if known.startswith(key)]:
            self._cache.pop(known, None)


def _touches(key: str, prefix: str) -> bool:
    """Whether a key, or all keys below one, are among those below a prefix."""
    return key.startswith(prefix) or (prefix.startswith(key) and (not key or key.endswith("/")))


def _decode(key: str, data: bytes, model: type[M]) -> M:
    try:
        return model.from_stored(decode_entry(data))
    except InternalError:
        raise
    except Exception as error:
        # Also what an author's own `upgrade` or `from_stored` stumbles over.
        raise InternalError(f"the object stored at {key!r} cannot be read") from error
