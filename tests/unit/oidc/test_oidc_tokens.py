"""Verification of a whole token: signature, registered claims, times."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oidc_factories import KEY_OF, NOW, b64, make_token, private_key, public_pem, said, verification_key

from authkit.errors import TokenError
from authkit.masking import Secret
from authkit.oidc import (
    ALGORITHMS,
    Leeways,
    StaticKeys,
    TokenVerifier,
    VerificationKey,
    verify_registered_claims,
)

NOT_YET = "invalid not before (nbf) claim: token not yet valid"
EXPIRED = "invalid expiration time (exp) claim: token is expired"
FUTURE = "invalid issued at (iat) claim: token issued in the future"
NO_DATES = "no issued at (iat), not before (nbf), or expiration time (exp) claims in token"
BAD_DATE = "go-jose/go-jose/jwt: expected number value to unmarshal NumericDate"
BAD_AUDIENCE = "go-jose/go-jose/jwt: expected string or array value to unmarshal to Audience"
NO_AUDIENCE = "invalid audience (aud) claim: audience claim does not match any expected audience"
SIGNATURE = "error verifying token signature: "

K, E, N = 60, 150, 150


def verifier(*names, **options):
    """A verifier with static keys at a fixed time."""
    keys = StaticKeys([verification_key(name) for name in names or ("rsa",)])
    return TokenVerifier(keys, now=lambda: NOW, **options)


def check(claims, now=NOW, **options):
    """The text of the refusal, empty for acceptance."""
    try:
        verify_registered_claims(claims, now=now, **options)
    except TokenError as error:
        return said(error)
    return ""


class RotatingKeys:
    """A source whose provider replaced its key."""

    def __init__(self, old, new):
        self.old, self.new, self.asked = old, new, []

    async def find_keys(self, kid):
        """The key before."""
        return self.old

    async def find_newer_keys(self, kid):
        """The key now."""
        self.asked.append(kid)
        return self.new

    async def close(self):
        """Nothing."""


# --- the whole ---------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_good_token_gives_its_claims(algorithm):
    """Without a list of algorithms all ten are taken."""
    claims = {"sub": "ann", "exp": NOW + 60, "id": 2**70, "aud": "a"}
    token = make_token(claims, algorithm=algorithm)
    assert await verifier(KEY_OF[algorithm]).verify(token) == claims
    assert await verifier(KEY_OF[algorithm]).verify(Secret(token + "\n")) == claims


async def test_every_binding_can_hold_at_once():
    """A token that satisfies issuer, audience, subject and algorithm passes."""
    claims = {"iss": "https://i", "sub": "ann", "aud": ["x", "b"], "nbf": NOW}
    bound = verifier(algorithms=["RS256"], issuer="https://i")
    assert await bound.verify(make_token(claims), audiences=["a", "b"], subject="ann") == claims


@pytest.mark.parametrize(
    ("options", "bindings", "text"),
    [
        ({"issuer": "https://other"}, {}, "invalid issuer (iss) claim"),
        ({}, {"subject": "bob"}, "invalid subject (sub) claim"),
        ({}, {"audiences": ["b"]}, NO_AUDIENCE),
        (
            {"algorithms": ["RS512", "EdDSA"]},
            {},
            "invalid algorithm (alg) header parameter: token signed with unexpected algorithm",
        ),
    ],
)
async def test_each_binding_refuses(options, bindings, text):
    """Each of the bindings alone refuses the token."""
    token = make_token({"iss": "https://i", "sub": "ann", "aud": "a", "exp": NOW + 60})
    with pytest.raises(TokenError) as caught:
        await verifier(**options).verify(token, **bindings)
    assert said(caught.value) == text


async def test_a_foreign_signature_is_refused_before_the_claims_are_read():
    """A token that nobody signed is refused for that, however its claims look."""
    token = make_token(b"no JSON", key=private_key("rsa-other"))
    with pytest.raises(TokenError) as caught:
        await verifier().verify(token)
    assert said(caught.value) == SIGNATURE + "no known key successfully validated the token signature"


async def test_a_disallowed_algorithm_asks_for_no_keys():
    """What cannot pass anyway costs the provider nothing."""
    keys = RotatingKeys([], [])
    keys.find_keys = None
    with pytest.raises(TokenError, match="algorithm that is not allowed"):
        await TokenVerifier(keys, algorithms=["ES256"]).verify(make_token())


async def test_a_malformed_token_keeps_its_text():
    """Texts of splitting arrive unchanged."""
    with pytest.raises(TokenError, match="does not have three parts"):
        await verifier().verify("a.b")


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"[]", "not a JSON object"),
        (b"text", "not valid JSON"),
        (b'{"exp": 1e400}', "a number is too large"),
        (b'{"exp": NaN}', "NaN is not valid JSON"),
        (b'{"exp": Infinity}', "Infinity is not valid JSON"),
        (b'{"exp": ' + b"9" * 5000 + b"}", "a number is too long"),
        (b'{"sub": "a", "sub": "b"}', "a member name occurs twice"),
        (b'{"a": ' + b"[" * 20_000 + b"]" * 20_000 + b"}", "nested too deeply"),
        (b'{"sub": "\\ud800"}', "not Unicode text"),
        (b'{"sub": "\xff"}', "not UTF-8"),
    ],
)
async def test_signed_nonsense_is_refused(payload, reason):
    """A good signature makes no claims of what is no strict JSON object."""
    with pytest.raises(TokenError) as caught:
        await verifier().verify(make_token(payload))
    assert said(caught.value) == f"{SIGNATURE}malformed claims: {reason}"


async def test_a_replaced_key_is_looked_for_once():
    """A source that can look again is asked when its keys did not verify, and what it has then counts."""
    keys = RotatingKeys([verification_key("rsa-other")], [verification_key("rsa")])
    source = TokenVerifier(keys, now=lambda: NOW)
    assert await source.verify(make_token(kid="one"))
    assert keys.asked == ["one"]


@pytest.mark.parametrize("new", [[], ["rsa-other"]])
async def test_a_token_that_no_newer_key_verifies_is_refused(new):
    """Looking again does not weaken anything."""
    keys = RotatingKeys([verification_key("rsa-other")], [verification_key(name) for name in new])
    with pytest.raises(TokenError) as caught:
        await TokenVerifier(keys, now=lambda: NOW).verify(make_token())
    assert said(caught.value) == SIGNATURE + "failed to verify id token signature"


async def test_an_unknown_key_is_not_looked_for_again():
    """Without any key for the token's id the source has looked already."""
    keys = RotatingKeys([], [verification_key("rsa")])
    with pytest.raises(TokenError):
        await TokenVerifier(keys, now=lambda: NOW).verify(make_token())
    assert keys.asked == []


