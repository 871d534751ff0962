"""Several issuers: who may vouch for which token."""

from __future__ import annotations

from datetime import timedelta

import pytest
from oidc_factories import NOW, make_token, private_key, said, verification_key

from authkit.errors import TokenError
from authkit.names import fold_name
from authkit.oidc import Explanation, Issuers, Leeways, Record, StaticKeys, TokenVerifier

ISSUER = "invalid issuer (iss) claim"
SIGNATURE = "error verifying token signature: no known key successfully validated the token signature"
AUDIENCE = "invalid audience (aud) claim: audience claim does not match any expected audience"


class CountedKeys(StaticKeys):
    """Keys that know whether anybody asked for them."""

    asked = 0

    async def find_keys(self, kid):
        """All keys."""
        self.asked += 1
        return await super().find_keys(kid)


def issuer(key, iss="", **options):
    """An issuer with one key."""
    keys = CountedKeys([verification_key(key)])
    return TokenVerifier(keys, issuer=iss, now=lambda: NOW, **options)


def token(key, **claims):
    """A token signed with this key."""
    algorithm = {"p256": "ES256", "p384": "ES384"}.get(key, "RS256")
    return make_token({"sub": "ann", "exp": NOW + 60, **claims}, algorithm=algorithm, key=private_key(key))


@pytest.fixture
def red():
    """A named issuer."""
    return issuer("rsa-other", "https://red")


@pytest.fixture
def blue():
    """Another one."""
    return issuer("p256", "https://blue")


@pytest.fixture
def default():
    """The plain configuration."""
    return issuer("rsa", "https://default")


async def verify(issuers, text, among=("red", "blue", "default"), **options):
    """What is verified where every issuer may vouch."""
    return await issuers.verify(text, among=among, **options)


async def refusal(issuers, text, **options):
    """The text of the refusal."""
    with pytest.raises(TokenError) as caught:
        await verify(issuers, text, **options)
    return said(caught.value)


async def test_the_iss_picks_the_issuer(red, blue, default):
    """And with it the keys; nobody else's are asked for."""
    issuers = Issuers({"red": red, "blue": blue}, default)
    verified = await verify(issuers, token("p256", iss="https://blue"))
    assert (verified.issuer, verified.verifier) == ("blue", blue)
    assert verified.claims["iss"] == "https://blue"
    assert (red.keys.asked, blue.keys.asked, default.keys.asked) == (0, 1, 0)


@pytest.mark.parametrize("key", ["rsa-other", "p256", "rsa"])
@pytest.mark.parametrize("iss", ["https://red", "https://blue"])
async def test_only_an_issuers_own_keys_sign_for_it(red, blue, default, key, iss):
    """Not those of another issuer, and not the default's either."""
    issuers = Issuers({"red": red, "blue": blue}, default)
    own = {"https://red": "rsa-other", "https://blue": "p256"}[iss]
    if key == own:
        assert (await verify(issuers, token(key, iss=iss))).verifier.issuer == iss
    else:
        assert await refusal(issuers, token(key, iss=iss)) == SIGNATURE
        assert default.keys.asked == 0


@pytest.mark.parametrize("iss", [..., "https://other", "", "https://red/", " https://red", None])
async def test_other_tokens_are_nobodys(red, blue, default, iss):
    """Not the default's either, which has an `iss` of its own; no key is asked for."""
    claims = {} if iss is ... else {"iss": iss}
    issuers = Issuers({"red": red, "blue": blue}, default)
    for key in ("rsa", "rsa-other"):
        assert await refusal(issuers, token(key, **claims)) == ISSUER
    assert (red.keys.asked, blue.keys.asked, default.keys.asked) == (0, 0, 0)


@pytest.mark.parametrize("iss", ["https://RED", "HTTPS://red", "Https://Default", "https://blue\u212a"])
async def test_another_spelling_is_nobodys_either(red, default, iss):
    """It picks the issuer whose users it would name, which does not accept it."""
    blue = issuer("p256", "https://bluek")
    issuers = Issuers({"red": red, "blue": blue}, default)
    owner = next(
        verifier for verifier in (red, blue, default) if fold_name(verifier.issuer) == fold_name(iss)
    )
    for key, verifier in {"rsa-other": red, "p256": blue, "rsa": default}.items():
        assert await refusal(issuers, token(key, iss=iss)) == (ISSUER if verifier is owner else SIGNATURE)


@pytest.mark.parametrize("iss", [..., "https://other", "https://RED"])
async def test_a_default_without_iss_is_for_mounts_of_its_own(red, iss):
    """Beside others it verifies nobody: its keys could sign for whoever is added next."""
    claims = {} if iss is ... else {"iss": iss}
    plain = issuer("rsa")
    assert await verify(Issuers({}, plain), token("rsa", **claims))
    plain.keys.asked = 0
    issuers = Issuers({"red": red}, plain)
    assert (await refusal(issuers, token("rsa", **claims))).startswith(
        SIGNATURE if iss == "https://RED" else f"{ISSUER}: 'bound_issuer' of the configuration has to be set"
    )
    assert plain.keys.asked == 0
    bound = Issuers({"red": red}, plain.for_issuer("https://other"))
    assert (await refusal(bound, token("rsa", iss="https://OTHER"))) == ISSUER
    assert (await verify(bound, token("rsa", iss="https://other"))).issuer == "default"


