"""Options of the handler decorators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from authkit.framework.fields.schema import FieldSchema
from authkit.framework.models import Model
from authkit.framework.routing.routes import OperationInfo, ResponseInfo
from authkit.values import verify_collections

__all__ = ["HandlerOptions", "operation_info", "verify_options"]


class HandlerOptions(TypedDict, total=False):
    """Keyword arguments of `read`, `write`, `patch`, `delete`, `list_` and `route`."""

    unauthenticated: bool
    """Open without a token: no policy applies."""
    sudo: bool
    """The caller needs the capability `sudo` on the path."""
    limited: bool
    """The host's request limiter counts the path (Vault Enterprise)."""
    snapshot_read: bool
    """The path may be read from a loaded snapshot (Vault Enterprise)."""
    forward: bool
    """Let another node serve it where this one may not write: for handlers with effects elsewhere."""
    fields: type[Model]
    """A model whose fields the path takes as well; `call.data` has those that the request set."""
    arbitrary_input: bool
    """Any field is welcome; read it from `call.request.data`."""
    summary: str
    """One line; by default the first one of the docstring."""
    description: str
    """By default the rest of the docstring."""
    deprecated: bool
    """Marked so in documents."""
    responses: Mapping[int, ResponseInfo | str]
    """By HTTP status, for documents; a text is a description alone."""
    examples: Sequence[Mapping[str, Any]]
    """Request bodies, for documents."""


def verify_options(options: HandlerOptions) -> None:
    """Raise TypeError if an option is unknown, or two contradict each other."""
    verify_collections(responses=options.get("responses"), examples=options.get("examples"))
    unknown = sorted(options.keys() - HandlerOptions.__annotations__.keys())
    if unknown:
        raise TypeError(f"handlers have no option '{unknown[0]}'")
    if options.get("unauthenticated") and options.get("sudo"):
        raise TypeError("a path needs no token, or a token with sudo, not both")
    for status in options.get("responses", {}):
        if not 100 <= status <= 599:
            raise TypeError(f"{status} is not an HTTP status")


def operation_info(
    fields: Mapping[str, FieldSchema], summary: str, description: str, options: HandlerOptions
) -> OperationInfo:
    """Return what documents and the router know of an operation with these options."""
    responses = {
        status: each if isinstance(each, ResponseInfo) else ResponseInfo(description=each)
        for status, each in options.get("responses", {}).items()
    }
    return OperationInfo(
        summary=summary,
        description=description,
        deprecated=options.get("deprecated", False),
        fields=fields,
        examples=tuple(options.get("examples", ())),
        responses=responses,
        forward=options.get("forward", False),
    )
