"""Routes: which paths a backend has, and what each operation on them does.

The first route that matches wins; a route that no request could reach is refused when the class is
defined. Answering a request is left to `authkit.framework.backend`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from authkit.framework.calls import Call
from authkit.framework.paths import PathTemplate
from authkit.framework.schema import FieldSchema
from authkit.logical import Operation, Response

if TYPE_CHECKING:
    from authkit.framework.backend import Backend

__all__ = ["Declaration", "ExistenceCheck", "Handler", "Route", "RouteTable"]

Handler = Callable[["Backend", Call], Awaitable[Response | None]]
"""Answers one operation. `None` is an empty answer."""

ExistenceCheck = Callable[["Backend", Call], Awaitable[bool]]
"""Says whether the object of a path exists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One path and its operations."""

    path: PathTemplate
    operations: Mapping[Operation, Handler]
    fields: Mapping[str, FieldSchema] = field(default_factory=dict)
    """Captures, body and query together."""
    exists: ExistenceCheck | None = None
    """Without it a write is always an update."""
    unauthenticated: bool = False
    """Open to everybody: a login path."""
    arbitrary_input: bool = False
    """Unknown fields are welcome; no warning."""
    synopsis: str = ""
    description: str = ""


class Declaration:
    """What a class body declares on a backend: an object on a path, a login, a task.

    Subclasses override what they contribute. `attribute` is the name in the class body.
    """

    attribute: str = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.attribute = name

    def routes(self, backend: type[Backend]) -> Iterable[Route]:
        """Return the routes on this class, in the order in which they are tried.

        Called when the class is complete; an inherited declaration is asked for each class.

        Raises:
            TypeError: the declaration does not fit the class.
        """
        return ()

    def seal_wrapped(self) -> Iterable[str]:
        """Return storage keys, and prefixes ending with `/`, that hold secrets."""
        return ()


class RouteTable:
    """The routes of one backend class.

    Raises:
        TypeError: two routes collide, a captured field is unknown, or hosts have no pattern for a path
            that is open to everybody.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes: Final = tuple(routes)
        for position, route in enumerate(self.routes):
            self._verify_route(route)
            self._verify_reachable(route, self.routes[:position])

    def find(self, path: str) -> tuple[Route, dict[str, str]] | None:
        """Return the first route that matches, with the captured fields."""
        for route in self.routes:
            captures = route.path.match(path)
            if captures is not None:
                return route, captures
        return None

    @staticmethod
    def _verify_route(route: Route) -> None:
        unknown = set(route.path.names) - route.fields.keys()
        if unknown:
            raise TypeError(f"path {route.path.text!r} captures {sorted(unknown)}, which are no fields")
        if route.unauthenticated:
            try:
                route.path.special_pattern()
            except ValueError as error:
                raise TypeError(f"a path open to everybody needs a pattern: {error}") from error

    @staticmethod
    def _verify_reachable(route: Route, earlier: Iterable[Route]) -> None:
        for other in earlier:
            same = other.path.go_pattern == route.path.go_pattern
            if same or (route.path.sample is not None and other.path.match(route.path.sample) is not None):
                raise TypeError(f"path {route.path.text!r} is never reached: {other.path.text!r} comes first")
