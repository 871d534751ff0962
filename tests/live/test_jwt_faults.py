"""Identity providers that fail: logins with known keys go on, others end in time, and status tells why."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

import pytest
from identity_provider import Provider, serve_provider
from livebed.authority import Authority
from livebed.client import ServerError
from livebed.factories import our_plugin
from livebed.mounts import Mount, mount_plugin
from livebed.processes import wait_until
from livebed.server import Server, free_port
from livebed.tokens import Issuer

FAULTS = {
    "down": "connection",
    "slow": "no answer within 10 s",
    "error": "500",
    "html": "JSON",
    "huge": "bytes",
    "expired": "certificate",
}
"""What is wrong with each provider, and a word of what status says about it."""

LOGIN_SECONDS = 12.0
"""A login may wait that long for a provider: its fetch has 10 s."""


@pytest.fixture
def mount(server: Server, issuer: Issuer) -> Iterator[Mount]:
    """A mount of ours."""
    plugin = our_plugin(server)
    plugin.register(server.client)
    with mount_plugin(server, plugin, issuer) as mounted:
        yield mounted


def test_faults_of_providers(mount: Mount) -> None:
    """Six providers fail, each in its way, and a seventh does not."""
    client, signer, stranger = mount.client, Issuer.ec("known"), Issuer.ec("unknown")
    authority, port = Authority(), free_port()
    with ExitStack() as stack:
        healthy = stack.enter_context(serve_provider(signer.jwk))
        down = stack.enter_context(ExitStack())
        expired = stack.enter_context(ExitStack())
        providers = {name: healthy.url + f"/{name}" for name in (*FAULTS, "healthy")}
        providers["down"] = down.enter_context(serve_provider(signer.jwk)).keys_url
        providers["expired"] = expired.enter_context(
            serve_provider(signer.jwk, port=port, context=authority.context(days=1))
        ).keys_url
        good = healthy.answer("/keys")
        healthy.answers |= {f"/{name}": good for name in providers}
        mount.write_role(user_claim="{iss}|{sub}", bound_issuers=["default", *providers])
        for name, url in providers.items():
            ca_pem = {"jwks_ca_pem": authority.pem} if name == "expired" else {}
            client.write(f"auth/{mount.path}/issuer/{name}", bound_issuer=name, jwks_url=url, **ca_pem)
            mount.login(jwt=signer.token(iss=name))

        down.close()
        expired.close()
        stack.enter_context(serve_provider(port=port, context=authority.context(days=-1)))
        healthy.delays["/slow"] = 30.0
        healthy.answers["/error"] = (500, "a stack trace")
        healthy.answers["/html"] = (200, "<html>Log in</html>")
        healthy.answers["/huge"] = (200, '{"keys": [' + " " * 10 * 1024 * 1024 + "]}")
        wait_until(lambda: is_asked_again(mount, healthy, stranger), "the end of all cool-downs", timeout=15)

        with ThreadPoolExecutor(len(FAULTS)) as pool:
            denied = [pool.submit(login_in_vain, mount, stranger.token(iss=name)) for name in FAULTS]
            wait_until(lambda: healthy.fetches.count("/slow") == 2, "the slow fetch", timeout=5)
            for name in providers:
                assert seconds_of(partial(mount.login, jwt=signer.token(iss=name))) < 1.0, name
            assert max(each.result() for each in denied) < LOGIN_SECONDS

        issuers = client.read(f"auth/{mount.path}/status")["issuers"]
        for name, word in FAULTS.items():
            (source,) = issuers[f"issuer/{name}"]["keys"]
            assert word in source["last_error"], (name, source["last_error"])
            assert (source["keys"], source["failures"]) == (1, 1), name
        assert issuers["issuer/healthy"]["keys"][0]["last_error"] == ""
        assert "stack trace" not in str(issuers)
        for name in providers:
            mount.login(jwt=signer.token(iss=name))


def is_asked_again(mount: Mount, provider: Provider, stranger: Issuer) -> bool:
    """Whether an unknown key id makes the last provider be asked: its cool-down of 10 s is over."""
    before = provider.fetches.count("/healthy")
    login_in_vain(mount, stranger.token(iss="healthy"))
    return provider.fetches.count("/healthy") > before


def login_in_vain(mount: Mount, jwt: str) -> float:
    """Log in with a token whose key nobody knows; return how long the refusal took."""
    other = mount.client.with_token("")

    def refused() -> None:
        with pytest.raises(ServerError) as caught:
            other.write(f"auth/{mount.path}/login", role="dev", jwt=jwt)
        assert caught.value.status == 400

    return seconds_of(refused)


def seconds_of(call: object) -> float:
    """Return how long a call takes."""
    assert callable(call)
    started = time.monotonic()
    call()
    return time.monotonic() - started


def test_keys_that_rotate_every_second(mount: Mount) -> None:
    """A new key is found within the pause between fetches, and the provider is asked no more often."""
    signers = [replace(Issuer.ec(), kid=f"key-{number}") for number in range(4)]
    with serve_provider(signers[0].jwk) as provider:
        mount.write_role(user_claim="{iss}|{sub}", bound_issuers="r")
        mount.client.write(f"auth/{mount.path}/issuer/r", bound_issuer="r", jwks_url=provider.keys_url)
        mount.login(jwt=signers[0].token(iss="r"))
        asked = len(provider.fetches)
        for signer in signers[1:]:
            provider.keys = [signer.jwk]
            login_in_vain(mount, signer.token(iss="r"))
            mount.login(jwt=signers[0].token(iss="r"))
        newest = signers[-1].token(iss="r")
        wait_until(lambda: can_log_in(mount, newest), "the newest key", timeout=15, pause=0.5)
        assert len(provider.fetches) == asked + 1


def can_log_in(mount: Mount, jwt: str) -> bool:
    """Whether a login succeeds."""
    body = {"role": "dev", "jwt": jwt}
    return mount.client.with_token("").raw("POST", f"auth/{mount.path}/login", body).is_success


def test_a_provider_that_is_slow_when_it_is_configured(mount: Mount) -> None:
    """The write is refused in time, and everything else goes on meanwhile."""
    with serve_provider() as provider:
        provider.delays["/keys"] = 30.0
        body = {"jwks_url": provider.keys_url}
        with ThreadPoolExecutor(1) as pool:
            write = pool.submit(mount.client.raw, "POST", f"auth/{mount.path}/config", body)
            wait_until(lambda: provider.fetches, "the fetch", timeout=5)
            assert seconds_of(mount.login) < 1.0
            assert seconds_of(lambda: mount.client.read(f"auth/{mount.path}/config")) < 1.0
            assert seconds_of(mount.write_role) < 1.0
            assert seconds_of(write.result) < LOGIN_SECONDS
        assert write.result().json() == {"errors": [f"error checking jwks URL {provider.keys_url}"]}
