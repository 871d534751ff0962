"""Verification explained: the same code as a login's, its checks remembered."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from oidc_factories import NOW, Clock, make_token, private_key, public_pem, verification_key

from authkit.errors import LoginError, TokenError
from authkit.oidc import (
    Check,
    Explanation,
    JWKSKeys,
    Record,
    StaticKeys,
    TokenVerifier,
    verify_audience_is_bound,
    verify_bound_claims,
)
from authkit.oidc.tokens.checks import MAX_SHOWN_CHARACTERS, NO_RECORD, Checks

GOOD = {"iss": "https://i", "sub": "ann", "aud": "a", "exp": NOW + 60, "iat": NOW, "password": "sesame"}
BOUND = {"audiences": ["a", "b"], "subject": "ann"}


def verifier(**options):
    """A verifier at a fixed time."""
    keys = StaticKeys([verification_key("rsa")])
    return TokenVerifier(keys, issuer="https://i", now=lambda: NOW, **options)


async def log_in(token, checks, bound_claims=None, **bindings):
    """What a login looks at, and in this order."""
    claims = await verifier().verify(token, **{**BOUND, **bindings}, checks=checks)
    verify_audience_is_bound(claims, True, checks=checks)
    verify_bound_claims(claims, bound_claims or {}, "string", checks=checks)


async def explain(token, *arguments, **bindings):
    """All checks that make sense."""
    checks = Explanation()
    with suppress(LoginError):
        await log_in(token, checks, *arguments, **bindings)
    return checks


async def test_a_good_token_passes_every_check():
    """In the order of the verification; nothing is shown that no rule is about."""
    checks = await explain(make_token(GOOD, kid="one"), {"/iss": "https://i"})
    assert [check.name for check in checks.checks] == [
        "form",
        "algorithm",
        "keys",
        "signature",
        "claims",
        "registered claims",
        "iss",
        "sub",
        "aud",
        "dates",
        "nbf",
        "exp",
        "iat",
        "aud is bound",
        "bound claim /iss",
    ]
    assert all(check.passed and not check.error for check in checks.checks)
    assert checks.refusal == ""
    assert "sesame" not in str(checks.checks)


async def test_each_check_says_what_was_expected_and_had():
    """As JSON, or as dates."""
    found = {check.name: check for check in (await explain(make_token(GOOD, kid="one"))).checks}
    assert found["sub"] == Check("sub", True, '"ann"', '"ann"')
    assert found["aud"] == Check("aud", True, 'one of ["a", "b"]', '["a"]')
    assert found["exp"].expected == "2023-11-14 22:12:20 UTC or after"
    assert found["exp"].had == "2023-11-14 22:14:20 UTC"
    assert found["signature"].had == 'alg "RS256", kid "one"'
    assert found["signature"].expected == 'by one of the keys ["RSA 2048"]'
    assert found["form"].had.startswith("3 parts, ")
    assert found["keys"].had == '1 at hand, kid "one" asked for'
    assert found["claims"].had == 'an object with ["iss", "sub", "aud", "exp", "iat", "password"]'
    assert json.loads(found["registered claims"].had) == {k: GOOD[k] for k in GOOD if k != "password"}
    assert found["dates"].had == "iat 2023-11-14 22:13:20 UTC, nbf nothing, exp 2023-11-14 22:14:20 UTC"


@pytest.mark.parametrize(
    ("token", "name", "had"),
    [
        ("garbage", "form", "1 parts, 7 characters"),
        (make_token(b"[]"), "claims", "2 bytes"),
        (make_token(b'{"sub": 1, "sub": 2}'), "claims", 'an object with ["sub"]'),
        (make_token({**GOOD, "exp": "soon"}), "registered claims", '"exp": "soon"'),
        (make_token({**GOOD, "iss": None, "sub": None}), "registered claims", '"iss": null'),
    ],
)
async def test_a_step_shows_its_value_whether_it_passed_or_not(token, name, had):
    """Never that it was as expected, nor that it was something else."""
    checks = {check.name: check for check in (await explain(token)).checks}
    assert had in checks[name].had
    assert token not in str(checks)


async def test_a_claim_that_is_not_there_is_nothing():
    """And not an empty text."""
    claims = {name: value for name, value in GOOD.items() if name not in ("iss", "sub")}
    found = {check.name: check.had for check in (await explain(make_token(claims))).checks}
    assert (found["iss"], found["sub"]) == ("nothing", "nothing")


async def test_an_explanation_goes_on_after_what_failed():
    """An operator sees everything that is wrong with an expired token at once."""
    token = make_token({**GOOD, "exp": NOW - 600, "iat": NOW - 700, "sub": "bob", "org": "acme"})
    checks = await explain(token, {"org": ["umbrella"], "team": "red", "sub": "bob"})
    failed = {check.name: check for check in checks.checks if not check.passed}
    assert list(failed) == ["sub", "exp", "bound claim org", "bound claim team"]
    assert (failed["exp"].error, failed["exp"].code) == ("the token has expired (exp)", "expired")
    assert failed["bound claim org"].expected == '["umbrella"]'
    assert failed["bound claim org"].had == '"acme"'
    assert failed["bound claim team"].had == "nothing"
    assert checks.refusal == "the token is about another subject (sub)"


@pytest.mark.parametrize(
    ("token", "names"),
    [
        ("garbage", ["form"]),
        (make_token(GOOD, algorithm="HS256", key=b"k"), ["form"]),
        (make_token(GOOD, key=private_key("rsa-other")), ["form", "algorithm", "keys", "signature"]),
        (make_token(GOOD, algorithm="ES256"), ["form", "algorithm", "keys", "signature"]),
        (make_token(b"[]"), ["form", "algorithm", "keys", "signature", "claims"]),
        (
            make_token({**GOOD, "exp": "soon"}),
            ["form", "algorithm", "keys", "signature", "claims", "registered claims"],
        ),
        (
            make_token({"iss": "https://i", "sub": "ann", "aud": "a"}),
            [
                "form",
                "algorithm",
                "keys",
                "signature",
                "claims",
                "registered claims",
                "iss",
                "sub",
                "aud",
                "dates",
            ],
        ),
    ],
)
async def test_an_explanation_ends_where_nothing_more_can_be_said(token, names):
    """Claims of a token that nobody vouches for are not looked at."""
    checks = await explain(token)
    assert [check.name for check in checks.checks] == names
    assert [check.passed for check in checks.checks] == [True] * (len(names) - 1) + [False]


async def test_a_record_ends_where_the_login_ends():
    """It raises what the login raises, and tells the same."""
    token = make_token({**GOOD, "sub": "bob", "exp": NOW - 600})
    checks = Record()
    with pytest.raises(TokenError) as caught:
        await log_in(token, checks)
    error = caught.value
    assert checks.checks[-1] == Check("sub", False, '"ann"', '"bob"', error.public, "", "subject_mismatch")
    assert checks.refusal == error.public == "the token is about another subject (sub)"


TOKENS = [
    make_token(GOOD),
    make_token(GOOD, key=private_key("rsa-other")),
    make_token({**GOOD, "iss": "https://j"}),
    make_token({**GOOD, "aud": "c"}),
    make_token({**GOOD, "aud": 5}),
    make_token({**GOOD, "exp": NOW - 61}),
    make_token({**GOOD, "iat": NOW + 61}),
    make_token({**GOOD, "nbf": NOW + 61}),
    make_token({**GOOD, "org": "umbrella"}),
    make_token({**GOOD, "org": {"a": 1}}),
    make_token({"sub": "ann"}),
    make_token(b"{}x"),
    "a.b.c",
]


@pytest.mark.parametrize("token", TOKENS)
async def test_login_record_and_explanation_agree(token):
    """There is one verification; who listens does not change what it says."""
    texts = []
    for checks in (NO_RECORD, Record(), Explanation()):
        try:
            await log_in(token, checks, {"org": ["acme"]})
            texts.append("")
        except TokenError as error:
            texts.append(error.public)
        if isinstance(checks, Record):
            texts.append(checks.refusal)
    login, record_raised, recorded, _, explained = texts
    assert login == record_raised == recorded == explained


async def test_no_check_holds_the_token():
    """Neither a part of it nor its signature."""
    for token in TOKENS:
        shown = json.dumps([repr(check) for check in (await explain(token)).checks])
        for part in token.split("."):
            assert len(part) < 3 or part not in shown


async def test_keys_that_cannot_be_had_are_a_check():
    """The operator reads the whole reason, the caller the short one."""

    def refuse(request):
        raise httpx.ConnectError("refused")

    import httpx

    keys = JWKSKeys("https://issuer.example/keys", timer=Clock(), transport=httpx.MockTransport(refuse))
    checks = Record()
    with pytest.raises(TokenError):
        await TokenVerifier(keys, now=lambda: NOW).verify(make_token(kid="one"), checks=checks)
    last = checks.checks[-1]
    assert last.name == "keys"
    assert last.had == '0 at hand, kid "one" asked for'
    assert last.detail == "keys of https://issuer.example/keys: no usable answer: ConnectError: refused"
    assert last.error == "the issuer's keys cannot be fetched: no usable answer"


def test_long_values_are_cut():
    """A check fits on an operator's screen."""
    checks = Explanation()
    verify_bound_claims({"a": "x" * 10_000}, {"a": ["y" * 10_000]}, "string", checks=checks)
    (check,) = checks.checks
    assert len(check.had) == len(check.expected) == MAX_SHOWN_CHARACTERS + 3


