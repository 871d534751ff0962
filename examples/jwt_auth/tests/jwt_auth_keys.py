"""Key pairs and signed tokens for these tests."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


@cache
def private_key(name: str = "") -> ec.EllipticCurvePrivateKey:
    """Return the private key of this name, the same one each time."""
    return ec.generate_private_key(ec.SECP256R1())


def public_pem(name: str = "") -> str:
    """Return its public half."""
    public = private_key(name).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def public_jwk(name: str = "") -> dict[str, Any]:
    """Return its public half as an entry of a key set, with the name as its id."""
    described = jwt.get_algorithm_by_name("ES256").to_jwk(private_key(name).public_key(), as_dict=True)
    return {**described, "kid": name, "use": "sig", "alg": "ES256"}


def make_token(*, key: str = "", headers: dict[str, Any] | None = None, **claims: Any) -> str:
    """Return a token that is valid for a minute; a claim of `None` is left out."""
    now = int(time.time())
    everything = {"sub": "ann", "aud": "vault", "iat": now, "exp": now + 60} | claims
    kept = {name: value for name, value in everything.items() if value is not None}
    return jwt.encode(kept, private_key(key), algorithm="ES256", headers={"kid": key} | (headers or {}))
