"""Stored objects of one mount, for handlers: `self.config`, `self.roles`.

How they are declared and served is `authkit.framework.objects.served`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Generic, TypeVar

from authkit.errors import NotConfiguredError, UserError
from authkit.framework.models import Model

if TYPE_CHECKING:
    from authkit.framework.backend import Backend
    from authkit.framework.objects.served import Collection, Singleton

__all__ = ["BoundCollection", "BoundSingleton"]

M = TypeVar("M", bound=Model)


class BoundSingleton(Generic[M]):
    """A singleton of one mount, for handlers: `self.config`."""

    def __init__(self, declared: Singleton[M], backend: Backend) -> None:
        self._declared = declared
        self._backend = backend

    async def find(self) -> M | None:
        """Return the object, `None` when there is none."""
        return await self._backend.objects.find(self._declared.key, self._declared.model)

    async def get(self) -> M:
        """Return the object.

        Raises:
            NotConfiguredError: there is none.
        """
        found = await self.find()
        if found is None:
            raise NotConfiguredError(self._declared.missing)
        return found

    async def put(self, value: M) -> None:
        """Store the object as it is, without checks."""
        declared, store = self._declared, self._backend.objects
        async with store.lock(declared.key):
            await store.put(declared.key, value, seal_wrap=declared.seal_wrap)

    async def delete(self) -> None:
        """Delete the object, if there."""
        await self._declared.delete_object(self._backend, self._declared.key)


class BoundCollection(Generic[M]):
    """A collection of one mount, for handlers: `self.roles`."""

    def __init__(self, declared: Collection[M], backend: Backend) -> None:
        self._declared = declared
        self._backend = backend

    @property
    def path(self) -> str:
        """Return what the paths of its objects begin with, in requests and in storage: `role/`."""
        return self._declared.template.prefix

    async def find(self, name: str) -> M | None:
        """Return the object of this name, `None` when there is none. Any text may be asked for."""
        key = self._declared.find_key(name)
        return None if key is None else await self._backend.objects.find(key, self._declared.model)

    async def get(self, name: str) -> M:
        """Return the object of this name.

        Raises:
            UserError: there is none.
        """
        found = await self.find(name)
        if found is None:
            raise UserError(f'{self._declared.noun} "{name}" could not be found')
        return found

    async def put(self, name: str, value: M) -> None:
        """Store the object as it is, without checks.

        Raises:
            UserError: nothing can have this name.
        """
        declared, store = self._declared, self._backend.objects
        key = self._key(name)
        async with store.lock(key):
            await store.put(key, value, seal_wrap=declared.seal_wrap)

    async def delete(self, name: str) -> None:
        """Delete the object of this name, if there.

        Raises:
            UserError: nothing can have this name.
        """
        await self._declared.delete_object(self._backend, self._key(name))

    def stored_name(self, name: str) -> str:
        """Return the name as it is stored."""
        return name.lower() if self._declared.lower_names else name

    async def all(self) -> Mapping[str, M]:
        """Return every object by name: for collections of a few objects that requests have to look through.

        The same mapping as long as none of them changes; above `MAX_TOGETHER` a new one each time.
        """
        declared = self._declared
        return await self._backend.objects.find_all(declared.template.prefix, declared.model)

    async def names(self) -> list[str]:
        """Return all names, sorted."""
        return await self._backend.objects.names(self.path)

    def _key(self, name: str) -> str:
        key = self._declared.find_key(name)
        if key is None:
            raise UserError(f"invalid {self._declared.noun} name")
        return key
