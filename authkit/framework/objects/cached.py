"""`@cached`: a value made from a stored object, and made again when the object is written.

For values that are expensive to make, such as key sets and HTTP clients. How long they are kept, and when
they are closed: `authkit.framework.stored.cached_values`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, Generic, TypeVar

from authkit.framework.models import Model
from authkit.framework.routing.declarations import Declaration, MountContext
from authkit.framework.stored.cached_values import CachedValues

__all__ = ["BoundCachedMethod", "CachedMethod", "cached"]

M = TypeVar("M", bound=Model)
T = TypeVar("T")


class BoundCachedMethod(Generic[M, T]):
    """The values of one mount: `self.keys(config)`, `self.keys.each(await self.issuers.all())`."""

    def __init__(self, name: str, make: Callable[[M], T], values: CachedValues) -> None:
        self.name: Final = name
        self._make = make
        self._values = values

    def __call__(self, source: M) -> T:
        """Return the value for this object."""
        return self._values.get(self.name, self._make, source)

    def each(self, sources: Mapping[str, M]) -> Mapping[str, T]:
        """Return a value for each of these objects, which are all that there are.

        The value of an object that nobody has written is kept; those of objects that are gone are closed.
        """
        return self._values.get_each(self.name, self._make, sources)


class CachedMethod(Declaration[BoundCachedMethod[M, T]]):
    """A method that makes a value from a model. Made by `cached`."""

    def __init__(self, make: Callable[[Any, M], T]) -> None:
        self.make = make

    def bind(self, mount: MountContext) -> BoundCachedMethod[M, T]:
        """Return the values of this mount."""
        return BoundCachedMethod(self.attribute, partial(self.make, mount), mount.cached_values)


def cached(make: Callable[[Any, M], T]) -> CachedMethod[M, T]:
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
    return CachedMethod(make)
