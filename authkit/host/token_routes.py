"""`auth/token/`: tokens made, looked up, renewed and revoked by those who have some.

The rules are those of Vault 1.21 (vault/token_store.go). Token roles are not there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from authkit.auth.policies import sanitize_policies
from authkit.host.authorization import Caller
from authkit.host.builtin import (
    Answer,
    Call,
    Routes,
    duration_of,
    flag_of,
    integer_of,
    list_of,
    map_of,
    text_of,
)
from authkit.host.exchange import Failure, listed
from authkit.host.logins import show_auth
from authkit.host.policies import WRAPPING
from authkit.host.renewals import renew_token
from authkit.host.state import HostState
from authkit.host.times import show_time
from authkit.host.tokens import BATCH, SERVICE, Token
from authkit.host.ttl import Lifetimes, MountLimits, calculate_ttl
from authkit.logical import Auth, Lease, TokenType
from authkit.values import replace

__all__ = ["token_routes"]

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


def token_routes(state: HostState) -> Routes:
    """Return the table of `auth/token/`."""
    tokens = _Tokens(state)
    routes = Routes(root=("revoke-orphan", "accessors/"))
    routes.add("accessors/?", list=tokens.accessors)
    routes.add("create-orphan", _CREATE_FIELDS, update=tokens.create_orphan)
    routes.add("create", _CREATE_FIELDS, update=tokens.create)
    routes.add("create/(?P<role_name>.+)", _CREATE_FIELDS, update=tokens.create_with_role)
    routes.add("lookup(?:/.+)?", "token", read=tokens.lookup, update=tokens.lookup)
    routes.add("lookup-accessor(?:/.+)?", "accessor", update=tokens.lookup_accessor)
    routes.add("lookup-self", "token", read=tokens.lookup_self, update=tokens.lookup_self)
    routes.add("revoke-accessor(?:/.+)?", "accessor", update=tokens.revoke_accessor)
    routes.add("revoke-self", update=tokens.revoke_self)
    routes.add("revoke-orphan(?:/.+)?", "token", update=tokens.revoke_orphan)
    routes.add("revoke(?:/.+)?", "token", update=tokens.revoke)
    routes.add("renew-accessor(?:/.+)?", "accessor increment", update=tokens.renew_accessor)
    routes.add("renew-self", "token increment", update=tokens.renew_self)
    routes.add("renew(?:/.+)?", "token increment", update=tokens.renew)
    return routes


class _Tokens:
    def __init__(self, state: HostState) -> None:
        self._state = state
        self._store = state.tokens

    # --- finding -------------------------------------------------------------------------------

    async def accessors(self, call: Call) -> Answer:
        return Answer(data={"keys": self._store.accessors()})

    async def lookup(self, call: Call) -> Answer:
        text = text_of(call.data, "token") or call.request.token
        token = self._store.find(text)
        if token is None:
            raise Failure(403, "bad token")
        return Answer(data=self._show(token, text))

    async def lookup_self(self, call: Call) -> Answer:
        return Answer(data=self._show(call.known_caller.token, call.request.token))

    async def lookup_accessor(self, call: Call) -> Answer:
        return Answer(data=self._show(self._by_accessor(call), ""))

    def _by_accessor(self, call: Call) -> Token:
        accessor = text_of(call.data, "accessor")
        if not accessor:
            raise Failure(400, "missing accessor")
        token = self._store.find_accessor(accessor)
        if token is None:
            raise Failure(400, listed("invalid accessor"))
        return token

    def _show(self, token: Token, text: str) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "accessor": token.accessor,
            "creation_time": int(token.created.timestamp()),
            "creation_ttl": _seconds(token.ttl),
            "display_name": token.display_name,
            "entity_id": token.entity_id,
            "expire_time": None,
            "explicit_max_ttl": _seconds(token.explicit_max_ttl),
            "id": text,
            "issue_time": show_time(token.created),
            "meta": dict(token.meta) or None,
            "num_uses": token.num_uses,
            "orphan": not token.parent,
            "path": token.path,
            "policies": list(token.policies),
            "renewable": token.renewable,
            "ttl": 0,
            "type": token.type,
        }
        if token.expires is not None:
            left = token.expires - self._state.clock.now()
            shown |= {"expire_time": show_time(token.expires), "ttl": max(0, round(left.total_seconds()))}
        if token.renewed is not None:
            shown["last_renewal"] = show_time(token.renewed)
            shown["last_renewal_time"] = int(token.renewed.timestamp())
        if token.period:
            shown["period"] = _seconds(token.period)
        if token.bound_cidrs:
            shown["bound_cidrs"] = list(token.bound_cidrs)
        derived = self._state.identity.policies_of(token.entity_id)
        if derived:
            shown |= {"identity_policies": list(derived), "external_namespace_policies": {}}
        return shown

    # --- renewing and revoking -----------------------------------------------------------------

    async def renew(self, call: Call) -> Answer | None:
        text = text_of(call.data, "token")
        if not text:
            raise Failure(400, "missing token ID")
        token = self._store.find(text)
        if token is None:
            raise Failure(400, "token not found")
        return await self._renew(call, token, text)

    async def renew_self(self, call: Call) -> Answer | None:
        return await self._renew(call, call.known_caller.token, call.request.token)

    async def renew_accessor(self, call: Call) -> Answer | None:
        return await self._renew(call, self._by_accessor(call), "")

    async def _renew(self, call: Call, token: Token, text: str) -> Answer | None:
        increment = duration_of(call.data, "increment")
        return await renew_token(
            self._state, token, increment, text=text, remote_addr=call.request.remote_addr
        )

    async def revoke(self, call: Call) -> None:
        text = text_of(call.data, "token")
        if not text:
            raise Failure(400, "missing token ID")
        await self._revoke(self._store.find(text))

    async def revoke_self(self, call: Call) -> None:
        await self._revoke(call.known_caller.token)

    async def revoke_accessor(self, call: Call) -> Answer | None:
        accessor = text_of(call.data, "accessor")
        if not accessor:
            raise Failure(400, "missing accessor")
        token = self._store.find_accessor(accessor)
        if token is None:
            return Answer(warnings=("No token found with this accessor",))
        await self._revoke(token)
        return None

    async def revoke_orphan(self, call: Call) -> None:
        text = text_of(call.data, "token")
        if not text:
            raise Failure(400, "missing token ID")
        token = self._store.find(text)
        if token is None:
            raise Failure(400, "token to revoke not found")
        if token.type == BATCH:
            raise Failure(400, "batch tokens cannot be revoked")
        await self._store.revoke_orphaning(token.key)

    async def _revoke(self, token: Token | None) -> None:
        if token is None:
            return
        if token.type == BATCH:
            raise Failure(400, "batch tokens cannot be revoked")
        await self._store.revoke(token.key)

    # --- making --------------------------------------------------------------------------------

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
    asked, no_default = list_of(data, "policies"), flag_of(data, "no_default_policy")
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


def _seconds(duration: timedelta) -> int:
    return int(duration.total_seconds())
