"""One bounded GET of a provider's document: size, time, redirects.

When to fetch is left to `authkit.oidc.keys.cache`, what the document means to `authkit.oidc.keys.discovery`
and `authkit.oidc.keys.jwk_set`; connections, trusted roots and proxies to `authkit.oidc.http.network`.

The errors of everything that asks a provider::

    ProviderError                  a provider cannot be used now
    ├── FetchError                 a document could not be fetched
    │   └── FetchTimeoutError      not in time
    ├── EndpointError              a login failed at an endpoint (`authkit.oidc.client.endpoints`)
    │   └── OAuthError             the provider says why, by one of OAuth's codes
    └── DiscoveryError             its metadata could not be had, or cannot be used
        └── IssuerMismatchError    they are another issuer's
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from authkit.errors import AuthKitError
from authkit.json_reader import JSONReader
from authkit.oidc.http.network import TOTAL_TIMEOUT, Network
from authkit.oidc.http.urls import check_url
from authkit.printable import to_printable
from authkit.threads import ThreadsBusyError
from authkit.values import Value

if TYPE_CHECKING:
    import httpx

__all__ = [
    "DOCUMENT_READER",
    "DiscoveryError",
    "Document",
    "FetchError",
    "FetchTimeoutError",
    "Fetcher",
    "IssuerMismatchError",
    "ProviderError",
]

MAX_REDIRECTS = 3
"""More is a loop."""

MAX_DETAIL_CHARACTERS = 200
"""How much of a cause's own text an operator reads; it may hold what the provider sent."""

DOCUMENT_READER = JSONReader(duplicate_names="last", lone_surrogates="replace")
"""Of what a provider publishes: not as strict as for tokens, since nobody but us reads it."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Document(Value, frozen=True):
    """What a provider answered with status 200."""

    body: bytes
    cache_control: str
    """The header of that name, empty without one."""


class ProviderError(AuthKitError):
    """A provider cannot be used now.

    `public` may be shown to anybody: it holds nothing that the provider sent but a status. The
    whole text, with `detail`, is for operators; neither holds a secret.
    """

    def __init__(self, public: str, detail: str = "") -> None:
        super().__init__(f"{public}: {detail}" if detail else public)
        self.public = public
        self.detail = detail


class FetchError(ProviderError):
    """A document could not be fetched."""


class FetchTimeoutError(FetchError):
    """A document did not arrive in time."""


class DiscoveryError(ProviderError):
    """The metadata of a provider could not be had, or cannot be used."""


class IssuerMismatchError(DiscoveryError):
    """The metadata are those of another issuer, if only by a slash."""


class Fetcher:
    """Fetches one URL, with every limit of this module.

    What `bearer` returns is sent as bearer token; it is asked for each fetch, in a thread, and may raise
    `OSError`. The token goes to scheme, host and port of the URL and nowhere else.

    Raises:
        ValueError: the URL is not http or https with a host.
    """

    def __init__(
        self, url: str, *, max_bytes: int, network: Network, bearer: Callable[[], str] | None = None
    ) -> None:
        self.host = check_url(url).hostname or ""
        self._url = url
        self._bearer = bearer
        self._max_bytes = max_bytes
        self._network = network

    async def fetch(self) -> Document:
        """Return the document.

        Raises:
            FetchError: it cannot be had, or not within `TOTAL_TIMEOUT` seconds.
        """
        try:
            async with asyncio.timeout(TOTAL_TIMEOUT):
                return await self._fetch()
        except TimeoutError as error:
            raise FetchTimeoutError(
                "context deadline exceeded", f"no answer within {TOTAL_TIMEOUT:g} s"
            ) from error

    async def _fetch(self) -> Document:
        try:
            client = await self._network.open(self._url, await self._headers())
        # An unreadable token, no usable roots, or proxy settings that cannot be used.
        except (OSError, ValueError, ImportError, ThreadsBusyError) as error:
            raise FetchError("no usable answer", describe(error)) from error
        import httpx

        try:
            async with client:
                return await self._follow(client)
        except httpx.TimeoutException as error:
            raise FetchTimeoutError("context deadline exceeded", describe(error)) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise FetchError("no usable answer", describe(error)) from error

    async def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json"}
        if self._bearer is not None:
            token = check_token(await self._network.threads.run(self._bearer))
            headers["Authorization"] = f"Bearer {token}"
        return headers

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
            raise FetchError(describe_status(response.status_code))
        body = await read_body(response, self._max_bytes)
        return Document(body, response.headers.get("cache-control", ""))


async def read_body(response: httpx.Response, max_bytes: int) -> bytes:
    """Return the body of a streamed answer.

    Raises:
        FetchError: it is larger, or compressed though nobody asked for that.
    """
    if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise FetchError("answer is compressed")
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > max_bytes:
            raise FetchError(f"answer is larger than {max_bytes} bytes")
    return bytes(body)


def describe_status(status: int) -> str:
    """Return the number with its usual words, not those of the provider."""
    import httpx

    return f"{status} {httpx.codes.get_reason_phrase(status)}".rstrip()


def check_token(token: str) -> str:
    """Return a token that can be sent in a header.

    Raises:
        ValueError: it cannot; the text does not repeat it.
    """
    # Here, because the text of httpx would repeat it.
    if not token or not token.isascii() or not token.isprintable():
        raise ValueError("the bearer token is not a line of ASCII text")
    return token


def describe(error: Exception) -> str:
    """Return what an operator reads of an error, cut when long."""
    return to_printable(f"{type(error).__name__}: {error}".removesuffix(": ")[:MAX_DETAIL_CHARACTERS])
