"""Values made from a stored object and kept until it is written again: `@cached`.

For values that are expensive to make, such as key sets and HTTP clients. A value that is replaced is closed,
but only when no request can be using it any more.

Objects are compared by identity. Equality would be wrong twice: Python calls 1 and true equal, and an
operator who writes an object again, to have withdrawn keys forgotten, would change nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, overload

from authkit.framework.models import Model
from authkit.framework.routing.calls import invoke
from authkit.framework.routing.routes import Declaration

if TYPE_CHECKING:
    from authkit.framework.backend import Backend

__all__ = ["BoundCached", "Cached", "DerivedValues", "cached", "discard"]

M = TypeVar("M", bound=Model)
T = TypeVar("T")

CLOSE_AFTER: Final = 120.0
"""Seconds until a value that was replaced, or never asked for, is closed: a host gives a request 90 s
(Vault 1.21)."""


class Cached(Declaration, Generic[M, T]):
    """A method that makes a value from a model. Made by `cached`."""

    def __init__(self, make: Callable[[Any, M], T]) -> None:
        self.make = make

    @overload
    def __get__(self, backend: None, owner: type[Any]) -> Cached[M, T]: ...

    @overload
    def __get__(self, backend: Backend, owner: type[Any]) -> BoundCached[M, T]: ...

    def __get__(self, backend: Backend | None, owner: type[Any]) -> Cached[M, T] | BoundCached[M, T]:
        return self if backend is None else BoundCached(self, backend)


class BoundCached(Generic[M, T]):
    """The values of one mount: `self.keys(config)`, `self.keys.each(await self.issuers.all())`."""

    def __init__(self, declared: Cached[M, T], backend: Backend) -> None:
        self.declared: Final = declared
        self._backend = backend

    def __call__(self, source: M) -> T:
        """Return the value for this object."""
        return self._backend.derived.get(self.declared, self._backend, source)

    def each(self, sources: Mapping[str, M]) -> Mapping[str, T]:
        """Return a value for each of these objects, which are all that there are.

        The value of an object that nobody has written is kept; those of objects that are gone are closed.
        """
        return self._backend.derived.get_each(self.declared, self._backend, sources)


def cached(make: Callable[[Any, M], T]) -> Cached[M, T]:
    """Keep what a plain method makes from a stored object, and make it again when it gets another one.

    Every write of the object, here or on another node, makes it another one, also when nothing in it
    changes; so does `replaced`. Calling it with the very object that a request works with keeps both
    together, also while somebody changes what is stored. A value with a `close` method is closed some
    time after it was replaced, and at the end.

    Raises:
        TypeError: the method is `async`.
    """
    if inspect.iscoroutinefunction(make):
        raise TypeError("a cached value is made by a plain method; await inside the value instead")
    return Cached(make)


class DerivedValues:
    """The derived values of one mount.

    Objects are told apart by identity: the store returns the same one until somebody writes it.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._current: dict[str, tuple[Model, Any]] = {}
        self._each: dict[str, tuple[Mapping[str, Model], Mapping[str, Any]]] = {}
        self._offered: dict[tuple[str, str], tuple[float, Model, Any]] = {}
        self._replaced: list[tuple[float, Any]] = []

    def offer(self, cached: BoundCached[M, T], key: str, source: M, value: T) -> None:
        """Return this value, in place of a new one, when one is first asked for with this very object.

        `key` is that of the object in storage.
        """
        place, now = (cached.declared.attribute, key), self._clock()
        if place in self._offered:
            self._replaced.append((now, self._offered[place][2]))
        self._offered[place] = (now, source, value)

    def get(self, declared: Cached[M, T], backend: Backend, source: M) -> T:
        """Return the value for this object."""
        known = self._current.get(declared.attribute)
        if known is not None and known[0] is source:
            value: T = known[1]
            return value
        made = self._make(declared, backend, source)
        if known is not None:
            self._replaced.append((self._clock(), known[1]))
        self._current[declared.attribute] = (source, made)
        return made

    def get_each(self, declared: Cached[M, T], backend: Backend, sources: Mapping[str, M]) -> Mapping[str, T]:
        """Return a value for each object, the one before where the object is the same. Read-only."""
        known, values = self._each.get(declared.attribute, ({}, {}))
        if known is sources:
            return values
        made: dict[str, T] = {}
        for name, source in sources.items():
            is_known = name in values and known[name] is source
            made[name] = values[name] if is_known else self._make(declared, backend, source)
        now = self._clock()
        self._replaced += [(now, value) for name, value in values.items() if made.get(name) is not value]
        self._each[declared.attribute] = (sources, MappingProxyType(made))
        return self._each[declared.attribute][1]

    async def close_replaced(self) -> None:
        """Close the values that were replaced long enough ago, and those that nobody has asked for."""
        now = self._clock()
        for place, (since, _, value) in list(self._offered.items()):
            if now - since >= CLOSE_AFTER:
                del self._offered[place]
                self._replaced.append((since, value))
        due = [value for since, value in self._replaced if now - since >= CLOSE_AFTER]
        self._replaced = [(since, value) for since, value in self._replaced if now - since < CLOSE_AFTER]
        for value in due:
            await discard(value)

    async def close(self) -> None:
        """Close every value."""
        values = [value for _, value in self._replaced] + [value for _, value in self._current.values()]
        values += [value for _, each in self._each.values() for value in each.values()]
        values += [value for _, _, value in self._offered.values()]
        self._replaced, self._current, self._each, self._offered = [], {}, {}, {}
        for value in values:
            await discard(value)

    def _make(self, declared: Cached[M, T], backend: Backend, source: M) -> T:
        for place, (_, of, value) in self._offered.items():
            if of is source and place[0] == declared.attribute:
                del self._offered[place]
                offered: T = value
                return offered
        return declared.make(backend, source)


async def discard(value: object) -> None:
    """Close a value that has a `close` method."""
    close = getattr(value, "close", None)
    if callable(close):
        await invoke(close)
