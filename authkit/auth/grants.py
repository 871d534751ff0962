"""What a login grants: the token of an identity, by the parameters of its role."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from authkit.auth.cidrs import pin_address, verify_remote_address
from authkit.auth.identity import Identity
from authkit.auth.policies import verify_policies
from authkit.auth.token_parameters import KEPT_SETTINGS, TokenParameters
from authkit.framework import BoundCollection
from authkit.logical import Alias, Auth, Connection, Response
from authkit.values import replace

__all__ = [
    "COLLECTION_KEY",
    "POLICIES_KEY",
    "ROLE_KEY",
    "STATE_KEY",
    "grant",
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
"""What a login decided in place of its role and renewal needs; absent when nothing."""

POLICIES_KEY: Final = "policies"
"""What a login added to the policies of its role; absent when nothing."""


def verify_login_address(settings: TokenParameters, connection: Connection | None) -> None:
    """Raise PermissionDeniedError if a login from there may not have a token with these parameters.

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
        UserError: the identity's token settings contradict the role.
        InternalError: one of these settings does not fit its field.
        PermissionDeniedError: the token is bound to addresses, and the login comes from elsewhere.
    """
    settings = role or TokenParameters()
    if identity.token is not None:
        settings = identity.token.apply(role)
        verify_login_address(settings, connection)
    granted = settings.token_grant
    if identity.policies:
        verify_policies(identity.policies)
        granted = replace(granted, policies=tuple(dict.fromkeys((*granted.policies, *identity.policies))))
    if settings.token_strictly_bind_ip:
        granted = replace(granted, bound_cidrs=(pin_address(connection),))
    return replace(
        granted,
        internal_data=_internal_data(identity, settings, role_name, roles),
        display_name=identity.display_name or identity.name,
        metadata=dict(identity.metadata),
        alias=_make_alias(identity, settings),
        group_aliases=tuple(Alias(name=name) for name in dict.fromkeys(identity.groups)),
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
    Take the role as it is now, and the connection of the client who gets the token. `roles` is the
    collection of the role: a method with several needs it, since no token is renewed whose role cannot be
    looked up.

    Raises:
        LoginError: role and identity together ask for a policy that no login may have.
        UserError: the identity's token settings contradict the role.
        InternalError: one of these settings does not fit its field.
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
        InternalError: what is kept with the token is not what `make_auth` put there.
    """
    kept = internal_data.get(SETTINGS_KEY)
    if not isinstance(kept, Mapping):
        return role
    given = {name: kept[name] for name in KEPT_SETTINGS if name in kept}
    return (role or TokenParameters()).replaced(**given)


def _internal_data(
    identity: Identity, settings: TokenParameters, role_name: str, roles: str
) -> dict[str, Any]:
    data: dict[str, Any] = {}
    if role_name:
        data[ROLE_KEY] = role_name
    if roles:
        data[COLLECTION_KEY] = roles
    if identity.state:
        data[STATE_KEY] = dict(identity.state)
    if identity.token is not None and (kept := identity.token.kept(settings)):
        data[SETTINGS_KEY] = kept
    if identity.policies:
        data[POLICIES_KEY] = list(identity.policies)
    return data


def _make_alias(identity: Identity, settings: TokenParameters) -> Alias | None:
    if identity.anonymous:
        return None
    return Alias(
        name=identity.name,
        metadata=dict(identity.alias_metadata),
        custom_metadata=dict(settings.alias_metadata),
    )
