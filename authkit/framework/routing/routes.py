"""A route: one path of a backend, its operations, and what documents say about them.

All routes of a backend: `authkit.framework.routing.route_table`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from authkit.framework.fields.schema import FieldSchema
from authkit.framework.fields.types import FieldType
from authkit.framework.routing.calls import Call
from authkit.framework.routing.paths import PathTemplate
from authkit.logical import Operation, Response
from authkit.values import Value, field

__all__ = ["ExistenceCheck", "Handler", "OperationInfo", "ResponseInfo", "Route", "join_fields"]

Handler = Callable[[Any, Call], Awaitable[Response | None]]
"""Answers one operation of a backend. `None` is an empty answer."""

ExistenceCheck = Callable[[Any, Call], Awaitable[bool]]
"""Says whether the object of a path of a backend exists."""

_HOST_OPERATIONS: Final = frozenset({Operation.ALIAS_LOOKAHEAD, Operation.RESOLVE_ROLE})
"""Operations that no client can send."""


class ResponseInfo(Value, frozen=True, kw_only=True):
    """What documents say about one status of an operation."""

    description: str = "OK"
    fields: Mapping[str, FieldSchema] = field(default_factory=dict)
    """Of the `data`; a model has them as `Model.schema`."""
    shows_secrets: bool = False
    """Whether fields of secrets are there too: in the answer that hands out a credential."""
    example: Mapping[str, Any] | None = None
    media_type: str = "application/json"


class OperationInfo(Value, frozen=True, kw_only=True):
    """What documents and the router know about one operation beside its handler."""

    summary: str = ""
    description: str = ""
    deprecated: bool = False
    fields: Mapping[str, FieldSchema] | None = None
    """The fields that the operation uses. `None`: all fields of the route for a write, none for others."""
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
    """Open without a token: a login path."""
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
