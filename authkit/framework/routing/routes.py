"""Routes: which paths a backend has, and what each operation on them does.

The first route that matches wins; a route that no request could reach is refused when the class is
defined. Answering a request is left to `authkit.framework.backend`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, NoReturn, Self, TypeVar, overload

from authkit.framework.fields.schema import FieldSchema
from authkit.framework.fields.types import FieldType
from authkit.framework.routing.calls import Call
from authkit.framework.routing.paths import PathTemplate
from authkit.framework.routing.special_paths import derive_special_paths
from authkit.framework.stored.storage_keys import KeyRange
from authkit.logical import Operation, Response, SpecialPaths
from authkit.values import Value, field, replace

if TYPE_CHECKING:
    from authkit.framework.backend import Backend

__all__ = [
    "Declaration",
    "ExistenceCheck",
    "Handler",
    "MethodDeclaration",
    "OperationInfo",
    "ResponseInfo",
    "Route",
    "RouteTable",
    "join_fields",
]

H = TypeVar("H", bound=Callable[..., Any])

Handler = Callable[["Backend", Call], Awaitable[Response | None]]
"""Answers one operation. `None` is an empty answer."""

ExistenceCheck = Callable[["Backend", Call], Awaitable[bool]]
"""Says whether the object of a path exists."""

_HOST_OPERATIONS: Final = frozenset({Operation.ALIAS_LOOKAHEAD, Operation.RESOLVE_ROLE})
"""Operations that no client can send."""

_OPTIONS: Final = ("unauthenticated", "sudo", "limited", "snapshot_read")


class ResponseInfo(Value, frozen=True, kw_only=True):
    """What documents say about one status of an operation."""

    description: str = "OK"
    fields: Mapping[str, FieldSchema] = field(default_factory=dict)
    """Of the `data`; a model has them as `Model.schema`."""
    example: Mapping[str, Any] | None = None
    media_type: str = "application/json"


class OperationInfo(Value, frozen=True, kw_only=True):
    """What documents and the router know about one operation beside its handler."""

    summary: str = ""
    description: str = ""
    deprecated: bool = False
    fields: Mapping[str, FieldSchema] | None = None
    """Those that the operation uses; `None` means all fields of the route for writes, none for others."""
    examples: Sequence[Mapping[str, Any]] = ()
    """Request bodies."""
    responses: Mapping[int, ResponseInfo] = field(default_factory=dict)
    forward: bool = False
    """Refused on a node that may not write, before the handler runs: the host forwards it."""


class Route(Value, frozen=True, kw_only=True):
    """One path and its operations."""

    path: PathTemplate
    operations: Mapping[Operation, Handler]
    fields: Mapping[str, FieldSchema] = field(default_factory=dict)
    """Captures, body and query together."""
    exists: ExistenceCheck | None = None
    """Without it a write is always an update."""
    unauthenticated: bool = False
    """Open to everybody: a login path."""
    sudo: bool = False
    """Needs the capability `sudo`."""
    limited: bool = False
    """Counts for the host's request limiter (Vault Enterprise)."""
    snapshot_read: bool = False
    """May be read from a loaded snapshot (Vault Enterprise)."""
    arbitrary_input: bool = False
    """Unknown fields are welcome; no warning."""
    synopsis: str = ""
    description: str = ""
    infos: Mapping[Operation, OperationInfo] = field(default_factory=dict)

    @property
    def is_served(self) -> bool:
        """Whether clients can send any of its operations."""
        return not self.operations.keys() <= _HOST_OPERATIONS

    def info(self, operation: Operation) -> OperationInfo:
        """Return what is known about an operation."""
        return self.infos.get(operation, _NO_INFO)


_NO_INFO: Final = OperationInfo()


class Declaration:
    """What a class body declares on a backend: an object on a path, a login, a task.

    Subclasses override what they contribute. `attribute` is the name in the class body. All classes below
    share the object, so it does not change once a class has it: what a class makes of it is kept there.
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

    def routes(self, backend: type[Backend]) -> Iterable[Route]:
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


class MethodDeclaration(Declaration, Generic[H]):
    """A declaration made from a method, which stays one that can be called: `self.log_in(...)`."""

    def __init__(self, handler: H) -> None:
        self.handler = handler

    @overload
    def __get__(self, backend: None, owner: type[Any]) -> Self: ...

    @overload
    def __get__(self, backend: Backend, owner: type[Any]) -> Callable[..., Any]: ...

    def __get__(self, backend: Backend | None, owner: type[Any]) -> Self | Callable[..., Any]:
        return self if backend is None else self.handler.__get__(backend, owner)


class RouteTable:
    """The routes of one backend class. Routes of the same path become one, at the first one's place.

    Raises:
        TypeError: two routes collide, a captured field is unknown, a create has no existence check, or
            hosts have no pattern for a path that is special.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes: Final = tuple(_joined(routes))
        for position, route in enumerate(self.routes):
            _verify_route(route)
            _verify_reachable(route, self.routes[:position])
        self.special: Final[SpecialPaths] = derive_special_paths(self.routes)

    def find(self, path: str) -> tuple[Route, dict[str, str]] | None:
        """Return the first route that matches, with the captured fields."""
        for route in self.routes:
            captures = route.path.match(path)
            if captures is not None:
                return route, captures
        return None


