"""The login: `@login` on a handler makes the path, and everything around the handler's own check.

Each request passes these steps, and the first that fails ends it:

1. The objects that the handler needs, such as the configuration, are loaded.
2. The role is loaded by its name: from the body, from the path, or the default one.
3. The client's address is compared with what the role's tokens are bound to.
4. The handler establishes the identity.
5. If anything was written meanwhile, role and objects are compared with what is stored now.
6. Identity and role become the token's settings.

An alias lookahead passes the first three and then asks the author's own function, which grants
nothing. Renewal: `authkit.auth.renewal`.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

from authkit.auth.arguments import HandlerPlan, verify_unchanged
from authkit.auth.grants import make_auth, verify_login_address
from authkit.auth.identity import Identity
from authkit.auth.token_parameters import TokenParameters
from authkit.errors import InternalError, UserError
from authkit.framework import BoundCollection, Call, Collection, PathTemplate, Route
from authkit.framework.documents.help import documentation
from authkit.framework.fields.schema import FieldSchema
from authkit.framework.fields.types import LowerTextType, TextType
from authkit.framework.handler_threads import invoke
from authkit.framework.handlers.arguments import verify_returns
from authkit.framework.routing.declarations import MethodDeclaration, MountContext
from authkit.framework.routing.routes import Handler
from authkit.logical import Alias, Auth, Operation, Response

__all__ = ["Login", "LoginCall", "LoginHandlers", "login"]

P = ParamSpec("P")
R = TypeVar("R", bound=Identity | Awaitable[Identity])
Naming = Callable[..., str | Awaitable[str]]

MAX_ROLE_NAME: Final = 1024
"""Characters of a role's name in a login, which anybody may send and which an answer repeats."""


class LoginCall(Call, frozen=True, kw_only=True):
    """One login on its way through the handler."""

    role_name: str = ""
    """Under which the role is stored."""


class Login(MethodDeclaration[P, R]):
    """The login paths of one handler. Made by `login`."""

    def __init__(
        self,
        handler: Callable[Concatenate[Any, P], R],
        paths: Sequence[str],
        *,
        role_field: str,
        default_role: Naming | None,
        alias: Naming | None,
    ) -> None:
        super().__init__(handler)
        self.templates = tuple(PathTemplate.parse(path) for path in paths)
        for template in self.templates:
            template.special_patterns()
        self.role_field = role_field
        self.default_role = default_role
        self.alias = alias

    def find_roles(self, backend: type[MountContext]) -> str:
        """Return the attribute that holds the roles of this login, empty when it has none."""
        return HandlerPlan.read(self.handler, backend, LoginCall).roles

    def routes(self, backend: type[MountContext]) -> Iterable[Route]:
        """Return the login paths."""
        handlers = LoginHandlers(self, backend)
        synopsis, description = documentation(self.handler)
        for template in self.templates:
            yield Route(
                path=template,
                operations=handlers.operations(),
                fields=handlers.fields,
                unauthenticated=True,
                synopsis=synopsis or "Log in.",
                description=description,
            )


class LoginDecorator(Protocol):
    """Declares a method as a login, and keeps its parameters for type checkers."""

    def __call__(self, handler: Callable[Concatenate[Any, P], R], /) -> Login[P, R]:
        """Return the declaration."""
        ...


def login(
    *paths: str,
    role_field: str = "role",
    default_role: Naming | None = None,
    alias: Naming | None = None,
) -> LoginDecorator:
    """Make a method the handler of a login path, open without a token.

    The method returns an `Identity` or raises. Its parameters are, by their annotations: a
    `LoginCall`, a `Role` (loaded by name, missing or unknown names are refused), the model of a
    singleton, and fields of the request; these are bounded to 64 KiB unless `field(max_length=...)`
    says otherwise. A field without default must be there and not empty.

    A login is refused if its role or one of these models was changed or deleted while the handler worked.
    Keep what a login itself changes elsewhere, such as in a `StorageView`.

    Args:
        paths: relative to the mount, by default `login`; `{x}` is a parameter of the handler.
        role_field: the field with the role's name. It may stand in the path: `login/{role}`; a body
            with another role is refused. A host that counts by role sees bodies alone, so a class with
            such a login takes no quotas for roles; see `authkit.auth.role_resolution`. No login takes a body
            with the role field of another one.
        default_role: a method that returns the name of the role for requests that name none.
        alias: a method that returns the alias name a login would give, without logging in and without
            any effect. Hosts ask for it before some logins. It takes the same parameters.

    Raises:
        TypeError: the decorator has no parentheses.
        ValueError: a path is not a template, or hosts have no pattern for it.
    """
    if any(callable(path) for path in paths):
        raise TypeError('write @login("login"), with parentheses and a path')
    paths = paths or ("login",)

    def declare(handler: Callable[Concatenate[Any, P], R], /) -> Login[P, R]:
        return Login(handler, paths, role_field=role_field, default_role=default_role, alias=alias)

    return declare


