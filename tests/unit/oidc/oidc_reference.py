"""What a login with a JWT decides, written slowly and in the order of the rules: the yardstick of ours.

Shares no code with the package. Signatures are PyJWT's, everything else is plain Python.
"""

from __future__ import annotations

import base64
import json
import math
import re
from dataclasses import dataclass, field
from fractions import Fraction

import jwt

SIGNATURE = "error verifying token signature: "
MALFORMED = SIGNATURE + "oidc: malformed jwt: "
ALGORITHMS = {
    "RS256": "RSA",
    "RS384": "RSA",
    "RS512": "RSA",
    "PS256": "RSA",
    "PS384": "RSA",
    "PS512": "RSA",
    "ES256": "P-256",
    "ES384": "P-384",
    "ES512": "P-521",
    "EdDSA": "Ed25519",
}


class RefusedError(Exception):
    """The login is refused; the text is what the caller reads, or how that begins."""


@dataclass
class Role:
    """What a role asks for, and the configuration beside it."""

    issuer: str = ""
    algorithms: list = field(default_factory=list)
    audiences: list = field(default_factory=list)
    subject: str = ""
    expiration: int = 0
    not_before: int = 0
    skew: int = 0
    user_claim: str = "sub"
    is_pointer: bool = False
    groups_claim: str = ""
    mappings: dict = field(default_factory=dict)
    bound: dict = field(default_factory=dict)
    kind: str = "string"


def decide(text, keys, role, now):
    """The identity: name, groups and metadata. `keys` are (kid, alg or "", kind, public key)."""
    header, payload, message, signature = take_apart(text)
    algorithm, kid = header["alg"], header.get("kid") or None
    if role.algorithms and algorithm not in role.algorithms:
        raise RefusedError("invalid algorithm (alg) header parameter: token signed with unexpected algorithm")
    candidates = [key for key in keys if kid is None or key[0] == kid]
    verifiers = jwt.algorithms.get_default_algorithms()
    if not any(
        kind == ALGORITHMS[algorithm]
        and only in ("", algorithm)
        and verifiers[algorithm].verify(message, public, signature)
        for _, only, kind, public in candidates
    ):
        raise RefusedError(SIGNATURE + "failed to verify id token signature")
    try:
        claims = read_object(payload)
    except ValueError:
        raise RefusedError(SIGNATURE + "malformed claims: ") from None
    registered(claims, role, now)
    if claims.get("aud") and not role.audiences:
        raise RefusedError("audience claim found in JWT but no audiences bound to the role")
    identity = identify(claims, role)
    for name, expected in role.bound.items():
        bound_claim(name, claims, expected, role.kind)
    return identity


# --- form --------------------------------------------------------------------------------------


def take_apart(text):
    """Header, payload, signed bytes and signature of a compact JWS."""
    if len(text) > 65536 or not text.isascii():
        raise RefusedError(MALFORMED)
    text = "".join(text.split())
    if text.count(".") != 2 or text.startswith("{"):
        raise RefusedError(MALFORMED)
    first, second, third = text.split(".")
    try:
        header = read_object(decode(first))
        payload, signature = decode(second), decode(third)
    except ValueError:
        raise RefusedError(MALFORMED) from None
    if header.get("alg") not in list(ALGORITHMS) or not isinstance(header.get("kid", ""), str | None):
        raise RefusedError(MALFORMED)
    if "crit" in header or header.get("b64", True) is not True:
        raise RefusedError(MALFORMED)
    return header, payload, f"{first}.{second}".encode(), signature


def decode(part):
    """Base64url without padding, in its only form; not empty."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", part) or len(part) % 4 == 1:
        raise ValueError
    raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if base64.urlsafe_b64encode(raw).decode().rstrip("=") != part:
        raise ValueError
    return raw


def read_object(raw):
    """A JSON object that everybody reads alike."""

    def unique(members):
        if len({name for name, _ in members}) < len(members):
            raise ValueError
        return dict(members)

    def refuse(constant):
        raise ValueError

    def integer(digits):
        if len(digits) > 128:
            raise ValueError
        return int(digits)

    try:
        value = json.loads(raw.decode(), object_pairs_hook=unique, parse_constant=refuse, parse_int=integer)
    except RecursionError:
        raise ValueError from None
    if not isinstance(value, dict) or depth(value) > 64:
        raise ValueError
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    return value


def depth(value):
    """Levels of lists and objects."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


# --- registered claims -------------------------------------------------------------------------


