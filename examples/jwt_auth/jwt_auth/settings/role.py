"""Roles: who may log in, and as what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from authkit import (
    KV,
    Bool,
    CommaList,
    LegacyTokenNames,
    Map,
    SDKRecord,
    Seconds,
    SignedSeconds,
    Str,
    TextType,
    UserError,
    field,
)
from authkit.oidc import DEFAULT_ISSUER, Leeways
from jwt_auth.settings.bounds import (
    ROLE_BOUNDS,
    RoleBound,
    TokenBounds,
    verify_bounds,
    verify_claims,
    verify_leeways,
)
from jwt_auth.settings.user_claim import begins_with_issuer, verify_user_claim

__all__ = ["JWTRole"]


class _RoleType(TextType):
    """`jwt` or `oidc`; nothing is `oidc`, which came first."""

    @property
    def zero(self) -> str:
        """A role for the browser."""
        return "oidc"

    def parse(self, name: str, raw: Any) -> str:
        """Return the type."""
        return super().parse(name, raw) or self.zero


class JWTRole(SDKRecord, LegacyTokenNames):
    """Register a role: bounds on the tokens that may log in, and the claims that say who it is.

    A role of the type 'jwt' needs at least one bound: audiences, addresses, a subject or claims. A role of
    the type 'oidc' is for browsers and needs 'allowed_redirect_uris'.
    """

    role_type: Annotated[str, _RoleType()] = field(
        default="oidc", reset=True, help="Type of the role, either 'jwt' or 'oidc'."
    )
    user_claim: Str = field(
        default="",
        help="The claim that names the user, by a string that never changes; or several of them as a "
        "template, such as '{repository}:{ref}'.",
    )
    user_claim_json_pointer: Bool = field(
        default=False, help="If true, 'user_claim' may be a JSON pointer into the claims."
    )
    bound_issuers: CommaList = field(
        default=(),
        help="Names of the issuers whose tokens may log in; 'default' is the one in 'config', and the only "
        "one if this is not set.",
    )
    shares_users_across_issuers: Bool = field(
        default=False,
        help="On a mount with several issuers, let the names of this role's users lack their issuer. Whoever "
        "another issuer gives the same name is then the same user, with all of that user's policies. Set it "
        "only where you trust every issuer of the mount to name nobody else's users.",
    )
    shares_groups_across_issuers: Bool = field(
        default=False,
        help="On a mount with several issuers, allow 'groups_claim'. Whoever another issuer puts into a "
        "group of the same name is then in the same group. Set it only where you trust every issuer whose "
        "roles set it.",
    )
    bound_audiences: CommaList | None = field(
        default=None, help="Values of the 'aud' claim of which a token must have one."
    )
    bound_subject: Str = field(default="", help="The 'sub' claim that is required for login.")
    bound_token_type: Literal["any", "id_token", "at+jwt", "jwt-svid"] = field(
        default="any",
        help="The kind of token that may log in, by its 'typ' header and the claims it must have: an ID "
        "token of OpenID Connect, an access token (RFC 9068), a SPIFFE identity, or any.",
    )
    bound_claims: Map | None = field(
        default=None, help="Claims and the values, or lists of values, of which they must have one."
    )
    bound_claims_type: Str = field(
        default="string",
        reset=True,
        help="How the values in 'bound_claims' are read: 'string', or 'glob' with '*' as a wildcard.",
    )
    claim_mappings: KV | None = field(
        default=None, help="Claims and the metadata keys under which they are kept."
    )
    groups_claim: Str = field(default="", help="The claim that lists the user's groups.")
    oidc_scopes: CommaList | None = field(default=None, help="Scopes of browser logins besides 'openid'.")
    allowed_redirect_uris: CommaList | None = field(
        default=None, help="Where browser logins may lead back to. Required for the type 'oidc'."
    )
    expiration_leeway: SignedSeconds = field(
        default=0,
        help="Lifetime of tokens without 'exp', from their 'iat' or 'nbf'. Zero means 150 seconds, a "
        "negative value none. Tokens with 'exp' are not affected.",
    )
    not_before_leeway: SignedSeconds = field(
        default=0,
        help="How long before 'exp' tokens with neither 'nbf' nor 'iat' become valid. Zero means 150 "
        "seconds, a negative value none.",
    )
    clock_skew_leeway: SignedSeconds = field(
        default=0,
        help="How far clocks may differ. Zero means 60 seconds, a negative value none.",
    )
    max_age: Seconds = field(
        default=0,
        help="How long ago somebody may have logged in at the provider, by the 'auth_time' of the token.",
    )
    callback_mode: Literal["client", "direct", "device"] = field(
        default="client",
        help="Who a browser login comes back to: the client; the server ('direct'), which the client asks; "
        "or nobody ('device'): the provider is asked.",
    )
    poll_interval: Seconds = field(
        default=0, help="How often a client asks about its login, in the modes 'direct' and 'device'."
    )
    oidc_disable_confirmation: Bool = field(
        default=False,
        help="Let direct logins go on without asking in the browser. Somebody can then be made to log in "
        "somebody else.",
    )
    renew_at_provider: Bool = field(
        default=False,
        help="Renew tokens of browser logins only as long as the provider renews theirs, with groups and "
        "claims as they are then. Most providers want the scope 'offline_access' for it.",
    )
    verbose_oidc_logging: Bool = field(
        default=False, help="Log the claims of logins at debug level. Not for production: they are personal."
    )

    @cached_property
    def issuers(self) -> Sequence[str]:
        """The names of the issuers whose tokens may log in, never empty."""
        return tuple(map(str.lower, self.bound_issuers)) or (DEFAULT_ISSUER,)

    @property
    def keeps_users_apart(self) -> bool:
        """Whether no user can be one of another issuer's; or the operator wants that, for one issuer."""
        if begins_with_issuer(self.user_claim, self.user_claim_json_pointer):
            return True
        return self.shares_users_across_issuers and len({*self.issuers}) == 1

    @property
    def keeps_groups_apart(self) -> bool:
        """Whether it names no groups; or the operator wants them shared, for one issuer."""
        return not self.groups_claim or (self.shares_groups_across_issuers and len({*self.issuers}) == 1)

    @cached_property
    def leeways(self) -> Leeways:
        """How generously the times of a token are read."""
        return Leeways(
            expiration=self.expiration_leeway,
            not_before=self.not_before_leeway,
            clock_skew=self.clock_skew_leeway,
        )

    @property
    def bounds(self) -> Sequence[RoleBound]:
        """The bounds that are set."""
        return [bound for bound in ROLE_BOUNDS if self._has_set(bound.field)]

    @cached_property
    def token_bounds(self) -> TokenBounds:
        """The values of the bounds that only a token shows."""
        return TokenBounds(
            audiences=self.bound_audiences or (), profile=self.bound_token_type, leeways=self.leeways
        )

    @classmethod
    def from_stored(cls, data: Mapping[str, Any]) -> Self:
        """Return a stored role. One that the official plugin stored before it knew of types is for JWTs."""
        kinds = {
            "role_type": data.get("role_type") or "jwt",
            "bound_claims_type": data.get("bound_claims_type") or "string",
            "callback_mode": data.get("callback_mode") or "client",
        }
        return super().from_stored({**data, **kinds})

    def verify(self) -> None:
        """Run every check, that of the type before those of the token parameters."""
        if self.role_type not in ("jwt", "oidc"):
            raise UserError(f"invalid 'role_type': {self.role_type}")
        super().verify()

    def check(self) -> None:
        """Refuse a role that contradicts itself or would let everybody in."""
        if self.bound_claims_type not in ("string", "glob"):
            raise UserError(f"invalid 'bound_claims_type': {self.bound_claims_type}")
        if self.bound_claims_type == "glob":
            for value in (self.bound_claims or {}).values():
                _verify_glob(value)
        _verify_mapping_targets(list((self.claim_mappings or {}).values()))
        verify_user_claim(self.user_claim)
        if self.role_type == "oidc" and not self.allowed_redirect_uris:
            raise UserError("'allowed_redirect_uris' must be set if 'role_type' is 'oidc' or unspecified.")
        verify_bounds(self.bound_audiences or (), bound_subject=self.bound_subject)
        verify_claims(self.bound_claims or {})
        verify_leeways(self.leeways)
        if self.role_type == "jwt" and not any(bound.is_constraint for bound in self.bounds):
            raise UserError("must have at least one bound constraint when creating/updating a role")

    def _has_set(self, name: str) -> bool:
        # A block of all addresses leaves nobody out.
        if name == "token_bound_cidrs" and not all(
            block.network.prefixlen for block in self.token_bound_cidrs
        ):
            return False
        value, default = getattr(self, name), self.schema[name].default
        return bool(value != default if default else value)


def _verify_glob(value: object) -> None:
    if isinstance(value, bool):
        raise UserError(f"claim is not a string: {_show(value)}")
    if not isinstance(value, str | tuple):
        raise UserError(f"claim is not a string or list: {_show(value)}")
    for item in value if isinstance(value, tuple) else ():
        if not isinstance(item, str):
            raise UserError(f"claim is not a string: {_show(item)}")


def _verify_mapping_targets(keys: Sequence[str]) -> None:
    if "role" in keys:
        raise UserError('metadata key "role" is reserved and may not be a mapping destination')
    for key in keys:
        if keys.count(key) > 1:
            raise UserError(f'multiple keys are mapped to metadata key "{key}"')


def _show(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    return "null" if value is None else "an object"
