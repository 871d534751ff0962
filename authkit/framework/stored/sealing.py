"""Short data sealed into texts that clients, browsers or tokens carry: nobody else can read or make one.

Where keys are kept and how they are replaced is `authkit.framework.stored.keyring`; when to use which, and
why the limits hold, is docs/howto-seal.md.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from authkit.base64url import decode_base64url, encode_base64url
from authkit.errors import SealedTextError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["KEY_BYTES", "KEY_ID_BYTES", "MAX_DATA_BYTES", "MAX_SEALINGS", "Sealer", "read_key_id"]

KEY_BYTES: Final = 32
"""A key's length, and that of the AES-256 key derived from it."""

KEY_ID_BYTES: Final = 4
"""A key's id, which its texts begin with. It only selects a key: what counts is the authentication tag."""

MAX_SEALINGS: Final = 2**32
"""Texts sealed with one AES key, at most: the limit for random nonces (NIST SP 800-38D, section 8.3)."""

MAX_DATA_BYTES: Final = 32 * 1024
"""Bytes in one text: what a URL, a form or a token carries is smaller."""

VERSION: Final = b"\x01"
SALT_BYTES: Final = 16
"""128 random bits tell one derived key from all others; RFC 5869, section 3.1, recommends a salt."""
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16

_HEADER_BYTES: Final = len(VERSION) + KEY_ID_BYTES + SALT_BYTES
_MAX_TEXT: Final = 4 * (_HEADER_BYTES + NONCE_BYTES + MAX_DATA_BYTES + TAG_BYTES + 2) // 3


class Sealer:
    """Seals and opens texts with one key, for one purpose. For use in one event loop.

    The cipher is AES-256-GCM with a random nonce for each text. Its key is derived from `key` with
    HKDF-SHA256 (RFC 5869) and a random salt, which the text carries. Each `Sealer` draws a salt of its own,
    and another one after `MAX_SEALINGS` texts, so the limit holds however many processes share `key`.

    Args:
        key: `KEY_BYTES` random bytes.
        purpose: what the texts are for. A text of one purpose does not open for another one.
        mount: the mount's id, bound in the same way; see `Backend.mount_id`.
        key_id: `KEY_ID_BYTES` that the texts name the key by.

    Raises:
        ValueError: the purpose is empty, or the key or its id has another length.
    """

    def __init__(
        self, key: bytes, *, purpose: str, mount: str = "", key_id: bytes = bytes(KEY_ID_BYTES)
    ) -> None:
        if len(key) != KEY_BYTES or len(key_id) != KEY_ID_BYTES or not purpose:
            raise ValueError(f"a sealer has a key of {KEY_BYTES} bytes, an id of {KEY_ID_BYTES}, a purpose")
        self._key = key
        self._key_id = key_id
        self._bound = (purpose.encode(), mount.encode())
        self._salt = b""
        self._cipher: AESGCM | None = None
        self._left = 0

    def seal(self, data: bytes, *, context: bytes = b"") -> str:
        """Return the data as base64url text, without padding.

        Args:
            context: bound to the text but not in it; the same is needed to open it.

        Raises:
            TypeError: the data are not bytes.
            ValueError: there are more than `MAX_DATA_BYTES`.
        """
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"only bytes can be sealed, not {type(data).__name__}: encode a text")
        if len(data) > MAX_DATA_BYTES:
            raise ValueError(f"{len(data)} bytes are too many to seal, the limit is {MAX_DATA_BYTES}")
        if self._cipher is None or self._left <= 0:
            self._salt, self._left = os.urandom(SALT_BYTES), MAX_SEALINGS
            self._cipher = self._derive(self._salt)
        self._left -= 1
        header = VERSION + self._key_id + self._salt
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, data, _join(header, *self._bound, context))
        return encode_base64url(header + nonce + sealed)

    def open(self, text: str, *, context: bytes = b"") -> bytes:
        """Return the data in a text.

        Raises:
            SealedTextError: it was not sealed with this key, purpose, mount and context, or was changed.
        """
        from cryptography.exceptions import InvalidTag

        raw = _decode(text)
        header, rest = raw[:_HEADER_BYTES], raw[_HEADER_BYTES:]
        cipher = self._derive(header[-SALT_BYTES:])
        try:
            return cipher.decrypt(
                rest[:NONCE_BYTES], rest[NONCE_BYTES:], _join(header, *self._bound, context)
            )
        except InvalidTag:
            raise SealedTextError("it was not sealed here, or has been changed") from None

    def _derive(self, salt: bytes) -> AESGCM:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        info = _join(b"authkit sealed text", VERSION, self._key_id, *self._bound)
        return AESGCM(HKDF(SHA256(), KEY_BYTES, salt, info).derive(self._key))


def read_key_id(text: str) -> bytes:
    """Return the id of the key that a text says it was sealed with. Only `Sealer.open` proves it.

    Raises:
        SealedTextError: this is not a sealed text.
    """
    return _decode(text)[len(VERSION) : len(VERSION) + KEY_ID_BYTES]


def _decode(text: str) -> bytes:
    """Return the bytes of a sealed text. Each has one spelling only."""
    if len(text) > _MAX_TEXT:
        raise SealedTextError("it is not a sealed text")
    try:
        raw = decode_base64url(text)
    except ValueError:
        raise SealedTextError("it is not a sealed text") from None
    if len(raw) < _HEADER_BYTES + NONCE_BYTES + TAG_BYTES or not raw.startswith(VERSION):
        raise SealedTextError("it is not a sealed text")
    return raw


def _join(*parts: bytes) -> bytes:
    """Return the parts as one value that no other parts have."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
