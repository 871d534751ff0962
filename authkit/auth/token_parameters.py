"""Token parameters: what an operator decides about the tokens of a role, or a login in its place.

Fields, checks and texts are those of all auth methods (Vault SDK 0.21, helper/tokenutil/tokenutil.go);
`alias_metadata` came with SDK 0.25, `token_strictly_bind_ip` is OpenBao's. The arithmetic of lifetimes
is the host's. The names of older plugins: `authkit.auth.legacy_names`; what a login makes of them:
`authkit.auth.grants`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Any, Final

from authkit.auth.alias_metadata import find_metadata_fault
from authkit.auth.policies import find_refused_policy, verify_policies
from authkit.errors import UserError
from authkit.framework import (
    KV,
    Bool,
    Cidrs,
    CommaList,
    FieldType,
    Int,
    Model,
    Seconds,
    field,
    format_block,
)
from authkit.logical import Auth, LeaseOptions, TokenType
from authkit.values import Value, verify_collections

__all__ = ["KEPT_SETTINGS", "Role", "TokenParameters", "TokenSettings"]

KEPT_SETTINGS: Final = ("token_ttl", "token_max_ttl", "token_period", "token_policies")
"""The settings that a renewal looks at; all others are fixed when the token is made."""

_NAMES: Final = {
    TokenType.DEFAULT: "default",
    TokenType.SERVICE: "service",
    TokenType.BATCH: "batch",
    TokenType.DEFAULT_SERVICE: "default-service",
    TokenType.DEFAULT_BATCH: "default-batch",
}
_TYPES: Final = {"": TokenType.DEFAULT} | {name: kind for kind, name in _NAMES.items()}


class TokenTypeType(FieldType[TokenType]):
    """A token type by name. The SDK shows `default-service` as the default and refuses it; here it is one."""

    @property
    def zero(self) -> TokenType:
        """As the mount has it."""
        return TokenType.DEFAULT

    def parse(self, name: str, raw: Any) -> TokenType:
        """Return the type.

        Raises:
            UserError: the type does not exist.
        """
        if isinstance(raw, TokenType):
            return raw
        if not isinstance(raw, str) or raw not in _TYPES:
            raise UserError(f"invalid '{name}' value \"{raw}\"")
        return _TYPES[raw]

    def dump(self, value: TokenType) -> str:
        """Return the name."""
        return _NAMES[value]


class TokenParameters(Model):
    """What an operator decides about tokens."""

    token_bound_cidrs: Cidrs = field(
        default=(),
        help="Comma separated string or list of CIDR blocks. If set, specifies the blocks of IP addresses "
        "from which one may log in, and from which the token may be used.",
    )
    token_explicit_max_ttl: Seconds = field(
        default=0,
        help="If set, tokens have an explicit maximum lifetime, fixed when the token is created: changes of "
        "the role or of the mount do not apply to it.",
    )
    token_max_ttl: Seconds = field(default=0, help="The maximum lifetime of the token.")
    token_no_default_policy: Bool = field(
        default=False, help="If true, the 'default' policy is not added to the token."
    )
    token_period: Seconds = field(
        default=0,
        help="If set, tokens can be renewed for ever; each renewal lasts this long.",
    )
    token_policies: CommaList = field(default=(), help="Comma-separated list of policies.")
    token_type: Annotated[TokenType, TokenTypeType()] = field(
        default=TokenType.DEFAULT, help="The type of token to make: default, service or batch."
    )
    token_ttl: Seconds = field(default=0, help="The initial lifetime of the token.")
    token_num_uses: Int = field(
        default=0, help="The maximum number of times a token may be used; zero means unlimited."
    )
    token_strictly_bind_ip: Bool = field(
        default=False,
        help="If true, the token may be used from the address of its login only. Cannot be combined with "
        "'token_bound_cidrs'.",
    )
    alias_metadata: KV = field(
        default={}, help="Custom metadata for the alias of the entity, taken over when the alias is made."
    )

    @cached_property
    def token_grant(self) -> Auth:
        """What they decide of a grant, whoever logs in.

        Raises:
            LoginError: one of the policies is one that no login may have.
        """
        verify_policies(self.token_policies)
        return Auth(
            lease=LeaseOptions(ttl=self.token_ttl, max_ttl=self.token_max_ttl, renewable=True),
            policies=tuple(dict.fromkeys(self.token_policies)),
            period=self.token_period,
            explicit_max_ttl=self.token_explicit_max_ttl,
            num_uses=self.token_num_uses,
            bound_cidrs=tuple(map(format_block, self.token_bound_cidrs)),
            token_type=self.token_type,
            no_default_policy=self.token_no_default_policy,
        )

    def check(self) -> None:
        """Refuse what contradicts itself, in the words of other auth methods."""
        if self.token_num_uses < 0:
            raise UserError("'token_num_uses' cannot be negative")
        if self.token_type in (TokenType.BATCH, TokenType.DEFAULT_BATCH):
            text = "'token_type' cannot be 'batch' or 'default_batch' when set to generate "
            if self.token_period:
                raise UserError(text + "periodic tokens")
            if self.token_num_uses:
                raise UserError(text + "tokens with limited use count")
        if self.token_max_ttl and self.token_ttl > self.token_max_ttl:
            raise UserError("'token_ttl' cannot be greater than 'token_max_ttl'")
        if self.token_strictly_bind_ip and self.token_bound_cidrs:
            raise UserError("'token_strictly_bind_ip' conflicts with 'token_bound_cidrs'; set only one")
        # A host accepts these on a role and then lets every login fail.
        refusal = find_refused_policy(self.token_policies) or find_metadata_fault(self.alias_metadata)
        if refusal is not None:
            raise UserError(refusal)


class Role(TokenParameters):
    """A named set of login rules and token parameters: derive the roles of a method from it."""


class TokenSettings(Value, frozen=True, kw_only=True):
    """What one login decides in place of its role. `None` leaves a setting as the role has it.

    A setting that is given replaces the role's, in both directions: it can allow more. The result is
    checked like a role, so that a batch token with a period is refused here as well. Lifetimes and
    policies are kept with the token, and at renewal replace those of the role once more.
    """

    ttl: timedelta | None = None
    max_ttl: timedelta | None = None
    explicit_max_ttl: timedelta | None = None
    period: timedelta | None = None
    policies: Sequence[str] | None = None
    """In place of the role's; `Identity.policies` are added to either."""
    no_default_policy: bool | None = None
    bound_cidrs: Sequence[str] | None = None
    """The address of the login has to be inside these too."""
    num_uses: int | None = None
    type: TokenType | None = None
    strictly_bind_ip: bool | None = None

    def __post_init__(self) -> None:
        verify_collections(policies=self.policies, bound_cidrs=self.bound_cidrs)

    def apply(self, role: TokenParameters | None) -> TokenParameters:
        """Return the parameters of a token that this login of this role gets.

        Raises:
            UserError: together they contradict each other.
            InternalError: one of them does not fit its field.
        """
        values = {f"token_{name}": getattr(self, name) for name in self.__struct_fields__}
        given = {name: value for name, value in values.items() if value is not None}
        settings = (role or TokenParameters()).replaced(**given)
        TokenParameters.check(settings)
        return settings

    def kept(self, settings: TokenParameters) -> dict[str, Any]:
        """Return what renewal needs to know of this decision, as JSON."""
        given = [name for name in KEPT_SETTINGS if getattr(self, name.removeprefix("token_")) is not None]
        shown = settings.read_shape()
        return {name: shown[name] for name in given}
