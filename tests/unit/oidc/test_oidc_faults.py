"""Providers that fail, on a real connection: who can still log in, and what the operator reads."""

from __future__ import annotations

import asyncio
import datetime
from functools import partial

import pytest
from oidc_factories import NOW, Clock, jwk, make_token, private_key, said, until
from oidc_provider import LoopbackProvider, certificate, http_answer, server_context

from authkit.errors import LoginError
from authkit.oidc import DiscoveredKeys, JWKSKeys, TokenVerifier
from authkit.oidc.http import client as http_client
from authkit.oidc.keys import cache as remote
from authkit.oidc.keys.jwk_set import MAX_DOCUMENT_BYTES

HOUR = 3600
TEN_MIB = b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (10 * 1024 * 1024)
CONFIGURATION = "error configuring token validator: keyset configuration error: "


class Mount:
    """A source of keys on a moving clock, and logins with them."""

    def __init__(self, make, url, **options):
        self.clock, self.again = Clock(), partial(Mount, make, url, **options)
        self.keys = make(url, timer=self.clock, wall=self.clock.wall, **options)
        self.verifier = TokenVerifier(self.keys, now=lambda: NOW)

    async def log_in(self, kid="one", key="rsa"):
        """Whether a login with a token under this key id goes through, or the text it fails with."""
        try:
            await self.verifier.verify(make_token(kid=kid, key=private_key(key)))
        except LoginError as error:
            return said(error)
        return True

    @property
    def status(self):
        """What the operator reads of the fetches."""
        (status,) = self.keys.status()
        return status.remote

    async def renew(self):
        """Let the time of the next renewal come, and see it end."""
        failures, fetched_at = self.status.failures, self.status.fetched_at
        self.clock.advance(self.clock.planned[-1] - self.clock.now)
        await until(lambda: (self.status.failures, self.status.fetched_at) != (failures, fetched_at))


@pytest.fixture(params=[JWKSKeys, DiscoveredKeys], ids=["jwks", "discovery"])
async def bed(request):
    """A provider, and a mount with its keys."""
    async with LoopbackProvider() as provider:
        url = provider.url + ("/keys" if request.param is JWKSKeys else "")
        mount = Mount(request.param, url)
        assert await mount.log_in() is True
        yield provider, mount
        await mount.keys.close()


FAULTS = {
    "500": (http_answer(b"sesame", status="500 Oops"), "500 Internal Server Error"),
    "html": (http_answer(b"<html>sesame</html>"), "not valid JSON"),
    "10 MiB": (TEN_MIB, f"answer is larger than {MAX_DOCUMENT_BYTES} bytes"),
    "silence": (b"", "no usable answer: RemoteProtocolError"),
    "other protocol": (b"SSH-2.0-other\r\n\r\n", "no usable answer: RemoteProtocolError"),
}


@pytest.mark.parametrize("fault", [*FAULTS, "down"])
async def test_known_keys_go_on_when_a_provider_fails(bed, fault):
    """For the rest of their time and an hour more; unknown ones are refused; the operator sees why."""
    provider, mount = bed
    provider.raw, reason = FAULTS.get(fault, (None, "no usable answer: ConnectError"))
    if fault == "down":
        await provider.stop()
    fetched_at = mount.status.fetched_at
    await mount.renew()
    assert mount.status.fetched_at == fetched_at
    assert reason in mount.status.last_error
    assert "sesame" not in mount.status.last_error
    assert await mount.log_in() is True
    refused = await mount.log_in("two")
    assert refused.startswith("error verifying token signature: fetching keys ")
    assert "sesame" not in refused
    mount.clock.now = 1000 + 2 * HOUR - 1
    assert await mount.log_in() is True
    mount.clock.now += 1
    refused = await mount.log_in()
    assert refused.startswith(("error verifying token signature: fetching keys ", CONFIGURATION))
    assert "sesame" not in refused
    assert mount.keys.status()[0].keys == 0


async def test_a_provider_that_comes_back_is_used_at_once(bed):
    """The first good answer ends the trouble, without a restart or a write."""
    provider, mount = bed
    provider.raw = http_answer(b"", status="500 Oops")
    await mount.renew()
    assert mount.status.last_error
    provider.raw, provider.entries = None, [jwk("rsa-other", kid="two")]
    await mount.renew()
    assert mount.status.last_error == ""
    assert mount.status.failed_at is None
    assert await mount.log_in("two", "rsa-other") is True
    assert await mount.log_in() == "error verifying token signature: failed to verify id token signature"


