"""Who is let in: everything that a role binds, on every way in.

A way in is a `Proof`: what somebody presents, and how it is verified. `admit` is the only function that makes
an identity of one; an explanation runs it too. Lookups are in `jwt_auth.admission.lookups`.
"""

from __future__ import annotations

import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final, Literal

from authkit import (
    Connection,
    Identity,
    LoginError,
    replace,
    split_alias_metadata,
    verify_login_address,
)
from authkit.oidc import (
    DEFAULT_ISSUER,
    NO_RECORD,
    Checks,
    Claims,
    Issuers,
    get_claim,
    groups_from_claim,
    metadata_from_claims,
    verify_bound_claims,
)
from jwt_auth.admission.lookups import Lookups
from jwt_auth.admission.several_issuers import verify_user
from jwt_auth.settings.role import JWTRole
from jwt_auth.settings.user_claim import compose_user_name, names_in
from jwt_auth.texts.words import in_official_words

__all__ = ["Proof", "RoleType", "admit", "verify_login_age", "verify_role_type"]

MAX_LOGGED_CHARACTERS: Final = 4000
"""How much of a token's claims a role with `verbose_oidc_logging` logs."""

RoleType = Literal["jwt", "oidc"]

_log = logging.getLogger(__name__)


class Proof(ABC):
    """What a client presents, for one kind of login."""

    role_type: ClassVar[RoleType]
    """The type of the roles that it is for."""
    issuers: Issuers
    """The issuers of the mount."""
    issuer: str = DEFAULT_ISSUER
    """The name of the issuer that has signed, once `verify` has returned."""

    @abstractmethod
    async def verify(self, role: JWTRole, checks: Checks) -> tuple[Claims, Lookups]:
        """Return the claims of an authentic token that is as the role binds it, and its issuer's lookups.

        The role binds issuer, audience, subject, kind and dates of the token, and the age of the login at the
        provider.

        Raises:
            LoginError: the token is not authentic, or not as the role binds it.
        """

    async def add_userinfo(self, claims: Claims) -> Claims:
        """Return the verified claims with what the provider's userinfo adds."""
        return claims

    async def keep(self, claims: Claims) -> Mapping[str, Any]:
        """Return what a renewal at the provider needs of this login.

        Raises:
            LoginError: the login cannot be renewed there.
        """
        raise LoginError("There is no refresh token, which this role renews with.")


def verify_role_type(role: JWTRole, expected: RoleType, *, checks: Checks = NO_RECORD) -> None:
    """Refuse a role that is not for this kind of login, before anything is asked of a provider.

    A login in a browser is one at the default issuer.

    Raises:
        LoginError: the role is of the other type, or does not trust the issuer.
    """
    checks.require(
        "role type",
        role.role_type == expected,
        f"role with {role.role_type} role_type is not allowed",
        expected=expected,
        had=role.role_type,
    )
    if expected == "oidc":
        checks.require(
            "issuer",
            DEFAULT_ISSUER in role.issuers,
            "invalid issuer (iss) claim: the role does not trust the provider of browser logins",
            expected=("one of {}", role.issuers),
            had=DEFAULT_ISSUER,
            detail=f"'bound_issuers' of the role does not name {DEFAULT_ISSUER!r}",
        )


def verify_login_age(role: JWTRole, claims: Claims, begun: float, checks: Checks) -> None:
    """Compare when the user has logged in at the provider (`auth_time`) with the role's `max_age`.

    Args:
        begun: when the login here began, in seconds since 1970.

    Raises:
        TokenError: it was too long before that, or the token does not say when it was.
    """
    if role.max_age:
        from authkit.oidc import verify_age

        verify_age(claims, role.max_age.total_seconds(), begun, checks=checks)


async def admit(
    role: JWTRole,
    role_name: str,
    proof: Proof,
    checks: Checks,
    *,
    connection: Connection | None,
    is_from_user: bool = True,
) -> Identity:
    """Check everything that the role binds; return the identity.

    Args:
        connection: where the request comes from.
        is_from_user: false where somebody else may ask: at a renewal, whose token the host binds to addresses
            itself, and in an explanation.

    Raises:
        LoginError: the login is denied; the text is for the caller.
        PermissionDeniedError: the role does not allow the address.
    """
    with in_official_words():
        return await _admit(role, role_name, proof, checks, connection=connection, is_from_user=is_from_user)


async def _admit(
    role: JWTRole,
    role_name: str,
    proof: Proof,
    checks: Checks,
    *,
    connection: Connection | None,
    is_from_user: bool,
) -> Identity:
    verify_role_type(role, proof.role_type, checks=checks)
    if is_from_user:
        verify_login_address(role, connection)
    claims, lookups = await proof.verify(role, checks)
    claims = await proof.add_userinfo(claims)
    if role.verbose_oidc_logging:
        _log.debug("claims of a login: %s", json.dumps(claims)[:MAX_LOGGED_CHARACTERS])
    identity, claims = await _identify(claims, role, role_name, lookups, checks)
    if role.bound_claims:
        with in_official_words("error validating claims: "):
            verify_bound_claims(claims, role.bound_claims, role.bound_claims_type, checks=checks)
    verify_user(proof.issuers, role, role_name, proof.issuer, identity.name, checks)
    return replace(identity, state=await proof.keep(claims)) if role.renew_at_provider else identity


_USER_CLAIM = ("texts",)
_USER_INFO = ("what the provider knows",)
_MAPPINGS = ("texts, or nothing",)
_GROUPS = ("a list of texts",)


def _show(claims: Claims, names: Iterable[str]) -> dict[str, Any]:
    return {name: get_claim(claims, name) for name in names}


def _show_user_claim(claims: Claims, role: JWTRole) -> dict[str, Any]:
    names = names_in(role.user_claim)
    is_pointer = role.user_claim_json_pointer
    return _show(claims, names) if is_pointer else {name: claims.get(name) for name in names}


async def _identify(
    claims: Claims, role: JWTRole, role_name: str, lookups: Lookups, checks: Checks
) -> tuple[Identity, Claims]:
    """Return the identity in the claims, and the claims with what the provider knows besides."""
    before = claims
    with checks.step("user claim", _USER_CLAIM, lambda: _show_user_claim(before, role)):
        name = compose_user_name(claims, role.user_claim, role.user_claim_json_pointer)
    if lookups.provider is not None:
        with checks.step("user info", _USER_INFO, lambda: ("{} more", sorted(claims.keys() - before))):
            claims = await lookups.add_user_info(claims)
    metadata, groups = {"role": role_name}, []
    if role.claim_mappings:
        with checks.step("claim mappings", _MAPPINGS, lambda: _show(claims, role.claim_mappings or ())):
            metadata |= metadata_from_claims(claims, role.claim_mappings)
    if role.groups_claim:
        with checks.step("groups claim", _GROUPS, lambda: _show(claims, [role.groups_claim])):
            claims = await lookups.set_groups(claims)
            groups = groups_from_claim(claims, role.groups_claim)
    kept, left_out = split_alias_metadata(metadata)
    identity = Identity(
        name=name,
        groups=groups,
        alias_metadata=kept,
        metadata=metadata,
        warnings=[f"metadata that no alias can have, and so is on the token only: {key}" for key in left_out],
    )
    return identity, claims
