"""The parameters of the handlers of credentials and of rotations.

Beside what every handler may take (see `authkit.framework.handlers.arguments`): one object of a collection,
called the role here, and what was kept for revocation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin

from authkit import meter
from authkit.credentials import generate_password
from authkit.errors import InternalError
from authkit.framework import BoundCollection, Call, Collection, Model, MountContext, Singleton
from authkit.framework.fields.schema import FieldSchema
from authkit.framework.fields.types import LowerTextType, TextType
from authkit.framework.handlers.arguments import Arguments, find_declared, read_arguments
from authkit.framework.routing.calls import Parameter, read_parameters
from authkit.masking import Secret
from authkit.values import Value

__all__ = ["CredentialsPlan", "PasswordPlan", "read_password_plan"]

MAX_ROLE_NAME: Final = 1024
"""Characters of a role's name in a request."""


MAX_KEPT_PLANS: Final = 1024
"""Handlers whose signatures are read once: ticks ask for them for each role."""

SET_SECONDS: Final = 60.0
"""For setting one password. A client waits, or a tick of the host, which has about 90 s (Vault 1.21)."""


class CredentialsPlan(Value, frozen=True, kw_only=True):
    """A handler and where its arguments come from."""

    arguments: Arguments
    role: str = ""
    """The parameter that takes the role, and the field that names it; empty when it takes none."""
    roles: str = ""
    """The attribute of the backend that holds the collection of the role."""
    is_role_optional: bool = False
    """Whether the handler takes `None` for a role that is gone."""
    kept: str = ""
    """The parameter that takes what was kept."""
    kept_model: type[Model] | None = None

    @property
    def handler(self) -> Callable[..., Any]:
        """Return the method."""
        return self.arguments.handler

    @classmethod
    def read(
        cls,
        handler: Callable[..., Any],
        backend: type[MountContext],
        call: type[Call],
        *,
        given: Sequence[str] = (),
    ) -> CredentialsPlan:
        """Read the signature of `handler`, a method of `backend`. The parameters `given` are the caller's.

        Raises:
            TypeError: a parameter has an unknown annotation, or two are of one kind.
        """
        role: Parameter | None = None
        kept: Parameter | None = None
        others = []
        for parameter in read_parameters(handler):
            if parameter.name in given:
                continue
            model, _ = _model(parameter.annotation)
            if model is None or _serves(backend, Singleton, model):
                others.append(parameter)
            elif _serves(backend, Collection, model):
                role = _only(handler, role, parameter)
            else:
                kept = _only(handler, kept, parameter)
        arguments = read_arguments(handler, others, backend, call=call)
        role_model, is_optional = _model(role.annotation) if role else (None, False)
        roles = ""
        if role is not None and role_model is not None:
            roles = find_declared(backend, Collection, role_model, role.name)
        return cls(
            arguments=arguments,
            role=role.name if role else "",
            roles=roles,
            is_role_optional=is_optional,
            kept=kept.name if kept else "",
            kept_model=_model(kept.annotation)[0] if kept else None,
        )

    def role_field(self, backend: type[MountContext]) -> Mapping[str, FieldSchema]:
        """Return the field that names the role, none without one."""
        if not self.role:
            return {}
        collection = backend.declarations[self.roles]
        assert isinstance(collection, Collection)
        kind = LowerTextType() if collection.lower_names else TextType()
        text = f"Name of the {collection.noun}."
        return {self.role: FieldSchema(name=self.role, type=kind, help=text, max_length=MAX_ROLE_NAME)}

    async def find_role(self, backend: MountContext, name: str) -> Model | None:
        """Return the role of this name, `None` if there is none or the handler takes none."""
        if not self.role or not name:
            return None
        roles: BoundCollection[Model] = getattr(backend, self.roles)
        return await roles.find(name)

    async def run(
        self,
        backend: MountContext,
        call: Call,
        *,
        role: Model | None,
        kept: Model | None = None,
        given: Mapping[str, Any] = MappingProxyType({}),
    ) -> Any:
        """Call the handler.

        Raises:
            UserError: a required field is absent or empty, or there is no configuration.
        """
        loaded: dict[str, Any] = {**await self.arguments.load_objects(backend), **given}
        if self.role:
            loaded[self.role] = role
        if self.kept:
            loaded[self.kept] = kept
        return await self.arguments.run(backend, call, loaded)


class PasswordPlan(Value, frozen=True, kw_only=True):
    """A handler that sets a password, and where its arguments come from."""

    plan: CredentialsPlan
    password: str
    """The parameter that takes the password."""

    async def make_password(self, backend: Any, role: Model | None) -> Secret:
        """Return a new password, by the policy that role or configuration name in `password_policy`.

        Raises:
            InternalError: the host made none by this policy.
            UserError: there is no configuration.
        """
        objects = await self.plan.arguments.load_objects(backend)
        named = [getattr(each, "password_policy", "") for each in (role, *objects.values())]
        return await generate_password(backend.system, next(filter(None, named), ""))

    async def run(self, backend: MountContext, call: Call, password: Secret, role: Model | None) -> None:
        """Call the handler.

        Raises:
            UserError: there is no configuration.
            InternalError: it did not end in time.
        """
        done = False
        try:
            async with asyncio.timeout(SET_SECONDS):
                await self.plan.run(backend, call, role=role, given={self.password: password})
            done = True
        except TimeoutError as error:
            raise InternalError(f"setting a password did not end within {SET_SECONDS:.0f} s") from error
        finally:
            meter.current().password_set(ok=done)


@lru_cache(MAX_KEPT_PLANS)
def read_password_plan(
    handler: Callable[..., Any], backend: type[MountContext], call: type[Call]
) -> PasswordPlan:
    """Read the signature of `handler`, a method of `backend` that sets a password; once for each class.

    Raises:
        TypeError: it takes no password, or a field of a request.
    """
    where = f"{backend.__name__}: {handler.__qualname__}"
    passwords = [each.name for each in read_parameters(handler) if each.annotation is Secret]
    if len(passwords) != 1:
        raise TypeError(
            f"{where} must have one parameter of type Secret, the new password: it has {len(passwords)}"
        )
    plan = CredentialsPlan.read(handler, backend, call, given=passwords)
    if plan.kept or plan.arguments.fields:
        extra = plan.kept or next(iter(plan.arguments.fields))
        raise TypeError(f"{where}: nothing gives '{extra}' a value: no Singleton or Collection has its model")
    return PasswordPlan(plan=plan, password=passwords[0])


def _model(annotation: Any) -> tuple[type[Model] | None, bool]:
    """Return the model of an annotation, and whether it may be absent: `Role`, or `Role | None`."""
    is_optional = False
    if get_origin(annotation) in (Union, UnionType):
        choices = [each for each in get_args(annotation) if each is not NoneType]
        is_optional = len(choices) == 1 and len(get_args(annotation)) == 2
        annotation = choices[0] if is_optional else annotation
    is_model = isinstance(annotation, type) and issubclass(annotation, Model)
    return (annotation, is_optional) if is_model else (None, False)


def _serves(
    backend: type[MountContext], kind: type[Singleton[Any]] | type[Collection[Any]], model: type[Model]
) -> bool:
    declared = backend.declarations.values()
    return any(isinstance(each, kind) and issubclass(each.model, model) for each in declared)


def _only(handler: Callable[..., Any], known: Parameter | None, found: Parameter) -> Parameter:
    if known is not None:
        both = f"'{known.name}' and '{found.name}'"
        raise TypeError(f"{handler.__qualname__}: {both} are of one kind; take one of them")
    return found
