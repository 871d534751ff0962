"""Logins that come while a mount asks its provider as much as it may."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from faulty_provider import SLOW_SECONDS, FaultyProvider
from identity_provider import Asked, serve
from jwt_auth_mounts import JWTMount

from authkit.errors import TooManyRequestsError, UserError
from authkit.logical import Operation
from authkit.oidc.http import client as api

CALLBACK = "http://localhost:8250/oidc/callback"
BUSY = "too many logins ask the identity provider at this moment, try again"


@pytest.fixture
def idp() -> Iterator[FaultyProvider]:
    """A good provider."""
    with serve(FaultyProvider()) as running:
        yield running


async def begin(mount: JWTMount, idp: FaultyProvider, **role: Any) -> Mapping[str, Any]:
    """Begin a login with such a role at a mount for this provider."""
    if await mount.read("config") is None:
        client = {"oidc_client_id": idp.client_id, "oidc_client_secret": idp.client_secret}
        await mount.write("config", {"oidc_discovery_url": idp.url, **client})
        await mount.write("role/web", {"user_claim": "sub", "allowed_redirect_uris": CALLBACK, **role})
    asked = {"role": "web", "redirect_uri": CALLBACK, "client_nonce": "n"}
    begun = await mount.write("oidc/auth_url", asked)
    assert begun is not None
    assert begun.data is not None
    return begun.data


async def poll(mount: JWTMount, state: str) -> Any:
    """Ask how a login has ended."""
    return await mount.write("oidc/poll", {"state": state, "client_nonce": "n"})


@pytest.fixture
def nothing_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request to an endpoint is one too many."""
    monkeypatch.setattr(api, "MAX_SESSIONS", 0)
    monkeypatch.setattr(api, "BUSY_SECONDS", 0.01)


@pytest.mark.usefixtures("nothing_is_free")
async def test_a_client_is_told_to_come_again(bare: JWTMount, idp: FaultyProvider) -> None:
    """With status 429; the provider is not asked."""
    back = idp.log_in((await begin(bare, idp))["auth_url"])
    with pytest.raises(TooManyRequestsError, match=BUSY):
        await bare.request(Operation.READ, "oidc/callback", {"client_nonce": "n", **back})
    assert idp.forms == []


@pytest.mark.usefixtures("nothing_is_free")
async def test_a_waiting_client_learns_of_it(bare: JWTMount, idp: FaultyProvider) -> None:
    """A login in direct mode has ended: its browser sees a page, and its client does not wait in vain."""
    begun = await begin(bare, idp, callback_mode="direct", oidc_disable_confirmation=True)
    answer = await bare.request(Operation.READ, "oidc/callback", idp.log_in(begun["auth_url"]))
    assert answer is not None
    assert answer.raw is not None
    assert answer.raw.status == 400
    assert BUSY.encode() in answer.raw.body
    with pytest.raises(UserError, match=BUSY):
        await poll(bare, begun["state"])


async def test_a_device_is_told_to_ask_less_often(
    bare: JWTMount, idp: FaultyProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its login goes on."""
    monkeypatch.setattr(api, "MAX_SESSIONS", 1)
    monkeypatch.setattr(api, "BUSY_SECONDS", 0.01)
    one, two = [await begin(bare, idp, callback_mode="device") for _ in range(2)]
    arrived, loop = asyncio.Event(), asyncio.get_running_loop()

    def delay(asked: Asked) -> float:
        loop.call_soon_threadsafe(arrived.set)
        return SLOW_SECONDS

    monkeypatch.setattr(idp, "delay", delay)
    first = asyncio.create_task(poll(bare, one["state"]))
    await asyncio.wait_for(arrived.wait(), 20)
    with pytest.raises(UserError, match=r"^slow_down$"):
        await poll(bare, two["state"])
    first.cancel()
    await asyncio.wait([first])