async def test_a_provider_that_is_silent_delays_nobody_with_known_keys(bed):
    """While the renewal hangs, logins go on; once released, the new keys are there."""
    provider, mount = bed
    provider.gate.clear()
    asked = len(provider.paths)
    mount.clock.advance(0.8 * HOUR)
    await until(lambda: len(provider.paths) > asked)
    assert await mount.log_in() is True
    waiter = asyncio.create_task(mount.log_in("two", "rsa-other"))
    assert await mount.log_in() is True
    assert not waiter.done()
    provider.entries = [jwk("rsa-other", kid="two")]
    provider.gate.set()
    assert await waiter is True


async def test_a_provider_that_stays_silent_is_given_up(bed, monkeypatch):
    """A fetch ends after its total time, and says so."""
    provider, other = bed
    monkeypatch.setattr(http_client, "TOTAL_TIMEOUT", 1.0)
    mount = other.again()
    assert await mount.log_in() is True
    provider.gate.clear()
    await mount.renew()
    assert mount.status.last_error == "context deadline exceeded: no answer within 1 s"
    assert await mount.log_in() is True
    await mount.keys.close()


async def test_a_fetch_of_several_requests_has_one_time_limit(bed, monkeypatch):
    """Metadata and keys together; each request within its own."""
    provider, mount = bed
    monkeypatch.setattr(remote, "FETCH_TIMEOUT", 0.02)
    provider.gate.clear()
    await mount.renew()
    assert mount.status.last_error == "context deadline exceeded: no answer within 0.02 s"
    assert await mount.log_in() is True


async def test_one_silent_provider_delays_no_login_of_another():
    """Nothing is shared between sources but the event loop."""
    async with LoopbackProvider() as silent, LoopbackProvider() as good:
        silent.gate.clear()
        first, second = Mount(DiscoveredKeys, silent.url), Mount(DiscoveredKeys, good.url)
        waiter = asyncio.create_task(first.log_in())
        await until(lambda: silent.paths)
        assert await second.log_in() is True
        assert not waiter.done()
        assert first.keys.status()[0].keys == 0
        await first.keys.close()
        await second.keys.close()
        assert "is not asked any more" in await waiter


async def test_keys_that_rotate_with_every_fetch_are_followed(bed):
    """At the pace of the pause; each new set replaces the old one whole."""
    provider, mount = bed
    provider.is_rotating = True
    for _ in range(5):
        mount.clock.now += 10
        newest = f"key-{len(provider.paths) + 1}"
        assert await mount.log_in(newest) is True
        assert await mount.log_in() is not True
        assert mount.keys.status()[0].keys == 1


async def test_a_certificate_that_expired_is_named(tmp_path):
    """The operator reads it, the caller does not."""
    past = datetime.datetime(2021, 1, 1)
    ca = certificate("ca", "ca", "p384", "p384", is_ca=True)
    expired = certificate("server", "ca", "p256", "p384", is_ca=False, until=past)
    async with LoopbackProvider(tls=server_context(tmp_path, expired)) as provider:
        mount = Mount(JWKSKeys, provider.url + "/keys", ca_pem=ca)
        text = await mount.log_in()
        assert (
            text == "error verifying token signature: fetching keys oidc: get keys failed: no usable answer"
        )
        assert "certificate has expired" in mount.status.last_error
        assert provider.paths == []
        await mount.keys.close()


async def test_junk_costs_the_provider_nothing_more(bed):
    """A thousand unknown ids in a hundred seconds are ten fetches, each of the keys alone."""
    provider, mount = bed
    before = len(provider.paths)
    for number in range(1000):
        mount.clock.now += 0.1
        assert await mount.log_in(f"junk-{number}") is not True
    assert len(provider.paths) - before <= 10
    assert set(provider.paths[before:]) == {"/keys"}
    assert mount.keys.status()[0].unknown_kids == len(provider.paths) - before


async def test_the_status_tells_when_and_how_many(bed):
    """Dates are the wall clock's, whatever the timer counts."""
    provider, mount = bed
    (status,) = mount.keys.status()
    begun = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
    assert status.source.startswith(provider.url)
    assert status.keys == 1
    assert status.remote.fetched_at == begun
    assert status.remote.next_fetch_at == begun + datetime.timedelta(hours=0.8)
    assert status.remote.usable_until == begun + datetime.timedelta(hours=2)
    assert (status.remote.fetches, status.remote.failures, status.remote.last_error) == (1, 0, "")
    await mount.keys.close()
    (status,) = mount.keys.status()
    assert status.remote.next_fetch_at is None
    assert status.remote.last_error == "the provider is not asked any more"
