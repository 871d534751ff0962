"""What the parameters of a login or renewal handler stand for.

A parameter is, by its annotation: the call, a role of one of the method's collections, the object
of one of its singletons, or a field of the request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from authkit.auth.tokens import TokenParameters
from authkit.errors import UserError
from authkit.framework import Backend, Call, Collection, FieldData, Model, Singleton
from authkit.framework.calls import invoke, read_parameters
from authkit.framework.schema import FieldSchema, build_schema, is_field_annotation

__all__ = ["HandlerPlan"]

MAX_FIELD_LENGTH: Final = 64 * 1024
"""Characters of one field of a login, unless it says otherwise: anybody may send one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerPlan:
    """A handler and where its arguments come from."""

    handler: Callable[..., Any]
    call: str = ""
    """The parameter that takes the call, if any; so for the next one."""
    role: str = ""
    roles: str = ""
    """The attribute of the backend that holds the collection of the role."""
    objects: Mapping[str, str]
    """By parameter, the attribute that holds the singleton."""
    fields: Mapping[str, FieldSchema]

    @classmethod
    def read(cls, handler: Callable[..., Any], backend: type[Backend], call: type[Call]) -> HandlerPlan:
        """Read the signature of `handler`, a method of `backend`.

        Raises:
            TypeError: a parameter stands for nothing known.
        """
        plan = cls(handler=handler, objects={}, fields={})
        for parameter in read_parameters(handler):
            name, annotation = parameter.name, parameter.annotation
            if annotation is call or annotation is Call:
                plan = replace(plan, call=name)
            elif isinstance(annotation, type) and issubclass(annotation, TokenParameters):
                if plan.role:
                    raise TypeError(f"{handler.__qualname__} takes two roles")
                found = _find_declared(backend, Collection, annotation)
                plan = replace(plan, role=name, roles=found)
            elif isinstance(annotation, type) and issubclass(annotation, Model):
                found = _find_declared(backend, Singleton, annotation)
                plan = replace(plan, objects={**plan.objects, name: found})
            elif is_field_annotation(annotation):
                schema = build_schema(name, annotation, parameter.default)
                schema = replace(schema, max_length=schema.max_length or MAX_FIELD_LENGTH)
                plan = replace(plan, fields={**plan.fields, name: schema})
            else:
                raise TypeError(f"{handler.__qualname__}: parameter '{name}' stands for nothing known")
        return plan

    async def load_objects(self, backend: Backend) -> dict[str, Model]:
        """Return the singletons' objects by parameter.

        Raises:
            UserError: there is none where one is needed.
        """
        return {name: await getattr(backend, attribute).get() for name, attribute in self.objects.items()}

    async def run(
        self, backend: Backend, call: Call, *, role: Model | None, objects: Mapping[str, Model]
    ) -> Any:
        """Call the handler.

        Raises:
            UserError: a required field is absent or empty.
        """
        arguments: dict[str, Any] = {**objects, **self._field_values(call.data)}
        if self.call:
            arguments[self.call] = call
        if self.role:
            arguments[self.role] = role
        return await invoke(self.handler, backend, **arguments)

    def _field_values(self, data: FieldData) -> dict[str, Any]:
        values = {}
        for name, schema in self.fields.items():
            values[name] = data.get(name, schema.default_or_zero())
            if schema.is_missing(values[name]):
                raise UserError(schema.missing)
        return values


def _find_declared(backend: type[Backend], kind: type[Any], model: type[Model]) -> str:
    declared = backend.declarations.items()
    found = [name for name, each in declared if isinstance(each, kind) and each.model is model]
    if len(found) != 1:
        name = kind.__name__.lower()
        raise TypeError(f"{backend.__name__} needs one {name} of {model.__name__}, it has {len(found)}")
    return found[0]
