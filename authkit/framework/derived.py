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

from authkit.framework.calls import invoke
from authkit.framework.models import Model
from authkit.framework.routes import Declaration

if TYPE_CHECKING:
    from authkit.framework.backend import Backend

__all__ = ["BoundCached", "Cached", "DerivedValues", "cached"]

M = TypeVar("M", bound=Model)
T = TypeVar("T")

CLOSE_AFTER: Final = 120.0
"""Seconds until a replaced value is closed: a host gives a request 90 s (Vault 1.21)."""


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
        self._declared = declared
        self._backend = backend

    def __call__(self, source: M) -> T:
        """Return the value for this object."""
        return self._backend.derived.get(self._declared, self._backend, source)

    def each(self, sources: Mapping[str, M]) -> Mapping[str, T]:
        """Return a value for each of these objects, which are all that there are.

        The value of an object that nobody has written is kept; those of objects that are gone are closed.
        """
        return self._backend.derived.get_each(self._declared, self._backend, sources)


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
    """The derived values of one mount."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._current: dict[str, tuple[Model, Any]] = {}
        self._each: dict[str, tuple[Mapping[str, Model], Mapping[str, Any]]] = {}
        self._replaced: list[tuple[float, Any]] = []

    def get(self, declared: Cached[M, T], backend: Backend, source: M) -> T:
        """Return the value for this object."""
        known = self._current.get(declared.attribute)
        if known is not None and known[0] is source:
            value: T = known[1]
            return value
        made = declared.make(backend, source)
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
            made[name] = values[name] if is_known else declared.make(backend, source)
        now = self._clock()
        self._replaced += [(now, value) for name, value in values.items() if made.get(name) is not value]
        self._each[declared.attribute] = (sources, MappingProxyType(made))
        return self._each[declared.attribute][1]

    async def close_replaced(self) -> None:
        """Close the values that were replaced long enough ago."""
        now = self._clock()
        due = [value for since, value in self._replaced if now - since >= CLOSE_AFTER]
        self._replaced = [(since, value) for since, value in self._replaced if now - since < CLOSE_AFTER]
        for value in due:
            await _close(value)

    async def close(self) -> None:
        """Close every value."""
        values = [value for _, value in self._replaced] + [value for _, value in self._current.values()]
        values += [value for _, each in self._each.values() for value in each.values()]
        self._replaced, self._current, self._each = [], {}, {}
        for value in values:
            await _close(value)


async def _close(value: object) -> None:
    close = getattr(value, "close", None)
    if callable(close):
        await invoke(close)
