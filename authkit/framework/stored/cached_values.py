"""Values made from stored objects, kept until the object is written again. How to declare one: `@cached`.

A value that is replaced is closed, but only when no request can be using it any more.

Objects are compared by identity. Equality would be wrong twice: Python calls 1 and true equal, and an
operator who writes an object again, to have withdrawn keys forgotten, would change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar

from authkit.framework.handler_threads import invoke
from authkit.framework.models import Model

__all__ = ["CachedValues", "discard"]

M = TypeVar("M", bound=Model)
T = TypeVar("T")

CLOSE_AFTER: Final = 120.0
"""Seconds until a value that was replaced, or never asked for, is closed: a host gives a request 90 s
(Vault 1.21)."""


class CachedValues:
    """The cached values of one mount, by the name of what makes them.

    Objects are told apart by identity: the store returns the same one until somebody writes it.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._current: dict[str, tuple[Model, Any]] = {}
        self._each: dict[str, tuple[Mapping[str, Model], Mapping[str, Any]]] = {}
        self._offered: dict[tuple[str, str], tuple[float, Model, Any]] = {}
        self._replaced: list[tuple[float, Any]] = []

    def offer(self, name: str, key: str, source: Model, value: object) -> None:
        """Return this value, in place of a new one, when one is first asked for with this very object.

        `key` is that of the object in storage.
        """
        place, now = (name, key), self._clock()
        if place in self._offered:
            self._replaced.append((now, self._offered[place][2]))
        self._offered[place] = (now, source, value)

    def get(self, name: str, make: Callable[[M], T], source: M) -> T:
        """Return the value for this object."""
        known = self._current.get(name)
        if known is not None and known[0] is source:
            value: T = known[1]
            return value
        made = self._make(name, make, source)
        if known is not None:
            self._replaced.append((self._clock(), known[1]))
        self._current[name] = (source, made)
        return made

    def get_each(self, name: str, make: Callable[[M], T], sources: Mapping[str, M]) -> Mapping[str, T]:
        """Return a value for each object, the one before where the object is the same. Read-only."""
        known, values = self._each.get(name, ({}, {}))
        if known is sources:
            return values
        made: dict[str, T] = {}
        for each, source in sources.items():
            is_known = each in values and known[each] is source
            made[each] = values[each] if is_known else self._make(name, make, source)
        now = self._clock()
        self._replaced += [(now, value) for each, value in values.items() if made.get(each) is not value]
        self._each[name] = (sources, MappingProxyType(made))
        return self._each[name][1]

    async def close_replaced(self) -> None:
        """Close values that were replaced long enough ago, or that nobody has asked for."""
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

    def _make(self, name: str, make: Callable[[M], T], source: M) -> T:
        for place, (_, of, value) in self._offered.items():
            if of is source and place[0] == name:
                del self._offered[place]
                offered: T = value
                return offered
        return make(source)


async def discard(value: object) -> None:
    """Close a value that has a `close` method."""
    close = getattr(value, "close", None)
    if callable(close):
        await invoke(close)
