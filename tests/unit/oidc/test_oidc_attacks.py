"""Tokens of people who want in: one table, refused with a documented error, never followed, never logged."""

from __future__ import annotations

import json
import logging
import time

import httpx
import pytest
from oidc_factories import NOW, Clock, b64, jwk, jwks, make_token, private_key, public_pem, said, sign

from authkit.errors import LoginError
from authkit.masking import Secret
from authkit.oidc import JWKSKeys, Record, TokenVerifier, verify_bound_claims
from authkit.oidc.tokens.jws import MAX_TOKEN_CHARACTERS

URL = "https://issuer.example/keys"
CLAIMS = {"sub": "ann", "aud": "a", "iss": "https://issuer.example", "exp": NOW + 60, "iat": NOW}
RSA, EC = private_key("rsa"), private_key("p256")
EVIL = private_key("rsa-other")
MALFORMED = "error verifying token signature: oidc: malformed jwt: "
CLAIMS_MALFORMED = "error verifying token signature: malformed claims: "
NO_KEY = "error verifying token signature: failed to verify id token signature"
BAD_DATE = "go-jose/go-jose/jwt: expected number value to unmarshal NumericDate"
HEADER = {"alg": "RS256", "kid": "rsa"}


def unsigned(algorithm, signature=b"x"):
    """A token with a signature that is none."""
    header, claims = (json.dumps(part).encode() for part in (HEADER | {"alg": algorithm}, CLAIMS))
    return f"{b64(header)}.{b64(claims)}.{b64(signature)}"


def token(claims=CLAIMS, key=RSA, **header):
    """A token with this header, signed with this key as its `alg` says."""
    header = HEADER | header
    return make_token(claims, header=header, algorithm=header["alg"], key=key)


def raw(payload):
    """A well-signed token with these bytes as claims."""
    return token(payload)


def number(name, literal):
    """A well-signed token with a claim in just these digits."""
    members = json.dumps({key: value for key, value in CLAIMS.items() if key != name})[1:-1]
    return raw(f'{{{members},"{name}":{literal}}}'.encode())


good = token()
head, body, signature = good.split(".")
pem = public_pem("rsa").encode()
modulus = RSA.public_key().public_numbers().n.to_bytes(256)
signed_with_pem = f"{head}.{body}.{b64(sign(pem, 'HS256', f'{head}.{body}'.encode()))}"
changed = f"{head}.{b64(json.dumps(CLAIMS | {'sub': 'root'}).encode())}.{signature}"
flat_json = json.dumps({"protected": head, "payload": body, "signature": signature})
general_json = json.dumps({"payload": body, "signatures": [{"protected": head, "signature": signature}]})
deep_header = b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}"
two_subjects = b'{"sub":"ann","sub":"root","exp":1700000060}'
NOT_YET = "invalid not before (nbf) claim: token not yet valid"
TWICE = CLAIMS_MALFORMED + "a member name occurs twice"
BAD_AUDIENCE = "go-jose/go-jose/jwt: expected string or array"