def registered(claims, role, now):
    """Section 4.3 of the specification, step by step."""
    for name in ("iss", "sub", "jti"):
        if not isinstance(claims.get(name), str | None):
            raise RefusedError("json: cannot unmarshal ")
    audiences = claims.get("aud", [])
    audiences = [audiences] if isinstance(audiences, str) else audiences
    if not isinstance(audiences, list) or not all(isinstance(one, str) for one in audiences):
        raise RefusedError("go-jose/go-jose/jwt: expected string or array value to unmarshal to Audience")
    issued, expires, begins = (date(claims.get(name)) for name in ("iat", "exp", "nbf"))
    if role.issuer and claims.get("iss") != role.issuer:
        raise RefusedError("invalid issuer (iss) claim")
    if role.subject and claims.get("sub") != role.subject:
        raise RefusedError("invalid subject (sub) claim")
    if role.audiences and not set(role.audiences) & set(audiences):
        raise RefusedError(
            "invalid audience (aud) claim: audience claim does not match any expected audience"
        )
    if issued is expires is begins is None:
        raise RefusedError("no issued at (iat), not before (nbf), or expiration time (exp) claims in token")
    leeways = []
    for seconds, default in ((role.expiration, 150), (role.not_before, 150), (role.skew, 60)):
        leeways.append(default if seconds == 0 else max(seconds, 0))
    after, before, skew = leeways
    if expires is None:
        expires = (
            max(issued if issued is not None else begins, begins if begins is not None else issued) + after
        )
    if begins is None:
        begins = issued if issued is not None else expires - before
    if now + skew < begins:
        raise RefusedError("invalid not before (nbf) claim: token not yet valid")
    if now - skew > expires:
        raise RefusedError("invalid expiration time (exp) claim: token is expired")
    if issued is not None and now + skew < issued:
        raise RefusedError("invalid issued at (iat) claim: token issued in the future")


def date(value):
    """Whole seconds, nothing for null; years up to 9999."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(Fraction(value)) > 253402300799:
        raise RefusedError("go-jose/go-jose/jwt: expected number value to unmarshal NumericDate")
    return math.trunc(value)


# --- identity and bound claims -----------------------------------------------------------------


def lookup(claims, name):
    """The value at a name or pointer, `None` for none."""
    if not name.startswith("/"):
        return claims.get(name)
    value = claims
    for step in name.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step in [str(index) for index in range(len(value))]:
            value = value[int(step)]
        else:
            return None
    return value


def identify(claims, role):
    """Section 4.5 of the specification."""
    user = lookup(claims, role.user_claim) if role.is_pointer else claims.get(role.user_claim)
    if user is None:
        raise RefusedError(f'claim "{role.user_claim}" not found in token')
    if not isinstance(user, str):
        raise RefusedError(f'claim "{role.user_claim}" could not be converted to string')
    metadata = {}
    for claim, key in role.mappings.items():
        value = lookup(claims, claim)
        if not isinstance(value, str | None):
            raise RefusedError(f"error converting claim '{claim}' to string")
        if value is not None:
            metadata[key] = value
    groups = []
    if role.groups_claim:
        found = lookup(claims, role.groups_claim)
        if found is None:
            raise RefusedError(f'failed to fetch groups: "{role.groups_claim}" claim not found in token')
        if isinstance(found, dict):
            raise RefusedError(f'"{role.groups_claim}" claim could not be converted to string list')
        for group in found if isinstance(found, list) else [found]:
            if not isinstance(group, str):
                raise RefusedError("value ")
            if group:
                groups.append(group)
    return user, groups, metadata


def bound_claim(name, claims, expected, kind):
    """Section 4.6 of the specification, numbers as its section 10 row 10 advises."""
    actual = lookup(claims, name)
    if actual is None:
        raise RefusedError(f'claim "{name}" is missing')
    if isinstance(actual, dict):
        raise RefusedError("received claim is not a string, bool, int or list: ")
    if isinstance(expected, dict) or expected is None:
        raise RefusedError("bound claim is not a string, bool, int or list: ")
    left = actual if isinstance(actual, list) else [actual]
    right = expected if isinstance(expected, list) else [expected]
    if kind == "glob" and not all(isinstance(pattern, str) for pattern in right):
        raise RefusedError("received claim is not a glob string: ")
    if not any(is_match(one, other, kind) for one in left for other in right):
        raise RefusedError(f'claim "{name}" does not match any associated bound claim values')


def is_match(actual, expected, kind):
    """Whether one value of the token is one of the role."""
    if kind == "glob":
        pattern = ".*".join(re.escape(part) for part in expected.split("*"))
        return isinstance(actual, str) and re.fullmatch(pattern, actual, re.DOTALL) is not None
    if isinstance(actual, bool) or isinstance(expected, bool):
        return isinstance(actual, bool) and actual is expected
    if isinstance(actual, str) or isinstance(expected, str):
        return isinstance(actual, str) and isinstance(expected, str) and actual == expected
    if not isinstance(expected, int) or not isinstance(actual, int | float):
        return False
    if isinstance(actual, float) and abs(actual) >= 2**53:
        return False
    return Fraction(actual) == expected
