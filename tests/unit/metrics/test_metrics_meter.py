"""What modules that know no host tell of their work."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from authkit import meter as module
from authkit.meter import Meter, use
from authkit.oidc.http.client import HTTPClient
from authkit.oidc.http.errors import FetchError, FetchTimeoutError, ProviderError
from authkit.oidc.http.network import Network
from authkit.oidc.keys.cache import RemoteValue


class Told(Meter):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def provider_answered(self, outcome: str, seconds: float) -> None:
        assert 0 <= seconds < 60
        self.told.append(("provider", outcome))

    def document_fetched(self, *, ok: bool) -> None:
        self.told.append(("document", ok))

    def password_set(self, *, ok: bool) -> None:
        self.told.append(("password", ok))


@pytest.fixture
def told() -> Iterator[Told]:
    """In place of the meter that ignores everything, which is there again afterwards."""
    before, meter = module.current(), Told()
    use(meter)
    yield meter
    use(before)


def answer(status: int) -> Any:
    """A provider that answers so."""
    return lambda request: httpx.Response(status, json={})


def timeout(request: httpx.Request) -> httpx.Response:
    """A provider that does not answer."""
    raise httpx.ReadTimeout("slow")


def refuse(request: httpx.Request) -> httpx.Response:
    """A provider that is not there."""
    raise httpx.ConnectError("refused")


@pytest.mark.parametrize(
    ("provider", "outcome"),
    [
        (answer(200), "ok"),
        (answer(302), "ok"),
        (answer(401), "refused"),
        (answer(503), "failed"),
        (refuse, "failed"),
        (timeout, "timeout"),
    ],
)
async def test_requests_to_providers_are_told(told: Told, provider: Any, outcome: str) -> None:
    """Once each, with what they came to."""
    client = HTTPClient(Network(transport=httpx.MockTransport(provider)))
    async with client.session("https://op.example/") as session:
        try:
            await session.send("GET", "https://op.example/", {})
        except FetchTimeoutError:
            assert outcome == "timeout"
        except FetchError:
            assert outcome == "failed"
    assert told.told == [("provider", outcome)]


async def test_a_client_that_leaves_says_nothing_about_a_provider(told: Told) -> None:
    """Otherwise strangers could have a healthy one look broken; the end of a session's time does."""

    async def waiting(request: httpx.Request) -> httpx.Response:
        begun.set()
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    async def ask(seconds: float) -> None:
        client = HTTPClient(Network(transport=httpx.MockTransport(waiting)), timeout=seconds)
        async with client.session("https://op.example/") as session:
            await session.send("GET", "https://op.example/", {})

    begun = asyncio.Event()
    login = asyncio.create_task(ask(60))
    await begun.wait()
    login.cancel()
    await asyncio.wait([login])
    with pytest.raises(FetchTimeoutError):
        await ask(0.01)
    assert told.told == [("provider", "cancelled"), ("provider", "timeout")]


async def test_fetches_are_told(told: Told) -> None:
    """Those that failed as well, by a provider or by a fault of ours."""
    for error in (None, ProviderError("down"), RuntimeError("a fault"), TimeoutError()):

        async def fetch(error: Exception | None = error) -> tuple[str, str]:
            if error is not None:
                raise error
            return "document", ""

        remote = RemoteValue(fetch, name="op")
        await remote.ask()
        await remote.close()
    assert told.told == [("document", True), *[("document", False)] * 3]