async def test_a_forged_token_is_refused_whatever_it_brings_along():
    """A token signed with a key from its own header is signed by nobody."""
    claims = {"exp": NOW + 60}
    header = {"alg": "RS256", "jwk": {"kty": "RSA"}, "kid": "../../dev/null"}
    for key in (private_key("rsa-other"), private_key("p256")):
        with pytest.raises(TokenError):
            await verifier().verify(make_token(claims, header=header, key=key))
    unsigned = f"{b64(b'{}')}.{b64(json.dumps(claims).encode())}.{b64(b'x')}"
    with pytest.raises(TokenError):
        await verifier().verify(unsigned)


@pytest.mark.parametrize("algorithm", ["none", "HS256", "rs256", "", 'a"b'])
def test_a_verifier_knows_ten_algorithms(algorithm):
    """Another name is refused when the verifier is made."""
    with pytest.raises(ValueError, match="unsupported signing algorithm"):
        verifier(algorithms=["RS256", algorithm])


async def test_names_are_collections():
    """One text in place of a collection is a mistake of the caller, never a match."""
    with pytest.raises(TypeError):
        verifier(algorithms="RS256")
    with pytest.raises(TypeError):
        await verifier().verify(make_token({"aud": "a", "exp": NOW}), audiences="abc")


async def test_pem_keys_verify_tokens():
    """Keys from a configuration do what keys from code do."""
    source = TokenVerifier(StaticKeys.from_pem([public_pem("p256")]), now=lambda: NOW)
    assert await source.verify(make_token(algorithm="ES256"))


