"""Token parameters: what an operator decides about the tokens of a role, and how a login uses it.

Fields, checks and texts are those of all auth methods (Vault SDK 0.21, helper/tokenutil/tokenutil.go);
`alias_metadata` came with SDK 0.25, `token_strictly_bind_ip` is OpenBao's. The arithmetic of lifetimes
is the host's, the names of older plugins are in `authkit.auth.legacy`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, Final

from authkit.auth.alias_metadata import find_metadata_fault
from authkit.auth.cidrs import pin_address, verify_remote_address
from authkit.auth.identity import Identity, verify_policies
from authkit.auth.policies import find_refused_policy
from authkit.errors import UserError
from authkit.framework import (
    KV,
    Bool,
    BoundCollection,
    Cidrs,
    CommaList,
    FieldType,
    Int,
    Model,
    Seconds,
    field,
    format_block,
)
from authkit.logical import Alias, Auth, Connection, Lease, Response, TokenType
from authkit.values import Value, verify_collections

__all__ = [
    "Role",
    "TokenParameters",
    "TokenSettings",
    "make_auth",
    "settings_at_renewal",
    "verify_login_address",
]

ROLE_KEY: Final = "role"
"""The role's name in a token's internal data; vault-plugin-auth-jwt 0.26 uses the same."""

COLLECTION_KEY: Final = "roles"
"""What the path of that role begins with: a method may have roles of one name in two collections. Absent in
tokens of other plugins, and of versions that kept the name alone."""

STATE_KEY: Final = "state"
"""What a login handler wants back at renewal."""

SETTINGS_KEY: Final = "token"
"""What a login decided in place of its role, as far as renewal needs it; absent when nothing."""

POLICIES_KEY: Final = "policies"
"""What a login added to the policies of its role; absent when nothing."""

_KEPT_SETTINGS: Final = ("token_ttl", "token_max_ttl", "token_period", "token_policies")
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
    token_strictly_bind_ip: Bool = field(
        default=False,
        help="If true, the token may be used from the address of its login only. Cannot be combined with "
        "'token_bound_cidrs'.",
    )
    alias_metadata: KV = field(
        default={}, help="Custom metadata for the alias of the entity, taken over when the alias is made."
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
            UserError, FieldError: together they contradict each other.
        """
        values = {f"token_{name}": getattr(self, name) for name in self.__struct_fields__}
        given = {name: value for name, value in values.items() if value is not None}
        settings = (role or TokenParameters()).replaced(**given)
        TokenParameters.check(settings)
        return settings

    def kept(self, settings: TokenParameters) -> dict[str, Any]:
        """Return what renewal needs to know of this decision, as JSON."""
        given = [name for name in _KEPT_SETTINGS if getattr(self, name.removeprefix("token_")) is not None]
        shown = settings.read_shape()
        return {name: shown[name] for name in given}


def verify_login_address(settings: TokenParameters, connection: Connection | None) -> None:
    """Return if a login from there may have a token with these parameters.

    Raises:
        PermissionDeniedError: the client is outside the bound blocks, or it matters where it is and
            the host did not say.
    """
    verify_remote_address(settings.token_bound_cidrs, connection)
    if settings.token_strictly_bind_ip:
        pin_address(connection)


def make_auth(
    identity: Identity,
    role: TokenParameters | None,
    role_name: str = "",
    connection: Connection | None = None,
    *,
    roles: str = "",
) -> Auth:
    """Return what a login grants. `roles` is the path of the role's collection.

    Raises:
        LoginError: role and identity together ask for a policy that no login may have.
        UserError, FieldError: the identity's token settings contradict the role.
        PermissionDeniedError: the token is bound to addresses, and the login comes from elsewhere.
    """
    settings = role or TokenParameters()
    if identity.token is not None:
        settings = identity.token.apply(role)
        verify_login_address(settings, connection)
    policies = tuple(dict.fromkeys((*settings.token_policies, *identity.policies)))
    verify_policies(policies)
    return Auth(
        lease=Lease(ttl=settings.token_ttl, max_ttl=settings.token_max_ttl, renewable=True),
        internal_data=_internal_data(identity, settings, role_name, roles),
        display_name=identity.display_name or identity.name,
        policies=policies,
        metadata=dict(identity.metadata),
        alias=_make_alias(identity, settings),
        group_aliases=tuple(Alias(name=name) for name in dict.fromkeys(identity.groups)),
        period=settings.token_period,
        explicit_max_ttl=settings.token_explicit_max_ttl,
        num_uses=settings.token_num_uses,
        bound_cidrs=_bound_cidrs(settings, connection),
        token_type=settings.token_type,
        no_default_policy=settings.token_no_default_policy,
    )


def grant(
    identity: Identity,
    role: TokenParameters | None,
    role_name: str,
    connection: Connection | None,
    *,
    roles: BoundCollection[Any] | None = None,
) -> Response:
    """Return the answer with which a handler of an open path logs somebody in; `@login` needs none.

    For logins that end otherwise than they began: after a browser came back, or once another device is done.
    Take the role as it is now, and the connection of whoever gets the token. `roles` is the collection of the
    role: a method with several needs it, since no token is renewed whose role cannot be looked up.

    Raises:
        LoginError: role and identity together ask for a policy that no login may have.
        UserError, FieldError: the identity's token settings contradict the role.
        PermissionDeniedError: the token is bound to addresses, and the login comes from elsewhere.
    """
    verify_login_address(role or TokenParameters(), connection)
    auth = make_auth(identity, role, role_name, connection, roles=roles.path if roles is not None else "")
    return Response(auth=auth, warnings=tuple(identity.warnings))


def settings_at_renewal(
    role: TokenParameters | None, internal_data: Mapping[str, Any]
) -> TokenParameters | None:
    """Return the parameters of a token that goes on: the role's of today, and what its login decided.

    `None` when neither exists.

    Raises:
        UserError, FieldError: what is kept with the token is not what `make_auth` put there.
    """
    kept = internal_data.get(SETTINGS_KEY)
    if not isinstance(kept, Mapping):
        return role
    given = {name: kept[name] for name in _KEPT_SETTINGS if name in kept}
    return (role or TokenParameters()).replaced(**given)


def _internal_data(
    identity: Identity, settings: TokenParameters, role_name: str, roles: str
) -> dict[str, Any]:
    data = {
        ROLE_KEY: role_name,
        COLLECTION_KEY: roles,
        STATE_KEY: dict(identity.state),
        SETTINGS_KEY: {} if identity.token is None else identity.token.kept(settings),
        POLICIES_KEY: list(identity.policies),
    }
    return {key: value for key, value in data.items() if value}


def _make_alias(identity: Identity, settings: TokenParameters) -> Alias | None:
    if identity.anonymous:
        return None
    return Alias(
        name=identity.name,
        metadata=dict(identity.alias_metadata),
        custom_metadata=dict(settings.alias_metadata),
    )


def _bound_cidrs(settings: TokenParameters, connection: Connection | None) -> tuple[str, ...]:
    if settings.token_strictly_bind_ip:
        return (pin_address(connection),)
    return tuple(format_block(block) for block in settings.token_bound_cidrs)
