"""Stored objects of one mount, for handlers: `self.config`, `self.roles`.

How they are declared and served: `authkit.framework.objects.served`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

from authkit.errors import NotConfiguredError, UserError
from authkit.framework.fields.types import is_name
from authkit.framework.models import Model
from authkit.framework.stored.store import ObjectStore
from authkit.values import Value

__all__ = ["BoundCollection", "BoundSingleton", "CollectionPlace", "SingletonPlace"]

M = TypeVar("M", bound=Model)


class SingletonPlace(Value, Generic[M], frozen=True, kw_only=True):
    """Where the one object of a singleton is kept."""

    model: type[M]
    key: str
    seal_wrap: bool
    missing: str
    """What a caller reads who needs the object while there is none."""


class CollectionPlace(Value, Generic[M], frozen=True, kw_only=True):
    """Where the objects of a collection are kept."""

    model: type[M]
    prefix: str
    """What their keys, and their request paths, begin with: `role/`."""
    seal_wrap: bool
    noun: str
    """What one object is called in messages."""
    lower_names: bool

    def find_key(self, name: str) -> str | None:
        """Return the storage key of a name, `None` when nothing can have that name."""
        name = name.lower() if self.lower_names else name
        # Storage refuses '..' wherever it stands.
        return self.prefix + name if is_name(name) and ".." not in name else None


class BoundSingleton(Generic[M]):
    """A singleton of one mount, for handlers: `self.config`."""

    def __init__(self, place: SingletonPlace[M], objects: ObjectStore) -> None:
        self._place = place
        self._objects = objects

    async def find(self) -> M | None:
        """Return the object, `None` when there is none."""
        return await self._objects.find(self._place.key, self._place.model)

    async def get(self) -> M:
        """Return the object.

        Raises:
            NotConfiguredError: there is none.
        """
        found = await self.find()
        if found is None:
            raise NotConfiguredError(self._place.missing)
        return found

    async def put(self, value: M) -> None:
        """Store the object as it is, without checks."""
        async with self._objects.lock(self._place.key):
            await self._objects.put(self._place.key, value, seal_wrap=self._place.seal_wrap)

    async def delete(self) -> None:
        """Delete the object, if there."""
        async with self._objects.lock(self._place.key):
            await self._objects.delete(self._place.key)


class BoundCollection(Generic[M]):
    """A collection of one mount, for handlers: `self.roles`."""

    def __init__(self, place: CollectionPlace[M], objects: ObjectStore) -> None:
        self._place = place
        self._objects = objects

    @property
    def path(self) -> str:
        """Return what the paths of its objects begin with, in requests and in storage: `role/`."""
        return self._place.prefix

    async def find(self, name: str) -> M | None:
        """Return the object of this name, `None` when there is none. Any text may be asked for."""
        key = self._place.find_key(name)
        return None if key is None else await self._objects.find(key, self._place.model)

    def peek(self, name: str) -> M | None:
        """Return the object of this name if that can be told without waiting."""
        key = self._place.find_key(name)
        return None if key is None else self._objects.peek(key, self._place.model)

    async def get(self, name: str) -> M:
        """Return the object of this name.

        Raises:
            UserError: there is none.
        """
        found = await self.find(name)
        if found is None:
            raise UserError(f'{self._place.noun} "{name}" could not be found')
        return found

    async def put(self, name: str, value: M) -> None:
        """Store the object as it is, without checks.

        Raises:
            UserError: nothing can have this name.
        """
        key = self._key(name)
        async with self._objects.lock(key):
            await self._objects.put(key, value, seal_wrap=self._place.seal_wrap)

    async def delete(self, name: str) -> None:
        """Delete the object of this name, if there.

        Raises:
            UserError: nothing can have this name.
        """
        key = self._key(name)
        async with self._objects.lock(key):
            await self._objects.delete(key)

    def stored_name(self, name: str) -> str:
        """Return the name as it is stored."""
        return name.lower() if self._place.lower_names else name

    async def all(self) -> Mapping[str, M]:
        """Return every object by name: for collections of a few objects that requests have to look through.

        The same mapping as long as none of them changes; above `MAX_TOGETHER` a new one each time.
        """
        return await self._objects.find_all(self._place.prefix, self._place.model)

    async def names(self) -> list[str]:
        """Return all names, sorted."""
        return await self._objects.names(self.path)

    def _key(self, name: str) -> str:
        key = self._place.find_key(name)
        if key is None:
            raise UserError(f"invalid {self._place.noun} name")
        return key
