"""What checks show of a token as a whole: its form, the names of its claims, its registered claims.

Called only when somebody reads a check. Nothing here shows the token, or a claim that no rule is about.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from authkit.json_reader import JSONError, LenientReader
from authkit.masking import Secret

__all__ = ["CLAIMS_FORM", "JWT_FORM", "REGISTERED_FORM", "show_claims", "show_form", "show_registered"]

JWT_FORM: Final = ("a signed JWT in compact form, three parts",)
CLAIMS_FORM: Final = ("one JSON object, each member once",)
REGISTERED_FORM: Final = ("texts and dates where RFC 7519 has them",)

_READER: Final = LenientReader()
_REGISTERED = ("iss", "sub", "aud", "azp", "exp", "nbf", "iat", "jti")


def show_form(token: Secret | str) -> tuple[object, ...]:
    """Return how many parts and characters a token has."""
    text = token.reveal() if isinstance(token, Secret) else token
    return ("{} parts, {} characters", text.count(".") + 1 if text else 0, len(text))


def show_claims(payload: bytes) -> tuple[object, ...]:
    """Return the names of all claims; the length of a payload that is not a JSON object."""
    try:
        return ("an object with {}", list(_READER.read_object(payload)))
    except JSONError:
        return ("{} bytes", len(payload))


def show_registered(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Return the registered claims that a token has (RFC 7519 section 4.1)."""
    return {name: claims[name] for name in _REGISTERED if name in claims}
