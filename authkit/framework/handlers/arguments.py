"""The parameters of a handler: the call, the object of a singleton, or a field of the request.

The annotation decides. Parameters of logins and renewals, such as a role: `authkit.auth`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

from authkit.errors import UserError
from authkit.framework.fields.annotations import suggest_annotations
from authkit.framework.fields.schema import FieldData, FieldSchema, build_schema, is_field_annotation
from authkit.framework.handler_threads import invoke
from authkit.framework.models import Model
from authkit.framework.objects.served import Collection, Singleton
from authkit.framework.routing.calls import Call, Parameter
from authkit.framework.routing.declarations import MountContext
from authkit.values import Value, replace

__all__ = ["MAX_OPEN_FIELD_LENGTH", "Arguments", "find_declared", "read_arguments", "verify_returns"]

MAX_OPEN_FIELD_LENGTH: Final = 64 * 1024
"""Characters of one field of a path that is open without a token, unless it says otherwise."""


class Arguments(Value, frozen=True, kw_only=True):
    """A handler and where its arguments come from. Made by `read_arguments`."""

    handler: Callable[..., Any]
    call: str
    """The parameter that takes the call, empty when there is none."""
    objects: Mapping[str, str]
    """By parameter, the attribute of the backend that holds the singleton."""
    fields: Mapping[str, FieldSchema]
    is_async: bool
    """Whether the handler is an `async def`: asked once, not at each call."""

    async def load_objects(self, backend: MountContext) -> dict[str, Model]:
        """Return the singletons' objects by parameter.

        Raises:
            UserError: there is none where one is needed.
        """
        return {name: await getattr(backend, attribute).get() for name, attribute in self.objects.items()}

    async def run(self, backend: MountContext, call: Call, loaded: Mapping[str, Any]) -> Any:
        """Call the handler. `loaded` is what it takes besides the call and its fields.

        Raises:
            UserError: a required field is absent or empty.
        """
        arguments: dict[str, Any] = {**loaded, **self._field_values(call.data)}
        if self.call:
            arguments[self.call] = call
        if self.is_async:
            return await self.handler(backend, **arguments)
        return await invoke(self.handler, backend, **arguments)

    def _field_values(self, data: FieldData) -> dict[str, Any]:
        values = {}
        for name, schema in self.fields.items():
            values[name] = data.values[name] if name in data.values else schema.default_or_zero()
            if schema.is_missing(values[name]):
                raise UserError(schema.missing)
        return values


def read_arguments(
    handler: Callable[..., Any],
    parameters: Iterable[Parameter],
    backend: type[MountContext],
    *,
    call: type[Call] = Call,
    max_length: int | None = None,
) -> Arguments:
    """Return where the arguments of `handler`, a method of `backend`, come from.

    Args:
        call: the kind of call that the handler may ask for.
        max_length: bounds the fields that say nothing about it.

    Raises:
        TypeError: a parameter has an unknown annotation, or a default that does not fit its field type.
    """
    call_name = ""
    objects: dict[str, str] = {}
    fields: dict[str, FieldSchema] = {}
    for parameter in parameters:
        name, annotation = parameter.name, parameter.annotation
        where = f"{handler.__qualname__}: parameter '{name}'"
        if annotation is call or annotation is Call:
            if call_name:
                raise TypeError(f"{where} is a second call")
            call_name = name
        elif isinstance(annotation, type) and issubclass(annotation, Model):
            try:
                objects[name] = find_declared(backend, Singleton, annotation, name)
            except TypeError as error:
                raise TypeError(f"{handler.__qualname__}: {error}") from error
        elif is_field_annotation(annotation):
            try:
                schema = build_schema(name, annotation, parameter.default)
            except TypeError as error:
                raise TypeError(f"{where}: {error}") from error
            fields[name] = replace(schema, max_length=schema.max_length or max_length)
        else:
            plain = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
            shown = plain.__qualname__ if isinstance(plain, type) else repr(plain)
            raise TypeError(
                f"{where} has an unknown annotation, {shown}: it takes a {call.__name__}, the model of a "
                f"Singleton or Collection of this class, or a field type{suggest_annotations(plain)}"
            )
    is_async = inspect.iscoroutinefunction(handler)
    return Arguments(handler=handler, call=call_name, objects=objects, fields=fields, is_async=is_async)


def find_declared(
    backend: type[MountContext],
    kind: type[Singleton[Any]] | type[Collection[Any]],
    model: type[Model],
    parameter: str,
) -> str:
    """Return the attribute of `backend` that holds the one singleton, or collection, of a model.

    If there is none of the model itself, one whose model extends it will do.

    Raises:
        TypeError: there is none, or more than one.
    """
    declared = backend.declarations.items()
    served = {name: each.model for name, each in declared if isinstance(each, kind)}
    found = [name for name, of in served.items() if of is model]
    found = found or [name for name, of in served.items() if issubclass(of, model)]
    if len(found) != 1:
        path = "'config'" if issubclass(kind, Singleton) else "'role/{name}'"
        hint = (
            ""
            if found
            else f": declare one in the class body, as in {kind.__name__}({model.__name__}, {path})"
        )
        raise TypeError(
            f"{backend.__name__} needs one {kind.__name__.lower()} of {model.__name__} for parameter "
            f"'{parameter}', it has {len(found)}{hint}"
        )
    return found[0]


def verify_returns(handler: Callable[..., Any], expected: type) -> None:
    """Raise TypeError if the handler promises to return something else than `expected`."""
    returned = get_type_hints(handler).get("return")
    if isinstance(returned, type) and not issubclass(returned, expected):
        raise TypeError(f"{handler.__qualname__} has to return {expected.__name__}, not {returned.__name__}")
