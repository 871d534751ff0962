"""Rules for writes: `@config.on_write` on a method has it called before an object is stored.

A rule is a declaration like any other: it belongs to the class in whose body it stands and to the classes
below, and a method of the same name replaces it. The object that it is for may be declared by a base.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, runtime_checkable

from authkit.framework.models import Model
from authkit.framework.objects.cached import BoundCachedMethod
from authkit.framework.routing.calls import Call
from authkit.framework.routing.declarations import Declaration, MethodDeclaration, MountContext
from authkit.framework.routing.routes import Route
from authkit.values import Value
from authkit.values import field as attribute

__all__ = ["Ruled", "Write", "WriteRule"]

M = TypeVar("M", bound=Model)
T = TypeVar("T")
B = TypeVar("B", covariant=True)
P = ParamSpec("P")
R = TypeVar("R")


class Write(Value, Generic[M], frozen=True, kw_only=True):
    """A write that has passed the model's own checks and is not stored yet."""

    new: M
    """What will be stored."""
    stored: M | None
    """What is stored now."""
    provided: frozenset[str]
    """The fields that the request set."""
    call: Call
    name: str = ""
    """In a collection, the name of the object."""
    to_cache: list[tuple[BoundCachedMethod[M, Any], Any]] = attribute(default_factory=list)
    """What `cache` was given."""

    def cache(self, cached: BoundCachedMethod[M, T], value: T) -> None:
        """Hand over the value that `cached` returns for the object once that is stored; it makes none then.

        For what a rule had to fetch anyway. The value is closed if the object is not stored, or if nobody
        asks for it within two minutes.
        """
        self.to_cache.append((cached, value))

    def warn(self, text: str) -> None:
        """Tell the operator something that does not stop the write."""
        self.call.warn(text)


@runtime_checkable
class HasRules(Protocol):
    """A declaration that has to accept the writes of another one."""

    def rules_for(self, ruled: Ruled[Any], backend: type[MountContext]) -> Iterable[Callable[..., Any]]:
        """Return what is called with the backend and the `Write`."""
        ...


class Ruled(Declaration[B]):
    """A declaration whose writes have rules."""

    def __init__(self) -> None:
        self._loose: list[WriteRule[..., Any]] = []
        """Rules that stand in no class yet."""
        self.origin: Ruled[Any] = self
        """The declaration that this one extends; else itself. Rules are for both."""

    def on_write(self, rule: Callable[Concatenate[Any, P], R] | WriteRule[P, R]) -> WriteRule[P, R]:
        """Have a method called with the `Write` before each one is stored. It raises to refuse.

        The method runs under the object's lock and can ask storage and the system view. It has to stand in a
        class body; one method may be a rule of several objects.
        """
        made = rule if isinstance(rule, WriteRule) else WriteRule(rule)
        made.ruled = (*made.ruled, self)
        self._loose.append(made)
        return made

    def rules_in(self, backend: type[MountContext]) -> list[Callable[..., Any]]:
        """Return the methods of a class that have to accept a write.

        Raises:
            TypeError: a rule was made that no class has. It would never run.
        """
        lost = [each for each in self._loose if not each.attribute]
        if lost:
            raise TypeError(
                f"the rule {lost[0].handler.__qualname__!r} would never run: write it in the body of a "
                "class, under a name that nothing else in that body has"
            )
        ruling = [each for each in backend.declarations.values() if isinstance(each, HasRules)]
        return [rule for each in ruling for rule in each.rules_for(self, backend)]


class WriteRule(MethodDeclaration[P, R]):
    """A method that is asked before writes. Made by `on_write`."""

    def __init__(self, handler: Callable[Concatenate[Any, P], R]) -> None:
        super().__init__(handler)
        self.ruled: tuple[Ruled[Any], ...] = ()

    def rules_for(self, ruled: Ruled[Any], backend: type[MountContext]) -> Iterable[Callable[..., Any]]:
        """Return the method, if it is a rule of this object."""
        return [self.handler] if any(each.origin is ruled.origin for each in self.ruled) else []

    def routes(self, backend: type[MountContext]) -> Iterable[Route]:
        """Return none.

        Raises:
            TypeError: the class replaces the object of the rule, or does not have it.
        """
        for each in self.ruled:
            found = backend.declarations.get(each.attribute)
            if not isinstance(found, Ruled) or found.origin is not each.origin:
                does = "replaces" if each.attribute in backend.declarations else "does not have"
                raise TypeError(
                    f"{backend.__name__}: {self.attribute} is a rule for {each.attribute!r}, which "
                    f"{backend.__name__} {does}; replace the rule as well, or set it to None"
                )
        return ()
