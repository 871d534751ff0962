"""Logins with an ID token from the provider, verified and bound as the role says.

The exchange of the code: see `jwt_auth.browser.callbacks`; what a role binds: `jwt_auth.admission.admit`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from authkit import LoginError, Secret, Value
from authkit.oidc import Checks, Claims, Issuers
from jwt_auth.admission.admit import Proof, RoleType, verify_login_age
from jwt_auth.admission.lookups import Lookups
from jwt_auth.settings.role import JWTRole
from jwt_auth.texts.browser_logins import FAILED
from jwt_auth.texts.words import say_of_id_token

if TYPE_CHECKING:
    from authkit.oidc import AuthorizationRequest, OIDCClient, TokenSet, UserDirectory

__all__ = ["IDTokenProof", "ProviderContext", "RenewedProof"]

_log = logging.getLogger(__name__)


class ProviderContext(Value, frozen=True, kw_only=True):
    """The provider of one mount, as it is configured now."""

    client: OIDCClient
    lookups: UserDirectory | None
    """What is asked about its users."""
    issuers: Issuers
    """The issuers of the mount, of which it is the default one."""
    keep: Callable[[Secret, str], Awaitable[Mapping[str, Any]]]
    """Makes what is kept of a refresh token and a subject."""


class IDTokenProof(Proof):
    """An ID token of the provider.

    Args:
        id_token: as it came from the token endpoint, or by a form.
        tokens: what the token endpoint has answered; `None` for a form, which brings no access token.
        request: of a login in a browser; `None` for a device.
        code: what the token was exchanged for.
        begun: when the login began, in seconds since 1970.
        describe: makes the text of a refusal of the token.
    """

    role_type: ClassVar[RoleType] = "oidc"

    def __init__(
        self,
        provider: ProviderContext,
        id_token: Secret,
        *,
        tokens: TokenSet | None = None,
        request: AuthorizationRequest | None = None,
        code: Secret | None = None,
        begun: float = 0.0,
        describe: Callable[[LoginError], LoginError] = lambda error: error,
    ) -> None:
        self.provider = provider
        self.issuers = provider.issuers
        self.id_token = id_token
        self.tokens = tokens
        self.subject = ""
        self._request = request
        self._code = code
        self._begun = begun
        self._describe = describe

    async def verify(self, role: JWTRole, checks: Checks) -> tuple[Claims, Lookups]:
        """Return the claims of the token, see `Proof.verify`."""
        try:
            claims = await self.provider.client.verify_id_token(
                self.id_token,
                self._request,
                access_token=None if self.tokens is None else self.tokens.access_token,
                code=self._code,
                subject=self.subject,
                implicit=self.tokens is None,
                checks=checks,
                **role.token_bounds,
            )
        except LoginError as error:
            said = say_of_id_token(error, is_implicit=self.tokens is None)
            raise self._describe(said) from error
        self.verify_age(claims, role, checks)
        claims = {name: value for name, value in claims.items() if name != "nonce"}
        return claims, self.bind(claims, role, checks)

    def verify_age(self, claims: Claims, role: JWTRole, checks: Checks) -> None:
        """Compare when the user has logged in at the provider with the role's `max_age`."""
        verify_login_age(role, claims, self._begun, checks)

    def bind(self, claims: Claims, role: JWTRole, checks: Checks) -> Lookups:
        """Compare the subject with the one that the role binds; return what the provider knows besides."""
        if role.bound_subject:
            checks.require(
                "bound sub",
                claims.get("sub") == role.bound_subject,
                f"{FAILED} sub claim does not match bound subject",
                expected=role.bound_subject,
                had=claims.get("sub"),
            )
        access_token = Secret("") if self.tokens is None else self.tokens.access_token
        return Lookups(self.provider.lookups, role, access_token)

    async def add_userinfo(self, claims: Claims) -> Claims:
        """Return the claims with what the provider's userinfo adds; without it when that cannot be had."""
        if self.tokens is None:
            return claims
        try:
            return await self.provider.client.add_userinfo(self.tokens.access_token, claims)
        except LoginError as error:
            _log.warning("no userinfo: %s", error.detail or error.public)
            return claims

    async def keep(self, claims: Claims) -> Mapping[str, Any]:
        """Return what a renewal at the provider needs of this login, see `Proof.keep`."""
        if self.tokens is None or self.tokens.refresh_token is None:
            raise LoginError(
                f"{FAILED} The provider sent no refresh token, which this role renews with.",
                "the role may need the scope offline_access",
            )
        return await self.provider.keep(self.tokens.refresh_token, str(claims.get("sub", "")))


class RenewedProof(IDTokenProof):
    """What a provider has answered to a refresh token.

    Args:
        tokens: the answer; an ID token may be missing in it (OpenID Connect Core 1.0 section 12.2).
        iss: the issuer at which somebody has logged in.
        subject: who has.
    """

    def __init__(self, provider: ProviderContext, tokens: TokenSet, *, iss: str, subject: str) -> None:
        super().__init__(provider, tokens.id_token, tokens=tokens)
        self.subject = subject
        self._iss = iss

    async def verify(self, role: JWTRole, checks: Checks) -> tuple[Claims, Lookups]:
        """Return the claims of the token, see `Proof.verify`; without a token, issuer and subject alone.

        Raises:
            LoginError: also when the role binds something that only an ID token shows.
        """
        if self.id_token:
            return await super().verify(role, checks)
        if any(bound.needs_token for bound in role.bounds):
            raise LoginError("the provider sent no ID token, by which this role's bounds are checked")
        claims = {"iss": self._iss, "sub": self.subject}
        return claims, self.bind(claims, role, checks)

    def verify_age(self, claims: Claims, role: JWTRole, checks: Checks) -> None:
        """Do nothing: the age was compared at the login."""
