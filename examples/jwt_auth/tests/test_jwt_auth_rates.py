"""How often strangers make a mount ask its provider: bounded, and fair between addresses."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from factories import FakeClock
from faulty_provider import Fault
from jwt_auth.browser.rate_limits import (
    DEVICES,
    KNOWN_SECONDS,
    LOGINS,
    POLLS,
    Allowance,
    KnownAddresses,
    Limit,
    Share,
)
from test_jwt_auth_browser import CALLBACK, DIRECT, Browser, html, pending, poll

from authkit.errors import LoginError, TooManyRequestsError, UserError
from authkit.logical import Operation, Response
from authkit.oidc import OIDCClient

STRANGER, ANN = "203.0.113.7", "192.0.2.1"


async def ask(browser: Browser, path: str, data: Mapping[str, Any], address: str) -> Response | None:
    """Send a request from an address: a GET to the callback, a POST to any other path."""
    operation = Operation.READ if path == "oidc/callback" else Operation.UPDATE
    return await browser.mount.request(operation, path, data, address=address)


async def make_up_a_code(browser: Browser, address: str, **fields: str) -> str:
    """Come back with a code that nobody has given; return the refusal."""
    begun = await ask(
        browser,
        "oidc/auth_url",
        {"role": "web", "redirect_uri": CALLBACK, "client_nonce": "n"},
        address,
    )
    assert begun is not None
    assert begun.data is not None
    state = browser.idp.log_in(begun.data["auth_url"])["state"]
    back = {"state": state, "code": "made-up", "client_nonce": "n"} | fields
    with pytest.raises((LoginError, TooManyRequestsError)) as caught:
        await ask(browser, "oidc/callback", back, address)
    return str(caught.value)


# --- codes that strangers have made up ---------------------------------------------------------


async def test_made_up_codes_are_bounded(browser: Browser, clock: FakeClock) -> None:
    """One address makes so many requests to the provider and no more; everybody else logs in."""
    burst = LOGINS.address.burst
    for _ in range(burst):
        assert "invalid_grant" in await make_up_a_code(browser, STRANGER)
    for _ in range(burst):
        assert "try again in a minute" in await make_up_a_code(browser, STRANGER)
    assert len(browser.idp.forms) == burst
    assert (await browser.log_in()).policies == ("p",)
    clock.advance(1 / LOGINS.address.rate)
    assert "invalid_grant" in await make_up_a_code(browser, STRANGER)
    assert "try again" in await make_up_a_code(browser, STRANGER)


async def test_a_refused_try_leaves_the_state_as_it_was(browser: Browser, clock: FakeClock) -> None:
    """Who shares an address with a stranger is told to try again, and that works."""
    begun = await browser.begin()
    back = browser.idp.log_in(begun["auth_url"])
    for _ in range(LOGINS.address.burst):
        await make_up_a_code(browser, ANN)
    with pytest.raises(TooManyRequestsError):
        await browser.come_back(back)
    clock.advance(1 / LOGINS.address.rate)
    assert (await browser.come_back(back)).auth is not None


async def test_logins_that_succeed_cost_nothing(browser: Browser, clock: FakeClock) -> None:
    """A company behind one address logs in as often as it wants."""
    for _ in range(2 * LOGINS.address.burst):
        assert (await browser.log_in()).policies == ("p",)


async def test_many_behind_one_address_come_at_the_same_moment(
    browser: Browser, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A class logs in at a provider that takes its time: some wait, and all are let in."""
    exchange, inside = OIDCClient.exchange, [0, 0]

    async def take_time(client: OIDCClient, *args: Any) -> Any:
        inside[0] += 1
        inside[1] = max(inside)
        await asyncio.sleep(0.1)
        inside[0] -= 1
        return await exchange(client, *args)

    monkeypatch.setattr(OIDCClient, "exchange", take_time)
    logins = await asyncio.gather(*(browser.log_in() for _ in range(2 * LOGINS.address.at_once + 1)))
    assert all(auth.policies == ("p",) for auth in logins)
    assert inside[1] == LOGINS.address.at_once


async def test_who_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many wait, and so long; more are refused at once."""
    monkeypatch.setattr("jwt_auth.browser.rate_limits.MAX_WAITING", 1)
    monkeypatch.setattr("jwt_auth.browser.rate_limits.WAIT_SECONDS", 0.2)
    allowance = Allowance(SHARE, KnownAddresses(clock := FakeClock()), clock)
    with allowance.ask(STRANGER), allowance.ask(STRANGER):
        first = asyncio.ensure_future(allowance.wait(STRANGER))
        await asyncio.sleep(0)
        await asyncio.wait_for(allowance.wait(STRANGER), 0.1)
        assert not first.done()
        await asyncio.wait_for(first, 5)
        assert not use(allowance, STRANGER)


async def test_strangers_take_no_place_to_wait_from_known_addresses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Known addresses have places of their own there too."""
    monkeypatch.setattr("jwt_auth.browser.rate_limits.MAX_WAITING", 1)
    allowance = Allowance(SHARE, KnownAddresses(clock := FakeClock()), clock)
    allowance.welcome(ANN)
    with allowance.ask(STRANGER), allowance.ask(STRANGER):
        stranger = asyncio.ensure_future(allowance.wait(STRANGER))
        await asyncio.sleep(0)
        with allowance.ask(ANN), allowance.ask(ANN):
            ann = asyncio.ensure_future(allowance.wait(ANN))
            await asyncio.sleep(0)
            assert not ann.done()
        await asyncio.wait_for(ann, 1)
    await asyncio.wait_for(stranger, 1)


