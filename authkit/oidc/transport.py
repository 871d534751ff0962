"""Connections for httpx whose names are looked up by a `Resolver`. Importing it takes some 100 ms.

Which proxy, which trust and when: see `authkit.oidc.network`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import httpcore
import httpx

from authkit.oidc.resolver import Resolver

__all__ = ["ResolvingTransport"]

NEXT_ADDRESS_AFTER = 0.25
"""Seconds after which the next address of a name is tried beside the one before (RFC 8305 section 8)."""

MAX_CONNECTIONS = 4
"""Of one lookup: its requests are made one after another, at few hosts."""


class ResolvingTransport(httpx.AsyncBaseTransport):
    """Sends requests of one client, straight or through a proxy.

    Args:
        context: verifies servers, an https proxy included.
        resolver: knows the addresses of hosts.
        proxy: its URL, which may hold credentials; empty for none.

    Raises:
        ValueError: the proxy is not an http or https URL.
    """

    def __init__(self, context: ssl.SSLContext, resolver: Resolver, proxy: str) -> None:
        backend = _Backend(resolver)
        if not proxy:
            self._pool = httpcore.AsyncConnectionPool(
                context, max_connections=MAX_CONNECTIONS, network_backend=backend
            )
            return
        known = httpx.Proxy(proxy)
        if known.url.scheme not in ("http", "https"):
            raise ValueError("the proxy of the environment is not an http or https URL")
        self._pool = httpcore.AsyncHTTPProxy(
            _core_url(known.url),
            proxy_auth=known.raw_auth,
            ssl_context=context,
            proxy_ssl_context=context if known.url.scheme == "https" else None,
            max_connections=MAX_CONNECTIONS,
            network_backend=backend,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; return the answer, its body unread."""
        assert isinstance(request.stream, httpx.AsyncByteStream)
        asked = httpcore.Request(
            request.method,
            _core_url(request.url),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _translated():
            answer = await self._pool.handle_async_request(asked)
        assert isinstance(answer.stream, AsyncIterable)
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_Body(answer.stream),
            extensions=answer.extensions,
        )

    async def __aenter__(self) -> Self:
        await self._pool.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        with _translated():
            await self._pool.__aexit__(kind, error, trace)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()


class _Backend(httpcore.AsyncNetworkBackend):
    """TCP connections to hosts by name, without the event loop's own look-ups."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Return a connection to one of the addresses of the host; the timeout is for everything."""
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._resolver.resolve(host)
                return await self._connect_any(list(addresses), port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout("no connection in time") from error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error

    async def _connect_any(self, addresses: list[str], port: int) -> httpcore.AsyncNetworkStream:
        attempts: set[asyncio.Task[httpcore.AsyncNetworkStream]] = set()
        failure: BaseException | None = None
        try:
            while addresses or attempts:
                if addresses:
                    attempts.add(asyncio.create_task(self._network.connect_tcp(addresses.pop(0), port)))
                done, _ = await asyncio.wait(
                    attempts,
                    timeout=NEXT_ADDRESS_AFTER if addresses else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for attempt in done:
                    attempts.discard(attempt)
                    failure = attempt.exception()
                    if failure is None:
                        return attempt.result()
        finally:
            await _give_up(attempts)
        raise failure or httpcore.ConnectError("the host has no address")


async def _give_up(attempts: Iterable[asyncio.Task[httpcore.AsyncNetworkStream]]) -> None:
    for attempt in attempts:
        attempt.cancel()
    for ended in await asyncio.gather(*attempts, return_exceptions=True):
        if isinstance(ended, httpcore.AsyncNetworkStream):
            await ended.aclose()


class _Body(httpx.AsyncByteStream):
    """The body of an answer, with the errors that readers of httpx expect."""

    def __init__(self, stream: AsyncIterable[bytes]) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _translated():
            async for part in self._stream:
                yield part

    async def aclose(self) -> None:
        """Give the connection back."""
        close = getattr(self._stream, "aclose", None)
        if close is not None:
            await close()


@contextmanager
def _translated() -> Iterator[None]:
    """Raise httpx's error of the same name in place of httpcore's: httpx has one for each."""
    try:
        yield
    except (
        httpcore.TimeoutException,
        httpcore.NetworkError,
        httpcore.ProtocolError,
        httpcore.ProxyError,
        httpcore.UnsupportedProtocol,
    ) as error:
        raise getattr(httpx, type(error).__name__)(str(error)) from error


def _core_url(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
