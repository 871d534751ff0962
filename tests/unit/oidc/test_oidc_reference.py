"""Generated tokens and roles: ours decides as the slow reference does, with the same words.

`AUTHKIT_FUZZ_EXAMPLES=10000` makes it the long run.
"""

from __future__ import annotations

import json
import os
from datetime import timedelta

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from oidc_factories import KEY_OF, NOW, b64, private_key, refusal_of, said, sign
from oidc_factories import jwk as make_jwk
from oidc_factories import jwks as make_jwks
from oidc_reference import RefusedError, Role, decide

from authkit.errors import TokenError
from authkit.oidc import (
    Explanation,
    Leeways,
    Record,
    TokenVerifier,
    groups_from_claim,
    metadata_from_claims,
    parse_jwks,
    user_name,
    verify_audience_is_bound,
    verify_bound_claims,
)

LONG_RUN = int(os.environ.get("AUTHKIT_FUZZ_EXAMPLES", "0"))

KEYS = [  # kid, alg, kind, key
    ("one", "", "RSA", "rsa"),
    ("one", "", "P-256", "p256"),
    ("two", "ES256", "P-256", "p256"),
    ("two", "RS256", "RSA", "rsa-other"),
    ("three", "", "Ed25519", "ed25519"),
    ("four", "ES384", "P-384", "p384"),
    (None, "", "P-384", "p384"),
]
KEY_SET = parse_jwks(
    make_jwks(*(make_jwk(key, kid=kid or ..., **({"alg": alg} if alg else {})) for kid, alg, _, key in KEYS))
)
PUBLIC = [(kid, alg, kind, private_key(key).public_key()) for kid, alg, kind, key in KEYS]


class Source:
    """The key set above."""

    async def find_keys(self, kid):
        """By its id."""
        return KEY_SET.find(kid)

    def status(self):
        """Nothing to tell."""
        return []

    async def close(self):
        """Nothing to close."""


# --- tokens ------------------------------------------------------------------------------------

OFFSETS = [0, 1, 59, 60, 61, 149, 150, 151, 209, 210, 211, 400]
NEAR = st.sampled_from(OFFSETS).flatmap(lambda n: st.sampled_from([NOW + n, NOW - n]))
FAR = st.sampled_from(
    [NOW + 0.5, NOW - 60.5, NOW - 60.0, 0, 0.0, -1, -0.5, 1e3, 10**12, 2**70, -(10**40), 1e300]
)
NO_DATES = st.sampled_from([True, False, None, "1700000000", "", [], {}, [NOW]])
DATES = st.one_of(NEAR, NEAR, NEAR, FAR, NO_DATES)
TEXTS = st.sampled_from(["a", "b", "ab", "a/b", "*", "", "ä", "a\nb", "5", "true", "A"])
NUMBERS = st.sampled_from([0, 1, 5, 5.0, 5.5, 1e3, 1000, -5, 2**53, 2**53 + 1, float(2**53), 2**64])
SCALARS = st.one_of(TEXTS, NUMBERS, st.sampled_from([True, False, None]))
OBJECTS = st.dictionaries(
    st.sampled_from(["a", "b", "", "~", "/"]), st.one_of(SCALARS, st.lists(SCALARS, max_size=2)), max_size=2
)
VALUES = st.one_of(TEXTS, SCALARS, st.lists(TEXTS, max_size=3), st.lists(SCALARS, max_size=3), OBJECTS)
CLAIMS = {
    "sub": st.one_of(TEXTS, VALUES),
    "iss": st.one_of(TEXTS, VALUES),
    "aud": st.one_of(TEXTS, st.lists(TEXTS, max_size=3), VALUES),
    "exp": DATES,
    "nbf": DATES,
    "iat": DATES,
    "jti": VALUES,
    "org": VALUES,
    "groups": st.one_of(st.lists(TEXTS, max_size=3), VALUES),
    "a": VALUES,
    "https://x/y": VALUES,
}
GOOD = {
    "sub": "a",
    "iss": "a",
    "aud": ["a", "b"],
    "exp": NOW + 60,
    "iat": NOW,
    "org": "ab",
    "groups": ["a", "b"],
}
ODD_PAYLOADS = [
    b"[]",
    b"null",
    b"",
    b"{",
    b'{"exp":1700000060,"exp":1700000060,"sub":"a"}',
    b'{"a":{"b":1,"b":1},"exp":1700000060}',
    b'{"exp":NaN}',
    b'{"exp":1e999}',
    b'{"exp":-Infinity}',
    b'{"sub":"\xff"}',
    b'{"sub":"\\ud800"}',
    b'{"sub":"\\ud83d\\ude00","exp":1700000060}',
    b'{"sub":"a\\u0000b","exp":1700000060}',
    b'{"a":' + b"[" * 62 + b"]" * 62 + b',"sub":"a","exp":1700000060}',
    b'{"a":' + b"[" * 63 + b"]" * 63 + b',"sub":"a","exp":1700000060}',
    b'{"a":' + b"[" * 64 + b"]" * 64 + b',"sub":"a","exp":1700000060}',
    b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    b'{"a":' + b"7" * 128 + b',"sub":"a","exp":1700000060}',
    b'{"a":' + b"7" * 129 + b',"sub":"a","exp":1700000060}',
    b'{"sub":"a","exp":1700000060} ',
    b'{"sub":"a","exp":1700000060}x',
    b'\xef\xbb\xbf{"sub":"a","exp":1700000060}',
]
ALGORITHMS = st.sampled_from(
    ["ES256", "ES256", "ES256", "EdDSA", "EdDSA", "RS256", "PS256", "ES384", "ES512", "RS512"]
)
ODD_ALGORITHMS = st.sampled_from(["ES256", "ES256", "EdDSA", "EdDSA", "RS256", "PS256", "ES384"])
HEADERS = [
    {"typ": "JWT"},
    {"crit": ["exp"]},
    {"crit": []},
    {"b64": False},
    {"b64": True},
    {"b64": 1},
    {"jwk": make_jwk("p256")},
    {"jku": "https://evil.example"},
    {"x5u": "https://evil.example"},
    *[{"alg": odd} for odd in ("none", "HS256", "es256", "", "ES256K", "RS256", "ES512", None, 5, ["ES256"])],
    *[{"kid": odd} for odd in ("one", "two", "three", "four", "", None, "../one", 5, "one\0")],
]