def _joined(routes: Iterable[Route]) -> Iterable[Route]:
    found: dict[tuple[str, bool], Route] = {}
    for route in routes:
        key = (route.path.text, route.path.sample is None)
        found[key] = _join(found[key], route) if key in found else route
    return found.values()


def _join(one: Route, other: Route) -> Route:
    """Return one route with the operations of both.

    Raises:
        TypeError: they contradict each other.
    """
    path = one.path.text
    twice = sorted(one.operations.keys() & other.operations.keys())
    if twice:
        raise TypeError(f"path {path!r} has two handlers for {twice[0]}: the second is never reached")
    if one.exists is not None and other.exists is not None:
        raise TypeError(f"path {path!r} has two existence checks")
    # What only hosts ask for on a path says nothing about who else may come there.
    leading = one if one.is_served else other
    for option in _OPTIONS if one.is_served and other.is_served else ():
        if getattr(one, option) != getattr(other, option):
            raise TypeError(f"path {path!r}: all its handlers, or none, have the option '{option}'")
    return replace(
        leading,
        path=one.path if one.path.optional_slash else other.path,
        operations={**one.operations, **other.operations},
        fields=join_fields(path, one.fields, other.fields),
        exists=one.exists or other.exists,
        arbitrary_input=one.arbitrary_input or other.arbitrary_input,
        synopsis=one.synopsis or other.synopsis,
        description=one.description or other.description,
        infos={**one.infos, **other.infos},
    )


def join_fields(
    path: str, one: Mapping[str, FieldSchema], other: Mapping[str, FieldSchema]
) -> dict[str, FieldSchema]:
    """Return the fields of two handlers on one path.

    Raises:
        TypeError: a field of both is not of one type.
    """
    joined = dict(one)
    for name, schema in other.items():
        known = joined.setdefault(name, schema)
        if not _is_same_type(known.type, schema.type) or known.max_length != schema.max_length:
            raise TypeError(f"path {path!r}: the field '{name}' is of two types")
        if not known.help:
            joined[name] = schema
    return joined


def _is_same_type(one: object, other: object) -> bool:
    """Whether two field types convert alike: the same class, made with the same values."""
    if not isinstance(one, FieldType) or type(one) is not type(other):
        return one == other
    mine, theirs = vars(one), vars(other)
    return mine.keys() == theirs.keys() and all(_is_same_type(mine[name], theirs[name]) for name in mine)


def _verify_route(route: Route) -> None:
    text = route.path.text
    unknown = set(route.path.names) - route.fields.keys()
    if unknown:
        raise TypeError(f"path {text!r} captures {sorted(unknown)}, which are no fields")
    create = route.operations.get(Operation.CREATE)
    # A handler that takes both is reached as an update, so it may do without.
    if create is not None and route.exists is None and route.operations.get(Operation.UPDATE) != create:
        raise TypeError(f"path {text!r} defines a create operation but no existence check")
    if {Operation.LIST, Operation.SCAN} & route.operations.keys() and not _takes_slash(route.path):
        raise TypeError(f"path {text!r} has a list, to which hosts append a slash: let it end with '/?'")


def _takes_slash(path: PathTemplate) -> bool:
    """Whether a trailing slash is let in, as far as can be told."""
    if path.optional_slash or (path.sample is None and (path.names or path.variants is None)):
        return True
    texts = [path.sample] if path.sample is not None else path.variants or ()
    return all(path.match(f"{text.rstrip('/')}/") is not None for text in texts)


def _verify_reachable(route: Route, earlier: Sequence[Route]) -> None:
    path = route.path
    plain = path.sample is None and not path.names and path.variants
    samples = [path.sample] if path.sample is not None else list(path.variants or ()) if plain else []
    for other in earlier:
        same = other.path.go_pattern == path.go_pattern
        if same or (samples and all(other.path.match(sample) is not None for sample in samples)):
            raise TypeError(f"path {path.text!r} is never reached: {other.path.text!r} comes first")
