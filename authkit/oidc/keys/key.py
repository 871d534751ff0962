"""Keys that verify tokens: one checked value per key, where keys come from, and keys given as PEM.

Key sets of a provider: `authkit.oidc.keys.sources`. Weak keys: `authkit.oidc.keys.strength`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from authkit.errors import LoginError, TooManyRequestsError
from authkit.oidc.keys.cache import RemoteStatus
from authkit.oidc.keys.strength import require_ed25519, require_rsa, require_rsa_form
from authkit.threads import Threads, ThreadsBusyError
from authkit.values import Value, verify_collections

if TYPE_CHECKING:
    from typing import TypeAlias

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

    PublicKey: TypeAlias = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey

__all__ = [
    "ALGORITHMS",
    "MAX_STATIC_KEYS",
    "KeySource",
    "KeySourceError",
    "KeyStatus",
    "RenewableKeySource",
    "StaticKeys",
    "UnusableKeys",
    "VerificationKey",
]

_KEY_FORMS = {
    "RS256": ("RSA", ""),
    "RS384": ("RSA", ""),
    "RS512": ("RSA", ""),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "PS256": ("RSA", ""),
    "PS384": ("RSA", ""),
    "PS512": ("RSA", ""),
    "EdDSA": ("OKP", "Ed25519"),
}

ALGORITHMS = tuple(_KEY_FORMS)
"""The signature algorithms of a login, as vault-plugin-auth-jwt 0.26 has them (RFC 7518, RFC 8037).

No HMAC: a public key must never serve as a shared secret. No `none`.
"""

MAX_STATIC_KEYS = 64
"""Each login may try them all."""

MAX_STATIC_RSA_WORK = 16 * 4096**3
"""What testing the RSA keys among them may cost, which grows with the third power of the bits: as much as 16
keys of 4096 bits, up to 3 s. All 64 may have 2048 bits."""

_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}

_PEM_BLOCK = re.compile(r"-----BEGIN (?P<label>[A-Z0-9 ]+)-----.*?-----END (?P=label)-----", re.DOTALL)


class VerificationKey(Value, frozen=True):
    """A public key that is strong enough, together with what decides where it may be used.

    Made by `from_public_key`, which checks it.
    """

    key: PublicKey
    """Set by `from_public_key`."""
    kty: str
    """`RSA`, `EC` or `OKP`, as in RFC 7518 and RFC 8037."""
    curve: str
    """`P-256`, `P-384`, `P-521` or `Ed25519`; empty for RSA."""
    size: int
    """In bits: of the modulus, or of the curve."""
    kid: str | None = None
    """The id under which a provider publishes it. Static keys have none."""
    algorithm: str = ""
    """The only algorithm that the provider wants it used with; empty for any that fits."""

    @classmethod
    def from_public_key(
        cls, key: PublicKeyTypes, *, kid: str | None = None, algorithm: str = "", is_tested: bool = True
    ) -> VerificationKey:
        """Return the checked key.

        Args:
            is_tested: false leaves the test of an RSA modulus, which takes a while, to the caller.

        Raises:
            ValueError: no algorithm of `ALGORITHMS` uses such a key, or `algorithm` is for
                other keys, or the key is too weak or too slow.
        """
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

        if isinstance(key, rsa.RSAPublicKey):
            (require_rsa if is_tested else require_rsa_form)(key)
            made = cls(key, "RSA", "", key.key_size, kid, algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
            made = cls(key, "EC", _CURVES[key.curve.name], key.key_size, kid, algorithm)
        elif isinstance(key, ed25519.Ed25519PublicKey):
            require_ed25519(key)
            made = cls(key, "OKP", "Ed25519", 256, kid, algorithm)
        else:
            raise ValueError("use an RSA, an ECDSA (P-256, P-384, P-521) or an Ed25519 key")
        if algorithm and not made.is_for(algorithm):
            raise ValueError("its alg is for keys of another type or curve")
        return made

    def is_for(self, algorithm: str) -> bool:
        """Return whether a token signed with `algorithm` may be checked with this key."""
        form = _KEY_FORMS.get(algorithm)
        return form == (self.kty, self.curve) and self.algorithm in ("", algorithm)


class KeySourceError(LoginError):
    """The keys of an issuer cannot be set up: its metadata or its stored keys cannot be used.

    Its code is `keys_not_set_up`, with the fact `reason`.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        text = f"the issuer's keys cannot be set up: {reason}"
        super().__init__(text, detail, code="keys_not_set_up", facts={"reason": reason})


class KeyStatus(Value, frozen=True):
    """What an operator may want to know of a source of keys. Holds no secret."""

    source: str
    """The URL without credentials and query, or `static keys`."""
    keys: int
    """How many keys may verify tokens now."""
    remote: RemoteStatus | None = None
    """Of keys that are fetched: when, when next, and why not."""
    metadata: RemoteStatus | None = None
    """The same of the metadata that tell where the keys are, if an issuer has such."""
    unknown_kids: int = 0
    """How often the provider did not have a key id that it was asked for."""