async def test_strangers_everywhere_do_not_lock_out_who_was_there_before(
    browser: Browser, clock: FakeClock
) -> None:
    """Many addresses use up what strangers have together; known addresses have a budget of their own."""
    await browser.log_in()
    sent = len(browser.idp.forms)
    tries = 0
    while "invalid_grant" in await make_up_a_code(browser, f"198.51.100.{tries % 200}"):
        tries += 1
        assert tries <= LOGINS.mount.burst
    assert len(browser.idp.forms) - sent == LOGINS.mount.burst
    assert (await browser.log_in()).policies == ("p",)


async def test_a_direct_login_says_so_on_a_page(browser: Browser, clock: FakeClock) -> None:
    """The browser that comes too often reads why."""
    await browser.write_role(callback_mode="direct", oidc_disable_confirmation=True)
    for _ in range(LOGINS.address.burst):
        begun = await browser.begin(DIRECT)
        state = browser.idp.log_in(begun["auth_url"])["state"]
        assert "invalid_grant" in html(await browser.come_back({"state": state, "code": "made-up"}))
    begun = await browser.begin(DIRECT)
    answer = await browser.come_back(browser.idp.log_in(begun["auth_url"]))
    assert answer.raw is not None
    assert answer.raw.status == 429
    assert "try again" in html(answer)


# --- devices -----------------------------------------------------------------------------------


async def begin_device(browser: Browser, address: str) -> Mapping[str, Any]:
    """Begin the login of a device."""
    body = {"role": "web", "client_nonce": "n"}
    answer = await ask(browser, "oidc/auth_url", body, address)
    assert answer is not None
    assert answer.data is not None
    return answer.data


