"""One bounded GET of a provider's document: size, time, redirects, trusted roots.

What to fetch, when, and what a failure means is left to `authkit.oidc.jwks`. httpx is imported
with the first fetch, in a thread: importing it and loading the system's roots takes some 100 ms.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from authkit.errors import AuthKitError

if TYPE_CHECKING:
    import httpx

__all__ = ["CONNECT_TIMEOUT", "TOTAL_TIMEOUT", "Document", "FetchError", "Fetcher"]

CONNECT_TIMEOUT = 5.0
"""Seconds. Logins wait for a fetch; a provider that does not answer by then is down."""

TOTAL_TIMEOUT = 10.0
"""Seconds for everything, redirects and a slowly dripping body included."""

MAX_REDIRECTS = 3
"""More is a loop."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Document:
    """What a provider answered with status 200."""

    body: bytes
    cache_control: str
    """The header of that name, empty without one."""


class FetchError(AuthKitError):
    """A document could not be fetched.

    The text may be shown to anybody: it holds nothing that the provider sent but the status.
    """


class Fetcher:
    """Fetches one URL, with every limit of this module.

    With `ca_pem` exactly its certificates are trusted, as anchors even if they are no roots; else
    the system's roots. Proxy settings of the environment apply, as they do to Vault, except for a
    loopback host; credentials from a netrc file never do.

    Raises:
        ValueError: the URL is not http or https with a host, or `ca_pem` holds no certificate.
    """

    def __init__(
        self,
        url: str,
        *,
        max_bytes: int,
        ca_pem: str = "",
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("the URL must begin with http:// or https:// and name a host")
        self.host = parts.hostname
        self._url = url
        self._max_bytes = max_bytes
        self._context = _build_context(ca_pem) if ca_pem else None
        self._transport = transport

    async def fetch(self) -> Document:
        """Return the document.

        Raises:
            FetchError: it cannot be had.
            TimeoutError: not within `TOTAL_TIMEOUT` seconds.
        """
        async with asyncio.timeout(TOTAL_TIMEOUT):
            client = await asyncio.to_thread(self._build_client)
            import httpx

            try:
                async with client:
                    return await self._follow(client)
            except httpx.TimeoutException as error:
                raise TimeoutError from error
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise FetchError("no usable answer") from error

    def _build_client(self) -> httpx.AsyncClient:
        import httpx

        context = self._context
        if context is None and self._transport is None:
            context = _build_context(None)
        return httpx.AsyncClient(
            # `True` only where a transport is given, which brings its own trust.
            verify=context or True,
            timeout=httpx.Timeout(TOTAL_TIMEOUT, connect=CONNECT_TIMEOUT),
            follow_redirects=False,
            trust_env=not _is_loopback(self.host),
            transport=self._transport,
            # Compressed answers would need a second limit, for what they become.
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        )

    async def _follow(self, client: httpx.AsyncClient) -> Document:
        import httpx

        first = url = httpx.URL(self._url)
        for _ in range(MAX_REDIRECTS + 1):
            async with client.stream("GET", url) as response:
                if response.status_code not in _REDIRECTS:
                    return await self._read(response)
                url = url.join(response.headers.get("location", ""))
            # A redirect elsewhere would hand the choice of keys to whoever can cause one.
            if (url.scheme, url.host, url.port) != (first.scheme, first.host, first.port):
                raise FetchError("redirect to another scheme, host or port")
        raise FetchError("too many redirects")

    async def _read(self, response: httpx.Response) -> Document:
        if response.status_code != 200:
            import httpx

            phrase = httpx.codes.get_reason_phrase(response.status_code)
            raise FetchError(f"{response.status_code} {phrase}".rstrip())
        if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
            raise FetchError("answer is compressed")
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > self._max_bytes:
                raise FetchError(f"answer is larger than {self._max_bytes} bytes")
        return Document(bytes(body), response.headers.get("cache-control", ""))


def _build_context(ca_pem: str | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cadata=ca_pem)
    except (ssl.SSLError, ValueError, TypeError) as error:
        raise ValueError("the CA bundle holds no valid certificate in PEM form") from error
    # As Go verifies, and alike on every Python: any trusted certificate is an anchor, and a private
    # CA need not have the key identifiers that Python asks for since 3.13.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
