"""Connections for httpx whose names are looked up by a `Resolver`. Importing it takes some 100 ms.

Which proxy, which trust and when: see `authkit.oidc.http.network`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import httpcore
import httpx

from authkit.oidc.http.resolver import Resolver

__all__ = ["ResolvingTransport"]

NEXT_ADDRESS_AFTER = 0.25
"""Seconds after which the next address of a name is tried beside the one before (RFC 8305 section 8)."""

MAX_CONNECTIONS = 4
"""Of one lookup: its requests are made one after another, at few hosts."""

BAD_PROXY = "the proxy of the environment is not an http or https URL"


class ResolvingTransport(httpx.AsyncBaseTransport):
    """Sends the requests of one client, each straight or through the proxy that `find_proxy` names for it.

    Args:
        context: verifies servers, an https proxy included.
        resolver: knows the addresses of hosts.
        find_proxy: returns the URL of a proxy, which may hold credentials; empty for none.
    """

    def __init__(self, context: ssl.SSLContext, resolver: Resolver, find_proxy: Callable[[str], str]) -> None:
        self._context = context
        self._backend = _Backend(resolver)
        self._find_proxy = find_proxy
        self._pools: dict[str, httpcore.AsyncConnectionPool] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; return the answer, its body unread.

        Raises:
            httpx.ProxyError: the proxy of the environment cannot be used.
        """
        assert isinstance(request.stream, httpx.AsyncByteStream)
        asked = httpcore.Request(
            request.method,
            _core_url(request.url),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _translated():
            answer = await self._pool(str(request.url)).handle_async_request(asked)
        assert isinstance(answer.stream, AsyncIterable)
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_Body(answer.stream),
            extensions=answer.extensions,
        )

    async def aclose(self) -> None:
        """Close every connection."""
        for pool in self._pools.values():
            await pool.aclose()

    def _pool(self, url: str) -> httpcore.AsyncConnectionPool:
        proxy = self._find_proxy(url)
        if proxy not in self._pools:
            self._pools[proxy] = self._proxied(proxy) if proxy else self._direct()
        return self._pools[proxy]

    def _direct(self) -> httpcore.AsyncConnectionPool:
        return httpcore.AsyncConnectionPool(
            self._context, max_connections=MAX_CONNECTIONS, network_backend=self._backend
        )

    def _proxied(self, proxy: str) -> httpcore.AsyncConnectionPool:
        try:
            known = httpx.Proxy(proxy)
        except (ValueError, httpx.InvalidURL):
            # Their texts would repeat the URL.
            raise httpx.ProxyError(BAD_PROXY) from None
        if known.url.scheme not in ("http", "https"):
            raise httpx.ProxyError(BAD_PROXY)
        return httpcore.AsyncHTTPProxy(
            _core_url(known.url),
            proxy_auth=known.raw_auth,
            ssl_context=self._context,
            proxy_ssl_context=self._context if known.url.scheme == "https" else None,
            max_connections=MAX_CONNECTIONS,
            network_backend=self._backend,
        )


class _Backend(httpcore.AsyncNetworkBackend):
    """TCP connections to hosts by name, without the event loop's own look-ups."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        # httpcore also has a class of this name for where anyio is missing, which hides the type of this one.
        self._network = cast(httpcore.AsyncNetworkBackend, httpcore.AnyIOBackend())

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
