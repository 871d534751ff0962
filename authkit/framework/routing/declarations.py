"""What a class body declares on a backend, and what a declaration knows of the mount that it serves."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Concatenate, Generic, NoReturn, ParamSpec, Protocol, Self, TypeVar, overload

from authkit.framework.replication import Node
from authkit.framework.routing.routes import Route
from authkit.framework.stored.cached_values import CachedValues
from authkit.framework.stored.storage_keys import KeyRange
from authkit.framework.stored.store import ObjectStore

__all__ = ["Declaration", "MethodDeclaration", "MountContext"]

B = TypeVar("B", covariant=True)
P = ParamSpec("P")
R = TypeVar("R")


class MountContext(Protocol):
    """One mount, as declarations see it. `authkit.framework.Backend` is one."""

    grants_to_callers: ClassVar[bool]
    """Whether paths that need a token may grant one."""
    missing_object: ClassVar[str]
    """What a caller reads who needs a singleton while there is none; `{path}` is where it is written."""
    call_type: ClassVar[type[Any]]
    """What its handlers get for a request: a kind of `Call`."""
    declarations: ClassVar[Mapping[str, Declaration[Any]]]
    """What the class and all its bases declare, by attribute."""

    @property
    def objects(self) -> ObjectStore:
        """The stored objects."""
        ...

    @property
    def cached_values(self) -> CachedValues:
        """What was made from them."""
        ...

    @property
    def node(self) -> Node:
        """The node that the mount runs on."""
        ...

    @property
    def log(self) -> logging.Logger:
        """The log of the backend."""
        ...


class Declaration(Generic[B]):
    """What a class body declares on a backend: an object on a path, a login, a task.

    Subclasses override what they contribute. On an instance the attribute is what `bind` returns.
    `attribute` is the name in the class body. All classes below share the object, so it does not change
    once a class has it. What belongs to one class is kept on that class.
    """

    attribute: str = ""

    def __set_name__(self, owner: type, name: str) -> None:
        if not self.attribute:
            self.attribute = name

    def __setattr__(self, name: str, value: object) -> None:
        if self.attribute:
            raise AttributeError(f"{self.attribute!r} is a declaration and does not change")
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{self.attribute!r} is a declaration and does not change")

    @overload
    def __get__(self, mount: None, owner: type[Any]) -> Self: ...

    @overload
    def __get__(self, mount: MountContext, owner: type[Any]) -> B: ...

    def __get__(self, mount: MountContext | None, owner: type[Any]) -> Self | B:
        if mount is None:
            return self
        # Found on the mount from then on: each request asks for some of them.
        bound = vars(mount)[self.attribute] = self.bind(mount)
        return bound

    def bind(self, mount: MountContext) -> B:
        """Return what the attribute is on a mount."""
        raise NotImplementedError

    def routes(self, backend: type[MountContext]) -> Iterable[Route]:
        """Return the routes on this class, in the order in which they are tried.

        Called when the class is complete; an inherited declaration is asked for each class.

        Raises:
            TypeError: the declaration does not fit the class.
        """
        return ()

    def stored_keys(self) -> Iterable[KeyRange]:
        """Return the storage keys that are this declaration's alone."""
        return ()

    def seal_wrapped(self) -> Iterable[str]:
        """Return storage keys, and prefixes ending with `/`, that hold secrets."""
        return ()

    def local_stored(self) -> Iterable[str]:
        """Return storage prefixes that stay in this cluster (Vault Enterprise)."""
        return ()


class MethodDeclaration(Declaration[Callable[P, R]]):
    """A declaration made from a method, which can still be called as it was written: `self.log_in(...)`."""

    def __init__(self, handler: Callable[Concatenate[Any, P], R]) -> None:
        self.handler = handler

    def bind(self, mount: MountContext) -> Callable[P, R]:
        """Return the method of this mount."""
        method: Callable[P, R] = self.handler.__get__(mount, type(mount))
        return method
