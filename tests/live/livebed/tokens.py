"""Keys made at run time and tokens signed with them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

__all__ = ["AUDIENCE", "ISSUER", "SUBJECT", "Issuer", "usual_issuer"]

ISSUER = "https://issuer.example"
AUDIENCE = "vault"
SUBJECT = "alice"
LIFETIME_SECONDS = 600


@dataclass(frozen=True)
class Issuer:
    """One key pair and the claims that its tokens have unless told otherwise."""

    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    algorithm: str
    kid: str = "one"

    @classmethod
    def rsa(cls, kid: str = "one") -> Issuer:
        """Return an issuer with an RSA key of its own."""
        return cls(rsa.generate_private_key(public_exponent=65537, key_size=2048), "RS256", kid)

    @classmethod
    def ec(cls, kid: str = "one") -> Issuer:
        """Return an issuer with a P-256 key of its own."""
        return cls(ec.generate_private_key(ec.SECP256R1()), "ES256", kid)

    @property
    def public_pem(self) -> str:
        """The public key as operators hand it over."""
        return self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    @property
    def jwk(self) -> dict[str, Any]:
        """The public key as one entry of a key set."""
        described = jwt.get_algorithm_by_name(self.algorithm).to_jwk(self.key.public_key(), as_dict=True)
        return {**described, "kid": self.kid, "use": "sig", "alg": self.algorithm}

    def token(self, *, without: tuple[str, ...] = (), **claims: Any) -> str:
        """Return a signed token; `claims` replace the usual ones, `without` leaves some out."""
        now = int(time.time())
        usual = {
            "iss": ISSUER,
            "sub": SUBJECT,
            "aud": AUDIENCE,
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME_SECONDS,
        }
        body = {key: value for key, value in (usual | claims).items() if key not in without}
        return jwt.encode(body, self.key, algorithm=self.algorithm, headers={"kid": self.kid})


@cache
def usual_issuer() -> Issuer:
    """Return the issuer that most tests share: making an RSA key takes a while."""
    return Issuer.rsa()
