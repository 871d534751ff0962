"""The ten signature algorithms of a login, verified straight on `cryptography`.

PyJWT's algorithm objects do the same with more steps per call. Imported late, by
`authkit.oidc.tokens.jws`, which also decides which key may be used with which algorithm.
"""

from __future__ import annotations

from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm

from authkit.oidc.keys.key import VerificationKey

__all__ = ["is_signed_by"]

_HASHES: dict[str, HashAlgorithm] = {"256": SHA256(), "384": SHA384(), "512": SHA512()}
_PKCS1 = padding.PKCS1v15()
_PSS = {
    # RFC 7518 section 3.5: the salt is as long as the hash. go-jose takes any length.
    bits: padding.PSS(padding.MGF1(digest), salt_length=digest.digest_size)
    for bits, digest in _HASHES.items()
}
_ECDSA = {bits: ec.ECDSA(digest) for bits, digest in _HASHES.items()}
_INTEGER_BYTES = {"ES256": 32, "ES384": 48, "ES512": 66}
"""Length of each of the two integers in an ECDSA signature (RFC 7518 section 3.4)."""


def is_signed_by(key: VerificationKey, algorithm: str, message: bytes, signature: bytes) -> bool:
    """Return whether `key` made `signature` of `message`. Ask only if `key.is_for(algorithm)`."""
    public: Any = key.key
    family, bits = algorithm[:2], algorithm[2:]
    try:
        if family == "RS":
            public.verify(signature, message, _PKCS1, _HASHES[bits])
        elif family == "PS":
            public.verify(signature, message, _PSS[bits], _HASHES[bits])
        elif family == "ES":
            public.verify(_encode_ecdsa(signature, algorithm), message, _ECDSA[bits])
        else:
            public.verify(signature, message)
    # ValueError: an impossible signature, or a key whose modulus is too short for the padding.
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def _encode_ecdsa(signature: bytes, algorithm: str) -> bytes:
    length = _INTEGER_BYTES[algorithm]
    if len(signature) != 2 * length:
        raise ValueError("an ECDSA signature of another length")
    r, s = signature[:length], signature[length:]
    return encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
