"""A private key that signs compact JWS, and the public half to publish.

It signs the assertions of `authkit.oidc.client.authentication`, for example.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from authkit.base64url import encode_base64url
from authkit.masking import Secret
from authkit.oidc.keys.key import VerificationKey

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
        import jwt

        return jwt.encode(dict(claims), self._key, algorithm=self.algorithm, headers={"kid": self.kid})


def _load(pem: str) -> PrivateKeyTypes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return load_pem_private_key(pem.encode(), None)
    # Without the cause, which may repeat some of the key. TypeError: it is encrypted.
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("the data is no private key in PEM form without a password") from None


def _members(public: VerificationKey) -> dict[str, str]:
    """Return the members of a JWK that make the key, in the order of RFC 7638 section 3.2."""
    from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

    algorithm: Any = {"RSA": RSAAlgorithm, "EC": ECAlgorithm, "OKP": OKPAlgorithm}[public.kty]
    jwk = algorithm.to_jwk(public.key, as_dict=True)
    return {name: jwk[name] for name in ("crv", "e", "kty", "n", "x", "y") if name in jwk}


def _thumbprint(members: Mapping[str, str]) -> str:
    canonical = json.dumps(members, sort_keys=True, separators=(",", ":"))
    return encode_base64url(hashlib.sha256(canonical.encode()).digest())
