"""Base64url without padding (RFC 4648 section 5, RFC 7515 section 2), where each text has one spelling.

The standard library skips characters that it does not know, and bits after the last byte: two different texts
then decode to the same bytes.
"""

from __future__ import annotations

import binascii
from typing import Final

__all__ = ["decode_base64url", "encode_base64url"]

_TO_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
_TO_URL: Final = bytes.maketrans(b"+/", b"-_")


def decode_base64url(text: str | bytes) -> bytes:
    """Return the bytes that `text` encodes.

    Raises:
        ValueError: `text` is padded, is not what `encode_base64url` returns for these bytes, or is not
            base64url at all. The error does not repeat it.
    """
    try:
        encoded = text.encode() if isinstance(text, str) else text
        decoded = binascii.a2b_base64(encoded.translate(_TO_STANDARD) + b"=" * (-len(encoded) % 4))
    except (UnicodeEncodeError, binascii.Error):
        raise ValueError("not base64url") from None
    # The decoder skips unknown characters: only encoding again shows that it skipped none.
    if _encode(decoded) != encoded:
        raise ValueError("not base64url")
    return decoded


def encode_base64url(raw: bytes) -> str:
    """Return the bytes as text."""
    return _encode(raw).decode()


def _encode(raw: bytes) -> bytes:
    return binascii.b2a_base64(raw, newline=False).rstrip(b"=").translate(_TO_URL)
