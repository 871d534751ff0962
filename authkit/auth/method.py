"""The base class of auth methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from authkit.auth.arguments import HandlerPlan
from authkit.auth.login import Login
from authkit.auth.renewal import Renewal, RenewalHandler, RenewCall, RoleCollections, renew_auth
from authkit.auth.role_resolution import RESOLVE_ROLE_PATH, RoleResolver
from authkit.auth.token_parameters import TokenParameters
from authkit.errors import BadRequestError, FieldError, LoginError, UserError
from authkit.framework import Backend, Collection
from authkit.framework.handlers.arguments import verify_returns
from authkit.logical import BackendType, Operation, Request, Response

__all__ = ["AuthMethod"]


class AuthMethod(Backend):
    """An auth method: a backend with a login.

    ::

        class Acme(AuthMethod, name="acme", version="1.2.0"):
            \"\"\"Log in with an Acme session token.\"\"\"

            config = Singleton(AcmeConfig, "config", seal_wrap=True)
            roles = Collection(AcmeRole, "role/{name}")

            @login("login")
            async def login(self, call: LoginCall, role: AcmeRole, token: Secret) -> Identity: ...

    Without a `@renewal` a token is renewed as long as its role exists, with the lifetimes that the
    role has then. `class Acme(AuthMethod, ..., compare_policies=True)` also refuses to renew a token
    whose role, and what the login added to it, would give other policies today.

    Raises:
        TypeError: at definition, the declarations contradict each other or themselves.
    """

    backend_type: ClassVar[BackendType] = BackendType.CREDENTIAL
    _renewal_plan: ClassVar[HandlerPlan | None] = None
    _role_collections: ClassVar[RoleCollections] = RoleCollections(by_path={})
    _compare_policies: ClassVar[bool] = False
    _resolver: ClassVar[RoleResolver | None] = None

    def __init_subclass__(cls, *, compare_policies: bool | None = None, **options: Any) -> None:
        super().__init_subclass__(**options)
        declared = cls.declarations.values()
        handlers = [each for each in declared if isinstance(each, RenewalHandler)]
        if len(handlers) > 1:
            raise TypeError(f"{cls.__name__} has two renewal handlers")
        plan = HandlerPlan.read(handlers[0].handler, cls, RenewCall) if handlers else None
        if plan is not None and plan.fields:
            fields = ", ".join(f"'{name}'" for name in plan.fields)
            raise TypeError(f"{plan.handler.__qualname__}: a renewal has no fields, so no {fields}")
        if plan is not None:
            verify_returns(plan.handler, Renewal)
        roles = [each.find_roles(cls) for each in declared if isinstance(each, Login)]
        if plan is None and len(set(roles)) > 1:
            raise TypeError(f"{cls.__name__} has logins with different roles and needs a renewal handler")
        cls._renewal_plan = plan
        cls._resolver = RoleResolver.of(cls)
        asked = cls.route_table.find(RESOLVE_ROLE_PATH)
        if cls._resolver is not None and asked and Operation.RESOLVE_ROLE in asked[0].operations:
            raise TypeError(f"{cls.__name__}: a handler of {Operation.RESOLVE_ROLE} is never reached")
        cls._role_collections = _find_role_collections(cls, plan.roles if plan is not None else "", roles)
        if compare_policies is not None:
            cls._compare_policies = compare_policies
        if cls._compare_policies and not cls._role_collections.by_path:
            raise TypeError(f"{cls.__name__} has no roles whose policies could be compared")

    def known_role(self, path: str, body: Mapping[str, Any]) -> str | None:
        """Return the role of a login with this body if that can be told without waiting."""
        if self._resolver is None or path != RESOLVE_ROLE_PATH:
            return None
        return self._resolver.known_role(self, body)

    async def handle_request(self, request: Request) -> Response | None:
        """Answer a request; see `Backend.handle_request`.

        Raises:
            BadRequestError: an alias lookahead failed. An error *response* would crash the host here
                (Vault 1.21, vault/core.go, aliasNameFromLoginRequest).
        """
        if self._resolver is not None and self._resolver.answers(request):
            return await self._resolver.resolve(self, request.data)
        if request.operation is not Operation.ALIAS_LOOKAHEAD:
            return await super().handle_request(request)
        try:
            return await super().handle_request(request)
        except (UserError, FieldError, LoginError) as error:
            raise BadRequestError(str(error)) from error

    async def handle_renewal(self, request: Request) -> Response | None:
        """Renew a token.

        Raises:
            UserError: it may not go on.
        """
        if request.auth is None:
            return await super().handle_renewal(request)
        auth = await renew_auth(
            self,
            request,
            collections=self._role_collections,
            plan=self._renewal_plan,
            compare_policies=self._compare_policies,
        )
        return Response(auth=auth)


def _find_role_collections(cls: type[AuthMethod], own: str, of_logins: Sequence[str]) -> RoleCollections:
    """Return where the roles of tokens are. Roles that no handler looks at are checked as well.

    Raises:
        TypeError: the renewal takes roles that not all logins have.
    """
    by_path = {
        declared.template.prefix: attribute
        for attribute, declared in cls.declarations.items()
        if isinstance(declared, Collection) and issubclass(declared.model, TokenParameters)
    }
    named = set(of_logins) - {""}
    if own and named - {own}:
        # A role of the same name in the other collection would be taken for the login's.
        raise TypeError(f"{cls.__name__}: the renewal takes roles that not all logins have")
    candidates = {own} if own else named or set(by_path.values())
    return RoleCollections(
        by_path=by_path,
        default=next(iter(candidates)) if len(candidates) == 1 else "",
        required=own,
        needed=bool(own) or (bool(of_logins) and "" not in of_logins),
    )