@pytest.mark.parametrize(
    ("user", "owners"),
    [
        ("https://red|ann", {"red"}),
        ("HTTPS://R\u00e9D|ann", {"red", "blue", "default"}),
        ("HTTPS://RED|ann", {"red"}),
        ("https://red", {"red", "blue", "default"}),
        ("https://redder|ann", {"red", "blue", "default"}),
        ("https://red||https://blue|ann", {"red"}),
        ("https://default|ann", {"default"}),
        ("https://browser|ann", {"default"}),
        ("auth0|https://red|ann", {"red", "blue", "default"}),
        ("ann", {"red", "blue", "default"}),
        ("", {"red", "blue", "default"}),
    ],
)
def test_names_that_begin_with_an_iss_are_that_issuers(red, blue, default, user, owners):
    """Whatever their case, and whatever stands behind."""
    issuers = Issuers({"red": red, "blue": blue}, default, also_default=["https://browser"])
    assert issuers.are_several
    for name in ("red", "blue", "default"):
        if name in owners:
            issuers.verify_user(user, name)
        else:
            with pytest.raises(TokenError, match="names a user of another issuer"):
                issuers.verify_user(user, name)


def test_how_many_issuers_there_are(red, blue, default):
    """The default counts as one."""
    counts = [(Issuers(), False), (Issuers({}, default), False), (Issuers({"red": red}), False)]
    counts += [(Issuers({"red": red}, default), True), (Issuers({"red": red, "blue": blue}), True)]
    assert [issuers.are_several for issuers, _ in counts] == [several for _, several in counts]


async def test_the_default_keeps_its_bound_issuer(red):
    """A named issuer beside it opens nothing."""
    issuers = Issuers({"red": red}, issuer("rsa", "https://default"))
    assert (await verify(issuers, token("rsa", iss="https://default"))).claims["sub"] == "ann"
    assert await refusal(issuers, token("rsa", iss="https://other")) == ISSUER


async def test_a_named_issuer_stands_before_a_default_with_the_same_iss(red):
    """Its keys alone count: naming an issuer can only narrow who signs for it."""
    issuers = Issuers({"red": red}, issuer("rsa", "https://red"))
    assert (await verify(issuers, token("rsa-other", iss="https://red"))).verifier is red
    assert await refusal(issuers, token("rsa", iss="https://red")) == SIGNATURE


@pytest.mark.parametrize(
    ("among", "accepted"),
    [
        (["red"], {"red"}),
        (["blue", "red"], {"red", "blue"}),
        (["default"], {"default"}),
        (["default", "blue"], {"default", "blue"}),
        (["unknown"], set()),
        ([], set()),
    ],
)
async def test_a_login_names_the_issuers_that_count(red, blue, default, among, accepted):
    """The others are not asked for keys, and nobody takes their place."""
    issuers = Issuers({"red": red, "blue": blue}, default)
    tokens = {
        "red": token("rsa-other", iss="https://red"),
        "blue": token("p256", iss="https://blue"),
        "default": token("rsa", iss="https://default"),
    }
    for name, text in tokens.items():
        if name in accepted:
            assert (await verify(issuers, text, among)).issuer == name
        else:
            assert await refusal(issuers, text, among=among) == ISSUER
    asked = {"red": red.keys.asked, "blue": blue.keys.asked, "default": default.keys.asked}
    assert {name for name, count in asked.items() if count} == accepted


@pytest.mark.parametrize("among", [["red"], []])
async def test_a_lone_default_has_to_be_named_as_well(default, among):
    """A role of another issuer, which is gone, lets nobody else in."""
    assert await refusal(Issuers({}, default), token("rsa"), among=among) == ISSUER
    assert default.keys.asked == 0


@pytest.mark.parametrize("claims", [{}, {"iss": "https://other"}, {"iss": 5}, {"iss": ["https://red"]}])
async def test_without_a_default_unknown_issuers_are_refused(red, claims):
    """Before any key is asked for."""
    assert await refusal(Issuers({"red": red}), token("rsa-other", **claims)) == ISSUER
    assert red.keys.asked == 0


async def test_without_any_issuer_everything_is_refused():
    """An empty set vouches for nobody."""
    assert await refusal(Issuers(), token("rsa")) == ISSUER


