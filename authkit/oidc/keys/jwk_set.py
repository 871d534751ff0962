"""JWKS documents (RFC 7517): bytes of a provider in, usable keys out.

Fetching and caching: `authkit.oidc.keys.sources`. Strength of a key: `authkit.oidc.keys.strength`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from authkit.base64url import decode_base64url, encode_base64url
from authkit.oidc.http.client import DOCUMENT_READER
from authkit.oidc.keys.key import ALGORITHMS, VerificationKey
from authkit.oidc.keys.strength import MAX_RSA_BITS
from authkit.values import Value

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

__all__ = ["MAX_DOCUMENT_BYTES", "MAX_KEYS", "MAX_KID_CHARACTERS", "KeySet", "parse_jwks"]

MAX_DOCUMENT_BYTES = 1024 * 1024
"""The largest document read. Real ones, certificates included, stay below 100 KiB."""

MAX_KEYS = 500
"""Keys loaded of one document; the rest is ignored."""

MAX_RSA_WORK = MAX_KEYS * 2048**3
"""What testing the RSA keys of one document may cost: as much as `MAX_KEYS` keys of 2048 bits, some 10 s
of one thread. The cost of a key grows with the third power of its bits (see `authkit.oidc.keys.strength`)."""

MAX_KID_CHARACTERS = 1024
"""The longest key id that is looked up and remembered."""

_USES = frozenset({"", "sig", "jwt-svid"})
"""Signatures (RFC 7517 section 4.2), and the authorities of a SPIFFE bundle that sign JWTs."""

_OTHER_USES = frozenset({"enc", "x509-svid", "wit-svid"})
"""Encryption (RFC 7517 section 4.2), and the other authorities in a SPIFFE bundle."""

_EC_CURVES = frozenset({"P-256", "P-384", "P-521"})

_COORDINATE_BYTES = {"P-256": 32, "P-384": 48, "P-521": 66, "Ed25519": 32}
"""RFC 7518 section 6.2.1.2, RFC 8037 section 2."""

_log = logging.getLogger(__name__)


class KeySet(Value, frozen=True):
    """The keys of one document, found by id."""

    keys: tuple[VerificationKey, ...]
    """Set by `parse_jwks`, in the document's order."""
    by_kid: Mapping[str, tuple[VerificationKey, ...]]
    """Set by `parse_jwks`: more than one where a provider gives an id twice."""

    def find(self, kid: str | None) -> Sequence[VerificationKey]:
        """Return the keys with exactly this id; all keys for `None`."""
        return self.keys if kid is None else self.by_kid.get(kid, ())


def parse_jwks(document: bytes) -> KeySet:
    """Return the usable keys of a JWKS document; there may be none.

    A key that cannot serve is skipped, with a line in the log if that is a fault: unknown types and
    curves, keys marked for something else than to verify (`use`, `key_ops`) or for an algorithm
    other than a login's, weak keys (`authkit.oidc.keys.strength`), broken keys, and private keys, which are
    no longer secret. An id may occur twice (RFC 7517 section 4.5 only advises against it): each key of it
    is tried that fits the token's algorithm.
    Members of the document beside `keys` are ignored. vault-plugin-auth-jwt 0.26 gives up the whole
    document for a single such key, and ignores `use`, `key_ops` and `alg`.

    Raises:
        ValueError: it is no JWKS document, or larger than `MAX_DOCUMENT_BYTES`.
    """
    entries = _parse_entries(document)
    if len(entries) > MAX_KEYS:
        _log.warning(
            "the key set holds %d keys, those after the first %d are ignored", len(entries), MAX_KEYS
        )
    keys: list[VerificationKey] = []
    by_kid: dict[str, tuple[VerificationKey, ...]] = {}
    work = 0
    for index, entry in enumerate(entries[:MAX_KEYS]):
        work += _rsa_work(entry)
        if work > MAX_RSA_WORK:
            _log.warning(
                "the key set holds too many long RSA keys, key %d and those after it are ignored", index
            )
            break
        key = _find_key(index, entry)
        if key is None:
            continue
        keys.append(key)
        if key.kid is not None:
            by_kid[key.kid] = (*by_kid.get(key.kid, ()), key)
    return KeySet(tuple(keys), by_kid)


