"""Kinds of tokens: one made for another purpose is refused."""

from __future__ import annotations

import pytest
from oidc_factories import KEY_OF, NOW, make_token, said, verification_key

from authkit.errors import TokenError
from authkit.oidc import ALGORITHMS, PROFILES, Record, StaticKeys, TokenVerifier
from authkit.oidc.tokens.token_types import find_profile

CLAIMS = {
    "iss": "https://i",
    "sub": "ann",
    "aud": ["a"],
    "exp": NOW + 60,
    "iat": NOW,
    "client_id": "c",
    "jti": "1",
}
SVID = {"sub": "spiffe://example.org/ns/prod/web", "aud": ["a"], "exp": NOW + 60}
TYPE = "invalid type (typ) header parameter: token is no "


async def check(profile, claims=CLAIMS, typ="JWT", algorithm="RS256", **options):
    """The text of the refusal, empty for acceptance."""
    header = {"alg": algorithm} | ({} if typ is ... else {"typ": typ})
    keys = StaticKeys([verification_key(KEY_OF[algorithm])])
    token = make_token(claims, header=header, algorithm=algorithm)
    try:
        await TokenVerifier(keys, now=lambda: NOW).verify(token, profile=profile, **options)
    except TokenError as error:
        return said(error)
    return ""


@pytest.mark.parametrize(
    ("profile", "typ", "accepted"),
    [
        *[("any", typ, True) for typ in ("JWT", "at+jwt", "logout+jwt", "nonsense", ..., "", 5, None, [])],
        *[("id_token", typ, True) for typ in ("JWT", "jwt", "application/jwt", ..., None)],
        *[("id_token", typ, False) for typ in ("at+jwt", "logout+jwt", "JWT ", "", 5, {}, ["JWT"])],
        *[("at+jwt", typ, True) for typ in ("at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+JWT")],
        *[("at+jwt", typ, False) for typ in ("JWT", ..., None, "at+jwt+x", "application/application/at+jwt")],
        *[("jwt-svid", typ, True) for typ in ("JWT", "JOSE", ...)],
        *[("jwt-svid", typ, False) for typ in ("at+jwt", "JWT-SVID", "", 1)],
    ],
)  # fmt: skip
async def test_the_header_names_the_kind(profile, typ, accepted):
    """In any case, with or without `application/` (RFC 7515 section 4.1.9)."""
    claims = SVID if profile == "jwt-svid" else CLAIMS
    assert await check(profile, claims, typ) == ("" if accepted else f"{TYPE}{profile}")


@pytest.mark.parametrize(
    ("profile", "names"),
    [
        ("id_token", ["iss", "sub", "aud", "exp", "iat"]),
        ("at+jwt", ["iss", "sub", "aud", "exp", "iat", "client_id", "jti"]),
        ("jwt-svid", ["sub", "aud", "exp"]),
    ],
)
async def test_each_kind_has_claims_that_it_cannot_be_without(profile, names):
    """Missing, null and empty are the same; the refusal names what is missing."""
    complete = CLAIMS | {"sub": "spiffe://example.org/web"}
    typ = "at+jwt" if profile == "at+jwt" else "JWT"
    assert await check(profile, complete, typ) == ""
    for name in names:
        without = {key: value for key, value in complete.items() if key != name}
        assert await check(profile, without, typ) == f"missing claims of a {profile}: {name}"
        if name not in ("exp", "iat"):
            assert await check(profile, without | {name: ""}, typ) == f"missing claims of a {profile}: {name}"
    others = {key: value for key, value in complete.items() if key in names}
    assert await check(profile, others, typ) == ""


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_jwt_svid_is_not_signed_with_eddsa(algorithm):
    """Its specification has nine algorithms."""
    text = await check("jwt-svid", SVID, algorithm=algorithm)
    assert text == (
        "invalid algorithm (alg) header parameter: not one of a jwt-svid" if algorithm == "EdDSA" else ""
    )


@pytest.mark.parametrize(
    ("subject", "accepted"),
    [
        ("spiffe://example.org/a", True),
        ("spiffe://example.org/ns/prod/sa/web", True),
        ("spiffe://1.2.3.4/a", True),
        ("spiffe://a_b-c.d/A.b_C-1", True),
        ("spiffe://example.org/...", True),
        ("spiffe://example.org", False),
        ("spiffe://example.org/", False),
        ("spiffe://example.org/a/", False),
        ("spiffe://example.org//a", False),
        ("spiffe://example.org/./a", False),
        ("spiffe://example.org/a/..", False),
        ("spiffe://example.org/a?b", False),
        ("spiffe://example.org/a#b", False),
        ("spiffe://example.org/%61", False),
        ("spiffe://example.org:80/a", False),
        ("spiffe://ann@example.org/a", False),
        ("spiffe://Example.org/a", False),
        ("SPIFFE://example.org/a", False),
        ("https://example.org/a", False),
        ("spiffe:///a", False),
        ("spiffe://example.org/a\n", False),
        ("spiffe://example.org/ä", False),
        ("spiffe://" + "a" * 255 + "/a", True),
        ("spiffe://" + "a" * 256 + "/a", False),
        ("spiffe://a/" + "b" * 2037, True),
        ("spiffe://a/" + "b" * 2038, False),
        ("ann", False),
    ],
)
async def test_a_jwt_svid_names_a_workload(subject, accepted):
    """By a SPIFFE ID with a path, at most 2048 bytes long."""
    text = await check("jwt-svid", SVID | {"sub": subject})
    assert text == ("" if accepted else "invalid subject (sub) claim: not a SPIFFE ID")


async def test_the_kind_is_refused_before_keys_are_asked_for():
    """A token of another kind costs nothing."""
    keys = StaticKeys([verification_key("rsa-other")])
    with pytest.raises(TokenError, match=r"typ"):
        await TokenVerifier(keys, now=lambda: NOW).verify(make_token(CLAIMS), profile="at+jwt")


@pytest.mark.parametrize("name", ["", "ID_TOKEN", "jwt", "x" * 1000])
async def test_an_unknown_kind_is_a_mistake(name):
    """Of whoever wrote the role, not of the token."""
    with pytest.raises(ValueError, match=r"known are any, id_token, at\+jwt, jwt-svid") as caught:
        find_profile(name)
    assert len(str(caught.value)) < 200
    with pytest.raises(ValueError):
        await check(name)


def test_there_are_four_kinds():
    """Each found under its name."""
    assert [find_profile(name).name for name in PROFILES] == ["any", "id_token", "at+jwt", "jwt-svid"]


async def test_the_kind_is_explained():
    """Expected and had, like everything else."""
    checks = Record()
    assert await check("id_token", checks=checks) == ""
    found = {check.name: (check.expected, check.had) for check in checks.checks}
    assert found["typ"] == ('none, or one of ["jwt"]', '"JWT"')
    assert found["claims of the kind"] == (
        'all of ["iss", "sub", "aud", "exp", "iat"]',
        '["iss", "sub", "aud", "exp", "iat"]',
    )
    checks = Record()
    assert await check("jwt-svid", CLAIMS, checks=checks)
    assert checks.checks[-1].had == '"ann"'
    checks = Record()
    assert await check("at+jwt", SVID, "at+jwt", checks=checks)
    assert checks.checks[-1].had == '["exp", "aud", "sub"]'
