"""How a client authenticates to its provider: by a secret, by a signature, or not at all.

vault-plugin-auth-jwt 0.26 tries HTTP Basic and, when that fails, sends the same code again in another
way. Here the provider's metadata decide, or the operator, and nothing is sent twice. Where the metadata
leave it open, and the provider then refuses a client, the next request goes the other way.
"""

from __future__ import annotations

import base64
import logging
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar
from urllib.parse import quote_plus

from authkit.masking import Secret
from authkit.oidc.keys.discovery import ProviderMetadata
from authkit.oidc.tokens.signing import SigningKey
from authkit.values import Value

__all__ = ["ClientAuthentication", "Credentials"]

ASSERTION_SECONDS = 60
"""Lifetime of an assertion, which is used at once."""

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
"""RFC 7523 section 2.2."""

_SECRET_METHODS = ("client_secret_basic", "client_secret_post")

_log = logging.getLogger(__name__)


class Credentials(Value, frozen=True):
    """What a request holds to authenticate the client."""

    headers: Mapping[str, str]
    """Set by `ClientAuthentication`: headers to send."""
    form: Mapping[str, str]
    """Set by `ClientAuthentication`: parameters to send in the body."""

    unshown: ClassVar = ("headers", "form")


class ClientAuthentication(ABC):
    """One method of client authentication. Made by `by_secret`, `by_key`, `by_signer` or `none`."""

    @staticmethod
    def by_secret(secret: Secret, method: str = "") -> ClientAuthentication:
        """Return authentication by a shared secret (RFC 6749 section 2.3.1).

        Args:
            method: `client_secret_basic` or `client_secret_post`; as the provider's metadata say if empty.
                Where they name both or neither it is HTTP Basic, and the other once that was refused.

        Raises:
            ValueError: the secret is empty, or there is no such method.
        """
        if not secret:
            raise ValueError("the client's secret is empty")
        if method not in ("", *_SECRET_METHODS):
            raise ValueError("use 'client_secret_basic' or 'client_secret_post' with a secret")
        return _BySecret(secret, method)

    @staticmethod
    def by_key(pem: Secret, *, kid: str = "") -> ClientAuthentication:
        """Return authentication by a key whose public half the provider has: `private_key_jwt` (RFC 7523).

        Raises what `SigningKey` raises, with the same arguments.
        """
        from authkit.oidc.tokens.signing import SigningKey

        key = SigningKey(pem, kid=kid)
        return _ByKey(lambda: key)

    @staticmethod
    def by_signer(signer: Callable[[], SigningKey]) -> ClientAuthentication:
        """Return `private_key_jwt` with a key that is replaced from time to time.

        Args:
            signer: returns the key to sign with, for each request.
        """
        return _ByKey(signer)

    @staticmethod
    def none() -> ClientAuthentication:
        """Return no authentication, for public clients: only PKCE binds a login to them."""
        return _ByNothing()

    @abstractmethod
    def credentials(self, client_id: str, metadata: ProviderMetadata, now: float) -> Credentials:
        """Return what to send, made anew for each request."""

    # Most methods have no alternative.
    def note_refusal(self, shown: Credentials, metadata: ProviderMetadata) -> None:  # noqa: B027
        """Note that the provider refused these credentials (`invalid_client`)."""


class _BySecret(ClientAuthentication):
    def __init__(self, secret: Secret, method: str) -> None:
        self._secret = secret
        self._method = method
        self._found = ""

    def credentials(self, client_id: str, metadata: ProviderMetadata, now: float) -> Credentials:
        secret = self._secret.reveal()
        # The default is Basic (OpenID Connect Discovery 1.0 section 3).
        method = self._method or _only_method(metadata) or self._found or "client_secret_basic"
        if method == "client_secret_post":
            return Credentials({}, {"client_id": client_id, "client_secret": secret})
        pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
        return Credentials({"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}, {})

    def note_refusal(self, shown: Credentials, metadata: ProviderMetadata) -> None:
        # Some providers name both ways, and take one from each client: the one it is registered with.
        if not self._method and not _only_method(metadata):
            self._found = "client_secret_basic" if shown.form else "client_secret_post"
            _log.warning("the provider refused the client's secret: the next request uses %s", self._found)


def _only_method(metadata: ProviderMetadata) -> str:
    """Return the one way to send a secret that the provider names; empty if it names both or neither."""
    named = [method for method in _SECRET_METHODS if method in metadata.token_endpoint_auth_methods]
    return named[0] if len(named) == 1 else ""


class _ByKey(ClientAuthentication):
    def __init__(self, signer: Callable[[], SigningKey]) -> None:
        self._signer = signer

    def credentials(self, client_id: str, metadata: ProviderMetadata, now: float) -> Credentials:
        assertion = self._signer().sign(
            {
                "iss": client_id,
                "sub": client_id,
                # The issuer, not an endpoint: an assertion for a server that a hostile one names as its
                # endpoint would be good there (draft-ietf-oauth-rfc7523bis).
                "aud": metadata.issuer,
                "jti": secrets.token_urlsafe(24),
                "iat": int(now),
                "exp": int(now) + ASSERTION_SECONDS,
            }
        )
        form = {"client_id": client_id, "client_assertion_type": ASSERTION_TYPE}
        return Credentials({}, {**form, "client_assertion": assertion})


class _ByNothing(ClientAuthentication):
    def credentials(self, client_id: str, metadata: ProviderMetadata, now: float) -> Credentials:
        return Credentials({}, {"client_id": client_id})
