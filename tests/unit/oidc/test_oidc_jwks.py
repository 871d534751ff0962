"""The key set of a provider: when it is fetched, and how long it serves."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise

import httpx
import pytest
from oidc_factories import NOW, Clock, jwk, jwks, make_token, private_key, said, until

from authkit.errors import TokenError
from authkit.oidc import JWKSKeys, TokenVerifier
from authkit.oidc.keys.jwk_set import MAX_DOCUMENT_BYTES, MAX_KID_CHARACTERS
from authkit.oidc.keys.key import KeySource, RenewableKeySource
from authkit.oidc.keys.sources import MAX_UNKNOWN_KIDS

URL = "https://issuer.example/keys"
HOUR = 3600
PREFIX = "error verifying token signature: fetching keys "
SERVER_ERROR = PREFIX + "oidc: get keys failed: 500 Internal Server Error"

CLOSED = "oidc: get keys failed: the provider is not asked any more"


class Provider:
    """A provider behind a transport: counts what it is asked, answers what the test says."""

    def __init__(self, *entries):
        self.entries = list(entries or [jwk("p256", kid="one")])
        self.headers = {}
        self.code = 200
        self.failure = None
        self.requests = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.noted = lambda: None
        self.clock = Clock()
        transport = httpx.MockTransport(self.answer)
        self.keys = JWKSKeys(URL, timer=self.clock, wall=self.clock.wall, transport=transport)

    @property
    def count(self):
        """How often it was asked."""
        return len(self.requests)

    async def answer(self, request):
        """Answer as set, once the gate is open."""
        self.requests.append(request)
        self.noted()
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        body = jwks(*self.entries) if self.code == 200 else b"sesame"
        return httpx.Response(self.code, content=body, headers=self.headers)

    async def find(self, kid):
        """The ids found."""
        return [key.kid for key in await self.keys.find_keys(kid)]

    async def fail(self, kid):
        """The text of the failure to find."""
        with pytest.raises(TokenError) as caught:
            await self.keys.find_keys(kid)
        return said(caught.value)

    async def asked(self, count):
        """Wait until it was asked that often."""
        await until(lambda: self.count >= count)

    async def answered(self, count):
        """Wait until that many answers, good or bad, were taken in."""
        await until(lambda: self.count >= count and self.status.next_fetch_at is not None)

    @property
    def status(self):
        """What an operator reads of the fetches."""
        (status,) = self.keys.status()
        return status.remote


async def test_nothing_is_fetched_before_it_is_needed():
    """Making a source asks nobody; the first login does, the next ones do not."""
    provider = Provider()
    assert provider.count == 0
    assert await provider.find("one") == ["one"]
    assert await provider.find("one") == ["one"]
    assert provider.count == 1
    assert provider.requests[0].headers["accept-encoding"] == "identity"


async def test_it_is_a_renewable_source():
    """It satisfies both protocols."""
    source: KeySource = Provider().keys
    assert isinstance(source, RenewableKeySource)


async def test_without_an_id_all_keys_are_found():
    """A token without `kid` may be of any key."""
    provider = Provider(jwk("p256", kid="one"), jwk("rsa", kid=...))
    assert await provider.find(None) == ["one", None]


# --- one fetch in flight -----------------------------------------------------------------------


async def test_waiters_share_one_fetch():
    """A hundred logins at once ask the provider once."""
    provider = Provider()
    provider.gate.clear()
    waiters = [asyncio.create_task(provider.find("one")) for _ in range(100)]
    await provider.asked(1)
    provider.gate.set()
    assert await asyncio.gather(*waiters) == [["one"]] * 100
    assert provider.count == 1


async def test_waiters_share_one_failure():
    """A hundred logins at once fail together, and log once."""
    provider = Provider()
    provider.code = 500
    texts = await asyncio.gather(*[provider.fail("one") for _ in range(100)])
    assert set(texts) == {SERVER_ERROR}
    assert provider.count == 1


@pytest.mark.parametrize("survivors", [1, 0])
async def test_waiters_that_give_up_do_not_end_the_fetch(survivors):
    """A cancelled login leaves the fetch to the others, and to those who come later."""
    provider = Provider()
    provider.gate.clear()
    quitters = [asyncio.create_task(provider.find("one")) for _ in range(3)]
    stayers = [asyncio.create_task(provider.find("one")) for _ in range(survivors)]
    await provider.asked(1)
    for task in quitters:
        task.cancel()
    assert all(
        isinstance(r, asyncio.CancelledError) for r in await asyncio.gather(*quitters, return_exceptions=True)
    )
    provider.gate.set()
    assert await asyncio.gather(*stayers, provider.find("one")) == [["one"]] * (survivors + 1)
    assert provider.count == 1


async def test_known_keys_do_not_wait_for_a_fetch():
    """While a fetch for an unknown id hangs, everybody else logs in."""
    provider = Provider()
    await provider.find("one")
    provider.clock.now += 11
    provider.gate.clear()
    waiter = asyncio.create_task(provider.find("two"))
    await provider.asked(2)
    assert await provider.find("one") == ["one"]
    provider.gate.set()
    assert await waiter == []


# --- unknown ids -------------------------------------------------------------------------------


async def test_a_new_key_is_found_after_the_pause():
    """A rotated key is noticed by its id, at the earliest ten seconds after the last fetch."""
    provider = Provider()
    await provider.find("one")
    provider.entries.append(jwk("rsa", kid="two"))
    provider.clock.now += 9
    assert await provider.find("two") == []
    assert provider.count == 1
    provider.clock.now += 1
    assert await provider.find("two") == ["two"]
    assert provider.count == 2


async def test_junk_ids_cost_at_most_one_fetch_per_pause():
    """However many ids a stranger invents, the provider is asked every ten seconds at most."""
    provider = Provider()
    await provider.find("one")
    for number in range(600):
        provider.clock.now += 0.1
        assert await provider.find(f"junk-{number}") == []
    assert provider.count <= 1 + 6


async def test_a_key_published_right_after_a_fetch_is_found_as_soon_as_the_pause_allows():
    """An id asked for in vain is asked for again after the same pause, not much later."""
    provider = Provider()
    await provider.find("one")
    provider.clock.now += 10
    assert await provider.find("two") == []
    provider.entries.append(jwk("rsa", kid="two"))
    provider.clock.now += 9
    assert await provider.find("two") == []
    assert provider.count == 2
    provider.clock.now += 1
    assert await provider.find("two") == ["two"]
    assert provider.count == 3


async def test_an_id_that_stays_unknown_is_asked_for_once_a_minute():
    """A client with a withdrawn key does not keep the provider busy."""
    provider = Provider()
    await provider.find("one")
    asked_at, begun = [], provider.clock.now
    for _ in range(300):
        provider.clock.now += 1
        before = provider.count
        assert await provider.find("two") == []
        if provider.count > before:
            asked_at.append(provider.clock.now - begun)
    assert asked_at == [10, 20, 30, 40, 50, 60, 120, 180, 240, 300]


async def test_other_ids_do_not_wait_for_one_that_stays_unknown():
    """The longer pause is for that id alone."""
    provider = Provider()
    await provider.find("one")
    for _ in range(70):
        provider.clock.now += 1
        await provider.find("junk")
    provider.entries.append(jwk("rsa", kid="two"))
    assert await provider.find("two") == ["two"]


async def test_an_unknown_id_is_forgotten_after_ten_minutes():
    """Then it is asked for at the first pace again."""
    provider = Provider()
    await provider.find("one")
    for _ in range(70):
        provider.clock.now += 1
        await provider.find("two")
    provider.clock.now += 601
    before = provider.count
    await provider.find("two")
    provider.clock.now += 10
    await provider.find("two")
    assert provider.count == before + 2


async def test_a_remembered_id_is_found_as_soon_as_the_key_is_there():
    """A fetch for any other reason also makes a formerly unknown key known."""
    provider = Provider()
    await provider.find("two")
    provider.entries.append(jwk("rsa", kid="two"))
    provider.clock.now += 11
    await provider.find("three")
    assert await provider.find("two") == ["two"]


async def test_the_memory_for_unknown_ids_is_bounded():
    """Many ids in one fetch are not all remembered, and very long ones never."""
    provider = Provider()
    provider.gate.clear()
    ids = [f"junk-{number}" for number in range(MAX_UNKNOWN_KIDS + 50)] + ["k" * (MAX_KID_CHARACTERS + 1)]
    waiters = [asyncio.create_task(provider.find(kid)) for kid in ids]
    await provider.asked(1)
    provider.gate.set()
    await asyncio.gather(*waiters)
    remembered = provider.keys._unknown
    assert len(remembered) == MAX_UNKNOWN_KIDS
    assert max(len(kid) for kid in remembered) < 20
    provider.clock.now += 11
    assert await provider.find(ids[-1]) == []
    assert provider.count == 1


# --- age ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cache_control", "age"),
    [
        (None, HOUR),
        ("public", HOUR),
        ("max-age=0", 600),
        ("max-age=5", 600),
        ("max-age=-5", HOUR),
        ("max-age=7200", 7200),
        ("public, Max-Age=7200, must-revalidate", 7200),
        ('max-age="7200"', 7200),
        ("s-maxage=7200", HOUR),
        ("x-max-age=7200", HOUR),
        ("max-age=99999999", 86400),
        ("max-age=" + "9" * 5000, 86400),
        ("max-age=soon", HOUR),
        ("no-cache", 600),
        ("no-store, max-age=7200", 600),
    ],
)
async def test_a_set_is_used_for_as_long_as_its_provider_says(cache_control, age):
    """Within ten minutes and a day; an hour if it says nothing."""
    provider = Provider()
    provider.headers = {} if cache_control is None else {"cache-control": cache_control}
    await provider.find("one")
    provider.clock.now += age - 1
    assert await provider.find("one") == ["one"]
    assert provider.count == 1
    provider.clock.now += 1
    assert await provider.find("one") == ["one"]
    assert provider.count == 2


async def test_a_withdrawn_key_ends_with_the_set():
    """A key that the provider no longer publishes is not trusted after the next fetch."""
    provider = Provider()
    await provider.find("one")
    provider.entries = [jwk("rsa", kid="two")]
    provider.clock.now += HOUR
    assert await provider.find("one") == []
    assert await provider.find("two") == ["two"]


# --- renewal -----------------------------------------------------------------------------------


async def test_a_set_is_renewed_before_it_expires():
    """In the background: no login waits, none sees the old set after its time."""
    provider = Provider()
    await provider.find("one")
    provider.entries = [jwk("rsa", kid="two")]
    provider.clock.advance(0.8 * HOUR - 1)
    assert provider.count == 1
    provider.gate.clear()
    provider.clock.advance(1)
    await provider.asked(2)
    assert await provider.find("one") == ["one"]
    provider.gate.set()
    await provider.answered(2)
    assert await provider.find("two") == ["two"]
    assert await provider.find("one") == []
    assert provider.count == 2


async def test_renewal_goes_on_without_any_login():
    """A mount that is used once a night finds its keys there."""
    provider = Provider()
    await provider.find("one")
    for count in range(2, 6):
        provider.clock.advance(0.8 * HOUR)
        await provider.answered(count)
    assert await provider.find("one") == ["one"]
    assert provider.count == 5


async def test_a_fetch_for_another_reason_moves_the_renewal():
    """The age counts from the last fetch, and only one renewal is planned."""
    provider = Provider()
    await provider.find("one")
    provider.clock.advance(600)
    await provider.find("two")
    assert provider.count == 2
    assert provider.clock.planned == [provider.clock.now + 0.8 * HOUR]


async def test_a_renewal_that_comes_too_early_is_planned_again():
    """As timers may be by a tick; the pause between two fetches holds."""
    provider = Provider()
    await provider.find("one")
    await provider.find("two")
    (call,) = provider.clock._planned
    call.callback()
    assert provider.count == 1
    assert provider.clock.planned == [provider.clock.now + 0.8 * HOUR] * 2


async def test_a_renewal_that_fails_is_tried_again_ever_less_often():
    """Until the old set ends; then only logins ask."""
    provider = Provider()
    await provider.find("one")
    asked_at = []
    set_at = provider.clock.now
    provider.code = 500
    while provider.clock.planned:
        provider.clock.advance(provider.clock.planned[0] - provider.clock.now)
        await until(lambda: provider.count > 1 + len(asked_at))
        asked_at.append(provider.clock.now - set_at)
        await until(lambda: provider.keys.status()[0].remote.failures == len(asked_at))
    assert asked_at[:6] == [2880, 2890, 2910, 2950, 3030, 3190]
    assert {later - sooner for sooner, later in pairwise(asked_at[6:])} == {300}
    assert 2 * HOUR <= asked_at[-1] < 2 * HOUR + 300


async def test_logins_do_not_wait_for_a_dead_provider_while_the_old_set_serves():
    """Once a renewal failed, known keys are used at once until they end."""
    provider = Provider()
    await provider.find("one")
    provider.code = 500
    provider.clock.advance(0.8 * HOUR)
    await provider.answered(2)
    provider.gate.clear()
    provider.clock.advance(0.3 * HOUR)
    await provider.asked(3)
    assert await provider.find("one") == ["one"]
    await provider.keys.close()


# --- failures ----------------------------------------------------------------------------------


async def test_the_last_good_set_serves_for_an_hour_then_nothing():
    """A dead provider locks nobody out at once, and is not trusted for ever."""
    provider = Provider()
    await provider.find("one")
    provider.code = 500
    provider.clock.now += HOUR
    assert await provider.find("one") == ["one"]
    provider.clock.now += HOUR - 1
    assert await provider.find("one") == ["one"]
    provider.clock.now += 1
    assert await provider.fail("one") == SERVER_ERROR
    assert await provider.fail(None) == SERVER_ERROR


async def test_a_provider_that_comes_back_is_used_again():
    """The first good answer after failures makes everything as before."""
    provider = Provider()
    provider.code = 500
    await provider.fail("one")
    provider.clock.now += 10
    provider.code = 200
    assert await provider.find("one") == ["one"]
    assert await provider.find("two") == []


async def test_a_dead_provider_is_asked_ever_less_often():
    """Logins meanwhile fail at once; the pause doubles up to five minutes."""
    provider = Provider()
    provider.code = 500
    asked_at = []
    for _ in range(3000):
        before = provider.count
        assert await provider.fail("one") == SERVER_ERROR
        if provider.count > before:
            asked_at.append(provider.clock.now - 1000)
        provider.clock.now += 1
    assert asked_at[:6] == [0, 10, 30, 70, 150, 310]
    assert {later - sooner for sooner, later in pairwise(asked_at[5:])} == {300}


async def test_a_dead_provider_is_asked_less_often_while_the_old_set_serves():
    """An expired set in use does not mean a fetch per login."""
    provider = Provider()
    await provider.find("one")
    provider.code = 500
    provider.clock.now += HOUR
    for _ in range(9):
        assert await provider.find("one") == ["one"]
        provider.clock.now += 1
    assert provider.count == 2


async def test_an_unknown_id_with_a_dead_provider_is_a_failure():
    """Nobody can say that the key does not exist when the provider does not answer."""
    provider = Provider()
    await provider.find("one")
    provider.code = 500
    provider.clock.now += 10
    assert await provider.fail("two") == SERVER_ERROR
    assert await provider.find("one") == ["one"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"code": 404}, "oidc: get keys failed: 404 Not Found"),
        ({"code": 599}, "oidc: get keys failed: 599"),
        ({"code": 204}, "oidc: get keys failed: 204 No Content"),
        ({"entries": "none"}, ""),
        ({"failure": httpx.ConnectError("sesame")}, "oidc: get keys failed: no usable answer"),
        ({"failure": httpx.RemoteProtocolError("sesame")}, "oidc: get keys failed: no usable answer"),
        ({"failure": httpx.ConnectTimeout("sesame")}, "context deadline exceeded"),
        ({"failure": httpx.ReadTimeout("sesame")}, "context deadline exceeded"),
        ({"failure": TimeoutError()}, "context deadline exceeded"),
        ({"failure": RuntimeError("sesame")}, "oidc: get keys failed: internal error"),
    ],
)
async def test_failures_show_nothing_that_the_provider_sent(change, text):
    """A caller reads what kind of failure it was, never a body or a detail."""
    provider = Provider()
    for name, value in change.items():
        setattr(provider, name, value)
    if not text:
        assert await provider.find("one") == []
        return
    found = await provider.fail("one")
    assert found == PREFIX + text
    assert "sesame" not in found


async def test_failures_are_logged_with_a_bounded_cause(caplog):
    """The log names the host and the cause, in one short line."""
    provider = Provider()
    provider.failure = httpx.ConnectError("refused " * 1000)
    await provider.fail("one")
    (record,) = caplog.records
    message = record.getMessage()
    assert message.startswith("asking https://issuer.example/keys failed, next try after 10 s: ")
    assert "no usable answer: ConnectError: refused" in message
    assert len(message) < 500


@pytest.mark.parametrize("body", [b"<html>sesame", b"[]", b"x" * (MAX_DOCUMENT_BYTES + 1)])
async def test_another_document_is_a_failure(body):
    """What is no key set, or too large, is not one without keys."""
    keys = JWKSKeys(URL, transport=httpx.MockTransport(lambda request: httpx.Response(200, content=body)))
    with pytest.raises(TokenError) as caught:
        await keys.find_keys("one")
    assert said(caught.value).startswith(PREFIX + "oidc: get keys failed: ")
    assert "sesame" not in said(caught.value) + caught.value.detail


# --- looking again -----------------------------------------------------------------------------


async def test_a_key_replaced_under_its_id_is_found_after_a_minute():
    """A token that a known key does not verify asks for newer keys, at most once a minute."""
    provider = Provider(jwk("rsa-other", kid="one"))
    source = TokenVerifier(provider.keys, now=lambda: NOW)
    token = make_token(kid="one", key=private_key("rsa"))
    provider.clock.now += 1
    with pytest.raises(TokenError):
        await source.verify(token)
    provider.entries = [jwk("rsa", kid="one")]
    provider.clock.now += 59
    with pytest.raises(TokenError):
        await source.verify(token)
    assert provider.count == 1
    provider.clock.now += 1
    assert await source.verify(token)
    assert provider.count == 2


async def test_forged_tokens_cost_one_fetch_a_minute():
    """Bad signatures under a known id are as free as unknown ids."""
    provider = Provider(jwk("rsa", kid="one"))
    source = TokenVerifier(provider.keys, now=lambda: NOW)
    forged = make_token(kid="one", key=private_key("rsa-other"))
    for _ in range(100):
        with pytest.raises(TokenError, match="not by one of the issuer's keys"):
            await source.verify(forged)
        provider.clock.now += 3
    assert provider.count <= 1 + 5


async def test_looking_again_at_a_dead_provider_finds_nothing_newer():
    """The old keys have been tried; the refusal stays a refusal of the signature."""
    provider = Provider(jwk("rsa", kid="one"))
    source = TokenVerifier(provider.keys, now=lambda: NOW)
    await provider.find("one")
    provider.code = 500
    provider.clock.now += 60
    with pytest.raises(TokenError, match="not by one of the issuer's keys"):
        await source.verify(make_token(kid="one", key=private_key("rsa-other")))
    assert await source.verify(make_token(kid="one"))


async def test_what_is_wrong_with_a_key_is_logged_once(caplog):
    """Not with every fetch of the same document."""
    provider = Provider(jwk("rsa", kid="one"), jwk("rsa-1024", kid="weak"))
    for kid in ("one", "two", "three"):
        await provider.find(kid)
        provider.clock.now += 10
    assert provider.count == 3
    assert [record.getMessage() for record in caplog.records] == [
        "key 1 of the key set is skipped: RSA keys of less than 2048 bits are not accepted"
    ]


# --- closing -----------------------------------------------------------------------------------


async def test_closing_ends_a_fetch_and_tells_its_waiters():
    """Waiters get a failure of the login, not a cancellation that they never asked for."""
    provider = Provider()
    provider.gate.clear()
    waiter = asyncio.create_task(provider.fail("one"))
    await provider.asked(1)
    await provider.keys.close()
    assert await waiter == PREFIX + CLOSED


async def test_closing_before_a_fetch_began_is_the_same():
    """Not even a fetch that is only planned goes out."""
    provider = Provider()
    waiter = asyncio.create_task(provider.fail("one"))
    await asyncio.sleep(0)
    await provider.keys.close()
    assert await waiter == PREFIX + CLOSED


async def test_a_closed_source_serves_what_it_has():
    """A login in flight on an old configuration may finish; nothing is fetched any more."""
    provider = Provider()
    await provider.find("one")
    await provider.keys.close()
    await provider.keys.close()
    assert await provider.find("one") == ["one"]
    provider.clock.now += HOUR
    assert await provider.find("one") == ["one"]
    assert await provider.fail("two") == PREFIX + CLOSED
    assert await provider.keys.find_newer_keys("one") == ()
    provider.clock.now += HOUR
    assert await provider.fail("one") == PREFIX + CLOSED
    assert provider.count == 1


async def test_an_unused_source_can_be_closed():
    """Closing without any fetch is fine."""
    provider = Provider()
    await provider.keys.close()
    assert await provider.fail("one") == PREFIX + CLOSED


# --- anything goes -----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
async def test_no_course_of_events_breaks_the_promises(seed):
    """Whatever happens in whatever order: no fetch within the pause, no key beyond its time.

    Half of the time renewals come when they are due, half of the time they do not, as after a
    machine has slept.
    """
    dice = random.Random(seed)
    provider = Provider()
    fetched_at, good_at = [], None
    provider.noted = lambda: fetched_at.append(provider.clock.now)
    for _ in range(150):
        seconds = dice.choice([0, 1, 5, 30, 300, 2000, 5000])
        if dice.random() < 0.5:
            provider.clock.advance(seconds)
        else:
            provider.clock.now += seconds
        provider.code = dice.choice([200, 200, 500])
        await until(lambda: provider.keys._remote._task is None)
        if provider.status.last_error == "" and fetched_at:
            good_at = max(fetched_at)
        try:
            found = await provider.find(dice.choice(["one", "two", None]))
        except TokenError:
            found = []
        if provider.status.last_error == "" and fetched_at:
            good_at = max(fetched_at)
        assert not found or provider.clock.now < good_at + 2 * HOUR
    assert all(later - sooner >= 10 for sooner, later in pairwise(fetched_at))
    assert len(fetched_at) == provider.status.fetches
    await provider.keys.close()
