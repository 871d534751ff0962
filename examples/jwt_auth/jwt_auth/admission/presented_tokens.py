"""Logins with a token that the client brings.

What a role binds is checked in `jwt_auth.admission.admit`, signature and dates of the token in
`authkit.oidc`; the path is in `jwt_auth.method`.
"""

from __future__ import annotations

from typing import ClassVar

from authkit import LoginError, Secret, UserError, Value
from authkit.oidc import DEFAULT_ISSUER, Checks, Claims, verify_audience_is_bound
from jwt_auth.admission.admit import Proof, RoleType, verify_login_age, verify_role_type
from jwt_auth.admission.lookups import Lookups
from jwt_auth.admission.trust import Trust
from jwt_auth.settings.role import JWTRole
from jwt_auth.texts.words import in_official_words

__all__ = ["PresentedToken", "TokenProof", "verify_request"]

NO_TOKEN = Secret("")
"""In place of an access token, where there is none."""


class PresentedToken(Value, frozen=True):
    """A token and what comes with it. Set by the caller of a login."""

    jwt: Secret
    """The token."""
    access_token: Secret = NO_TOKEN
    """An access token for lookups."""


def verify_request(role: JWTRole, jwt: Secret) -> None:
    """Check that the request can log in with a token.

    Raises:
        UserError: the role is not for tokens, or the token is missing.
    """
    try:
        verify_role_type(role, TokenProof.role_type)
    except LoginError as error:
        raise UserError(error.public) from error
    if not jwt:
        raise UserError("missing token")


class TokenProof(Proof):
    """A token that the client brought."""

    role_type: ClassVar[RoleType] = "jwt"

    def __init__(self, trust: Trust, presented: PresentedToken) -> None:
        self._trust = trust
        self.issuers = trust.issuers
        self._presented = presented

    async def verify(self, role: JWTRole, checks: Checks) -> tuple[Claims, Lookups]:
        """Return the claims of the token, see `Proof.verify`. Lookups are those of the default issuer."""
        with in_official_words("error validating token: "):
            verified = await self._trust.issuers.verify(
                self._presented.jwt,
                among=role.issuers,
                subject=role.bound_subject,
                checks=checks,
                **role.token_bounds,
            )
            verify_login_age(role, verified.claims, self._trust.now(), checks)
        is_bound = bool(role.bound_audiences or verified.verifier.audiences)
        verify_audience_is_bound(verified.claims, is_bound, checks=checks)
        self.issuer = verified.issuer
        provider = self._trust.provider if verified.issuer == DEFAULT_ISSUER else None
        return verified.claims, Lookups(provider, role, self._presented.access_token)
