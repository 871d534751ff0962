"""The parameters of a login or renewal handler.

Beside what every handler may take (see `authkit.framework.handlers.arguments`), one parameter can be a role
of one of the method's collections.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from authkit.auth.token_parameters import TokenParameters
from authkit.errors import LoginError
from authkit.framework import Call, Collection, Model, MountContext
from authkit.framework.fields.schema import FieldSchema
from authkit.framework.handlers.arguments import (
    MAX_OPEN_FIELD_LENGTH,
    Arguments,
    find_declared,
    read_arguments,
)
from authkit.framework.routing.calls import Parameter, read_parameters
from authkit.values import Value

__all__ = ["HandlerPlan", "verify_unchanged"]


class HandlerPlan(Value, frozen=True, kw_only=True):
    """A handler and where its arguments come from."""

    arguments: Arguments
    role: str = ""
    """The parameter that takes the role, if any."""
    roles: str = ""
    """The attribute of the backend that holds the collection of the role."""

    @property
    def handler(self) -> Callable[..., Any]:
        """Return the method."""
        return self.arguments.handler

    @property
    def fields(self) -> Mapping[str, FieldSchema]:
        """Return the parameters that are fields of the request."""
        return self.arguments.fields

    @classmethod
    def read(cls, handler: Callable[..., Any], backend: type[MountContext], call: type[Call]) -> HandlerPlan:
        """Read the signature of `handler`, a method of `backend`.

        Raises:
            TypeError: a parameter has an unknown annotation.
        """
        parameters = read_parameters(handler)
        roles = [parameter for parameter in parameters if _is_role(parameter)]
        others = [parameter for parameter in parameters if parameter not in roles]
        arguments = read_arguments(handler, others, backend, call=call, max_length=MAX_OPEN_FIELD_LENGTH)
        if not roles:
            return cls(arguments=arguments)
        if len(roles) > 1:
            names = " and ".join(f"'{role.name}'" for role in roles)
            raise TypeError(f"{handler.__qualname__} takes two roles, {names}")
        found = find_declared(backend, Collection, roles[0].annotation, roles[0].name)
        return cls(arguments=arguments, role=roles[0].name, roles=found)

    async def load_objects(self, backend: MountContext) -> dict[str, Model]:
        """Return the singletons' objects by parameter.

        Raises:
            UserError: there is none where one is needed.
        """
        return await self.arguments.load_objects(backend)

    async def run(
        self, backend: MountContext, call: Call, *, role: Model | None, objects: Mapping[str, Model]
    ) -> Any:
        """Call the handler.

        Raises:
            UserError: a required field is absent or empty.
        """
        loaded = {**objects, self.role: role} if self.role else objects
        return await self.arguments.run(backend, call, loaded)


async def verify_unchanged(
    backend: MountContext,
    plan: HandlerPlan,
    objects: Mapping[str, Model],
    roles: str,
    role_name: str,
    role: TokenParameters | None,
) -> None:
    """Refuse to grant by a role or a configuration that was replaced while a handler worked.

    `role` is the one that the handler was given, from the collection in the attribute `roles`.

    Raises:
        LoginError: something has changed, or the role is gone.
        UserError: the configuration is gone.
    """
    found = None if role is None else await getattr(backend, roles).find(role_name)
    if found != role or await plan.load_objects(backend) != objects:
        raise LoginError("the role or the configuration has changed meanwhile, try again")


def _is_role(parameter: Parameter) -> bool:
    return isinstance(parameter.annotation, type) and issubclass(parameter.annotation, TokenParameters)
