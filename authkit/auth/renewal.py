"""Renewal: may a token live on, and as what?

A renewal handler decides; the framework changes the stored login accordingly and leaves alone what
nobody decided on. A fresh one would lose metadata, policies and alias: the host replaces what it has
by the answer. A host takes an empty answer for success that renewed nothing (Vault 1.21,
vault/expiration.go), so here "nothing" is not an answer.

Groups need a decision of their own. A host shows a renewal only those of the login's groups that were
mapped to an external group at that time. Keeping them keeps these memberships, and does not pick up
groups that an operator has mapped since; for that a handler returns all of today's groups. Returning
none ends the entity's memberships in external groups of this mount.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Concatenate, ParamSpec, TypeVar

from authkit.auth.arguments import HandlerPlan, verify_unchanged
from authkit.auth.grants import COLLECTION_KEY, POLICIES_KEY, ROLE_KEY, STATE_KEY, settings_at_renewal
from authkit.auth.policies import equivalent_policies, sanitize_policies
from authkit.auth.token_parameters import TokenParameters
from authkit.errors import InternalError, UserError
from authkit.framework import BoundCollection, Call, MountContext
from authkit.framework.routing.declarations import MethodDeclaration
from authkit.logical import Alias, Auth, Request
from authkit.values import Value, replace, verify_collections

__all__ = ["Lifetimes", "RenewCall", "Renewal", "RenewalHandler", "renew_auth", "renewal"]


class Lifetimes(Value, frozen=True, kw_only=True):
    """Lifetimes in place of those of the role. Zero means: as the mount has it."""

    ttl: timedelta = timedelta(0)
    max_ttl: timedelta = timedelta(0)
    period: timedelta = timedelta(0)


class Renewal(Value, frozen=True, kw_only=True):
    """A decision to renew. Made by `Renewal.keep` and `Renewal.update`; a refusal is raised."""

    groups: tuple[str, ...] | None = None
    """`None` keeps the groups that the host has mapped; an empty tuple ends all memberships."""
    state: Mapping[str, Any] | None = None
    """`None` keeps what the login left."""
    lifetimes: Lifetimes | None = None
    """`None` means: those of the login's own settings, else of the role as it is now."""

    def __post_init__(self) -> None:
        verify_collections(groups=self.groups, state=self.state)

    @classmethod
    def keep(cls) -> Renewal:
        """Renew the token as it is, with the lifetimes of its role as the role is now."""
        return cls()

    @classmethod
    def update(
        cls,
        *,
        groups: Sequence[str] | None = None,
        state: Mapping[str, Any] | None = None,
        lifetimes: Lifetimes | None = None,
    ) -> Renewal:
        """Renew the token and change what is given: the groups, the kept state, the lifetimes.

        Args:
            groups: all groups that somebody is in today, not only new ones.
            state: in place of what the login or the last renewal left; given back at the next one.
            lifetimes: for this renewal; the next one starts from the role again.

        Raises:
            TypeError: a text was given where a collection is meant, or a group is not a text.
            ValueError: a group has no name.
        """
        verify_collections(groups=groups, state=state)
        for group in groups or ():
            if not isinstance(group, str):
                raise TypeError(f"a group is a text (str), not of type {type(group).__name__}")
            if not group:
                raise ValueError("a group has no name")
        names = None if groups is None else tuple(dict.fromkeys(groups))
        return cls(groups=names, state=state, lifetimes=lifetimes)


P = ParamSpec("P")
R = TypeVar("R", bound=Renewal | Awaitable[Renewal])


class RenewCall(Call, frozen=True, kw_only=True):
    """One renewal on its way through the handler. The connection is that of the client who renews."""

    auth: Auth
    """The login as the host has kept it."""

    @property
    def role_name(self) -> str:
        """Return the role of the login, empty when it had none."""
        name = self.auth.internal_data.get(ROLE_KEY)
        return name if isinstance(name, str) else ""

    @property
    def state(self) -> Mapping[str, Any]:
        """Return what the login handler wanted back."""
        state = self.auth.internal_data.get(STATE_KEY)
        return state if isinstance(state, Mapping) else {}

    @property
    def name(self) -> str:
        """Return the alias name of the login, empty for an anonymous one."""
        return self.auth.alias.name if self.auth.alias is not None else ""

    @property
    def metadata(self) -> Mapping[str, str]:
        """Return the metadata of the token."""
        return self.auth.metadata

    @property
    def policies(self) -> tuple[str, ...]:
        """Return the policies of the token itself, without those of its entity and groups."""
        return self.auth.token_policies

    @property
    def groups(self) -> tuple[str, ...]:
        """Return those of the login's groups that the host had mapped."""
        return tuple(alias.name for alias in self.auth.group_aliases)

    @property
    def increment(self) -> timedelta:
        """Return the lifetime that the client asks for."""
        return self.auth.lease.increment

    @property
    def issued_at(self) -> datetime | None:
        """Return when the token was made."""
        return self.auth.lease.issue_time

    def verify_policies(self, policies: Iterable[str]) -> None:
        """Raise UserError if a login with these policies would give another token than the renewed one.

        Order, case, blanks and the policy `default` do not matter.
        """
        if not equivalent_policies(sanitize_policies(policies), self.policies):
            raise UserError("policies have changed, not renewing")


