"""Base64url without padding (RFC 4648 section 5, RFC 7515 section 2), where each value has one spelling.

The decoders of the standard library accept several texts for the same bytes.
"""

from __future__ import annotations

import binascii
from typing import Final

__all__ = ["decode_base64url", "encode_base64url"]

_TO_STANDARD: Final = bytes.maketrans(b"-_+/=", b"+/***")
"""To the alphabet of `binascii`. What only that has becomes a character that it refuses."""
_TO_URL: Final = bytes.maketrans(b"+/", b"-_")

_PADDING: Final = (b"", b"===", b"==", b"=")
_LAST: Final = (b"", b"", b"AQgw", b"AEIMQUYcgkosw048")
"""By the length modulo 4: the last characters without bits beyond the last byte (RFC 4648 section 3.5)."""


def decode_base64url(text: str | bytes) -> bytes:
    """Return the bytes that `text` encodes.

    Raises:
        ValueError: `text` is not what `encode_base64url` returns for any bytes. The error does not repeat it.
    """
    try:
        encoded = text.encode() if isinstance(text, str) else text
        rest = len(encoded) & 3
        decoded = binascii.a2b_base64(encoded.translate(_TO_STANDARD) + _PADDING[rest], strict_mode=True)
    except (UnicodeEncodeError, binascii.Error):
        raise ValueError("not base64url") from None
    if rest and encoded[-1] not in _LAST[rest]:
        raise ValueError("not base64url")
    return decoded


def encode_base64url(raw: bytes) -> str:
    """Return the bytes as text."""
    return binascii.b2a_base64(raw, newline=False).rstrip(b"=").translate(_TO_URL).decode()
