"""Creation of tokens by callers with a token. The rules are those of Vault 1.21 (vault/token_store.go)."""

from __future__ import annotations

import re
from datetime import timedelta

from authkit.auth.policies import sanitize_policies
from authkit.errors import UserError
from authkit.framework import KV, Bool, Int, Model, Str, StrList, field, write
from authkit.framework.ttl import Lifetimes, MountLimits, calculate_ttl
from authkit.host.backends.base import HostBackend, OwnCall
from authkit.host.store.policies import WRAPPING
from authkit.host.store.times import read_duration
from authkit.host.store.tokens import BATCH, SERVICE, Token
from authkit.logical import Auth, LeaseOptions, Response, TokenType
from authkit.values import replace

__all__ = ["TokenCreation"]

_ZERO = timedelta(0)
_UNASSIGNABLE = (WRAPPING, "control-group")
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9-]")
_CUSTOM_ID = (
    "Supplying a custom ID for the token uses the weaker SHA1 hashing instead of the more secure SHA2-256 "
    "HMAC for token obfuscation. SHA1 hashed tokens on the wire leads to less secure lookups."
)


class NewToken(Model):
    """What is asked for. Durations are texts to Vault's schema as well."""

    id: Str = field(default="", help="The token itself, random by default; needs sudo.")
    policies: StrList = field(default=(), help="By default the caller's.")
    ttl: Str = field(default="", help="How long it lives.")
    lease: Str = field(default="", help="As `ttl`.", deprecated=True)
    explicit_max_ttl: Str = field(default="", help="How long it lives, renewals and all.")
    period: Str = field(default="", help="Renewable for ever, this long each time; needs sudo.")
    display_name: Str = field(default="", help="For audit logs.")
    num_uses: Int = field(default=0, help="How often it can be used; 0 means without limit.")
    meta: KV = field(default={}, help="For audit logs.")
    renewable: Bool = field(default=True, help="Whether it can be renewed.")
    no_default_policy: Bool = field(default=False, help="Leave out the policy `default`.")
    no_parent: Bool = field(default=False, help="Let it outlive the caller's; needs sudo.")
    type: Str = field(default="", help="`service` or `batch`.")
    entity_alias: Str = field(default="", help="With a role alone.")
    role_name: Str = field(default="", help="The role to create it with.")
    format: Str = field(default="", help="Unused.")


class TokenCreation(HostBackend):
    """The paths that make tokens."""

    @write("create-orphan", fields=NewToken)
    async def create_orphan(self, call: OwnCall) -> Response:
        """Make a token without a parent."""
        return await self._create(call, is_orphan=True)

    @write("create", fields=NewToken)
    async def create(self, call: OwnCall) -> Response:
        """Make a token that ends with the caller's."""
        return await self._create(call, is_orphan=False)

    @write("create/{role_name:path}", fields=NewToken)
    async def create_with_role(self, role_name: Str) -> None:
        """Refuse: this host has no roles."""
        raise UserError(f"unknown role {role_name}")

    async def _create(self, call: OwnCall, *, is_orphan: bool) -> Response:
        asked, parent, path = (
            NewToken(**call.data.values),
            call.caller.token,
            f"auth/token/{call.request.path}",
        )
        sudo = not {"root", "sudo"}.isdisjoint(call.caller.acl.capabilities(path))
        if parent.is_used_up:  # this is its last use
            raise UserError("parent token lookup failed: no parent found")
        if parent.type == BATCH:
            raise UserError("batch tokens cannot create more tokens")
        if parent.num_uses > 0:
            raise UserError("restricted use token cannot generate child tokens")
        kind = _kind(asked)
        if asked.num_uses < 0:
            raise UserError("number of uses cannot be negative")
        if asked.entity_alias:
            raise UserError("'entity_alias' is only allowed in combination with token role")
        if asked.id and not sudo:
            raise UserError("root or sudo privileges required to specify token id")
        _verify_custom_id(asked.id)
        policies = _policies(asked, parent, kind, sudo=sudo)
        if asked.no_parent and not sudo:
            raise UserError("root or sudo privileges required to create orphan token")
        is_orphan = is_orphan or asked.no_parent
        token = Token(
            key="",
            path=path,
            policies=policies,
            parent="" if is_orphan else parent.key,
            parent_accessor="" if is_orphan else parent.accessor,
            display_name=_display_name(asked.display_name),
            meta=dict(asked.meta),
            num_uses=asked.num_uses,
            created=self.state.clock.now(),
            entity_id="" if is_orphan else parent.entity_id,
            bound_cidrs=() if is_orphan else parent.bound_cidrs,
            type=kind,
        )
        token, warnings = _with_lifetimes(token, asked, self.state.mounts.token_mount.limits, sudo=sudo)
        if not token.ttl and parent.ttl:
            raise UserError("expiring root tokens cannot create non-expiring root tokens")
        auth = await self._issue(token, asked)
        if asked.id:
            warnings += (_CUSTOM_ID,)
        missing = [name for name in policies if self.state.policies.find(name) is None]
        warnings += tuple(f'Policy "{each}" does not exist' for each in missing)
        return Response(auth=auth, warnings=warnings)

    async def _issue(self, token: Token, asked: NewToken) -> Auth:
        """Keep or seal a token; return it as a grant."""
        auth = Auth(
            lease=LeaseOptions(
                ttl=token.ttl, renewable=bool(asked.renewable and token.ttl) and token.type == SERVICE
            ),
            policies=token.policies,
            token_policies=token.policies,
            metadata=token.meta,
            display_name=token.display_name,
            entity_id=token.entity_id,
            period=token.period,
            explicit_max_ttl=token.explicit_max_ttl,
            num_uses=token.num_uses,
            token_type=TokenType.BATCH if token.type == BATCH else TokenType.SERVICE,
            orphan=not token.parent,
        )
        if asked.id and self.state.tokens.find(asked.id, with_used_up=True) is not None:
            raise UserError("cannot create a token with a duplicate ID")
        if not token.ttl:
            token = replace(token, bound_cidrs=())
        if token.type == BATCH:
            text = self.state.tokens.seal(token)
        else:
            text, token = await self.state.tokens.add(replace(token, auth=auth), asked.id)
        identity_policies = self.state.identity.policies_of(token.entity_id)
        return replace(auth, client_token=text, accessor=token.accessor, identity_policies=identity_policies)


