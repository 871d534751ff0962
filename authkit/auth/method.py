"""The base class of auth methods."""

from __future__ import annotations

from typing import Any, ClassVar

from authkit.auth.arguments import HandlerPlan, verify_returns
from authkit.auth.login import Login
from authkit.auth.renewal import Renewal, RenewalHandler, RenewCall, renew_auth
from authkit.auth.resolution import RoleResolver
from authkit.errors import BadRequestError, FieldError, LoginError, UserError
from authkit.framework import Backend
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
    _renewal_roles: ClassVar[str] = ""
    _role_required: ClassVar[bool] = True
    """Whether every login has a role. Where only some have one, theirs is checked at renewal too."""
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
        # A handler that does not look at the role still has it checked: a role that is gone ends its tokens.
        named = set(roles) - {""}
        own = plan.roles if plan is not None else ""
        if own and named - {own}:
            # A role of the same name in the other collection would be taken for the login's.
            raise TypeError(f"{cls.__name__}: the renewal takes roles that not all logins have")
        cls._renewal_roles = own or (next(iter(named)) if len(named) == 1 else "")
        cls._role_required = bool(own) or "" not in roles
        if compare_policies is not None:
            cls._compare_policies = compare_policies
        if cls._compare_policies and not cls._renewal_roles:
            raise TypeError(f"{cls.__name__} has no roles whose policies could be compared")

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
            roles=self._renewal_roles,
            role_required=self._role_required,
            plan=self._renewal_plan,
            compare_policies=self._compare_policies,
        )
        return Response(auth=auth)
