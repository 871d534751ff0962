"""The login: `@login` on a handler makes the path, and everything around the handler's own check.

Each request passes these steps, and the first that fails ends it:

1. The objects that the handler needs, such as the configuration, are loaded.
2. The role is loaded by the request's field `role`.
3. The client's address is compared with the role's `token_bound_cidrs`.
4. The handler establishes the identity.
5. Identity and role become the token's settings.

Renewal is left to `authkit.auth.renewal`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar, overload

from authkit.auth.arguments import HandlerPlan
from authkit.auth.cidrs import verify_remote_address
from authkit.auth.identity import Identity
from authkit.auth.tokens import TokenParameters, make_auth
from authkit.errors import InternalError, UserError
from authkit.framework import Backend, BoundCollection, Call, Collection, Declaration, PathTemplate, Route
from authkit.framework.calls import invoke
from authkit.framework.fields import LowerTextType, TextType
from authkit.framework.help import documentation
from authkit.framework.schema import FieldSchema
from authkit.logical import Alias, Auth, Operation, Response

__all__ = ["Login", "LoginCall", "login"]

H = TypeVar("H", bound=Callable[..., Any])
D = TypeVar("D", bound=Callable[..., Any])

RESOLVE_ROLE_PATH: Final = "login"
"""Hosts ask for the role of a login on this path, whatever the real one is (Vault 1.21, vault/core.go)."""

MAX_ROLE_NAME: Final = 1024
"""Characters of a role's name in a login, which anybody may send and which an answer repeats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginCall(Call):
    """One login on its way through the handler."""

    role_name: str = ""
    """Under which the role is stored."""


class Login(Declaration, Generic[H]):
    """A login path with its handler. Made by `login`."""

    def __init__(
        self,
        handler: H,
        path: str,
        *,
        role_field: str,
        default_role: Callable[..., Any] | None,
        alias: Callable[..., Any] | None,
    ) -> None:
        self.handler = handler
        self.template = PathTemplate.parse(path)
        self.template.special_pattern()
        self.role_field = role_field
        self.default_role = default_role
        self.alias = alias

    @overload
    def __get__(self, backend: None, owner: type[Any]) -> Login[H]: ...

    @overload
    def __get__(self, backend: Backend, owner: type[Any]) -> Callable[..., Any]: ...

    def __get__(self, backend: Backend | None, owner: type[Any]) -> Login[H] | Callable[..., Any]:
        return self if backend is None else self.handler.__get__(backend, owner)

    def find_roles(self, backend: type[Backend]) -> str:
        """Return the attribute that holds the roles of this login, empty when it has none."""
        return HandlerPlan.read(self.handler, backend, LoginCall).roles

    def routes(self, backend: type[Backend]) -> Iterable[Route]:
        """Return the login path, and the one on which hosts ask for roles if that is another."""
        flow = _Flow(self, backend)
        operations = {Operation.CREATE: flow.log_in, Operation.UPDATE: flow.log_in}
        if flow.look_ahead_plan is not None:
            operations[Operation.ALIAS_LOOKAHEAD] = flow.look_ahead
        resolve = {} if not flow.plan.roles else {Operation.RESOLVE_ROLE: flow.resolve_role}
        if self.template.text == RESOLVE_ROLE_PATH:
            operations |= resolve
        synopsis, description = documentation(self.handler)
        yield Route(
            path=self.template,
            operations=operations,
            fields=flow.fields,
            unauthenticated=True,
            synopsis=synopsis or "Log in.",
            description=description,
        )
        if resolve and self._resolves_elsewhere(backend):
            # It is asked with the whole body of the login, of which only the role matters.
            role = {self.role_field: flow.fields[self.role_field]}
            path = PathTemplate.parse(RESOLVE_ROLE_PATH)
            yield Route(path=path, operations=resolve, fields=role, arbitrary_input=True)

    def _resolves_elsewhere(self, backend: type[Backend]) -> bool:
        """Whether this login has to answer for roles on a path that is not its own."""
        logins = [each for each in backend.declarations.values() if isinstance(each, Login)]
        if any(each.template.text == RESOLVE_ROLE_PATH for each in logins):
            return False
        return next(each for each in logins if each.find_roles(backend)) is self


