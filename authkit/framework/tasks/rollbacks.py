"""`@rollback`: how a class undoes what it wrote ahead. The log: `authkit.framework.tasks.wal`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, runtime_checkable

from authkit.framework.fields.durations import parse_duration
from authkit.framework.routing.declarations import MethodDeclaration, MountContext
from authkit.framework.routing.routes import Route
from authkit.framework.stored.storage_keys import WAL_PREFIX

__all__ = ["HasRollbacks", "Rollback", "find_rollbacks", "rollback"]

P = ParamSpec("P")
R = TypeVar("R")


class Rollback(MethodDeclaration[P, R]):
    """A method that undoes entries of one kind. Made by `rollback`."""

    def __init__(self, handler: Callable[Concatenate[Any, P], R], kind: str, min_age: timedelta) -> None:
        super().__init__(handler)
        self.kind = kind
        self.min_age = min_age

    def routes(self, backend: type[MountContext]) -> Iterable[Route]:
        """Return none.

        Raises:
            TypeError: another method of the class undoes the same kind.
        """
        same = [each for each in find_rollbacks(backend) if each.kind == self.kind]
        if len(same) > 1:
            raise TypeError(f"{backend.__name__} has two methods for @rollback({self.kind!r})")
        return ()

    def rollbacks(self) -> Iterable[Rollback[..., Any]]:
        """Return itself."""
        return [self]

    def local_stored(self) -> Iterable[str]:
        """Return the log's prefix: another cluster could not undo what this one has done."""
        return [WAL_PREFIX]


@runtime_checkable
class HasRollbacks(Protocol):
    """A declaration that writes ahead, and knows how to undo what it has written."""

    def rollbacks(self) -> Iterable[Rollback[..., Any]]:
        """Return how to undo each kind of its entries."""
        ...


def find_rollbacks(backend: type[MountContext]) -> list[Rollback[..., Any]]:
    """Return how the declarations of a class undo what they write ahead."""
    declared = backend.declarations.values()
    return [each for one in declared if isinstance(one, HasRollbacks) for each in one.rollbacks()]


class RollbackDecorator(Protocol):
    """Declares a method, and keeps its parameters for type checkers."""

    def __call__(self, handler: Callable[Concatenate[Any, P], R], /) -> Rollback[P, R]:
        """Return the declaration."""
        ...


def rollback(kind: str, *, min_age: str = "10m") -> RollbackDecorator:
    """Have a method called with each `WALEntry` of this kind that nobody committed.

    The host's ticks start it, about one each minute, on a node that may write, for entries that are
    older than `min_age`. Success deletes the entry. After a failure it is tried again, so the method must
    bear being called twice for the same entry.

    Raises:
        ValueError: `kind` is empty, or `min_age` is not a duration.
    """
    if not kind:
        raise ValueError("a kind needs a name")
    age = parse_duration(min_age)
    if age < timedelta(0):
        raise ValueError("the age of an entry is not negative")

    def declare(handler: Callable[Concatenate[Any, P], R], /) -> Rollback[P, R]:
        return Rollback(handler, kind, age)

    return declare
