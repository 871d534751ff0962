"""What a handler is called with, and the parameters that it declares.

How it is called: `authkit.framework.handler_threads`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, get_type_hints

from authkit.framework.fields.annotations import suggest_names
from authkit.framework.fields.schema import FieldData
from authkit.framework.fields.types import UNSET
from authkit.logical import Connection, Request
from authkit.values import Value, field

__all__ = ["Call", "Parameter", "read_parameters"]

_NO_FIELDS: Final = FieldData(values={})
MAX_KEPT_HANDLERS: Final = 1024
"""Handlers whose annotations are evaluated once, and not again for each class that inherits them."""

_NAMED: Final = inspect.Parameter.POSITIONAL_OR_KEYWORD


class Call(Value, frozen=True, kw_only=True):
    """One request on its way through a handler."""

    request: Request
    data: FieldData = _NO_FIELDS
    warnings: list[str] = field(default_factory=list)
    """Filled by `warn`."""

    def warn(self, text: str) -> None:
        """Tell the client something that does not stop the request."""
        self.warnings.append(text)

    @property
    def connection(self) -> Connection | None:
        """Where the request came from, if the host knows."""
        return self.request.connection

    @property
    def remote_addr(self) -> str:
        """The client's IP address, empty when the host does not know it."""
        return self.request.connection.remote_addr if self.request.connection else ""

    @property
    def headers(self) -> Mapping[str, Any]:
        """The headers that the mount passes through, spelled as the client did."""
        return self.request.headers


class Parameter(Value, frozen=True):
    """One parameter of a handler."""

    name: str
    annotation: Any
    default: Any
    """`UNSET` when there is none."""


@lru_cache(MAX_KEPT_HANDLERS)
def read_parameters(handler: Callable[..., Any]) -> tuple[Parameter, ...]:
    """Return the parameters after `self`, annotations evaluated.

    Raises:
        TypeError: this is not a method; a parameter has no annotation, or one that means nothing where it
            stands, or is one for many.
    """
    if not inspect.isfunction(handler):
        raise TypeError(f"{handler!r} is not a plain method")
    parameters = list(inspect.signature(handler).parameters.values())
    if not parameters or parameters[0].kind not in (_NAMED, inspect.Parameter.POSITIONAL_ONLY):
        raise TypeError(f"{handler.__qualname__} has no 'self'")
    try:
        hints = get_type_hints(handler, include_extras=True)
    except NameError as error:
        hint = suggest_names(error.name or "", handler.__globals__) or "; is it imported?"
        raise TypeError(f"{handler.__qualname__}: an annotation cannot be read: {error}{hint}") from error
    found = []
    for parameter in parameters[1:]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise TypeError(f"{handler.__qualname__}: '{parameter}' is not a parameter with a name")
        if parameter.name not in hints:
            raise TypeError(f"{handler.__qualname__}: parameter '{parameter.name}' has no annotation")
        default = UNSET if parameter.default is parameter.empty else parameter.default
        found.append(Parameter(parameter.name, hints[parameter.name], default))
    return tuple(found)