def login(
    path: str = "login",
    *,
    role_field: str = "role",
    default_role: Callable[..., Any] | None = None,
    alias: Callable[..., Any] | None = None,
) -> Callable[[H], Login[H]]:
    """Make a method the handler of a login path, open to everybody.

    The method returns an `Identity` or raises. Its parameters are, by their annotations: a
    `LoginCall`, a `Role` (loaded by name, missing or unknown names are refused), the model of a
    singleton, and fields of the request; these are bounded to 64 KiB unless `field(max_length=...)`
    says otherwise. A field without default must be there and not empty.

    Args:
        path: relative to the mount; `{x}` is a parameter of the handler.
        role_field: the field with the role's name.
        default_role: a method that returns the name of the role for requests that name none.
        alias: a method that returns the alias name a login would give, without logging in and without
            any effect. Hosts ask for it before some logins. It takes the same parameters.
    """
    return lambda handler: Login(handler, path, role_field=role_field, default_role=default_role, alias=alias)


class _Flow:
    """A login on one class: its plan and its handlers for the router."""

    def __init__(self, declared: Login[Any], backend: type[Backend]) -> None:
        self.declared = declared
        self.plan = HandlerPlan.read(declared.handler, backend, LoginCall)
        self.look_ahead_plan = (
            None if declared.alias is None else HandlerPlan.read(declared.alias, backend, LoginCall)
        )
        self.fields: dict[str, FieldSchema] = dict(self.plan.fields)
        if self.look_ahead_plan is not None:
            self.fields = {**self.look_ahead_plan.fields, **self.fields}
            if self.look_ahead_plan.roles not in ("", self.plan.roles):
                raise TypeError(f"{backend.__name__}: the alias takes another role than the login")
        if self.plan.roles:
            roles = backend.declarations[self.plan.roles]
            assert isinstance(roles, Collection)
            self.fields = {declared.role_field: self._role_schema(roles), **self.fields}

    async def log_in(self, backend: Backend, call: Call) -> Response:
        """Answer a login."""
        role, role_name, identity = await self._run(self.plan, backend, call)
        if not isinstance(identity, Identity):
            raise InternalError("the login handler returned no identity")
        auth = make_auth(identity, role, role_name)
        return Response(auth=auth, warnings=tuple(identity.warnings))

    async def look_ahead(self, backend: Backend, call: Call) -> Response:
        """Answer which alias a login would have."""
        assert self.look_ahead_plan is not None
        _, _, name = await self._run(self.look_ahead_plan, backend, call)
        if not isinstance(name, str) or not name:
            raise InternalError("there is no alias for this login")
        return Response(auth=Auth(alias=Alias(name=name)))

    async def resolve_role(self, backend: Backend, call: Call) -> Response:
        """Answer which role a login would have. Costs at most one read of a role."""
        _, name = await self._load_role(backend, call)
        return Response(data={"role": name})

    async def _run(
        self, plan: HandlerPlan, backend: Backend, call: Call
    ) -> tuple[TokenParameters | None, str, Any]:
        objects = await plan.load_objects(backend)
        role, role_name = await self._load_role(backend, call)
        if role is not None:
            verify_remote_address(role.token_bound_cidrs, call.connection)
        login_call = LoginCall(
            request=call.request, data=call.data, warnings=call.warnings, role_name=role_name
        )
        return role, role_name, await plan.run(backend, login_call, role=role, objects=objects)

    async def _load_role(self, backend: Backend, call: Call) -> tuple[TokenParameters | None, str]:
        if not self.plan.roles:
            return None, ""
        roles: BoundCollection[TokenParameters] = getattr(backend, self.plan.roles)
        name = call.data.get(self.declared.role_field, "")
        if not name and self.declared.default_role is not None:
            name = await invoke(self.declared.default_role, backend)
        if not name:
            raise UserError("missing role")
        role = await roles.find(name)
        if role is None:
            raise UserError(f"role {json.dumps(name, ensure_ascii=False)} could not be found")
        return role, roles.stored_name(name)

    def _role_schema(self, roles: Collection[Any]) -> FieldSchema:
        kind = LowerTextType() if roles.lower_names else TextType()
        name = self.declared.role_field
        if name in self.fields:
            raise TypeError(f"'{name}' is the field of the role's name; use another parameter")
        return FieldSchema(name=name, type=kind, help="The role to log in with.", max_length=MAX_ROLE_NAME)
