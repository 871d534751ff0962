"""Compact JWS: a token taken apart strictly, and its signature verified.

Keys and claims: `authkit.oidc.tokens.verifier`. Cryptography: `authkit.oidc.tokens.signatures`.

Deliberately stricter than vault-plugin-auth-jwt 0.26 (RFC 7515 allows all of this): JSON serialisation,
base64 padding and stray final bits are refused, and so are header parameters that occur twice and `crit`,
whatever it lists.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import ClassVar

from authkit.base64url import decode_base64url
from authkit.errors import TokenError
from authkit.json_reader import StrictReader
from authkit.oidc.keys.key import ALGORITHMS, VerificationKey
from authkit.oidc.tokens.checks import NO_RECORD, Checks
from authkit.printable import quote
from authkit.values import Value

__all__ = [
    "MAX_DEPTH",
    "MAX_INTEGER_DIGITS",
    "MAX_TOKEN_CHARACTERS",
    "MAX_TRIED_KEYS",
    "STRICT_READER",
    "UnknownAlgorithmError",
    "UnverifiedToken",
    "find_signer",
    "require_signature",
    "split_token",
    "verify_algorithm",
]

MAX_TOKEN_CHARACTERS = 64 * 1024
"""The longest token. Those with hundreds of groups stay below 20 KiB."""

MAX_TRIED_KEYS = 64
"""Keys tried for one token. Strangers can cause that work; an ECDSA key costs up to 0.5 ms."""

MAX_DEPTH = 64
"""Objects and lists inside each other; later code may walk claims recursively without counting."""

MAX_INTEGER_DIGITS = 128
"""Room for any identifier, and converting them stays cheap."""

STRICT_READER = StrictReader(max_depth=MAX_DEPTH, max_integer_digits=MAX_INTEGER_DIGITS)
"""Reads headers and claims. It refuses what two readers could read differently."""

MAX_KEPT_HEADERS = 64
"""Headers that are not parsed again, of at most `MAX_KEPT_HEADER_CHARACTERS` each."""

MAX_KEPT_HEADER_CHARACTERS = 512
"""Real ones with a key id and a type have about 100."""

_STATIC, _FETCHED = MappingProxyType({"is_static": True}), MappingProxyType({"is_static": False})

_MAX_SHOWN_CHARACTERS = 64
"""How much of a header parameter a message repeats."""


class UnknownAlgorithmError(TokenError):
    """A token says that it is signed with something that is not one of `ALGORITHMS`, or not at all."""


class UnverifiedToken(Value, frozen=True):
    """A token taken apart. Nothing in it may be believed before its signature is verified."""

    algorithm: str
    """The `alg` header, one of `ALGORITHMS`."""
    kid: str | None
    """The `kid` header; an empty one counts as absent."""
    type: object
    """The `typ` header as it came, `None` without one."""
    payload: bytes
    signing_input: bytes
    signature: bytes

    unshown: ClassVar = ("algorithm", "kid", "type", "payload", "signing_input", "signature")


def split_token(text: str) -> UnverifiedToken:
    """Take a compact JWS apart. ASCII whitespace in it is ignored: tokens from files end in a newline.

    Keys inside the header (`jwk`, `jku`, `x5c`, `x5u`) are ignored.

    Raises:
        TokenError: it is no compact JWS, or not one that a login takes.
    """
    if len(text) > MAX_TOKEN_CHARACTERS:
        raise _malformed(f"longer than {MAX_TOKEN_CHARACTERS} characters")
    try:
        raw = b"".join(text.encode("ascii").split())
    except UnicodeEncodeError:
        # Without the cause: it keeps the whole token.
        raise _malformed("not ASCII text") from None
    if raw.startswith(b"{"):
        raise _malformed("JSON serialisation is not accepted")
    parts = raw.split(b".")
    if len(parts) != 3:
        raise _malformed("it does not have three parts", "not_three_parts")
    read = _read_known_header if len(parts[0]) <= MAX_KEPT_HEADER_CHARACTERS else _read_header
    header = read(parts[0])
    payload = _decode_part(parts[1], "payload")
    signature = _decode_part(parts[2], "signature")
    return UnverifiedToken(*header, payload, raw[: -len(parts[2]) - 1], signature)


def find_signer(
    token: UnverifiedToken, keys: Sequence[VerificationKey], likely: VerificationKey | None = None
) -> VerificationKey | None:
    """Return the key among `keys` that made the token's signature. Ask `verify_algorithm` first.

    `likely` is tried first if it is one of them: a set of many keys then costs no more than one.
    """
    from authkit.oidc.tokens.signatures import is_signed_by

    algorithm, tried = token.algorithm, 0
    if likely is not None and len(keys) > 1 and any(key is likely for key in keys):
        keys = (likely, *(key for key in keys if key is not likely))
    for key in keys:
        if key.is_for(algorithm):
            if is_signed_by(key, algorithm, token.signing_input, token.signature):
                return key
            tried += 1
            if tried == MAX_TRIED_KEYS:
                break
    return None


def require_signature(
    token: UnverifiedToken,
    keys: Sequence[VerificationKey],
    is_signed: bool,
    checks: Checks,
    *,
    is_static: bool = False,
) -> None:
    """Refuse the token unless `is_signed` says that one of `keys` signed it.

    Args:
        is_static: whether the keys are configured, and not fetched from the issuer.

    Raises:
        TokenError: the signature is not by one of the keys.
    """
    checks.require(
        "signature",
        is_signed,
        "the signature is not by one of the issuer's keys",
        code="bad_signature",
        facts=_STATIC if is_static else _FETCHED,
        expected=lambda: ("by one of the keys {}", [key.kid or f"{key.kty} {key.size}" for key in keys]),
        had=("alg {}, kid {}", token.algorithm, token.kid),
        detail="" if is_signed else _describe(token, keys),
        is_last=True,
    )


def verify_algorithm(
    token: UnverifiedToken, algorithms: Collection[str], *, checks: Checks = NO_RECORD
) -> None:
    """Refuse the token unless its `alg` is one of `algorithms`; an empty collection allows none.

    Raises:
        TokenError: the algorithm is not allowed.
    """
    if isinstance(algorithms, str):
        raise TypeError("algorithms is a collection of names")
    checks.require(
        "algorithm",
        token.algorithm in algorithms,
        "the token is signed with an algorithm that is not allowed (alg)",
        code="algorithm_not_allowed",
        expected=("one of {}", algorithms),
        had=token.algorithm,
        detail=f"alg is {token.algorithm}",
        is_last=True,
    )


def _decode_part(part: bytes, name: str) -> bytes:
    # An empty payload is detached content: signed, but not here. An empty signature signs nothing.
    if not part:
        raise _malformed(f"{name} is empty")
    try:
        return decode_base64url(part)
    except ValueError:
        raise _malformed(f"{name} is not base64url") from None


def _read_header(part: bytes) -> tuple[str, str | None, object]:
    """Return the header parameters of an `UnverifiedToken`."""
    try:
        header = STRICT_READER.read_object(_decode_part(part, "header"))
    except ValueError as error:
        raise _malformed(f"header: {error}") from error
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str):
        raise _malformed("header parameter alg is not a string")
    if algorithm not in ALGORITHMS:
        shown = algorithm[:_MAX_SHOWN_CHARACTERS]
        text = f"the token is signed with the unknown algorithm {quote(shown)}"
        facts = {"algorithm": shown, "expected": ALGORITHMS}
        raise UnknownAlgorithmError(text, code="algorithm_unknown", facts=facts)
    if not isinstance(kid, str | None):
        raise _malformed("header parameter kid is not a string")
    # No extension is understood here (RFC 7515 section 4.1.11), the unencoded payload of RFC 7797
    # least of all: it comes with `crit`, or is a trap.
    if "crit" in header or header.get("b64", True) is not True:
        raise _malformed("critical header parameters are not supported")
    return algorithm, kid or None, header.get("typ")


# The tokens of one key all have the same header. Refusals are not kept.
_read_known_header = lru_cache(MAX_KEPT_HEADERS)(_read_header)


def _describe(token: UnverifiedToken, keys: Sequence[VerificationKey]) -> str:
    kid = "no kid" if token.kid is None else f"kid {quote(token.kid[:_MAX_SHOWN_CHARACTERS])}"
    fitting = sum(key.is_for(token.algorithm) for key in keys)
    return f"token with alg {token.algorithm} and {kid}: {len(keys)} keys found, {fitting} usable"


def _malformed(reason: str, code: str = "malformed_token") -> TokenError:
    return TokenError(f"the token is malformed: {reason}", code=code, facts={"reason": reason})