class KeySource(Protocol):
    """Where the keys of an issuer come from."""

    async def find_keys(self, kid: str | None) -> Sequence[VerificationKey]:
        """Return the keys that may have signed a token with this `kid` header; none if unknown.

        Raises:
            TokenError: the keys cannot be fetched.
            KeySourceError: the provider's metadata cannot be fetched or used.
        """
        ...

    def status(self) -> Sequence[KeyStatus]:
        """Return the status, without I/O."""
        ...

    async def close(self) -> None:
        """Close connections and stop tasks. Safe to call more than once."""


@runtime_checkable
class RenewableKeySource(Protocol):
    """A key source that can look again when a key it knew did not verify a token."""

    async def find_newer_keys(self, kid: str | None) -> Sequence[VerificationKey]:
        """Return the keys as they are now; none when looking again was not possible or not yet due."""
        ...


class StaticKeys:
    """Keys that an operator wrote down. All are tried, whatever the `kid` of a token."""

    def __init__(self, keys: Sequence[VerificationKey]) -> None:
        verify_collections(keys=keys)
        _require_few(keys)
        self._keys = tuple(keys)
        self._untested: tuple[VerificationKey, ...] = ()
        self._threads = Threads(1)

    @classmethod
    def from_pem(cls, pems: Sequence[str]) -> StaticKeys:
        """Return the keys of PEM public keys or certificates, one block per element.

        Of a certificate only the key counts: dates, names and signature are not looked at, as in
        vault-plugin-auth-jwt 0.26. RSA keys have at least 2048 bits here, a deliberate difference. Their
        moduli are tested by `load`, at the latest before the keys are first used.

        Raises:
            ValueError: an element is something else; the text never repeats it. Or there are too many, or
                too many long ones.
        """
        verify_collections(pems=pems)
        _require_few(pems)
        keys, work = [], 0
        for pem in pems:
            keys.append(_load_pem(pem))
            work += keys[-1].size ** 3 if keys[-1].kty == "RSA" else 0
            if work > MAX_STATIC_RSA_WORK:
                raise ValueError("too many long RSA keys: use shorter ones, ECDSA or Ed25519")
        made = cls(keys)
        made._untested = tuple(key for key in keys if key.kty == "RSA")
        return made

    async def load(self) -> None:
        """Test the RSA keys in a thread, once.

        Raises:
            ValueError: one of them is too weak.
            TooManyRequestsError: no thread is free.
        """
        for key in self._untested:
            try:
                await self._threads.run(partial(require_rsa, key.key))  # type: ignore[arg-type]
            except ThreadsBusyError as error:
                raise TooManyRequestsError("keys cannot be tested at this moment, try again") from error
        self._untested = ()

    async def find_keys(self, kid: str | None) -> Sequence[VerificationKey]:
        """Return all keys.

        Raises:
            KeySourceError: one of them is too weak.
            TooManyRequestsError: they cannot be tested at this moment.
        """
        if self._untested:
            try:
                await self.load()
            except ValueError as error:
                raise KeySourceError(str(error)) from error
        return self._keys

    def status(self) -> Sequence[KeyStatus]:
        """Return how many there are."""
        return [KeyStatus("static keys", len(self._keys))]

    async def close(self) -> None:
        """Do nothing."""


class UnusableKeys:
    """Keys of an issuer that were stored and that this version does not take: its tokens are refused.

    Other issuers keep working. `reason` is the text for the caller of a login.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        """Why they are not taken."""

    async def find_keys(self, kid: str | None) -> Sequence[VerificationKey]:
        """Raise `KeySourceError`."""
        raise KeySourceError(self.reason)

    def status(self) -> Sequence[KeyStatus]:
        """Return that there are none."""
        return [KeyStatus("unusable keys", 0)]

    async def close(self) -> None:
        """Do nothing."""


def _require_few(keys: Sequence[object]) -> None:
    if not keys:
        raise ValueError("at least one public key is needed")
    if len(keys) > MAX_STATIC_KEYS:
        raise ValueError(f"more than {MAX_STATIC_KEYS} public keys")


def _load_pem(pem: str) -> VerificationKey:
    from cryptography.exceptions import UnsupportedAlgorithm

    block = _PEM_BLOCK.search(pem)
    if block is None:
        raise ValueError("data does not contain any valid public keys")
    if pem[block.end() :].strip():
        raise ValueError("unexpected trailing data after parsed PEM block")
    if block["label"].endswith("PRIVATE KEY"):
        raise ValueError("a private key was given, a public key is expected")
    try:
        key = _load_block(block[0].encode(), block["label"])
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("data does not contain any valid public keys") from error
    return VerificationKey.from_public_key(key, is_tested=False)


def _load_block(block: bytes, label: str) -> PublicKeyTypes:
    if label.endswith("CERTIFICATE"):
        from cryptography.x509 import load_pem_x509_certificate

        return load_pem_x509_certificate(block).public_key()
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    return load_pem_public_key(block)