@pytest.mark.parametrize(
    "payload", [b"[]", b"nonsense", b'{"iss":"https://red","iss":"https://blue"}', b"\xff"]
)
async def test_claims_that_cannot_be_read_pick_nobody(red, blue, default, payload):
    """A lone default refuses them after the signature."""
    issuers = Issuers({"red": red, "blue": blue}, default)
    for key in ("rsa", "rsa-other"):
        assert await refusal(issuers, make_token(payload, key=private_key(key))) == ISSUER
    refused = await refusal(Issuers({}, default), make_token(payload))
    assert refused.startswith("error verifying token signature: malformed claims: ")


async def test_issuers_without_a_name_of_their_own_are_a_mistake(red):
    """Without `iss` nobody could pick them; with the same one nobody could tell them apart."""
    with pytest.raises(ValueError, match="issuer 'red' has no iss"):
        Issuers({"red": issuer("rsa")})
    with pytest.raises(ValueError, match="'default' is the name of the default issuer"):
        Issuers({"default": red})
    with pytest.raises(ValueError, match="issuers 'red' and 'pink' have the same iss"):
        Issuers({"red": red, "pink": issuer("rsa", "HTTPS://Red")})


# --- what belongs to an issuer -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("audiences", "aud", "text"),
    [
        ([], ["a", "x"], ""),
        (["a"], ["a", "x"], ""),
        (["a"], ["a"], AUDIENCE),
        (["a"], ["x"], AUDIENCE),
        ([], "y", AUDIENCE),
        ([], ..., AUDIENCE),
    ],
)
async def test_a_token_is_for_the_issuers_audience_and_the_roles(audiences, aud, text):
    """Both have a say: one of each must be there."""
    verifier = issuer("rsa", "https://red", audiences=["x", "z"])
    claims = {"iss": "https://red"} | ({} if aud is ... else {"aud": aud})
    if text:
        assert await refusal(Issuers({"red": verifier}), token("rsa", **claims), audiences=audiences) == text
    else:
        assert await verify(Issuers({"red": verifier}), token("rsa", **claims), audiences=audiences)


async def test_algorithms_are_the_issuers():
    """Another issuer's list does not matter."""
    strict = issuer("rsa", "https://red", algorithms=["PS256"])
    issuers = Issuers({"red": strict}, issuer("rsa", "https://default"))
    assert "unexpected algorithm" in await refusal(issuers, token("rsa", iss="https://red"))
    assert await verify(issuers, token("rsa", iss="https://default"))


@pytest.mark.parametrize(
    ("of_issuer", "of_role", "late", "accepted"),
    [
        (0, 0, 60, True),
        (0, 0, 61, False),
        (120, 0, 120, True),
        (120, 0, 121, False),
        (120, 30, 31, False),
        (120, 30, 30, True),
        (120, -1, 1, False),
        (-1, 0, 1, False),
        (-1, 0, 0, True),
    ],
)
async def test_leeways_are_the_roles_then_the_issuers(of_issuer, of_role, late, accepted):
    """Then those of the documentation; negative means none."""
    own = Leeways(clock_skew=timedelta(seconds=of_issuer))
    asked = Leeways(clock_skew=timedelta(seconds=of_role))
    verifier = issuer("rsa", "https://red", leeways=own)
    text = token("rsa", iss="https://red", exp=NOW - late)
    if accepted:
        assert await verify(Issuers({"red": verifier}), text, leeways=asked)
    else:
        assert "expired" in await refusal(Issuers({"red": verifier}), text, leeways=asked)


def test_names_are_collections():
    """A text is not a list of its letters."""
    with pytest.raises(TypeError):
        issuer("rsa", audiences="abc")


# --- explained ---------------------------------------------------------------------------------


async def test_the_choice_of_the_issuer_is_a_check(red, blue, default):
    """It says who was picked, or who could have been."""
    checks = Record()
    await verify(
        Issuers({"red": red, "blue": blue}, default), token("p256", iss="https://blue"), checks=checks
    )
    assert [check.name for check in checks.checks][:3] == ["form", "issuer", "algorithm"]
    assert checks.checks[1].had == '"https://blue", which is issuer "blue"'
    checks = Record()
    await verify(Issuers({}, default), token("rsa", iss="https://default"), checks=checks)
    assert [check.name for check in checks.checks][:3] == ["form", "algorithm", "keys"]
    checks = Explanation()
    assert (
        await refusal(Issuers({"red": red, "blue": blue}), token("p256", iss="https://x"), checks=checks)
        == ISSUER
    )
    assert checks.checks[-1].expected == 'that of an issuer among ["red", "blue", "default"]'
    assert checks.checks[-1].had == '"https://x", which no issuer has'
    checks = Explanation()
    elsewhere = token("p256", iss="https://blue")
    assert await refusal(Issuers({"blue": blue}, default), elsewhere, among=["red"], checks=checks) == ISSUER
    assert checks.checks[-1].expected == 'that of an issuer among ["red"]'
    assert checks.checks[-1].had == '"https://blue", which is issuer "blue"'