# --- registered claims -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bound", "claims", "text"),
    [
        ("", {"iss": "a"}, ""),
        ("", {}, ""),
        ("a", {"iss": "a"}, ""),
        ("a", {"iss": "A"}, "invalid issuer (iss) claim"),
        ("a", {"iss": "a/"}, "invalid issuer (iss) claim"),
        ("a", {"iss": ""}, "invalid issuer (iss) claim"),
        ("a", {"iss": None}, "invalid issuer (iss) claim"),
        ("a", {}, "invalid issuer (iss) claim"),
    ],
)
def test_issuer_and_subject_are_compared_exactly(bound, claims, text):
    """A bound value must be there to the letter; nothing bound, nothing asked."""
    assert check({"exp": NOW, **claims}, issuer=bound) == text
    renamed = {"sub": claims["iss"]} if "iss" in claims else {}
    renamed_text = text.replace("issuer (iss)", "subject (sub)")
    assert check({"exp": NOW, **renamed}, subject=bound) == renamed_text


@pytest.mark.parametrize("name", ["iss", "sub", "jti"])
@pytest.mark.parametrize(
    ("value", "kind"),
    [(5, "number"), (5.5, "number"), (True, "bool"), (["a"], "array"), ({"a": 1}, "object"), (0, "number")],
)
def test_text_claims_are_text(name, value, kind):
    """A claim of another type is refused although nobody asked for it."""
    text = f"json: cannot unmarshal {kind} into Go struct field Claims.{name} of type string"
    assert check({"exp": NOW, name: value}) == text


@pytest.mark.parametrize("name", ["iss", "sub", "jti"])
def test_null_text_claims_are_absent(name):
    """Null is no value."""
    assert check({"exp": NOW, name: None}) == ""


@pytest.mark.parametrize(
    ("bound", "claims", "text"),
    [
        ([], {}, ""),
        ([], {"aud": "a"}, ""),
        ([], {"aud": []}, ""),
        (["a"], {"aud": "a"}, ""),
        (["a", "b"], {"aud": ["x", "b"]}, ""),
        ({"a"}, {"aud": ["a"]}, ""),
        (["a"], {}, NO_AUDIENCE),
        (["a"], {"aud": ""}, NO_AUDIENCE),
        (["a"], {"aud": []}, NO_AUDIENCE),
        (["a"], {"aud": "A"}, NO_AUDIENCE),
        (["a"], {"aud": "a "}, NO_AUDIENCE),
        (["a,b"], {"aud": ["a", "b"]}, NO_AUDIENCE),
        ([], {"aud": None}, BAD_AUDIENCE),
        ([], {"aud": 5}, BAD_AUDIENCE),
        ([], {"aud": {"a": "a"}}, BAD_AUDIENCE),
        ([], {"aud": ["a", 5]}, BAD_AUDIENCE),
        (["a"], {"aud": ["a", None]}, BAD_AUDIENCE),
        (["a"], {"aud": [["a"]]}, BAD_AUDIENCE),
    ],
)
def test_one_common_audience_suffices(bound, claims, text):
    """Any bound audience may match any of the token's; the claim is a text or a list of texts."""
    assert check({"exp": NOW, **claims}, audiences=bound) == text


