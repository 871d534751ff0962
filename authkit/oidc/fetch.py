"""One bounded GET of a provider's document: size, time, redirects, trusted roots.

When to fetch is left to `authkit.oidc.remote`, what the document means to `authkit.oidc.discovery`
and `authkit.oidc.jwkset`. httpx is imported with the first fetch, in a thread: importing it and
loading the system's roots takes some 100 ms.

The errors of everything that asks a provider::

    ProviderError                  a provider cannot be used now
    ├── FetchError                 a document could not be fetched
    │   └── FetchTimeoutError      not in time
    ├── EndpointError              a login failed at an endpoint (`authkit.oidc.endpoints`)
    │   └── OAuthError             the provider says why, by one of OAuth's codes
    └── DiscoveryError             its metadata could not be had, or cannot be used
        └── IssuerMismatchError    they are another issuer's
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from authkit.errors import AuthKitError
from authkit.values import Value

if TYPE_CHECKING:
    import httpx

__all__ = [
    "CONNECT_TIMEOUT",
    "TOTAL_TIMEOUT",
    "DiscoveryError",
    "Document",
    "FetchError",
    "FetchTimeoutError",
    "Fetcher",
    "IssuerMismatchError",
    "ProviderError",
    "check_url",
]

CONNECT_TIMEOUT = 5.0
"""Seconds. Logins wait for a fetch; a provider that does not answer by then is down."""

TOTAL_TIMEOUT = 10.0
"""Seconds for everything, redirects and a slowly dripping body included."""

MAX_REDIRECTS = 3
"""More is a loop."""

MAX_DETAIL_CHARACTERS = 200
"""How much of a cause's own text an operator reads; it may hold what the provider sent."""

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


def check_url(url: str) -> SplitResult:
    """Return the parts of an absolute http or https URL.

    Raises:
        ValueError: it is none; the text does not repeat it.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("the URL must begin with http:// or https:// and name a host")
    # `urlsplit` drops line breaks without a word, and a port is read only when asked for.
    if not url.isprintable() or " " in url or parts.port == 0:
        raise ValueError("the URL holds characters, or a port, that cannot be in one")
    return parts


class Fetcher:
    """Fetches one URL, with every limit of this module.

    With `ca_pem` exactly its certificates are trusted, as anchors even if they are no roots; else
    the system's roots. Proxy settings of the environment apply, as they do to Vault, except for a
    loopback host; credentials from a netrc file never do. What `bearer` returns is sent as bearer
    token; it is asked for each fetch, in a thread, and may raise `OSError`.

    Raises:
        ValueError: the URL is not http or https with a host, or `ca_pem` holds no certificate.
    """

    def __init__(
        self,
        url: str,
        *,
        max_bytes: int,
        ca_pem: str = "",
        bearer: Callable[[], str] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.host = check_url(url).hostname or ""
        self._url = url
        self._bearer = bearer
        self._max_bytes = max_bytes
        self._context = build_context(ca_pem) if ca_pem else None
        self._transport = transport

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
            client = await asyncio.to_thread(self._build_client)
        # An unreadable token, no usable roots, or proxy settings that httpx cannot work with.
        except (OSError, ValueError, ImportError) as error:
            raise FetchError("no usable answer", describe(error)) from error
        import httpx

        try:
            async with client:
                return await self._follow(client)
        except httpx.TimeoutException as error:
            raise FetchTimeoutError("context deadline exceeded", describe(error)) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise FetchError("no usable answer", describe(error)) from error

    def _build_client(self) -> httpx.AsyncClient:
        headers = {"Accept": "application/json"}
        if self._bearer is not None:
            headers["Authorization"] = f"Bearer {check_token(self._bearer())}"
        return build_client(self._context, headers, is_loopback(self.host), self._transport)

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


def build_client(
    context: ssl.SSLContext | None,
    headers: Mapping[str, str],
    is_direct: bool,
    transport: httpx.AsyncBaseTransport | None,
) -> httpx.AsyncClient:
    """Return a client with the limits of this module; `None` for the system's roots. Takes its time.

    Proxy settings of the environment apply unless it `is_direct`.

    Raises:
        OSError, ValueError, ImportError: roots or proxy settings of this machine cannot be used.
    """
    import httpx

    if context is None and transport is None:
        context = build_context(None)
    return httpx.AsyncClient(
        # `True` only where a transport is given, which brings its own trust.
        verify=context or True,
        timeout=httpx.Timeout(TOTAL_TIMEOUT, connect=CONNECT_TIMEOUT),
        follow_redirects=False,
        trust_env=not is_direct,
        transport=transport,
        # Compressed answers would need a second limit, for what they become.
        headers={**headers, "Accept-Encoding": "identity"},
    )


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


def build_context(ca_pem: str | None) -> ssl.SSLContext:
    """Return what verifies servers with these certificates, `None` for the system's.

    Raises:
        ValueError: `ca_pem` holds no certificate.
    """
    try:
        context = ssl.create_default_context(cadata=ca_pem)
    except (ssl.SSLError, ValueError, TypeError) as error:
        raise ValueError("the CA bundle holds no valid certificate in PEM form") from error
    # As Go verifies, and alike on every Python: any trusted certificate is an anchor, and a private
    # CA need not have the key identifiers that Python asks for since 3.13.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


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
    return f"{type(error).__name__}: {error}".removesuffix(": ")[:MAX_DETAIL_CHARACTERS]


def is_loopback(host: str) -> bool:
    """Return whether this names the machine itself, to which no proxy leads."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
