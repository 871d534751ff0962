"""What OAuth endpoints answer a client with, read: tokens, and the beginning of a login on a device.

Nothing in an answer is verified here: an ID token is checked by `authkit.oidc.tokens.id_token`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from authkit.masking import Secret
from authkit.oidc.client.endpoints import EndpointError
from authkit.oidc.http.urls import check_url
from authkit.oidc.keys.discovery import MAX_URL_CHARACTERS
from authkit.values import Value

__all__ = ["DeviceAuthorization", "TokenSet", "read_device", "read_tokens", "require_id_token"]

DEFAULT_POLL_SECONDS = 5
"""RFC 8628 section 3.2."""

MAX_SECONDS = 10 * 365 * 86400
"""What a provider may give as a number of seconds; anything else counts as not given."""

MAX_CODE_CHARACTERS = 64
"""The longest code that a user is asked to type."""


class TokenSet(Value, frozen=True, kw_only=True):
    """What a token endpoint has answered. Nothing in it is verified."""

    access_token: Secret
    """Set by the provider."""
    id_token: Secret
    """Set by the provider; empty where a refresh gave none."""
    refresh_token: Secret | None = None
    """Set by the provider; `None` without one."""
    expires_in: int = 0
    """Set by the provider: seconds for which the access token is good; 0 if it does not say."""

    unshown: ClassVar = ("access_token", "id_token", "refresh_token", "expires_in")


class DeviceAuthorization(Value, frozen=True, kw_only=True):
    """What a login on another device begins with (RFC 8628 section 3.2)."""

    device_code: Secret
    """Set by the provider: to poll with."""
    user_code: str
    """Set by the provider: what the user types."""
    verification_uri: str
    """Set by the provider, http or https: where the user types it."""
    complete_uri: str = ""
    """Set by the provider, http or https: the same with the code in it; empty without one."""
    interval: int = DEFAULT_POLL_SECONDS
    """Set by the provider: seconds between two polls, at least."""
    expires_in: int = 0
    """Set by the provider: seconds until the codes expire; 0 if it does not say."""

    unshown: ClassVar = ("device_code", "user_code", "complete_uri")


def read_tokens(content: Mapping[str, Any], grant: str) -> TokenSet:
    """Return the tokens of a token endpoint's answer (RFC 6749 section 5.1) to what was sent as `grant`.

    Raises:
        EndpointError: it holds no access token.
    """
    access_token = _text(content, "access_token")
    if not access_token:
        text = "the provider's answer has no access token"
        raise EndpointError(text, code="no_access_token", facts={"grant": grant})
    refresh_token = _text(content, "refresh_token")
    return TokenSet(
        access_token=Secret(access_token),
        id_token=Secret(_text(content, "id_token")),
        refresh_token=Secret(refresh_token) if refresh_token else None,
        expires_in=_seconds(content, "expires_in"),
    )


def require_id_token(tokens: TokenSet, grant: str) -> TokenSet:
    """Return tokens that hold an ID token; `grant` says what was sent for one.

    Raises:
        EndpointError: they do not.
    """
    if not tokens.id_token:
        text = "the provider's answer has no ID token"
        raise EndpointError(text, code="no_id_token", facts={"grant": grant})
    return tokens


def read_device(content: Mapping[str, Any]) -> DeviceAuthorization:
    """Return what a device authorization endpoint has answered.

    Raises:
        ValueError: it cannot be used; the text repeats none of it.
    """
    device_code, user_code = _text(content, "device_code"), _text(content, "user_code")
    # Early providers say url (RFC 8628 has uri).
    verification_uri = _text(content, "verification_uri") or _text(content, "verification_url")
    complete_uri = _text(content, "verification_uri_complete") or _text(content, "verification_url_complete")
    if not device_code or not user_code:
        raise ValueError("it holds no device_code or no user_code")
    if len(user_code) > MAX_CODE_CHARACTERS or not user_code.isprintable():
        raise ValueError("its user_code cannot be typed")
    for url in (verification_uri, complete_uri) if complete_uri else (verification_uri,):
        # People open it, or their command line does.
        if len(url) > MAX_URL_CHARACTERS:
            raise ValueError("its verification_uri is too long")
        check_url(url)
    return DeviceAuthorization(
        device_code=Secret(device_code),
        user_code=user_code,
        verification_uri=verification_uri,
        complete_uri=complete_uri,
        interval=_seconds(content, "interval") or DEFAULT_POLL_SECONDS,
        expires_in=_seconds(content, "expires_in"),
    )


def _text(content: Mapping[str, Any], name: str) -> str:
    value = content.get(name)
    return value if isinstance(value, str) else ""


def _seconds(content: Mapping[str, Any], name: str) -> int:
    """Return a number of seconds, which some providers send as text; 0 for anything else."""
    value = content.get(name, 0)
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 12:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return int(value) if 0 <= value <= MAX_SECONDS else 0