@st.composite
def claim_sets(draw):
    """Good claims with a few of them others, or gone."""
    claims = dict(GOOD)
    for name in draw(st.lists(st.sampled_from(sorted(CLAIMS)), max_size=4)):
        claims[name] = draw(CLAIMS[name])
    for name in draw(st.lists(st.sampled_from(sorted(GOOD)), max_size=2)):
        del claims[name]
        break
    return claims


@st.composite
def tokens(draw):
    """A token with at most one thing wrong in its making, whatever it says."""
    fault = draw(st.sampled_from(["none"] * 12 + ["header", "header", "payload", "key", "form"]))
    algorithm = draw(ALGORITHMS)
    name = KEY_OF[algorithm]
    header = {"alg": algorithm}
    if draw(st.booleans()):
        header["kid"] = {"ed25519": "three", "p384": "four"}.get(name, "one")
    if fault == "header":
        header |= draw(st.sampled_from(HEADERS))
    claims = draw(st.sampled_from(ODD_PAYLOADS) if fault == "payload" else claim_sets().map(to_json))
    parts = [b64(to_json(header)), b64(claims)]
    if fault == "key":
        name = draw(st.sampled_from(["p256", "ed25519", "rsa-other", "p384", "rsa"]))
    parts.append(b64(sign(private_key(name), algorithm, ".".join(parts).encode())))
    return draw(spoiled(parts)) if fault == "form" else ".".join(parts)


def to_json(value):
    """As most libraries write it."""
    return json.dumps(value).encode()


@st.composite
def spoiled(draw, parts):
    """The same with something wrong, or only odd, in its form."""
    text, place = ".".join(parts), draw(st.integers(0, 200))
    return draw(
        st.sampled_from(
            [
                text + "\n",
                " " + text[:place] + "\t" + text[place:],
                text[:place] + "é" + text[place:],
                text[:place] + "=" + text[place:],
                text[:place] + text[place + 1 :],
                text + "=",
                text + ".",
                "." + text,
                text[:-1] + ("A" if text[-1] != "A" else "B"),
                parts[0] + "." + parts[1] + ".",
                parts[0] + ".." + parts[2],
                json.dumps({"protected": parts[0], "payload": parts[1], "signature": parts[2]}),
            ]
        )
    )


# --- roles -------------------------------------------------------------------------------------

