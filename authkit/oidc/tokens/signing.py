"""A private key that signs compact JWS, and the public half to publish.

What is signed is left to the caller: an assertion of `authkit.oidc.client.authentication`, for one.
Verification is in `authkit.oidc.tokens.jws`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from authkit.masking import Secret
from authkit.oidc.keys.key import VerificationKey
from authkit.oidc.tokens.jws import encode_base64url

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

__all__ = ["SigningKey"]

_ALGORITHMS = {
    ("RSA", ""): "RS256",
    ("EC", "P-256"): "ES256",
    ("EC", "P-384"): "ES384",
    ("EC", "P-521"): "ES512",
    ("OKP", "Ed25519"): "EdDSA",
}


class SigningKey:
    """A private key, and the one algorithm that it signs with: RS256, ES256, ES384, ES512 or EdDSA.

    Args:
        pem: the key in PEM form, not encrypted.
        kid: its id; its thumbprint (RFC 7638) unless given.

    Raises:
        ValueError: it is no key that this package would take a signature from.
    """

    def __init__(self, pem: Secret | str, *, kid: str = "") -> None:
        self._key: Any = _load(pem.reveal() if isinstance(pem, Secret) else pem)
        public = VerificationKey.from_public_key(self._key.public_key())
        self.algorithm = _ALGORITHMS[public.kty, public.curve]
        self._members = _members(public)
        self.kid = kid or _thumbprint(self._members)

    def jwk(self) -> dict[str, str]:
        """Return the public half as an entry of a key set (RFC 7517)."""
        return {**self._members, "use": "sig", "alg": self.algorithm, "kid": self.kid}

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Return a signed JWT of these claims."""
        from authkit.oidc.tokens.signatures import sign

        header = {"alg": self.algorithm, "typ": "JWT", "kid": self.kid}
        message = ".".join(encode_base64url(json.dumps(part).encode()) for part in (header, claims))
        return f"{message}.{encode_base64url(sign(self._key, self.algorithm, message.encode()))}"


def _load(pem: str) -> PrivateKeyTypes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return load_pem_private_key(pem.encode(), None)
    # Without the cause, which may repeat some of the key. TypeError: it is encrypted.
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("the data is no private key in PEM form without a password") from None


def _members(public: VerificationKey) -> dict[str, str]:
    """Return the members of a JWK that make the key (RFC 7518 section 6, RFC 8037 section 2)."""
    key: Any = public.key
    if public.kty == "RSA":
        numbers = key.public_numbers()
        return {"kty": "RSA", "n": _integer(numbers.n), "e": _integer(numbers.e)}
    if public.kty == "EC":
        point, size = key.public_numbers(), (public.size + 7) // 8
        return {
            "kty": "EC",
            "crv": public.curve,
            "x": _integer(point.x, size),
            "y": _integer(point.y, size),
        }
    return {"kty": "OKP", "crv": public.curve, "x": encode_base64url(key.public_bytes_raw())}


def _thumbprint(members: Mapping[str, str]) -> str:
    canonical = json.dumps(members, sort_keys=True, separators=(",", ":"))
    return encode_base64url(hashlib.sha256(canonical.encode()).digest())


def _integer(number: int, size: int = 0) -> str:
    return encode_base64url(number.to_bytes(size or (number.bit_length() + 7) // 8, "big"))