async def test_beginnings_are_fair_between_addresses(
    browser: Browser, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider lets sixteen strangers at one address wait: two of them ask it, and others begin."""
    await browser.write_role(callback_mode="device")
    authorize, go_on = OIDCClient.authorize_device, asyncio.Event()
    waiting: list[int] = []

    async def wait(client: OIDCClient, scopes: Any) -> Any:
        waiting.append(1)
        await go_on.wait()
        return await authorize(client, scopes)

    monkeypatch.setattr(OIDCClient, "authorize_device", wait)
    strangers = [asyncio.ensure_future(begin_device(browser, STRANGER)) for _ in range(16)]
    refused, _ = await asyncio.wait(strangers, return_when=asyncio.FIRST_EXCEPTION, timeout=10)
    assert refused
    monkeypatch.setattr(OIDCClient, "authorize_device", authorize)
    assert (await begin_device(browser, ANN))["state"]
    go_on.set()
    found = await asyncio.gather(*strangers, return_exceptions=True)
    assert len(waiting) == DEVICES.address.at_once
    assert sum(isinstance(each, TooManyRequestsError) for each in found) == 16 - DEVICES.address.at_once


async def test_beginnings_are_bounded(browser: Browser, clock: FakeClock) -> None:
    """One address after the other, and all of them together."""
    await browser.write_role(callback_mode="device")
    for _ in range(DEVICES.address.burst):
        await begin_device(browser, STRANGER)
    with pytest.raises(TooManyRequestsError):
        await begin_device(browser, STRANGER)
    for number in range(DEVICES.mount.burst - DEVICES.address.burst):
        await begin_device(browser, f"198.51.100.{number}")
    with pytest.raises(TooManyRequestsError):
        await begin_device(browser, "198.51.100.200")


async def test_a_client_that_polls_without_end(browser: Browser, clock: FakeClock) -> None:
    """150 questions at the same moment are one to the provider; the others are told to slow down."""
    await browser.write_role(callback_mode="device")
    state = (await begin_device(browser, ANN))["state"]
    said = [await pending(browser, state) for _ in range(150)]
    assert said == ["authorization_pending"] + ["slow_down"] * 149
    assert len(browser.idp.forms) == 1
    clock.advance(1)
    assert await pending(browser, state) == "authorization_pending"
    browser.idp.approve_devices()
    assert await pending(browser, state) == "slow_down"
    clock.advance(1)
    assert (await poll(browser, state)).policies == ("p",)


async def test_a_provider_that_says_slow_down(browser: Browser, clock: FakeClock) -> None:
    """It is asked five seconds less often from then on (RFC 8628 section 3.5)."""
    await browser.write_role(callback_mode="device")
    state = (await begin_device(browser, ANN))["state"]
    browser.idp.faults.add(Fault.DEVICE_SLOW_DOWN)
    assert await pending(browser, state) == "slow_down"
    browser.idp.faults.clear()
    browser.idp.approve_devices()
    asked = len(browser.idp.forms)
    clock.advance(5)
    assert await pending(browser, state) == "slow_down"
    assert len(browser.idp.forms) == asked
    clock.advance(1)
    assert (await poll(browser, state)).policies == ("p",)


async def test_many_devices_of_one_address_are_slowed_down(browser: Browser, clock: FakeClock) -> None:
    """Each state is asked about once, which together would be too often: they wait, and others do not."""
    await browser.write_role(callback_mode="device")
    states = []
    while len(states) <= POLLS.address.burst:
        states.append((await begin_device(browser, f"198.51.100.{len(states)}"))["state"])
        clock.advance(1)
    said = [await pending(browser, state) for state in states]
    assert said == ["authorization_pending"] * POLLS.address.burst + ["slow_down"]
    clock.advance(1)
    with pytest.raises(UserError, match="authorization_pending"):
        await ask(browser, "oidc/poll", {"state": states[-1], "client_nonce": "n"}, STRANGER)


@pytest.mark.parametrize("email", ["ann@example.com", "mallory@example.com"])
async def test_who_may_not_log_in_is_no_known_address(browser: Browser, clock: FakeClock, email: str) -> None:
    """An account where everybody can have one is no login: the address stays unknown."""
    await browser.write_role(callback_mode="device", bound_claims={"email": "ann@example.com"})
    browser.idp.userinfo = {"email": email}
    state = (await begin_device(browser, STRANGER))["state"]
    browser.idp.approve_devices()
    is_admitted = email == "ann@example.com"
    try:
        await ask(browser, "oidc/poll", {"state": state, "client_nonce": "n"}, STRANGER)
    except LoginError:
        assert not is_admitted
    await browser.write_role(callback_mode="client")
    tries = 0
    while "invalid_grant" in await make_up_a_code(browser, f"198.51.100.{tries % 200}"):
        tries += 1
    refusal = await make_up_a_code(browser, STRANGER)
    assert ("invalid_grant" in refusal) == is_admitted


# --- the budget itself -------------------------------------------------------------------------

SHARE = Share(Limit(rate=1, burst=4, at_once=3), Limit(rate=1, burst=2, at_once=2))


def use(allowance: Allowance, address: str, *, is_good: bool = False) -> bool:
    """Return whether somebody at this address may ask; they have done so."""
    try:
        with allowance.ask(address) as asked:
            asked.is_good = is_good
    except TooManyRequestsError:
        return False
    return True


def test_addresses_of_one_subscriber_share() -> None:
    """All IPv6 addresses below the same 56 bits are one; unknown addresses are one as well."""
    allowance = Allowance(SHARE, KnownAddresses(clock := FakeClock()), clock)
    assert [use(allowance, f"2001:db8:0:{number}::1") for number in range(3)] == [True, True, False]
    assert [use(allowance, "2001:db8:0:100::1"), use(allowance, "")] == [True, True]
    assert not use(allowance, "2001:db8:0:200::1")
    clock.advance(1)
    assert use(allowance, "2001:db8:0:ff::9")


@pytest.mark.parametrize("prefix", ["::ffff:", "64:ff9b::"])
def test_ipv4_addresses_written_as_ipv6_do_not_share(prefix: str) -> None:
    """One stranger does not use up the share of everybody whose address a proxy or NAT64 writes so."""
    allowance = Allowance(SHARE, KnownAddresses(clock := FakeClock()), clock)
    assert [use(allowance, f"{prefix}203.0.113.7") for _ in range(3)] == [True, True, False]
    assert use(allowance, f"{prefix}192.0.2.1")
    clock.advance(1)
    assert use(allowance, "203.0.113.7")
    assert not use(allowance, f"{prefix}203.0.113.7")


def test_known_addresses_are_forgotten_after_two_weeks() -> None:
    """Until then strangers cannot use up what they have."""
    allowance = Allowance(SHARE, KnownAddresses(clock := FakeClock()), clock)
    assert use(allowance, ANN, is_good=True)
    clock.advance(10)
    assert [use(allowance, f"198.51.100.{number}") for number in range(5)] == [True] * 4 + [False]
    assert use(allowance, ANN)
    clock.advance(KNOWN_SECONDS)
    assert [use(allowance, f"198.51.100.{number}") for number in range(5)] == [True] * 4 + [False]
    assert not use(allowance, ANN)


def test_who_is_inside_counts() -> None:
    """An address has so many requests under way, a mount a few more; each gives its place back."""
    allowance = Allowance(SHARE, KnownAddresses(clock := FakeClock()), clock)
    with allowance.ask(STRANGER), allowance.ask(STRANGER):
        clock.advance(10)
        assert not use(allowance, STRANGER)
        with allowance.ask(ANN):
            assert not use(allowance, "198.51.100.1")
        assert use(allowance, "198.51.100.1")
    assert use(allowance, STRANGER)
