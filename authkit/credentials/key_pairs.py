"""RSA key pairs for users who log in with a key."""

from __future__ import annotations

from typing import Final

from authkit.masking import Secret
from authkit.values import Value

__all__ = ["KEY_SIZES", "KeyPair", "make_rsa_key"]

KEY_SIZES: Final = (2048, 3072, 4096)
"""Bits, as a server's database engine offers them (Vault 1.21, builtin/logical/database/credentials.go)."""


class KeyPair(Value, frozen=True, kw_only=True):
    """A new key pair. Set by `make_rsa_key`."""

    private_key: Secret
    """PEM of PKCS#8, `PRIVATE KEY`, not encrypted."""
    public_key: str
    """PEM of PKIX, `PUBLIC KEY`."""


def make_rsa_key(bits: int = 2048) -> KeyPair:
    """Return a new RSA key pair.

    Takes up to some seconds of a processor: call it in a thread (`asyncio.to_thread`).

    Raises:
        ValueError: `bits` is none of `KEY_SIZES`.
    """
    if bits not in KEY_SIZES:
        raise ValueError(f"an RSA key has {', '.join(map(str, KEY_SIZES))} bits")
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )

    key = generate_private_key(public_exponent=65537, key_size=bits)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return KeyPair(private_key=Secret(private.decode()), public_key=public.decode())