# --- times -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claims", "text"),
    [
        ({}, NO_DATES),
        ({"exp": None, "nbf": None, "iat": None}, NO_DATES),
        ({"auth_time": NOW}, NO_DATES),
        # exp alone: nbf is exp - N, which no other rule uses.
        ({"exp": NOW}, ""),
        ({"exp": NOW - K}, ""),
        ({"exp": NOW - K - 1}, EXPIRED),
        ({"exp": NOW + N + K}, ""),
        ({"exp": NOW + N + K + 1}, NOT_YET),
        # iat alone: exp is iat + E, nbf is iat.
        ({"iat": NOW}, ""),
        ({"iat": NOW - E - K}, ""),
        ({"iat": NOW - E - K - 1}, EXPIRED),
        ({"iat": NOW + K}, ""),
        ({"iat": NOW + K + 1}, NOT_YET),
        # nbf alone: exp is nbf + E.
        ({"nbf": NOW}, ""),
        ({"nbf": NOW - E - K}, ""),
        ({"nbf": NOW - E - K - 1}, EXPIRED),
        ({"nbf": NOW + K}, ""),
        ({"nbf": NOW + K + 1}, NOT_YET),
        # exp with others: never prolonged by E.
        ({"exp": NOW - K - 1, "iat": NOW - 5}, EXPIRED),
        ({"exp": NOW + 86400, "iat": NOW - 86400}, ""),
        ({"exp": NOW + 86400, "iat": NOW + K}, ""),
        ({"exp": NOW + 86400, "iat": NOW + K + 1}, NOT_YET),
        ({"exp": NOW + 86400, "nbf": NOW + K + 1}, NOT_YET),
        ({"exp": NOW + 86400, "nbf": NOW, "iat": NOW + K}, ""),
        ({"exp": NOW + 86400, "nbf": NOW, "iat": NOW + K + 1}, FUTURE),
        # The later of iat and nbf counts for a missing exp.
        ({"iat": NOW - 10_000, "nbf": NOW}, ""),
        ({"iat": NOW, "nbf": NOW - 10_000}, ""),
        ({"iat": NOW - 10_000, "nbf": NOW - E - K - 1}, EXPIRED),
        # 0 is a date, not "not set": a deliberate difference from vault-plugin-auth-jwt.
        ({"exp": 0}, EXPIRED),
        ({"exp": 0, "iat": NOW}, EXPIRED),
        ({"iat": 0}, EXPIRED),
        ({"nbf": 0, "exp": NOW}, ""),
        ({"iat": 0, "exp": NOW + 10}, ""),
        ({"exp": 0.4, "nbf": 0}, EXPIRED),
        # Fractions are cut off, towards zero.
        ({"exp": NOW - K - 0.5}, EXPIRED),
        ({"exp": NOW - K + 0.9}, ""),
        ({"iat": NOW + K + 0.9}, ""),
        ({"exp": NOW + 0.5, "iat": float(NOW)}, ""),
        ({"exp": -5}, EXPIRED),
        ({"nbf": -5, "exp": NOW}, ""),
        ({"exp": -1e11}, EXPIRED),
    ],
)
def test_times_are_read_with_the_default_leeways(claims, text):
    """Each missing date is derived from the others, equality passes, every excess is refused."""
    assert check(claims) == text


@pytest.mark.parametrize("name", ["iat", "nbf", "exp"])
@pytest.mark.parametrize(
    "value",
    [
        "1700000000",
        "",
        True,
        False,
        [NOW],
        {"n": NOW},
        1e30,
        -1e30,
        10**30,
        -(10**30),
        10**120,
        253_402_300_800,
        2**63,
        float("inf"),
        float("-inf"),
        float("nan"),
    ],
)
def test_what_is_no_plausible_date_is_refused(name, value):
    """Other types and dates outside the calendar are refused, never computed with."""
    assert check({"exp": NOW, "iat": NOW, "nbf": NOW, name: value}) == BAD_DATE


def test_the_last_date_is_a_date():
    """The year 9999 has not expired."""
    assert check({"exp": 253_402_300_799, "iat": NOW}) == ""


def leeways(**seconds):
    """Leeways in seconds."""
    return Leeways(**{name: timedelta(seconds=value) for name, value in seconds.items()})


@pytest.mark.parametrize(
    ("given", "claims", "text"),
    [
        # Skew: 0 is 60 s, negative is none.
        (leeways(clock_skew=0), {"exp": NOW - 60}, ""),
        (leeways(clock_skew=-1), {"exp": NOW}, ""),
        (leeways(clock_skew=-1), {"exp": NOW - 1}, EXPIRED),
        (leeways(clock_skew=-1), {"exp": NOW + 9, "nbf": NOW + 1}, NOT_YET),
        (leeways(clock_skew=-1), {"exp": NOW + 9, "nbf": NOW, "iat": NOW + 1}, FUTURE),
        (leeways(clock_skew=5), {"exp": NOW - 5}, ""),
        (leeways(clock_skew=5), {"exp": NOW - 6}, EXPIRED),
        (leeways(clock_skew=-1000), {"exp": NOW}, ""),
        # Expiration: only for a token without exp.
        (leeways(expiration=-1), {"iat": NOW - 60}, ""),
        (leeways(expiration=-1), {"iat": NOW - 61}, EXPIRED),
        (leeways(expiration=10), {"iat": NOW - 70}, ""),
        (leeways(expiration=10), {"iat": NOW - 71}, EXPIRED),
        (leeways(expiration=10_000), {"exp": NOW - 61}, EXPIRED),
        (leeways(expiration=10_000), {"exp": NOW - 61, "iat": NOW - 62}, EXPIRED),
        # Not before: only for a token with exp alone.
        (leeways(not_before=-1), {"exp": NOW + 60}, ""),
        (leeways(not_before=-1), {"exp": NOW + 61}, NOT_YET),
        (leeways(not_before=10), {"exp": NOW + 70}, ""),
        (leeways(not_before=10), {"exp": NOW + 71}, NOT_YET),
        (leeways(not_before=10_000), {"exp": NOW + 86400, "nbf": NOW + 61}, NOT_YET),
        (leeways(not_before=10_000), {"iat": NOW + 61}, NOT_YET),
        (leeways(expiration=10_000, not_before=10_000, clock_skew=-1), {"exp": NOW - 1, "iat": 1}, EXPIRED),
    ],
)
def test_leeways_of_a_role_apply(given, claims, text):
    """Zero is the default, negative is none; each leeway has its one use."""
    assert check(claims, leeways=given) == text