class RenewalHandler(MethodDeclaration[P, R]):
    """A method that decides on renewals. Made by `renewal`."""


def renewal(handler: Callable[Concatenate[Any, P], R]) -> RenewalHandler[P, R]:
    """Have a method decide on renewals. It returns a `Renewal`, or raises to refuse.

    Its parameters are, by their annotations: a `RenewCall`, a `Role`, the model of a singleton. The
    role is that of the login, as it is now; when it is gone the renewal is refused without asking. A role
    or model that changes while the method works ends the renewal.
    """
    return RenewalHandler(handler)


class RoleCollections(Value, frozen=True, kw_only=True):
    """The collections in which the roles of a method's tokens are looked up."""

    by_path: Mapping[str, str]
    """By the path of a collection of roles, the attribute of the backend that holds it."""
    default: str = ""
    """The attribute for tokens that do not say; empty where there is more than one."""
    required: str = ""
    """The attribute that holds the roles which the renewal handler takes, if it takes any."""
    needed: bool = True
    """Whether every login has a role. Where only some have one, theirs is checked all the same."""

    def find(self, internal_data: Mapping[str, Any]) -> str:
        """Return the attribute that holds the role of a token, empty when the token has none.

        Raises:
            UserError: it cannot be told where the role is, so it cannot be told whether it is still there.
        """
        path = internal_data.get(COLLECTION_KEY)
        if path is None and not (self.by_path and (self.needed or ROLE_KEY in internal_data)):
            return ""
        attribute = self.default if path is None else self.by_path.get(str(path), "")
        if not attribute or self.required not in ("", attribute):
            raise UserError("the token does not tell where its role is kept, not renewing; log in again")
        return attribute


async def renew_auth(
    backend: MountContext,
    request: Request,
    *,
    collections: RoleCollections,
    plan: HandlerPlan | None,
    compare_policies: bool,
) -> Auth:
    """Return the login as it goes on.

    Raises:
        LoginError: role or configuration have changed while the handler worked.
        UserError: it may not go on: the role is gone or cannot be looked up, its policies have changed and
            that matters, or the method has no renewal.
        InternalError: the handler returned something that is not a `Renewal`.
    """
    assert request.auth is not None
    call, changes = RenewCall(request=request, auth=request.auth), backend.objects.changes
    attribute = collections.find(request.auth.internal_data)
    role = await _load_role(getattr(backend, attribute), call.role_name) if attribute else None
    settings = settings_at_renewal(role, request.auth.internal_data)
    if compare_policies and settings is not None:
        call.verify_policies((*settings.token_policies, *_own_policies(request.auth)))
    if plan is not None:
        objects = await plan.load_objects(backend)
        decision = await plan.run(backend, call, role=role, objects=objects)
        if backend.objects.changes != changes:
            await verify_unchanged(backend, plan, objects, attribute, call.role_name, role)
    elif attribute:
        decision = Renewal.keep()
    else:
        raise UserError("this auth type doesn't support renew")
    if not isinstance(decision, Renewal):
        kind = type(decision).__name__
        raise InternalError(f"the renewal handler returned {kind}, not a Renewal")
    return _apply(request.auth, decision, settings)


def _own_policies(auth: Auth) -> tuple[str, ...]:
    """Return what the login added to the policies of its role."""
    kept = auth.internal_data.get(POLICIES_KEY, ())
    return tuple(name for name in kept if isinstance(name, str)) if isinstance(kept, list | tuple) else ()


async def _load_role(roles: BoundCollection[TokenParameters], name: str) -> TokenParameters:
    if not name:
        raise InternalError("failed to fetch role_name during renewal")
    role = await roles.find(name)
    if role is None:
        raise UserError(f"role {name} does not exist during renewal")
    return role


def _apply(auth: Auth, decision: Renewal, settings: TokenParameters | None) -> Auth:
    lifetimes = decision.lifetimes
    if lifetimes is None and settings is not None:
        lifetimes = Lifetimes(
            ttl=settings.token_ttl, max_ttl=settings.token_max_ttl, period=settings.token_period
        )
    if lifetimes is not None:
        lease = replace(auth.lease, ttl=lifetimes.ttl, max_ttl=lifetimes.max_ttl)
        auth = replace(auth, lease=lease, period=lifetimes.period)
    if decision.groups is not None:
        auth = replace(auth, group_aliases=tuple(Alias(name=name) for name in decision.groups))
    if decision.state is not None:
        auth = replace(auth, internal_data={**auth.internal_data, STATE_KEY: dict(decision.state)})
    return auth
