"""Providers whose names are slow to look up: what strangers can make other logins wait for."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from faulty_provider import FaultyProvider
from identity_provider import serve
from jwt_auth import JWTAuth
from jwt_auth_mounts import JWTMount

from authkit import threads
from authkit.logical import Operation, Response
from authkit.oidc.http import resolver

CALLBACK = "http://localhost:8250/oidc/callback"
STRANGERS = 40
SECONDS = 5
"""Far more than a login on this machine takes."""


class Names:
    """Stands in for `socket.getaddrinfo`: every name is this machine, some after a long time only."""

    def __init__(self) -> None:
        self.slow: set[str] = set()
        self.asked: list[str] = []
        self.waiting = 0
        self.released = threading.Event()
        self.arrived = asyncio.Event()
        self.loop = asyncio.get_running_loop()

    def look_up(self, host: Any, port: Any, *arguments: Any, **options: Any) -> list[Any]:
        """Return the address of this machine."""
        host = host.decode() if isinstance(host, bytes) else host
        self.asked.append(host)
        if host in self.slow:
            self.waiting += 1
            self.loop.call_soon_threadsafe(self.arrived.set)
            self.released.wait()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]


@pytest.fixture
async def names(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Names]:
    """The names of this test's providers."""
    names = Names()
    monkeypatch.setattr(resolver, "KEPT_SECONDS", 0)
    monkeypatch.setattr(socket, "getaddrinfo", names.look_up)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    yield names
    names.released.set()


@contextmanager
def provider_at(host: str) -> Iterator[FaultyProvider]:
    """Serve a good provider under this name."""
    with serve(FaultyProvider()) as provider:
        provider.url = provider.url.replace("127.0.0.1", host)
        yield provider


@asynccontextmanager
async def mount_at(provider: FaultyProvider) -> AsyncIterator[JWTMount]:
    """A mount with a role for logins at this provider; its metadata and keys are known."""
    mount = JWTMount(JWTAuth)
    await mount.backend.initialize()
    client = {"oidc_client_id": provider.client_id, "oidc_client_secret": provider.client_secret}
    await mount.write(
        "config", {"oidc_discovery_url": provider.url, "allow_plaintext_key_sources": True, **client}
    )
    await mount.write("role/web", {"user_claim": "sub", "allowed_redirect_uris": CALLBACK})
    await log_in(mount, provider)
    yield mount
    await mount.backend.cleanup()


async def log_in(mount: JWTMount, provider: FaultyProvider) -> Response | None:
    """Log in with a browser."""
    asked = {"role": "web", "redirect_uri": CALLBACK, "client_nonce": "n"}
    begun = await mount.write("oidc/auth_url", asked)
    assert begun is not None
    assert begun.data is not None
    back = provider.log_in(begun.data["auth_url"])
    return await mount.request(Operation.READ, "oidc/callback", {"client_nonce": "n", **back})


async def test_slow_names_of_one_provider_stall_no_other_mount(names: Names) -> None:
    """Forty strangers wait for one name; a login at another mount is served meanwhile, without waiting."""
    with provider_at("slow.example") as slow, provider_at("quick.example") as quick:
        async with mount_at(slow) as attacked, mount_at(quick) as other:
            names.slow.add("slow.example")
            names.asked.clear()
            strangers = [asyncio.create_task(log_in(attacked, slow)) for _ in range(STRANGERS)]
            try:
                await asyncio.wait_for(names.arrived.wait(), SECONDS)
                async with asyncio.timeout(SECONDS):
                    answer = await log_in(other, quick)
                assert answer is not None
                assert answer.auth is not None
                assert names.waiting == 1
            finally:
                names.released.set()
                ended = await asyncio.gather(*strangers, return_exceptions=True)
            assert any(isinstance(each, Response) and each.auth for each in ended)


async def test_slow_names_of_many_issuers_leave_threads_to_other_mounts(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mount that names ever more hosts that never answer has its share of threads, and no more."""
    monkeypatch.setattr(threads, "_process", threading.BoundedSemaphore(threads.MAX_THREADS_OF_MOUNT + 4))
    monkeypatch.setattr(resolver, "LOOKUP_TIMEOUT", 0.5)
    hosts = [f"slow{number}.example" for number in range(threads.MAX_THREADS_OF_MOUNT + 8)]
    names.slow.update(hosts)
    with provider_at("quick.example") as quick:
        async with mount_at(quick) as other:
            attacked = JWTMount(JWTAuth)
            await attacked.backend.initialize()
            writes = [
                attacked.request(
                    Operation.UPDATE,
                    f"issuer/{host}",
                    {"jwks_url": f"https://{host}/keys", "bound_issuer": f"https://{host}"},
                )
                for host in hosts
            ]
            try:
                await asyncio.gather(*map(asyncio.ensure_future, writes), return_exceptions=True)
                assert names.waiting == threads.MAX_THREADS_OF_MOUNT
                answer = await log_in(other, quick)
                assert answer is not None
                assert answer.auth is not None
            finally:
                names.released.set()
                await attacked.backend.cleanup()