NAMES = ["sub", "org", "groups", "a", "https://x/y", "iss", "/sub", "/org", "/groups/0", "/aud/1", "/exp"]
NAMES += [
    "/a",
    "/a/0",
    "/a/1",
    "/a/a",
    "/a/-",
    "/a/00",
    "/a/~0",
    "/a/~1",
    "/a/",
    "/",
    "none",
    "/https:~1~1x~1y",
]
CLAIM_NAMES = st.sampled_from(NAMES)
LEEWAYS = st.sampled_from([0, 0, 0, -1, 1, 60, 150, 300])
EXPECTED = st.one_of(TEXTS, SCALARS, st.lists(TEXTS, min_size=1, max_size=3), VALUES)
PATTERN = st.sampled_from(["*", "a*", "*b", "a*b", "**", "", "a", "*a*b*", "A*", "a?b", "[ab]", "a.b"])
PATTERNS = st.one_of(PATTERN, PATTERN, st.lists(PATTERN, max_size=2), EXPECTED)


@st.composite
def roles(draw):
    """A role that asks for a little more than nothing."""
    role = Role(audiences=["a", "b", "ab"])
    asked = draw(
        st.lists(st.sampled_from(["token", "audiences", "leeways", "user", "groups", "mappings"]), max_size=2)
    )
    if "token" in asked:
        role.issuer = draw(st.sampled_from(["", "a", "b"]))
        role.subject = draw(st.sampled_from(["", "a", "b"]))
        role.algorithms = draw(st.sampled_from([[], ["ES256", "EdDSA"], ["RS256"]]))
    if "audiences" in asked:
        role.audiences = draw(st.lists(TEXTS, max_size=2))
    if "leeways" in asked:
        role.expiration, role.not_before, role.skew = draw(LEEWAYS), draw(LEEWAYS), draw(LEEWAYS)
    if "user" in asked:
        role.user_claim, role.is_pointer = draw(CLAIM_NAMES), draw(st.booleans())
    if "groups" in asked:
        role.groups_claim = draw(st.one_of(st.just("groups"), CLAIM_NAMES))
    if "mappings" in asked:
        role.mappings = draw(st.dictionaries(CLAIM_NAMES, st.sampled_from(["x", "y"]), max_size=2))
    role.kind = draw(st.sampled_from(["string", "glob"]))
    values = EXPECTED if role.kind == "string" else PATTERNS
    role.bound = draw(st.dictionaries(CLAIM_NAMES, values, max_size=2))
    return role


def log_in(verification, role, checks):
    """What a login does with a token, in this order; `verification` needs no loop."""
    try:
        verification.send(None)
    except StopIteration as end:
        claims = end.value
    verify_audience_is_bound(claims, bool(role.audiences), checks=checks)
    identity = (
        user_name(claims, role.user_claim, role.is_pointer),
        metadata_from_claims(claims, role.mappings),
        groups_from_claim(claims, role.groups_claim),
    )
    verify_bound_claims(claims, role.bound, role.kind, checks=checks)
    return identity[0], identity[2], identity[1]


def ours(token, role, checks):
    """The identity, or the text of the refusal."""
    verifier = TokenVerifier(Source(), algorithms=role.algorithms, issuer=role.issuer, now=lambda: NOW)
    leeways = Leeways(*(timedelta(seconds=part) for part in (role.expiration, role.not_before, role.skew)))
    verification = verifier.verify(
        token, audiences=role.audiences, subject=role.subject, leeways=leeways, checks=checks
    )
    try:
        return log_in(verification, role, checks), ""
    except TokenError as error:
        return None, said(error)


def theirs(token, role):
    """The same by the reference."""
    try:
        return decide(token, PUBLIC, role, NOW), ""
    except RefusedError as error:
        return None, str(error)


@settings(
    max_examples=LONG_RUN or 300,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(tokens(), roles())
def test_ours_decides_as_the_reference_does(token, role):
    """Accepted with the same identity, or refused with the same words."""
    checks = Record()
    identity, text = ours(token, role, checks)
    expected, words = theirs(token, role)
    event("accepted" if expected is not None else "refused: " + words[:60])
    assert identity == expected
    assert text.startswith(words)
    assert bool(text) == bool(words)
    explanation = Explanation()
    ours(token, role, explanation)
    assert not checks.refusal or refusal_of(checks) == text == refusal_of(explanation)
