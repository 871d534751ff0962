"""Unpadded base64url (RFC 7515 section 2), read strictly: each value has one spelling."""

from __future__ import annotations

import binascii

__all__ = ["decode_base64url", "encode_base64url"]

_TO_STANDARD_ALPHABET = bytes.maketrans(b"-_", b"+/")
_TO_URL_ALPHABET = bytes.maketrans(b"+/", b"-_")


def decode_base64url(text: bytes) -> bytes:
    """Return the bytes that `text` encodes.

    Raises:
        ValueError: `text` is not unpadded base64url, or has stray bits at its end.
    """
    padded = text.translate(_TO_STANDARD_ALPHABET) + b"=" * (-len(text) % 4)
    decoded = binascii.a2b_base64(padded)
    # The decoder skips what it does not know, so only the way back shows that nothing was skipped.
    if encode_base64url(decoded).encode() != text:
        raise ValueError("not base64url")
    return decoded


def encode_base64url(raw: bytes) -> str:
    """Return the bytes as text."""
    encoded = binascii.b2a_base64(raw, newline=False).rstrip(b"=")
    return encoded.translate(_TO_URL_ALPHABET).decode()
