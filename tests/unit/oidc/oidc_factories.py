"""Keys, key sets and tokens for these tests: wrong ones as easily as right ones."""

from __future__ import annotations

import asyncio
import base64
import datetime
import hmac
import json
from functools import cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from jwt_auth.texts.words import find_text, say

from authkit.oidc import NO_RECORD, VerificationKey
from authkit.oidc.tokens.jws import find_signer, require_signature, verify_algorithm

VECTORS = next(
    (
        found
        for parent in Path(__file__).resolve().parents[4:]
        if (found := parent / "shared/vectors").is_dir()
    ),
    Path("shared/vectors"),
)
NOW = 1_700_000_000

_MAKERS = {
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "rsa-other": lambda: rsa.generate_private_key(65537, 2048),
    "rsa-1024": lambda: rsa.generate_private_key(65537, 1024),
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "k1": lambda: ec.generate_private_key(ec.SECP256K1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ed448": ed448.Ed448PrivateKey.generate,
}

KEY_OF = {
    "RS256": "rsa",
    "RS384": "rsa",
    "RS512": "rsa",
    "PS256": "rsa",
    "PS384": "rsa",
    "PS512": "rsa",
    "ES256": "p256",
    "ES384": "p384",
    "ES512": "p521",
    "EdDSA": "ed25519",
}
HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}


@cache
def private_key(name: str) -> Any:
    """The private key of this name, the same one each time."""
    return _MAKERS[name]()


def verification_key(name: str, **options: Any) -> VerificationKey:
    """The public half of the key, checked."""
    return VerificationKey.from_public_key(private_key(name).public_key(), **options)


def public_pem(name: str) -> str:
    """The public half as PEM."""
    return to_pem(private_key(name).public_key())


def to_pem(public: Any) -> str:
    """A public key as PEM."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return public.public_bytes(serialization.Encoding.PEM, form).decode()


def certificate_pem(public: Any, not_after: datetime.datetime = datetime.datetime(2100, 1, 1)) -> str:
    """A certificate for a public key, signed by whoever it may be."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issuer")])
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=public,
        serial_number=1,
        not_valid_before=datetime.datetime(2020, 1, 1),
        not_valid_after=not_after,
    )
    certificate = builder.sign(private_key("p256"), hashes.SHA256())
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def private_pem(name: str) -> str:
    """The private key as PEM."""
    return (
        private_key(name)
        .private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        .decode()
    )


def b64(raw: bytes) -> str:
    """Unpadded base64url."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def b64_integer(number: int, length: int | None = None) -> str:
    """A big-endian integer in base64url, as short as can be or of this length."""
    return b64(number.to_bytes(length or (number.bit_length() + 7) // 8, "big"))


def jwk(name: str, **members: Any) -> dict[str, Any]:
    """A public JWK of this key; a member given as `...` is left out."""
    public = private_key(name).public_key()
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        found = {"kty": "RSA", "n": b64_integer(numbers.n), "e": b64_integer(numbers.e)}
    elif isinstance(public, ec.EllipticCurvePublicKey):
        curve = {"p256": "P-256", "p384": "P-384", "p521": "P-521", "k1": "secp256k1"}[name]
        length = (public.key_size + 7) // 8
        point = public.public_numbers()
        found = {
            "kty": "EC",
            "crv": curve,
            "x": b64_integer(point.x, length),
            "y": b64_integer(point.y, length),
        }
    else:
        raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        found = {"kty": "OKP", "crv": "Ed25519" if name == "ed25519" else "Ed448", "x": b64(raw)}
    found = {"kid": name, **found, **members}
    return {key: value for key, value in found.items() if value is not ...}


def jwks(*entries: Any, **members: Any) -> bytes:
    """A key set document of these entries."""
    return json.dumps({"keys": list(entries), **members}).encode()


def sign(key: Any, algorithm: str, message: bytes) -> bytes:
    """Sign with a key, or for HS* with bytes; the key need not be one for the algorithm."""
    if algorithm.startswith("HS"):
        return hmac.digest(key, message, f"sha{algorithm[2:]}")
    digest = HASHES.get(algorithm[2:], hashes.SHA256())
    if isinstance(key, rsa.RSAPrivateKey):
        pss = padding.PSS(padding.MGF1(digest), digest.digest_size)
        return key.sign(message, pss if algorithm.startswith("PS") else padding.PKCS1v15(), digest)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(key.sign(message, ec.ECDSA(digest)))
        length = (key.key_size + 7) // 8
        return r.to_bytes(length, "big") + s.to_bytes(length, "big")
    return key.sign(message)


def make_token(
    claims: Any = None,
    *,
    algorithm: str = "RS256",
    key: Any = None,
    header: Any = None,
    kid: Any = None,
) -> str:
    """A signed token. `claims` and `header` may be bytes, taken as they are."""
    if header is None:
        header = {"alg": algorithm, "typ": "JWT"} | ({} if kid is None else {"kid": kid})
    claims = {"sub": "ann", "exp": NOW + 60, "iat": NOW} if claims is None else claims
    head, body = (
        b64(part if isinstance(part, bytes) else json.dumps(part).encode()) for part in (header, claims)
    )
    message = f"{head}.{body}".encode()
    signer = private_key(KEY_OF.get(algorithm, "rsa")) if key is None else key
    return f"{head}.{body}.{b64(sign(signer, algorithm, message))}"


class Clock:
    """A timer that a test moves; a wall clock that goes with it."""

    def __init__(self):
        self.now = 1000.0
        self._planned = []

    def time(self):
        return self.now

    def wall(self):
        return NOW + self.now - 1000

    def call_later(self, delay, callback):
        call = PlannedCall(self.now + delay, callback)
        self._planned.append(call)
        return call

    @property
    def planned(self):
        """The times of the calls to come."""
        return sorted(call.at for call in self._planned if call.callback is not None)

    def advance(self, seconds):
        """Move on, and make the calls that are due, each at its time."""
        end = self.now + seconds
        while self.planned and self.planned[0] <= end:
            call = min((c for c in self._planned if c.callback is not None), key=lambda c: c.at)
            self._planned.remove(call)
            self.now = max(self.now, call.at)
            call.callback()
        self.now = end


class PlannedCall:
    """A call to come, unless cancelled."""

    def __init__(self, at, callback):
        self.at = at
        self.callback = callback

    def cancel(self):
        self.callback = None


async def until(is_true):
    """Let others run until it is true."""
    async with asyncio.timeout(10):
        while not is_true():
            await asyncio.sleep(0)


def refusal_of(checks):
    """The same of the first check that failed; empty if none did."""
    failed = [check for check in checks.checks if not check.passed]
    return find_text(failed[0].error, failed[0].code, failed[0].facts) if failed else ""


def said(error):
    """What the JWT example makes of a refusal: the text of the official plugin."""
    return say(error).public


def verify_signature(token, keys, algorithms):
    """Raise `TokenError` unless one of `keys` made the signature: a verifier's steps, without its sources."""
    verify_algorithm(token, algorithms)
    require_signature(token, keys, find_signer(token, keys) is not None, NO_RECORD)
