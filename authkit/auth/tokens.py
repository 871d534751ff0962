"""Token parameters: what an operator decides about the tokens of a role, and how a login uses it.

Fields, checks and texts are those of all auth methods (Vault SDK 0.21, helper/tokenutil/tokenutil.go).
The arithmetic of lifetimes is the host's.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from authkit.auth.identity import Identity, verify_policies
from authkit.errors import UserError
from authkit.framework import Bool, Cidrs, CommaList, FieldType, Int, Model, Seconds, field, format_block
from authkit.logical import Alias, Auth, Lease, TokenType

__all__ = ["Role", "TokenParameters", "make_auth"]

ROLE_KEY: Final = "role"
"""The role's name in a token's internal data; vault-plugin-auth-jwt 0.26 uses the same."""

STATE_KEY: Final = "state"
"""What a login handler wants back at renewal."""

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
            UserError: there is no such type.
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

    def check(self) -> None:
        """Refuse what contradicts itself, in the words of other auth methods."""
        if self.token_num_uses < 0:
            raise UserError("'token_num_uses' cannot be negative")
        if self.token_type in (TokenType.BATCH, TokenType.DEFAULT_BATCH):
            refusal = "'token_type' cannot be 'batch' or 'default_batch' when set to generate "
            if self.token_period:
                raise UserError(refusal + "periodic tokens")
            if self.token_num_uses:
                raise UserError(refusal + "tokens with limited use count")
        if self.token_max_ttl and self.token_ttl > self.token_max_ttl:
            raise UserError("'token_ttl' cannot be greater than 'token_max_ttl'")


class Role(TokenParameters):
    """A named set of login rules and token parameters: derive the roles of a method from it."""


def make_auth(identity: Identity, role: TokenParameters | None, role_name: str = "") -> Auth:
    """Return what a login grants.

    Raises:
        LoginError: role and identity together ask for a policy that no login may have.
    """
    settings = identity.token or role or TokenParameters()
    policies = tuple(dict.fromkeys((*settings.token_policies, *identity.policies)))
    verify_policies(policies)
    internal_data: dict[str, Any] = {ROLE_KEY: role_name} if role_name else {}
    if identity.state:
        internal_data[STATE_KEY] = dict(identity.state)
    alias = None if identity.anonymous else Alias(name=identity.name, metadata=dict(identity.alias_metadata))
    return Auth(
        lease=Lease(ttl=settings.token_ttl, max_ttl=settings.token_max_ttl, renewable=True),
        internal_data=internal_data,
        display_name=identity.display_name or identity.name,
        policies=policies,
        metadata=dict(identity.metadata),
        alias=alias,
        group_aliases=tuple(Alias(name=name) for name in dict.fromkeys(identity.groups)),
        period=settings.token_period,
        explicit_max_ttl=settings.token_explicit_max_ttl,
        num_uses=settings.token_num_uses,
        bound_cidrs=tuple(format_block(block) for block in settings.token_bound_cidrs),
        token_type=settings.token_type,
        no_default_policy=settings.token_no_default_policy,
    )