ATTACKS = {
    # the algorithm
    "none": (unsigned("none"), MALFORMED + "unexpected signature algorithm"),
    "None": (unsigned("None"), MALFORMED + "unexpected signature algorithm"),
    "none without signature": (unsigned("none", b""), MALFORMED),
    "no signature": (f"{head}.{body}.", MALFORMED + "signature is empty"),
    "HMAC with the public key": (token(alg="HS256", key=pem), MALFORMED + "unexpected signature algorithm"),
    "HMAC with the stripped public key": (token(alg="HS512", key=pem.strip()), MALFORMED),
    "HMAC with the modulus": (token(alg="HS256", key=modulus), MALFORMED),
    "HMAC signature under RS256": (signed_with_pem, NO_KEY),
    "no algorithm": (make_token(CLAIMS, header={"kid": "rsa"}), MALFORMED + "header parameter alg"),
    "algorithm of another key": (token(alg="ES256", key=EC), NO_KEY),
    "RSA signature under EC": (token(alg="ES256", key=RSA), NO_KEY),
    "EC signature under RSA": (token(key=EC), NO_KEY),
    "another curve": (token(alg="ES384", kid="p256", key=EC), NO_KEY),
    "a zero ECDSA signature": (unsigned("ES256", bytes(64)).replace("rsa", "p256"), NO_KEY),
    "an ECDSA signature of ones": (unsigned("ES256", b"\xff" * 64), NO_KEY),
    "a zero RSA signature": (unsigned("RS256", bytes(256)), NO_KEY),
    "an RSA signature larger than the modulus": (unsigned("RS256", b"\xff" * 256), NO_KEY),
    "an EdDSA signature of the identity": (unsigned("EdDSA", b"\x01" + bytes(63)), NO_KEY),
    # keys that the token brings along
    "a key in the header": (token(key=EVIL, jwk=jwk("rsa-other")), NO_KEY),
    "a key set elsewhere": (token(key=EVIL, jku="https://evil.example/keys"), NO_KEY),
    "a certificate elsewhere": (token(key=EVIL, x5u="https://evil.example/cert"), NO_KEY),
    "a certificate in the header": (token(key=EVIL, x5c=["MIIB"], x5t="AAAA"), NO_KEY),
    "a kid that is a path": (token(key=EVIL, kid="../../../../dev/null"), NO_KEY),
    "a kid that is a URL": (token(key=EVIL, kid="https://evil.example/keys#rsa"), NO_KEY),
    "a kid that is a query": (token(key=EVIL, kid="' OR 1=1 --"), NO_KEY),
    "a kid with a nul": (token(kid="rsa\0"), NO_KEY),
    "a kid with another case": (token(kid="RSA"), NO_KEY),
    "a kid that is a number": (token(kid=5), MALFORMED + "header parameter kid"),
    "a kid that is a list": (token(kid=["rsa"]), MALFORMED + "header parameter kid"),
    "a very long kid": (token(kid="k" * 40_000), NO_KEY),
    "the wrong key": (token(key=EVIL), NO_KEY),
    # the form
    "critical headers": (token(crit=["exp"], exp=1), MALFORMED + "critical header parameters"),
    "no critical headers": (token(crit=[]), MALFORMED + "critical header parameters"),
    "an unencoded payload": (token(crit=["b64"], b64=False), MALFORMED + "critical header parameters"),
    "an unencoded payload in secret": (token(b64=False), MALFORMED + "critical header parameters"),
    "JSON serialisation": (flat_json, MALFORMED),
    "JSON serialisation, general": (general_json, MALFORMED),
    "two signatures": (f"{good}.{signature}", MALFORMED),
    "five parts": (f"{good}.{body}.{signature}", MALFORMED),
    "detached content": (f"{head}..{signature}", MALFORMED + "payload is empty"),
    "padding": (good + "==", MALFORMED),
    "standard base64": (good.replace("-", "+").replace("_", "/"), MALFORMED),
    "stray bits": (good[:-1] + chr(ord(good[-1]) + 1), ""),
    "a nul": (good[:20] + "\0" + good[20:], MALFORMED),
    "a nul at the end": (good + "\0", MALFORMED),
    "another script": (good[:20] + "\u0430" + good[20:], MALFORMED + "not ASCII text"),
    "a lone surrogate": (good[:20] + "\ud800" + good[20:], MALFORMED + "not ASCII text"),
    "nothing": ("", MALFORMED),
    "dots": ("..", MALFORMED),
    "1 MiB": ("A" * 2**20, MALFORMED + f"longer than {MAX_TOKEN_CHARACTERS} characters"),
    "1 MiB of dots": ("." * 2**20, MALFORMED + "longer than"),
    "1 MiB of whitespace": (" " * 2**20 + good, MALFORMED + "longer than"),
    "64 KiB of dots": ("." * 2**16, MALFORMED),
    "a header in another encoding": (
        make_token(CLAIMS, header=json.dumps(HEADER).encode("utf-16")),
        MALFORMED + "header: not",
    ),
    "a header with a byte order mark": (make_token(CLAIMS, header=b"\xef\xbb\xbf{}"), MALFORMED + "header"),
    "two algorithms": (
        make_token(CLAIMS, header=b'{"alg":"none","alg":"RS256","kid":"rsa"}'),
        MALFORMED + "header: a member name occurs twice",
    ),
    "a header 10,000 deep": (make_token(CLAIMS, header=deep_header), MALFORMED),
    "a header that is a list": (make_token(CLAIMS, header=b'["RS256"]'), MALFORMED + "header: not a"),
    # the claims
    "10,000 nested lists": (raw(b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}"), CLAIMS_MALFORMED),
    "8,000 nested objects": (raw(b'{"a":' * 8_000 + b"1" + b"}" * 8_000), CLAIMS_MALFORMED),
    "invalid UTF-8": (raw(b'{"sub":"\xc3\x28"}'), CLAIMS_MALFORMED + "not UTF-8"),
    "overlong UTF-8": (raw(b'{"sub":"\xc0\xae"}'), CLAIMS_MALFORMED + "not UTF-8"),
    "half a character": (raw(b'{"sub":"\\ud800"}'), CLAIMS_MALFORMED + "not Unicode text"),
    "two subjects": (raw(two_subjects), TWICE),
    "two subjects, one escaped": (raw(b'{"sub":"ann","\\u0073ub":"root"}'), TWICE),
    "two members deep inside": (raw(b'{"a":[{"b":1,"b":2}]}'), TWICE),
    "NaN": (number("exp", "NaN"), CLAIMS_MALFORMED),
    "Infinity": (number("exp", "Infinity"), CLAIMS_MALFORMED),
    "a float too large": (number("exp", "1e999"), CLAIMS_MALFORMED),
    "a huge integer": (number("exp", "9" * 20_000), CLAIMS_MALFORMED),
    "a large date": (number("exp", "1" + "0" * 30), BAD_DATE),
    "a date beyond the calendar": (number("exp", "253402300800"), BAD_DATE),
    "a negative date": (number("exp", "-1"), "invalid expiration time (exp) claim: token is expired"),
    "a very negative date": (number("nbf", "-1e300"), BAD_DATE),
    "date zero": (number("exp", "0"), "invalid expiration time (exp) claim: token is expired"),
    "true as a date": (number("exp", "true"), BAD_DATE),
    "text as a date": (number("exp", '"1700000060"'), BAD_DATE),
    "a list as a date": (number("exp", "[1700000060]"), BAD_DATE),
    "no dates": (token({"iss": CLAIMS["iss"], "aud": "a"}), "no issued at (iat)"),
    "a date in the future": (number("nbf", str(NOW + 61)), NOT_YET),
    "another audience": (number("aud", '"b"'), "invalid audience (aud) claim"),
    "an audience in another case": (number("aud", '"A"'), "invalid audience (aud) claim"),
    "an audience with a nul": (number("aud", '"a\\u0000"'), "invalid audience (aud) claim"),
    "an audience in a list in a list": (number("aud", '[["a"]]'), BAD_AUDIENCE),
    "an audience in an object": (number("aud", '{"a":"a"}'), BAD_AUDIENCE),
    "no audience": (number("aud", "[]"), "invalid audience (aud) claim"),
    "null audience": (number("aud", "null"), BAD_AUDIENCE),
    "another issuer": (number("iss", '"https://issuer.example/"'), "invalid issuer (iss) claim"),
    "an issuer in a list": (number("iss", '["https://issuer.example"]'), "json: cannot unmarshal array"),
    "true as a subject": (number("sub", "true"), "json: cannot unmarshal bool"),
    "nothing but a JSON text": (raw(b'"ann"'), CLAIMS_MALFORMED + "not a JSON object"),
    "something after the claims": (raw(json.dumps(CLAIMS).encode() + b"{}"), CLAIMS_MALFORMED),
    "an old signature on new claims": (changed, NO_KEY),
}  # fmt: skip


class Mount:
    """A verifier with fetched keys that knows what was asked for."""

    def __init__(self):
        self.asked = []
        keys = JWKSKeys(URL, timer=Clock(), transport=httpx.MockTransport(self.answer))
        self.verifier = TokenVerifier(keys, issuer="https://issuer.example", now=lambda: NOW)

    def answer(self, request):
        self.asked.append(str(request.url))
        return httpx.Response(200, content=jwks(jwk("rsa"), jwk("p256"), jwk("ed25519")))

    async def log_in(self, text, checks=None):
        checks = Record() if checks is None else checks
        return await self.verifier.verify(text, audiences=["a"], checks=checks)


@pytest.fixture
async def mount():
    """With its keys fetched by a good login."""
    mount = Mount()
    await mount.log_in(good)
    yield mount
    await mount.verifier.keys.close()


@pytest.mark.parametrize("name", ATTACKS)
async def test_attacks_are_refused(mount, name, caplog):
    """At once, in words that are documented; nothing is followed and nothing of the token is shown."""
    caplog.set_level(logging.DEBUG)
    text, words = ATTACKS[name]
    checks, begun = Record(), time.perf_counter()
    with pytest.raises(LoginError) as caught:
        await mount.log_in(Secret(text), checks)
    assert time.perf_counter() - begun < 2
    assert said(caught.value).startswith(words or "error verifying token signature: ")
    assert len(said(caught.value)) < 400
    assert set(mount.asked) <= {URL}
    shown = caplog.text + said(caught.value) + caught.value.detail + repr(checks.checks)
    for part in text.split("."):
        assert len(part) < 20 or part not in shown
    assert (await mount.log_in(good))["sub"] == "ann"


async def test_the_good_token_of_the_table_is_good(mount):
    """The table would show nothing otherwise."""
    assert (await mount.log_in(good))["sub"] == "ann"
    for headers in (
        {"jku": "https://evil.example"},
        {"x5u": "https://evil.example"},
        {"jwk": jwk("rsa-other")},
    ):
        assert await mount.log_in(token(**headers))
    assert set(mount.asked) == {URL}


@pytest.mark.parametrize(
    ("claim", "bound"),
    [
        (True, 1),
        (1, True),
        (False, 0),
        (1.0, True),
        ("true", True),
        ("1", 1),
        (1, "1"),
        (2**53 + 1, 2**53),
        (float(2**53), 2**53 + 1),
        (1e308, 10**308),
        ("*", "a"),
        ([], []),
        ([], ""),
        ([["a"]], "a"),
        ([None], "None"),
        (["a\0"], "a"),
        ("A", "a"),
        ("\u0041\u030a", "\u00c5"),
        (" a", "a"),
    ],
)
def test_claims_that_only_look_alike_do_not_match(claim, bound):
    """Value and kind must be equal; no number, case or form of Unicode is converted."""
    with pytest.raises(LoginError, match="has none of the bound values"):
        verify_bound_claims({"c": claim}, {"c": bound}, "string")
