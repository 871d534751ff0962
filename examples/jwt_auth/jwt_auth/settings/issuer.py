"""Further issuers of a mount: each has its own keys, and only they can sign for it.

The default issuer: see `jwt_auth.settings.config`; which issuer a token belongs to: `authkit.oidc.Issuers`.
"""

from __future__ import annotations

from collections.abc import Callable

from authkit import CommaList, SignedSeconds, Str, UserError, field
from authkit.oidc import ISSUER_SEPARATOR, KeySource, Leeways, TokenVerifier
from jwt_auth.settings.bounds import verify_bounds, verify_leeways
from jwt_auth.settings.key_sources import KeySettings

__all__ = ["JWTIssuer"]


class JWTIssuer(KeySettings):
    """Trust another issuer beside the one of the configuration.

    Exactly one of 'jwt_validation_pubkeys', 'jwks_url' and 'oidc_discovery_url' must be set. Tokens with
    exactly this issuer in 'iss' are verified with its keys, and with no others. No two issuers have the same
    one, whatever its case: the server ignores case in the names of users.
    """

    bound_issuer: Str = field(
        default="", help="The 'iss' of its tokens, exactly. If not set, it is 'oidc_discovery_url'."
    )
    bound_audiences: CommaList = field(
        default=(), help="Values of 'aud' of which each of its tokens must have one, whatever the role says."
    )
    expiration_leeway: SignedSeconds = field(
        default=0, help="For roles that do not set theirs: lifetime of tokens without 'exp'."
    )
    not_before_leeway: SignedSeconds = field(
        default=0, help="For roles that do not set theirs: how long before 'exp' tokens become valid."
    )
    clock_skew_leeway: SignedSeconds = field(
        default=0, help="For roles that do not set theirs: how far the issuer's clock may differ."
    )

    @property
    def iss(self) -> str:
        """The 'iss' of its tokens."""
        return self.bound_issuer or self.oidc_discovery_url

    def check(self) -> None:
        """Refuse an issuer without keys or without a name in its tokens, and bounds that bind nothing."""
        if not self.has_source:
            raise UserError(self.source_rule)
        verify_bounds(self.bound_audiences, bound_issuer=self.bound_issuer)
        verify_leeways(self.leeways)
        if not self.iss:
            raise UserError("'bound_issuer' must be set: it is how the tokens of this issuer are told apart")
        if ISSUER_SEPARATOR in self.iss:
            raise UserError(
                f"'bound_issuer' must not hold '{ISSUER_SEPARATOR}', which ends it in the names of users"
            )

    @property
    def leeways(self) -> Leeways:
        """How generously the times of its tokens are read."""
        return Leeways(self.expiration_leeway, self.not_before_leeway, self.clock_skew_leeway)

    def make_verifier(self, now: Callable[[], float], keys: KeySource | None = None) -> TokenVerifier:
        """Return what verifies its tokens, with its own keys unless others are given.

        `now` tells seconds since 1970.

        Raises:
            ValueError: its keys are none that this version takes.
        """
        return TokenVerifier(
            self.make_keys() if keys is None else keys,
            algorithms=self.jwt_supported_algs,
            issuer=self.iss,
            audiences=self.bound_audiences,
            leeways=self.leeways,
            now=now,
        )
