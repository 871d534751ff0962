"""The login: a token is verified, compared with what the role binds, and read for who it is.

Every check is made with a `Checks`, so that a login and its explanation are the same code. Paths are
left to `jwt_auth.method`; what a token's signature and dates have to be, to `authkit.oidc`.
"""

from __future__ import annotations

import json
import logging

from authkit.auth import Identity, split_alias_metadata
from authkit.errors import LoginError, TokenError, UserError
from authkit.masking import Secret
from authkit.oidc import (
    Checks,
    Claims,
    Issuers,
    groups_from_claim,
    metadata_from_claims,
    verify_audience_is_bound,
    verify_bound_claims,
)
from jwt_auth.role import JWTRole
from jwt_auth.user_claim import compose_user_name

__all__ = ["authenticate", "verify_request"]

MAX_LOGGED_CHARACTERS = 4000
"""How much of a token's claims a role with `verbose_oidc_logging` logs."""

_log = logging.getLogger(__name__)


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
    issuers: Issuers, role: JWTRole, role_name: str, jwt: Secret, checks: Checks
) -> Identity:
    """Return who holds this token.

    Raises:
        LoginError: nobody who may log in with this role; the text is the one for the caller.
    """
    claims = await _verify_token(issuers, role, jwt, checks)
    identity = _identify(claims, role, role_name, checks)
    try:
        verify_bound_claims(claims, role.bound_claims or {}, role.bound_claims_type, checks=checks)
    except TokenError as error:
        raise LoginError(f"error validating claims: {error.public}", error.detail) from error
    return identity


async def _verify_token(issuers: Issuers, role: JWTRole, jwt: Secret, checks: Checks) -> Claims:
    """Return the claims of an authentic token that is meant for this role."""
    try:
        verified = await issuers.verify(
            jwt,
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
    is_bound = bool(role.bound_audiences or verified.issuer.audiences)
    verify_audience_is_bound(verified.claims, is_bound, checks=checks)
    return verified.claims


def _identify(claims: Claims, role: JWTRole, role_name: str, checks: Checks) -> Identity:
    with checks.step("user claim", role.user_claim):
        name = compose_user_name(claims, role.user_claim, role.user_claim_json_pointer)
    with checks.step("claim mappings", "texts, or nothing"):
        mapped = metadata_from_claims(claims, role.claim_mappings or {})
    with checks.step("groups claim", role.groups_claim or "none"):
        groups = groups_from_claim(claims, role.groups_claim)
    metadata = {"role": role_name} | mapped
    kept, left_out = split_alias_metadata(metadata)
    return Identity(
        name=name,
        groups=groups,
        alias_metadata=kept,
        metadata=metadata,
        warnings=[f"metadata that no alias can have, and so is on the token only: {key}" for key in left_out],
    )
