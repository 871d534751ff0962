"""The authorization request that begins a browser login: kept by the caller, sent by the browser."""

from __future__ import annotations

import hashlib
import secrets
import string
from collections.abc import Sequence
from typing import ClassVar
from urllib.parse import urlencode

from authkit.base64url import encode_base64url
from authkit.values import Value, verify_collections

__all__ = [
    "REQUEST_SECONDS",
    "AuthorizationRequest",
    "build_authorization_url",
    "join_scopes",
    "new_nonce",
    "new_state",
    "new_verifier",
]

REQUEST_SECONDS = 600
"""For how long a login may take, from the authorization URL to the code."""

_BASE62 = string.digits + string.ascii_letters


class AuthorizationRequest(Value, frozen=True, kw_only=True):
    """The request of a browser login. Every field is plain data, to be kept until the login ends."""

    redirect_uri: str
    """Set by the caller, and checked by it: where the browser comes back to."""
    state: str
    """Set by the caller: comes back with the browser."""
    nonce: str
    """Set by the caller: comes back in the ID token."""
    verifier: str
    """Set by the caller: proves that the client that began the login exchanges the code (PKCE, RFC 7636)."""
    created: float
    """Set by the caller: when the login began, in seconds since 1970."""
    scopes: tuple[str, ...] = ()
    """Set by the role; `openid` is added."""
    audiences: tuple[str, ...] = ()
    """Set by the role: one of which the ID token must be for; empty for the client's own."""
    max_age: int = 0
    """Set by the role: seconds since the user proved who they are, at most; 0 for any."""
    response_types: tuple[str, ...] = ("code",)
    """Set by the configuration: `code`, or `id_token` for the implicit flow."""
    response_mode: str = ""
    """Set by the configuration: `form_post`, or `query` or empty for the usual one."""

    unshown: ClassVar = ("state", "nonce", "verifier")

    def __post_init__(self) -> None:
        verify_collections(scopes=self.scopes, audiences=self.audiences, response_types=self.response_types)

    @property
    def is_implicit(self) -> bool:
        """Whether the provider answers with an ID token at once. A `code` beside it is not asked for."""
        return "id_token" in self.response_types


def build_authorization_url(endpoint: str, client_id: str, request: AuthorizationRequest) -> str:
    """Return the address to send a browser to, parameters in the order of their names.

    A query that the endpoint itself has is kept.
    """
    joint = "&" if "?" in endpoint else "?"
    return f"{endpoint}{joint}{urlencode(sorted(_parameters(client_id, request).items()))}"


def join_scopes(scopes: Sequence[str]) -> str:
    """Return the scopes as they are sent, `openid` first unless it is one of them."""
    return " ".join(scopes if "openid" in scopes else ("openid", *scopes))


def new_state() -> str:
    """Return a new random state, in the form of vault-plugin-auth-jwt 0.26."""
    return f"st_{_random_text(20)}"


def new_nonce() -> str:
    """Return a new random nonce, in the form of vault-plugin-auth-jwt 0.26."""
    return f"n_{_random_text(20)}"


def new_verifier() -> str:
    """Return a new random code verifier, as short as RFC 7636 section 4.1 allows: 256 bits."""
    return _random_text(43)


def _random_text(length: int) -> str:
    return "".join(secrets.choice(_BASE62) for _ in range(length))


def _parameters(client_id: str, request: AuthorizationRequest) -> dict[str, str]:
    parameters = {
        "client_id": client_id,
        "nonce": request.nonce,
        "redirect_uri": request.redirect_uri,
        "response_type": "code",
        "scope": join_scopes(request.scopes),
        "state": request.state,
    }
    if request.max_age > 0:
        parameters["max_age"] = str(request.max_age)
    if request.is_implicit:
        return parameters | {"response_type": "id_token", "response_mode": "form_post"}
    # vault-plugin-auth-jwt 0.26 leaves it out here, and the provider answers by query.
    if request.response_mode == "form_post":
        parameters["response_mode"] = "form_post"
    challenge = encode_base64url(hashlib.sha256(request.verifier.encode()).digest())
    return parameters | {"code_challenge": challenge, "code_challenge_method": "S256"}
