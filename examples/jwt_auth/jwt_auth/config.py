"""The configuration of a mount: whose tokens are accepted, and which keys verify them."""

from __future__ import annotations

from authkit.errors import UserError
from authkit.framework import CommaList, LowerStr, Model, Str, field
from authkit.oidc import JWKSKeys, KeySource, StaticKeys, TokenVerifier

__all__ = ["JWTConfig"]


class JWTConfig(Model):
    """Configure whose tokens are accepted, and where the keys that verify them come from.

    Exactly one of 'jwt_validation_pubkeys' and 'jwks_url' must be set. A write replaces the whole
    configuration.
    """

    jwt_validation_pubkeys: CommaList = field(
        default=(),
        help="A list of PEM-encoded public keys or certificates that verify signatures locally.",
    )
    jwks_url: Str = field(default="", help="URL of the JSON Web Key Set that verifies signatures.")
    jwks_ca_pem: Str = field(
        default="",
        help="CA certificates, PEM-encoded, to verify the server of 'jwks_url' with. If not set, the "
        "system's certificates are used.",
    )
    bound_issuer: Str = field(default="", help="The value against which to match the 'iss' claim.")
    jwt_supported_algs: CommaList = field(
        default=(), help="A list of accepted signing algorithms. If empty, all of them are accepted."
    )
    default_role: LowerStr = field(
        default="", help="The role to use for logins that name none. If not set, they must name one."
    )

    def check(self) -> None:
        """Refuse a configuration with which no token could ever be verified."""
        if bool(self.jwt_validation_pubkeys) == bool(self.jwks_url):
            raise UserError("exactly one of 'jwt_validation_pubkeys' or 'jwks_url' must be set")
        try:
            keys = self.key_source()
        except ValueError as error:
            raise UserError(self._refusal(error)) from error
        try:
            self.verifier(keys)
        except ValueError as error:
            raise UserError(f"invalid jwt_supported_algs: {error}") from error

    def key_source(self) -> KeySource:
        """Return where the keys come from. Nothing is fetched yet.

        Raises:
            ValueError: there can be no keys.
        """
        if self.jwks_url:
            return JWKSKeys(self.jwks_url, ca_pem=self.jwks_ca_pem)
        return StaticKeys.from_pem(self.jwt_validation_pubkeys)

    def verifier(self, keys: KeySource) -> TokenVerifier:
        """Return what verifies tokens with these keys.

        Raises:
            ValueError: an algorithm is unknown.
        """
        return TokenVerifier(keys, algorithms=self.jwt_supported_algs, issuer=self.bound_issuer)

    def _refusal(self, error: ValueError) -> str:
        if not self.jwks_url:
            return f"error parsing public key: {error}"
        try:
            JWKSKeys(self.jwks_url)
        except ValueError:
            return f"error checking jwks URL {self.jwks_url}"
        return "error checking jwks_ca_pem"
