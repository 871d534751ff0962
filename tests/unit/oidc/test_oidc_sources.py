"""Key sources beside a plain URL: discovery, and several URLs that vouch for the same tokens."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from oidc_factories import NOW, Clock, jwk, jwks, make_token, private_key, said, until

from authkit.errors import TokenError
from authkit.oidc import (
    CombinedKeys,
    DiscoveredKeys,
    DiscoveryError,
    JWKSKeys,
    KeySource,
    KeySourceError,
    ProviderError,
    StaticKeys,
    TokenVerifier,
)
from authkit.oidc.keys.key import RenewableKeySource

ISSUER = "https://issuer.example"
HOUR = 3600


class Issuer:
    """An issuer behind a transport, with a discovery document and key sets by path."""

    def __init__(self):
        self.jwks_uri = ISSUER + "/keys"
        self.issuer = ISSUER
        self.sets = {"/keys": [jwk("rsa", kid="one")]}
        self.asked = []
        self.clock = Clock()
        self.transport = httpx.MockTransport(self.answer)

    def answer(self, request):
        self.asked.append(request.url.path)
        if request.url.path == "/.well-known/openid-configuration":
            if not self.issuer:
                return httpx.Response(503)
            body = json.dumps({"issuer": self.issuer, "jwks_uri": self.jwks_uri}).encode()
            return httpx.Response(200, content=body)
        if request.url.path not in self.sets:
            return httpx.Response(404)
        return httpx.Response(200, content=jwks(*self.sets[request.url.path]))

    def keys(self, **options):
        return DiscoveredKeys(
            ISSUER, timer=self.clock, wall=self.clock.wall, transport=self.transport, **options
        )


class Pair:
    """One of several providers."""

    def __init__(self, clock, *entries):
        self.entries = list(entries)
        self.code = 200
        self.count = 0
        self.gate = asyncio.Event()
        self.gate.set()
        url = "https://pair.example/keys"
        self.keys = JWKSKeys(url, timer=clock, transport=httpx.MockTransport(self.answer))

    async def answer(self, request):
        self.count += 1
        await self.gate.wait()
        return httpx.Response(self.code, content=jwks(*self.entries))


def ids(keys):
    """The ids of these keys."""
    return [key.kid for key in keys]


# --- discovery ---------------------------------------------------------------------------------


async def test_keys_are_found_where_the_metadata_say():
    """Two requests for the first login, none for the next."""
    issuer = Issuer()
    keys = issuer.keys()
    assert issuer.asked == []
    assert ids(await keys.find_keys("one")) == ["one"]
    assert ids(await keys.find_keys("one")) == ["one"]
    assert issuer.asked == ["/.well-known/openid-configuration", "/keys"]
    assert (await keys.metadata()).jwks_uri == issuer.jwks_uri
    await keys.close()


async def test_a_moved_key_set_is_found_when_the_old_one_is_gone():
    """The metadata are looked at again, within the same fetch."""
    issuer = Issuer()
    keys = issuer.keys()
    await keys.find_keys("one")
    issuer.jwks_uri = ISSUER + "/new"
    issuer.sets = {"/new": [jwk("rsa", kid="two")]}
    issuer.clock.now += 10
    assert ids(await keys.find_keys("two")) == ["two"]
    assert issuer.asked[2:] == ["/keys", "/.well-known/openid-configuration", "/new"]
    await keys.close()


async def test_a_moved_key_set_is_found_with_the_age_of_the_metadata():
    """Also when the old address still answers: metadata do not last for ever."""
    issuer = Issuer()
    keys = issuer.keys()
    await keys.find_keys("one")
    issuer.jwks_uri = ISSUER + "/new"
    issuer.sets["/new"] = [jwk("rsa", kid="two")]
    fetched_at = keys.status()[0].remote.fetched_at
    issuer.clock.advance(0.8 * HOUR)
    await until(lambda: keys.status()[0].remote.fetched_at != fetched_at)
    issuer.clock.now += 10
    assert ids(await keys.find_keys("two")) == ["two"]
    await keys.close()


async def test_a_key_set_that_moved_and_cannot_be_had_there_either_is_a_failure():
    """Both addresses were tried; the last failure is told."""
    issuer = Issuer()
    keys = issuer.keys()
    await keys.find_keys("one")
    issuer.jwks_uri, issuer.sets = ISSUER + "/new", {}
    issuer.clock.now += 10
    with pytest.raises(TokenError, match="404 Not Found"):
        await keys.find_keys("two")
    assert issuer.asked[2:] == ["/keys", "/.well-known/openid-configuration", "/new"]
    assert ids(await keys.find_keys("one")) == ["one"]
    await keys.close()


async def test_metadata_that_cannot_be_had_fail_the_configuration_of_a_validator():
    """With the words of that step, which are not those of a bad token."""
    issuer = Issuer()
    issuer.issuer = "https://evil.example"
    keys = issuer.keys()
    with pytest.raises(KeySourceError) as caught:
        await keys.find_keys("one")
    assert said(caught.value) == (
        "error configuring token validator: keyset configuration error: "
        "oidc: issuer did not match the issuer returned by provider"
    )
    assert "https://evil.example" in caught.value.detail
    assert not isinstance(caught.value, TokenError)
    with pytest.raises(DiscoveryError):
        await keys.metadata()
    with pytest.raises(DiscoveryError):
        await keys.load()


async def test_keys_that_cannot_be_had_fail_the_verification():
    """The metadata were fine; they are not fetched once more for that."""
    issuer = Issuer()
    issuer.sets = {}
    keys = issuer.keys()
    with pytest.raises(TokenError, match="keys cannot be fetched: 404 Not Found"):
        await keys.find_keys("one")
    assert issuer.asked == ["/.well-known/openid-configuration", "/keys"]
    await keys.close()


async def test_the_status_tells_of_metadata_and_keys():
    """Each may fail alone: an operator sees metadata that cannot be renewed while the keys still can."""
    issuer = Issuer()
    keys = issuer.keys()
    await keys.find_keys("one")
    issuer.issuer = ""
    issuer.clock.advance(0.8 * HOUR)
    await until(lambda: keys.status()[0].metadata.failures == 1 and keys.status()[0].remote.fetches == 2)
    (status,) = keys.status()
    assert status.metadata.last_error == "503 Service Unavailable"
    assert status.metadata.fetches == 2
    assert status.keys == 1
    await keys.close()
    assert JWKSKeys(ISSUER).status()[0].metadata is None


async def test_closing_ends_both_renewals():
    """No call is planned after it."""
    issuer = Issuer()
    keys = issuer.keys()
    await keys.find_keys("one")
    assert len(issuer.clock.planned) == 2
    await keys.close()
    assert issuer.clock.planned == []


@pytest.mark.parametrize("url", ["", "issuer", "https://"])
def test_an_impossible_issuer_is_refused_at_once(url):
    """Before anything is fetched."""
    with pytest.raises(ValueError):
        DiscoveredKeys(url)


def test_credentials_in_a_url_are_not_shown():
    """Nor is the query, which may hold some."""
    (status,) = JWKSKeys("https://ann:sesame@issuer.example:8443/keys?token=sesame").status()
    assert status.source == "https://issuer.example:8443/keys"
    assert status.remote.fetches == status.keys == 0


# --- several URLs ------------------------------------------------------------------------------


async def test_every_pair_with_the_id_is_tried():
    """Two providers may use one id for different keys."""
    clock = Clock()
    first, second = Pair(clock, jwk("rsa", kid="one")), Pair(clock, jwk("rsa-other", kid="one"))
    keys = CombinedKeys([first.keys, second.keys])
    verifier = TokenVerifier(keys, now=lambda: NOW)
    for name in ("rsa", "rsa-other"):
        assert await verifier.verify(make_token(kid="one", key=private_key(name)))
    assert (first.count, second.count) == (1, 1)
    await keys.close()


async def test_without_an_id_the_keys_of_all_are_tried():
    """Those that can be had, that is."""
    clock = Clock()
    first, second, third = (
        Pair(clock, jwk("rsa", kid="one")),
        Pair(clock, jwk("p256", kid="two")),
        Pair(clock),
    )
    third.code = 500
    keys = CombinedKeys([first.keys, second.keys, third.keys])
    assert ids(await keys.find_keys(None)) == ["one", "two"]
    third.code, third.entries = 200, [jwk("p384", kid="three")]
    clock.now += 10
    assert ids(await keys.find_keys(None)) == ["one", "two", "three"]
    assert ids(await keys.find_keys(None)) == ["one", "two", "three"]
    await keys.close()


async def test_without_an_id_those_are_asked_that_were_not_yet():
    """A token without key id may be of any provider: keys that are at hand are not all that there are."""
    clock = Clock()
    first, second = Pair(clock, jwk("rsa", kid="one")), Pair(clock, jwk("p256", kid="two"))
    keys = CombinedKeys([first.keys, second.keys])
    await first.keys.find_keys("one")
    assert ids(await keys.find_keys(None)) == ["one", "two"]
    await keys.close()


async def test_known_keys_do_not_wait_for_a_silent_pair():
    """A key that one provider is known to have is enough."""
    clock = Clock()
    good, silent = Pair(clock, jwk("rsa", kid="one")), Pair(clock)
    keys = CombinedKeys([silent.keys, good.keys])
    silent.gate.clear()
    waiter = asyncio.create_task(keys.find_keys("one"))
    await until(lambda: good.keys.peek("one"))
    assert ids(await keys.find_keys("one")) == ["one"]
    silent.gate.set()
    assert ids(await waiter) == ["one"]
    await keys.close()


async def test_a_forged_token_makes_those_answer_that_were_not_asked():
    """A second provider may have the same id; it was not waited for before."""
    clock = Clock()
    first, second = Pair(clock, jwk("rsa", kid="one")), Pair(clock, jwk("rsa-other", kid="one"))
    keys = CombinedKeys([first.keys, second.keys])
    await first.keys.find_keys("one")
    assert ids(await keys.find_keys("one")) == ["one"]
    assert second.count == 0
    token = make_token(kid="one", key=private_key("rsa-other"))
    assert await TokenVerifier(keys, now=lambda: NOW).verify(token)
    assert (first.count, second.count) == (1, 1)
    await keys.close()


@pytest.mark.parametrize(
    ("kid", "shown"), [("two", "two"), ("k" * 100, "k" * 64), ('a"\n\x9b', 'a"\\n\\u009b'), ("../x", "../x")]
)
async def test_an_id_that_no_pair_has_is_named(kid, shown):
    """In the words that users know, cut and on one line."""
    keys = CombinedKeys([Pair(Clock(), jwk("rsa", kid="one")).keys])
    with pytest.raises(TokenError) as caught:
        await keys.find_keys(kid)
    assert said(caught.value) == (
        f"error searching for key set with kid {shown}: no key found with kid {shown} in any JWKS endpoint"
    )
    await keys.close()


async def test_failures_count_only_when_all_pairs_fail():
    """As long as one answers, an unknown id is unknown."""
    clock = Clock()
    first, second = Pair(clock, jwk("rsa", kid="one")), Pair(clock)
    second.code = 500
    keys = CombinedKeys([first.keys, second.keys])
    with pytest.raises(TokenError, match="no key found with kid two in any JWKS endpoint"):
        await keys.find_keys("two")
    with pytest.raises(ProviderError, match="500"):
        await keys.load()
    first.code = 500
    clock.now += 10
    with pytest.raises(TokenError, match="keys cannot be fetched: 500 Internal Server Error"):
        await keys.find_keys("two")
    assert [status.remote.last_error for status in keys.status()] == ["500 Internal Server Error"] * 2
    await keys.close()


async def test_empty_pairs_have_no_keys_for_a_token_without_id():
    """Which is no failure to ask."""
    keys = CombinedKeys([Pair(Clock()).keys])
    assert await keys.find_keys(None) == ()
    await keys.load()
    await keys.close()


def test_no_pairs_are_no_source():
    """An empty list vouches for nobody."""
    with pytest.raises(ValueError, match="at least one source"):
        CombinedKeys([])


# --- all of them -------------------------------------------------------------------------------


def test_every_source_is_one():
    """They satisfy the protocols; keys that do not change need no renewal."""
    pem_free: list[KeySource] = [JWKSKeys(ISSUER), DiscoveredKeys(ISSUER), CombinedKeys([JWKSKeys(ISSUER)])]
    assert all(isinstance(source, RenewableKeySource) for source in pem_free)
    assert not issubclass(StaticKeys, RenewableKeySource)