def _verify_custom_id(text: str) -> None:
    """Refuse an id that a token of another kind could have, in Vault's words (observed on Vault 1.21.1)."""
    for prefix in ("hvs.", "s."):
        if text.startswith(prefix):
            raise UserError(f"custom token ID cannot have the '{prefix}' prefix")
    if "." in text:
        raise UserError("custom token ID cannot have a '.' in the value")


def _kind(asked: NewToken) -> str:
    if asked.type in ("", SERVICE):
        return SERVICE
    if asked.type != BATCH:
        raise UserError("invalid 'token_type' value")
    for name in ("explicit_max_ttl", "num_uses", "period"):
        if asked.num_uses if name == "num_uses" else _duration(asked, name):
            raise UserError(f'batch tokens cannot have "{name}" set')
    return BATCH


def _policies(asked: NewToken, parent: Token, kind: str, *, sudo: bool) -> tuple[str, ...]:
    add_default = False
    if asked.policies:
        if not sudo and not set(sanitize_policies(asked.policies)) <= set(sanitize_policies(parent.policies)):
            raise UserError("child policies must be subset of parent")
        add_default = not asked.no_default_policy and (sudo or "default" in parent.policies)
    policies = sanitize_policies(asked.policies or parent.policies, add_default=add_default)
    if asked.no_default_policy:
        policies = tuple(each for each in policies if each != "default")
    for policy in policies:
        if policy in _UNASSIGNABLE:
            raise UserError(f'cannot assign policy "{policy}"')
    if "root" in policies:
        if "root" not in parent.policies:
            raise UserError("root tokens may not be created without parent token being root")
        if kind == BATCH:
            raise UserError("batch tokens cannot be root tokens")
    return policies


def _with_lifetimes(
    token: Token, asked: NewToken, limits: MountLimits, *, sudo: bool
) -> tuple[Token, tuple[str, ...]]:
    longest, period = _positive(asked, "explicit_max_ttl"), _positive(asked, "period")
    if period and not sudo:
        raise UserError("root or sudo privileges required to create periodic token")
    ttl = _positive(asked, "ttl" if asked.ttl else "lease")
    warnings: tuple[str, ...] = ()
    if period or ttl or "root" not in token.policies:
        lifetimes = Lifetimes(ttl=ttl, period=period, explicit_max_ttl=longest)
        ttl, warnings = calculate_ttl(limits, lifetimes, now=token.created)
    ttl = ttl or longest
    expires = token.created + ttl if ttl else None
    return replace(token, ttl=ttl, explicit_max_ttl=longest, period=period, expires=expires), warnings


def _duration(asked: NewToken, name: str) -> timedelta:
    try:
        return read_duration(getattr(asked, name))
    except ValueError as error:
        raise UserError(str(error)) from error


def _positive(asked: NewToken, name: str) -> timedelta:
    duration = _duration(asked, name)
    if duration < _ZERO:
        raise UserError(f"{name} must be positive")
    return duration


def _display_name(asked: str) -> str:
    return _NOT_IN_NAMES.sub("-", f"token-{asked}").removesuffix("-") if asked else "token"
