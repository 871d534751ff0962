"""The login: a token is verified, compared with what the role binds, and read for who it is.

Every check is made with a `Checks`, so that a login and its explanation are the same code. Paths are
left to `jwt_auth.method`; what a token's signature and dates have to be, to `authkit.oidc`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from authkit.auth import Identity, split_alias_metadata
from authkit.errors import LoginError, TokenError, UserError
from authkit.masking import Secret
from authkit.oidc import (
    DEFAULT_ISSUER,
    Checks,
    Claims,
    Issuers,
    VerifiedToken,
    groups_from_claim,
    metadata_from_claims,
    verify_audience_is_bound,
    verify_bound_claims,
)
from authkit.values import Value
from jwt_auth.config import JWTConfig
from jwt_auth.issuer import JWTIssuer
from jwt_auth.providers import Lookups
from jwt_auth.role import JWTRole
from jwt_auth.several_issuers import verify_user
from jwt_auth.user_claim import compose_user_name

if TYPE_CHECKING:
    from authkit.oidc.providers import Provider

__all__ = ["Presented", "Trust", "authenticate", "identify", "verify_request"]

MAX_LOGGED_CHARACTERS = 4000
"""How much of a token's claims a role with `verbose_oidc_logging` logs."""

NO_TOKEN = Secret("")
"""In place of an access token that nobody has presented."""

_log = logging.getLogger(__name__)


class Trust(Value, frozen=True):
    """Whose tokens are accepted. Stands as long as the objects that it was made from do."""

    config: JWTConfig
    """The configuration that it was made from,"""
    others: Mapping[str, JWTIssuer]
    """and the further issuers."""
    issuers: Issuers
    """Who may sign."""
    provider: Provider | None
    """What is asked about the users of the default issuer."""


class Presented(Value, frozen=True):
    """What somebody presents. Set by the caller of a login."""

    jwt: Secret
    """The token."""
    access_token: Secret = NO_TOKEN
    """An access token for lookups."""


def verify_request(role: JWTRole, jwt: Secret) -> None:
    """Return if this is the request of a login with a token.

    Raises:
        UserError: it is not.
    """
    if role.role_type == "oidc":
        raise UserError("role with oidc role_type is not allowed")
    if not jwt:
        raise UserError("missing token")


async def authenticate(
    trust: Trust, role: JWTRole, role_name: str, presented: Presented, checks: Checks
) -> Identity:
    """Return who holds this token.

    Raises:
        LoginError: nobody who may log in with this role; the text is the one for the caller.
    """
    verified = await _verify_token(trust.issuers, role, presented.jwt, checks)
    # Lookups are those of the default issuer.
    provider = trust.provider if verified.issuer == DEFAULT_ISSUER else None
    lookups = Lookups(provider, role, presented.access_token)
    identity = await identify(verified.claims, role, role_name, lookups, checks)
    verify_user(trust.issuers, role, role_name, verified.issuer, identity.name, checks)
    return identity


async def identify(
    claims: Claims, role: JWTRole, role_name: str, lookups: Lookups, checks: Checks
) -> Identity:
    """Return who authentic claims name, with what a provider knows besides.

    Raises:
        LoginError: nobody who may log in with this role.
    """
    identity, claims = await _identify(claims, role, role_name, lookups, checks)
    try:
        verify_bound_claims(claims, role.bound_claims or {}, role.bound_claims_type, checks=checks)
    except TokenError as error:
        raise LoginError(f"error validating claims: {error.public}", error.detail) from error
    return identity


async def _verify_token(issuers: Issuers, role: JWTRole, jwt: Secret, checks: Checks) -> VerifiedToken:
    """Return an authentic token that is meant for this role."""
    try:
        verified = await issuers.verify(
            jwt,
            among=role.issuers,
            audiences=role.bound_audiences or (),
            subject=role.bound_subject,
            leeways=role.leeways,
            profile=role.bound_token_type,
            checks=checks,
        )
    except TokenError as error:
        raise LoginError(f"error validating token: {error.public}", error.detail) from error
    if role.verbose_oidc_logging:
        _log.debug("claims of a login: %s", json.dumps(verified.claims)[:MAX_LOGGED_CHARACTERS])
    is_bound = bool(role.bound_audiences or verified.verifier.audiences)
    verify_audience_is_bound(verified.claims, is_bound, checks=checks)
    return verified


async def _identify(
    claims: Claims, role: JWTRole, role_name: str, lookups: Lookups, checks: Checks
) -> tuple[Identity, Claims]:
    """Return the identity in the claims, and the claims with what the provider knows besides."""
    with checks.step("user claim", role.user_claim):
        name = compose_user_name(claims, role.user_claim, role.user_claim_json_pointer)
    if lookups.provider is not None:
        with checks.step("user info", "what the provider adds"):
            claims = await lookups.add_user_info(claims)
    metadata, groups = {"role": role_name}, []
    if role.claim_mappings:
        with checks.step("claim mappings", "texts, or nothing"):
            metadata |= metadata_from_claims(claims, role.claim_mappings)
    if role.groups_claim:
        with checks.step("groups claim", role.groups_claim):
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
