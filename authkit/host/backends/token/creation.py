"""`auth/token/create`: tokens that somebody with a token makes. The rules are those of Vault 1.21."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from authkit.auth.policies import sanitize_policies
from authkit.host.authorization import Caller
from authkit.host.backends.router import (
    Call,
    Routes,
    duration_of,
    flag_of,
    integer_of,
    map_of,
    text_of,
    texts_of,
)
from authkit.host.grants import show_auth
from authkit.host.messages import Answer, Failure
from authkit.host.state import HostState
from authkit.host.store.policies import WRAPPING
from authkit.host.store.tokens import BATCH, SERVICE, Token
from authkit.host.store.ttl import Lifetimes, MountLimits, calculate_ttl
from authkit.logical import Auth, Lease, TokenType
from authkit.values import replace

__all__ = ["add_creation_routes"]

_ZERO = timedelta(0)
_UNASSIGNABLE = (WRAPPING, "control-group")
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9-]")
_CREATE_FIELDS = (
    "id policies ttl lease explicit_max_ttl display_name num_uses period meta renewable "
    "no_default_policy no_parent type entity_alias role_name format"
)
_CUSTOM_ID = (
    "Supplying a custom ID for the token uses the weaker SHA1 hashing instead of the more secure SHA2-256 "
    "HMAC for token obfuscation. SHA1 hashed tokens on the wire leads to less secure lookups."
)


def add_creation_routes(routes: Routes, state: HostState) -> None:
    """Serve the creation of tokens."""
    creation = _Creation(state)
    routes.add("create-orphan", _CREATE_FIELDS, update=creation.create_orphan)
    routes.add("create", _CREATE_FIELDS, update=creation.create)
    routes.add("create/(?P<role_name>.+)", _CREATE_FIELDS, update=creation.create_with_role)


class _Creation:
    def __init__(self, state: HostState) -> None:
        self._state = state
        self._store = state.tokens

    async def create(self, call: Call) -> Answer:
        return await self._create(call, is_orphan=False)

    async def create_orphan(self, call: Call) -> Answer:
        return await self._create(call, is_orphan=True)

    async def create_with_role(self, call: Call) -> Answer:
        raise Failure(400, f"unknown role {call.data['role_name']}")

    async def _create(self, call: Call, *, is_orphan: bool) -> Answer:
        caller, data = call.known_caller, call.data
        parent, sudo = caller.token, _has_sudo(caller, call.path)
        if parent.type == BATCH:
            raise Failure(400, "batch tokens cannot create more tokens")
        if parent.num_uses > 0:
            raise Failure(400, "restricted use token cannot generate child tokens")
        kind = _kind(data)
        num_uses = integer_of(data, "num_uses")
        if num_uses < 0:
            raise Failure(400, "number of uses cannot be negative")
        if text_of(data, "entity_alias"):
            raise Failure(400, "'entity_alias' is only allowed in combination with token role")
        if text_of(data, "id") and not sudo:
            raise Failure(400, "root or sudo privileges required to specify token id")
        policies = _policies(data, parent, kind, sudo=sudo)
        if flag_of(data, "no_parent"):
            if not sudo:
                raise Failure(400, "root or sudo privileges required to create orphan token")
            is_orphan = True
        token = Token(
            key="",
            path=f"auth/token/{call.path}",
            policies=policies,
            parent="" if is_orphan else parent.key,
            display_name=_display_name(text_of(data, "display_name")),
            meta=map_of(data, "meta"),
            num_uses=num_uses,
            created=self._state.clock.now(),
            entity_id="" if is_orphan else parent.entity_id,
            bound_cidrs=() if is_orphan else parent.bound_cidrs,
            type=kind,
        )
        return await self._issue(call, token, sudo=sudo)

    async def _issue(self, call: Call, token: Token, *, sudo: bool) -> Answer:
        data, parent = call.data, call.known_caller.token
        limits = self._state.mounts.token_mount.limits
        token, warnings = _with_lifetimes(token, data, limits, sudo=sudo)
        renewable = flag_of(data, "renewable", True) and token.type == SERVICE
        if not token.ttl:
            if parent.ttl:
                raise Failure(400, "expiring root tokens cannot create non-expiring root tokens")
            renewable, token = False, replace(token, bound_cidrs=())
        auth = Auth(
            lease=Lease(ttl=token.ttl, renewable=renewable),
            policies=token.policies,
            token_policies=token.policies,
            metadata=token.meta,
            display_name=token.display_name,
            entity_id=token.entity_id,
            period=token.period,
            explicit_max_ttl=token.explicit_max_ttl,
            num_uses=token.num_uses,
            token_type=TokenType.BATCH if token.type == BATCH else TokenType.SERVICE,
        )
        custom = text_of(data, "id")
        if custom:
            warnings += (_CUSTOM_ID,)
            if self._store.find(custom) is not None:
                raise Failure(400, "cannot create a token with a duplicate ID")
        if token.type == BATCH:
            text = self._store.seal(token)
        else:
            text, token = await self._store.add(replace(token, auth=auth), custom)
            auth = replace(auth, accessor=token.accessor)
        shown = show_auth(
            auth,
            policies=token.policies,
            derived=self._state.identity.policies_of(token.entity_id),
            text=text,
            orphan=not token.parent,
        )
        missing = [name for name in token.policies if self._state.policies.find(name) is None]
        return Answer(
            auth=shown, warnings=warnings + tuple(f'Policy "{each}" does not exist' for each in missing)
        )


def _has_sudo(caller: Caller, path: str) -> bool:
    granted = caller.acl.capabilities(f"auth/token/{path}")
    return "root" in granted or "sudo" in granted


def _kind(data: Mapping[str, Any]) -> str:
    kind = text_of(data, "type")
    if kind in ("", SERVICE):
        return SERVICE
    if kind != BATCH:
        raise Failure(400, "invalid 'token_type' value")
    for name in ("explicit_max_ttl", "num_uses", "period"):
        is_set = integer_of(data, name) if name == "num_uses" else duration_of(data, name, is_text=True)
        if is_set:
            raise Failure(400, f'batch tokens cannot have "{name}" set')
    return BATCH


def _policies(data: Mapping[str, Any], parent: Token, kind: str, *, sudo: bool) -> tuple[str, ...]:
    asked, no_default = texts_of(data, "policies"), flag_of(data, "no_default_policy")
    add_default = False
    if not asked:
        asked = parent.policies
    elif sudo:
        add_default = not no_default
    else:
        if not set(sanitize_policies(asked)) <= set(sanitize_policies(parent.policies)):
            raise Failure(400, "child policies must be subset of parent")
        add_default = not no_default and "default" in parent.policies
    policies = sanitize_policies(asked, add_default=add_default)
    if no_default:
        policies = tuple(each for each in policies if each != "default")
    for policy in policies:
        if policy in _UNASSIGNABLE:
            raise Failure(400, f'cannot assign policy "{policy}"')
    if "root" in policies:
        if "root" not in parent.policies:
            raise Failure(400, "root tokens may not be created without parent token being root")
        if kind == BATCH:
            raise Failure(400, "batch tokens cannot be root tokens")
    return policies


def _with_lifetimes(
    token: Token, data: Mapping[str, Any], limits: MountLimits, *, sudo: bool
) -> tuple[Token, tuple[str, ...]]:
    longest, period = _positive(data, "explicit_max_ttl"), _positive(data, "period")
    if period and not sudo:
        raise Failure(400, "root or sudo privileges required to create periodic token")
    ttl = _positive(data, "ttl") or (_positive(data, "lease") if not text_of(data, "ttl") else _ZERO)
    warnings: tuple[str, ...] = ()
    if period or ttl or "root" not in token.policies:
        asked = Lifetimes(ttl=ttl, period=period, explicit_max_ttl=longest)
        ttl, warnings = calculate_ttl(limits, asked, now=token.created)
    ttl = ttl or longest
    return (
        replace(
            token,
            ttl=ttl,
            explicit_max_ttl=longest,
            period=period,
            expires=token.created + ttl if ttl else None,
        ),
        warnings,
    )


def _positive(data: Mapping[str, Any], name: str) -> timedelta:
    duration = duration_of(data, name, is_text=True)
    if duration < _ZERO:
        raise Failure(400, f"{name} must be positive")
    return duration


def _display_name(asked: str) -> str:
    return _NOT_IN_NAMES.sub("-", f"token-{asked}").removesuffix("-") if asked else "token"