class LoginHandlers:
    """What the router calls for a login of one class."""

    def __init__(self, declared: Login[..., Any], backend: type[MountContext]) -> None:
        self.declared = declared
        self.plan = HandlerPlan.read(declared.handler, backend, LoginCall)
        self.look_ahead_plan = self._read_look_ahead(backend)
        self.fields: dict[str, FieldSchema] = dict(self.plan.fields)
        if self.look_ahead_plan is not None:
            self.fields = {**self.look_ahead_plan.fields, **self.fields}
        if self.plan.roles:
            self.fields = {declared.role_field: self._role_schema(backend), **self.fields}
        self.roles_path: Final = _roles_path(backend, self.plan.roles)
        self.foreign_roles: Final = frozenset(_role_fields(backend) - self.fields.keys())
        verify_returns(declared.handler, Identity)
        for naming in (declared.default_role, declared.alias):
            if naming is not None:
                verify_returns(naming, str)

    def operations(self) -> dict[Operation, Handler]:
        """Return what the login path does."""
        operations: dict[Operation, Handler] = {
            Operation.CREATE: self.log_in,
            Operation.UPDATE: self.log_in,
        }
        if self.look_ahead_plan is not None:
            operations[Operation.ALIAS_LOOKAHEAD] = self.look_ahead
        return operations

    async def log_in(self, backend: MountContext, call: Call) -> Response:
        """Answer a login."""
        role, role_name, identity = await self._run(self.plan, backend, call)
        if not isinstance(identity, Identity):
            # What is wrong is the author's business: it stands in the log, and clients get a reference.
            raise TypeError(_describe_return(self.declared.handler, identity))
        auth = make_auth(identity, role, role_name, call.connection, roles=self.roles_path)
        return Response(auth=auth, warnings=tuple(identity.warnings))

    async def look_ahead(self, backend: MountContext, call: Call) -> Response:
        """Answer which alias a login would have."""
        assert self.look_ahead_plan is not None
        _, _, name = await self._run(self.look_ahead_plan, backend, call)
        if not isinstance(name, str) or not name:
            raise InternalError("this login has no alias")
        return Response(auth=Auth(alias=Alias(name=name)))

    @property
    def folds_names(self) -> bool:
        """Whether the case of a role's name does not count."""
        return isinstance(self.fields[self.declared.role_field].type, LowerTextType)

    def named_role(self, body: Mapping[str, Any]) -> str:
        """Return the role's name in the body of a request, empty when there is none.

        Raises:
            FieldError: it is not a name.
        """
        field = self.declared.role_field
        name: str = self.fields[field].convert(body.get(field))
        return name

    def known_role(self, backend: MountContext, name: str) -> str | None:
        """Return the stored name of the role of this name if the role is in memory."""
        roles: BoundCollection[TokenParameters] = getattr(backend, self.plan.roles)
        return None if roles.peek(name) is None else roles.stored_name(name)

    async def find_role(self, backend: MountContext, name: str) -> tuple[TokenParameters, str]:
        """Return the role of this name, or the default one, and its stored name.

        Raises:
            UserError: the role does not exist. Costs at most one read of a role.
        """
        roles: BoundCollection[TokenParameters] = getattr(backend, self.plan.roles)
        if not name and self.declared.default_role is not None:
            name = await invoke(self.declared.default_role, backend)
        if not name:
            raise UserError("missing role")
        role = await roles.find(name)
        if role is None:
            raise UserError(f"role {json.dumps(name, ensure_ascii=False)} could not be found")
        return role, roles.stored_name(name)

    async def _run(
        self, plan: HandlerPlan, backend: MountContext, call: Call
    ) -> tuple[TokenParameters | None, str, Any]:
        changes = backend.objects.changes
        objects = await plan.load_objects(backend)
        self._verify_names_no_other_role(call)
        role, role_name = None, ""
        if self.plan.roles:
            role, role_name = await self.find_role(backend, call.data.get(self.declared.role_field, ""))
            verify_login_address(role, call.connection)
        login_call = LoginCall(
            request=call.request, data=call.data, warnings=call.warnings, role_name=role_name
        )
        result = await plan.run(backend, login_call, role=role, objects=objects)
        if backend.objects.changes != changes:
            await verify_unchanged(backend, plan, objects, self.plan.roles, role_name, role)
        return role, role_name, result

    def _verify_names_no_other_role(self, call: Call) -> None:
        """Refuse a body that names another role than the login's: a host would count that one."""
        body, field = call.request.data, self.declared.role_field
        if not self.foreign_roles.isdisjoint(body):
            foreign = sorted(self.foreign_roles & body.keys())
            raise UserError(f"'{foreign[0]}' names the role of another login; leave it out")
        if field in call.data.replaced and self.named_role(body) != call.data.get(field):
            raise UserError(f"'{field}' in the request is not the role in the path; leave it out")

    def _read_look_ahead(self, backend: type[MountContext]) -> HandlerPlan | None:
        alias = self.declared.alias
        if alias is None:
            return None
        plan = HandlerPlan.read(alias, backend, LoginCall)
        if plan.roles not in ("", self.plan.roles):
            raise TypeError(f"{alias.__qualname__}: the alias takes another role than the login")
        return plan

    def _role_schema(self, backend: type[MountContext]) -> FieldSchema:
        roles = backend.declarations[self.plan.roles]
        assert isinstance(roles, Collection)
        kind = LowerTextType() if roles.lower_names else TextType()
        name = self.declared.role_field
        if name in self.fields:
            where = self.declared.handler.__qualname__
            raise TypeError(f"{where}: '{name}' is the field of the role's name; use another parameter")
        return FieldSchema(name=name, type=kind, help="The role to log in with.", max_length=MAX_ROLE_NAME)


def _describe_return(handler: Callable[..., Any], returned: object) -> str:
    text = f"{handler.__qualname__} returned {type(returned).__name__}, not an Identity"
    if isinstance(returned, Coroutine):
        returned.close()
        return f"{text}: is an 'await' missing?"
    return f"{text}: is a 'return' missing?" if returned is None else text


def _roles_path(backend: type[MountContext], attribute: str) -> str:
    """Return the path of the collection in an attribute, empty without one."""
    roles = backend.declarations.get(attribute)
    return roles.template.prefix if isinstance(roles, Collection) else ""


def _role_fields(backend: type[MountContext]) -> set[str]:
    """Return the fields in which the logins of a class take the name of a role."""
    declared = [each for each in backend.declarations.values() if isinstance(each, Login)]
    return {each.role_field for each in declared if each.find_roles(backend)}