def _parse_entries(document: bytes) -> list[Any]:
    if len(document) > MAX_DOCUMENT_BYTES:
        raise ValueError(f"the key set is larger than {MAX_DOCUMENT_BYTES} bytes")
    try:
        content = DOCUMENT_READER.read(document)
    except ValueError:
        raise ValueError("the key set is not valid JSON") from None
    entries = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise ValueError("the key set is not a JSON object with a list of keys")
    return entries


def _find_key(index: int, entry: Any) -> VerificationKey | None:
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        if not isinstance(entry, dict):
            raise ValueError("not a JSON object")
        return None if _is_for_others(entry) else _load_key(entry)
    except (ValueError, UnsupportedAlgorithm) as error:
        _log.warning("key %d of the key set is skipped: %s", index, error)
        return None


def _rsa_work(entry: Any) -> int:
    modulus = entry.get("n") if isinstance(entry, dict) else None
    return min(6 * len(modulus), MAX_RSA_BITS) ** 3 if isinstance(modulus, str) else 0


def _is_for_others(entry: Mapping[str, Any]) -> bool:
    use, operations = _get_text(entry, "use").lower(), _get_operations(entry)
    if use in _OTHER_USES or _get_text(entry, "alg") not in ("", *ALGORITHMS):
        return True
    if use not in _USES:
        raise ValueError("its use is not known here")
    if operations and "verify" not in operations:
        return True
    kind, curve = _get_text(entry, "kty"), _get_text(entry, "crv")
    if kind == "EC":
        return curve not in _EC_CURVES
    return kind != "RSA" and (kind, curve) != ("OKP", "Ed25519")


def _load_key(entry: Mapping[str, Any]) -> VerificationKey:
    if "d" in entry:
        raise ValueError("it is a private key, and published: its owner must replace it")
    kid = _get_text(entry, "kid")
    if len(kid) > MAX_KID_CHARACTERS:
        raise ValueError("its id is too long")
    return VerificationKey.from_public_key(
        _load_public_key(entry), kid=kid or None, algorithm=_get_text(entry, "alg")
    )


def _load_public_key(entry: Mapping[str, Any]) -> PublicKeyTypes:
    from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
    from jwt.exceptions import InvalidKeyError

    kind, curve = _get_text(entry, "kty"), _get_text(entry, "crv")
    members = {"RSA": ("n", "e"), "EC": ("x", "y"), "OKP": ("x",)}[kind]
    # PyJWT decodes base64url less strictly, and reads members that were not checked here.
    values = {name: _get_bytes(entry, name) for name in members}
    if kind != "RSA" and {len(value) for value in values.values()} != {_COORDINATE_BYTES[curve]}:
        raise ValueError("its x or y has another length than the curve's")
    public = {name: encode_base64url(value) for name, value in values.items()}
    algorithm: Any = {"RSA": RSAAlgorithm, "EC": ECAlgorithm, "OKP": OKPAlgorithm}[kind]
    try:
        key = algorithm.from_jwk({"kty": kind, "crv": curve, **public})
    except InvalidKeyError as error:
        raise ValueError(str(error)) from error
    if kind == "EC":
        point = key.public_numbers()
        # Coordinates that are not below p would be reduced: the key would have more than one spelling.
        if (point.x, point.y) != tuple(int.from_bytes(value, "big") for value in values.values()):
            raise ValueError("its x or y is not below the curve's prime")
    return key  # type: ignore[no-any-return]


def _get_bytes(entry: Mapping[str, Any], name: str) -> bytes:
    # Some providers pad, against RFC 7518 section 2, which is harmless in a key.
    text = _get_text(entry, name).rstrip("=")
    try:
        return decode_base64url(text)
    except ValueError:
        raise ValueError(f"its {name} is not base64url") from None


def _get_operations(entry: Mapping[str, Any]) -> Sequence[str]:
    """Return `key_ops`, an array of strings (RFC 7517 section 4.3). An empty one says nothing."""
    operations = entry.get("key_ops")
    if operations is None:
        return ()
    if not isinstance(operations, list) or not all(isinstance(operation, str) for operation in operations):
        raise ValueError("its key_ops is not a list of strings")
    return operations


def _get_text(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"its {name} is not a string")
    return value