@pytest.mark.parametrize("moment", [1e18, -1e18, float("nan"), float("inf")])
def test_dates_beyond_the_calendar_are_shown_as_numbers(moment):
    """Showing a check never fails."""
    checks = Record()
    checks.require("exp", True, "", expected=("{:date} or after", moment))
    assert checks.checks[0].expected == f"{moment} s after 1970 or after"


def test_other_errors_are_not_recorded_as_checks():
    """A mistake in the code is none of the token's."""
    checks = Record()
    with pytest.raises(ZeroDivisionError), checks.step("form", ("a token",), lambda: None):
        raise ZeroDivisionError
    assert checks.checks == []


def test_what_a_terminal_would_obey_is_escaped():
    """A token that nobody has signed draws nothing on an operator's screen."""
    checks = Record()
    checks.require("iss", True, "", expected=("{}", "\x9b2J\u202e"), had="\x1b[2J\x7f\u2028ä")
    with pytest.raises(TokenError), checks.step("form", ("a token",), lambda: "\x1b[3J"):
        raise TokenError("no", "sent: \x1b]0;x\n")
    (first, second) = checks.checks
    assert first.expected == '"\\u009b2J\\u202e"'
    assert first.had == '"\\u001b[2J\\u007f\\u2028ä"'
    assert second.had == '"\\u001b[3J"'
    assert second.detail == "sent: \\u001b]0;x\\n"


def test_words_may_hold_braces():
    """Values of a token are never taken as formats."""
    checks = Record()
    checks.require("a", True, "", expected=("{}", "{0.__class__}"), had="{}")
    with pytest.raises(TokenError), checks.step("b", ("{x}",), lambda: ("{y}",)):
        raise TokenError("no")
    assert [(check.expected, check.had) for check in checks.checks] == [
        ('"{0.__class__}"', '"{}"'),
        ("{x}", "{y}"),
    ]


def test_without_a_record_a_failed_check_raises():
    """The default fails closed."""
    with pytest.raises(TokenError, match="no"):
        Checks().require("a", False, "no", is_last=False)


async def test_pem_keys_are_named_as_such():
    """A static key verifies whatever the kid says, so the kid is not what was wrong."""
    keys = StaticKeys.from_pem([public_pem("rsa-other")])
    checks = Record()
    with pytest.raises(TokenError):
        await TokenVerifier(keys, now=lambda: NOW).verify(make_token(kid="one"), checks=checks)
    assert checks.refusal == "the signature is not by one of the issuer's keys"