def test_the_longest_leeway_overflows_nothing():
    """The largest leeways that exist count as the largest that are allowed."""
    longest = Leeways(timedelta.max, timedelta.max, timedelta.max)
    hour, day = 3600, 86400
    assert check({"exp": NOW - hour}, leeways=longest) == ""
    assert check({"exp": NOW - hour - 1}, leeways=longest) == EXPIRED
    assert check({"iat": NOW - day - hour}, leeways=longest) == ""
    assert check({"iat": NOW - day - hour - 1}, leeways=longest) == EXPIRED
    assert check({"exp": NOW + day + hour}, leeways=longest) == ""
    assert check({"exp": NOW + day + hour + 1}, leeways=longest) == NOT_YET
    assert check({"exp": 1}, leeways=Leeways(timedelta.min, timedelta.min, timedelta.min)) == EXPIRED


def test_a_broken_clock_lets_nobody_in():
    """A clock that gives no number refuses every token."""
    assert check({"exp": NOW}, now=float("nan")) == NOT_YET


def test_fractions_of_the_clock_count():
    """Only dates are cut to seconds, not the time now."""
    assert check({"exp": NOW}, now=NOW + K + 0.5) == EXPIRED
    assert check({"nbf": NOW + K}, now=NOW - 0.5) == NOT_YET


VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text() | st.integers())
)


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from(["iss", "sub", "jti", "aud", "exp", "nbf", "iat"]), VALUES),
    st.timedeltas(),
    st.floats() | st.integers(),
)
def test_any_claims_are_accepted_or_refused(claims, leeway, now):
    """No claims, leeways or clock cause another exception."""
    text = check(claims, now=now, issuer="i", audiences=["a"], leeways=Leeways(leeway, leeway, leeway))
    assert text or (claims["iss"] == "i" and "a" in claims["aud"])


async def test_the_key_that_signed_last_is_tried_first(monkeypatch):
    """Of 63 keys one is tried for the next token; a key that is gone is not tried any more."""
    from cryptography.hazmat.primitives.asymmetric import ec

    from authkit.oidc.tokens import signatures

    others = [
        VerificationKey.from_public_key(ec.generate_private_key(ec.SECP256R1()).public_key())
        for _ in range(62)
    ]
    ours, tried = verification_key("p256"), []
    source = StaticKeys([*others, ours])
    verify = signatures.is_signed_by

    def counting(key, *arguments):
        tried.append(key)
        return verify(key, *arguments)

    monkeypatch.setattr(signatures, "is_signed_by", counting)
    subject = TokenVerifier(source, now=lambda: NOW)
    token = make_token(algorithm="ES256")
    await subject.verify(token)
    assert len(tried) == 63
    tried.clear()
    for _ in range(3):
        await subject.verify(token)
    assert tried == [ours] * 3
    tried.clear()
    with pytest.raises(TokenError):
        await subject.verify(make_token(algorithm="ES256", key=ec.generate_private_key(ec.SECP256R1())))
    assert len(tried) == 63
    subject.keys = StaticKeys(others)
    with pytest.raises(TokenError):
        await subject.verify(token)
    assert tried.count(ours) == 1
