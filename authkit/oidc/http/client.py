"""Requests to a provider, within limits of size, time, redirects and number.

Connections, trusted roots and proxies: `authkit.oidc.http.network`. What a document or an API says:
`authkit.oidc.keys`, `authkit.oidc.client`, and the providers of an auth method.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from authkit import meter
from authkit.errors import TooManyRequestsError
from authkit.json_reader import LenientReader
from authkit.masking import mask_text
from authkit.oidc.http.errors import FetchError, FetchTimeoutError
from authkit.oidc.http.network import TOTAL_TIMEOUT, Network
from authkit.oidc.http.sent_secrets import find_sent_secrets
from authkit.printable import to_printable
from authkit.threads import ThreadsBusyError
from authkit.values import Value

if TYPE_CHECKING:
    import httpx

__all__ = [
    "DOCUMENT_READER",
    "HTTPClient",
    "HTTPResponse",
    "HTTPSession",
    "JSONResponse",
    "check_token",
    "describe_status",
    "document_client",
]

SESSION_TIMEOUT = 30.0
"""Seconds for all requests of a session: a login waits for them."""

MAX_RESPONSE_BYTES = 4 * 1024 * 1024
"""The largest single answer; a page of groups with long descriptions has some 100 KiB."""

MAX_SESSIONS = 32
"""Sessions of one client at the same moment, each with a connection of its own: strangers can begin them, and
a mount has one client for its logins. At 0.2 s for an answer that is 160 logins a second."""

MAX_DOCUMENT_SESSIONS = 4
"""The same for documents, which are kept: a key set is fetched by one login for all."""

BUSY_SECONDS = 2.0
"""Seconds that a further session waits for one of them to end."""

MAX_REDIRECTS = 3
"""Of a document. More is a loop."""

MAX_DETAIL_CHARACTERS = 200
"""How much of an error's text, or of what the provider sent, an operator reads."""

DOCUMENT_READER = LenientReader()
"""Of what a provider publishes: less strict than for tokens, since no other reader has to agree."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class HTTPResponse(Value, frozen=True):
    """What a provider answered, with any status."""

    status: int
    content_type: str
    """The media type in lower case, without parameters."""
    body: bytes
    cache_control: str = ""
    """The header of that name, empty without one."""
    next_url: str = ""
    """The `Link` header of the relation `next`, made absolute; empty without one."""
    sent_secrets: tuple[str, ...] = ()
    """What the request held. A provider may repeat it, so it is masked in errors."""

    unshown: ClassVar = ("sent_secrets",)

    def excerpt(self) -> str:
        """Return the beginning of the body for a log, longer than what is shown, secrets masked."""
        # A cut secret is not masked: each one that is shown has to be whole here.
        longest = max(map(len, self.sent_secrets), default=0)
        end = 4 * MAX_DETAIL_CHARACTERS + 32 * longest
        return mask_text(self.body[:end].decode(errors="replace"), self.sent_secrets)


class JSONResponse(Value, frozen=True):
    """The JSON that a provider answered with status 200."""

    content: Any
    next_url: str
    """As in `HTTPResponse`."""


class HTTPSession:
    """Requests over the same connections. Made by `HTTPClient.session`."""

    def __init__(
        self, client: httpx.AsyncClient, max_bytes: int, max_redirects: int, end: asyncio.Timeout
    ) -> None:
        self._client = client
        self._end = end
        self._max_bytes = max_bytes
        self._max_redirects = max_redirects

    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        *,
        only_ok: bool = False,
    ) -> HTTPResponse:
        """Return the answer, which may be an error, and a redirect where the client follows none.

        Args:
            only_ok: whether any status but 200 raises `FetchError`, without reading the body.

        Raises:
            FetchError: no answer, an answer that is too large or compressed, or redirected elsewhere.
        """
        outcome, started = "failed", time.monotonic()
        try:
            response = await self._send(method, url, headers, body, only_ok=only_ok)
            outcome = "ok" if response.status < 400 else "refused" if response.status < 500 else "failed"
            return response
        except FetchTimeoutError:
            outcome = "timeout"
            raise
        except asyncio.CancelledError:
            # By the session, or since a client went away, which says nothing about the provider.
            outcome = "timeout" if self._end.expired() else "cancelled"
            raise
        finally:
            meter.current().provider_answered(outcome, time.monotonic() - started)

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, *, only_ok: bool
    ) -> HTTPResponse:
        import httpx

        with _translated_errors():
            first = target = httpx.URL(url)
            for _ in range(self._max_redirects + 1):
                async with self._client.stream(method, target, headers=headers, content=body) as response:
                    if not self._max_redirects or response.status_code not in _REDIRECTS:
                        if only_ok and response.status_code != 200:
                            raise FetchError(describe_status(response.status_code))
                        secrets = find_sent_secrets(headers, body)
                        return _make_response(response, await self._read(response), secrets)
                    target = target.join(response.headers.get("location", ""))
                # A redirect elsewhere would let its author choose the keys.
                if (target.scheme, target.host, target.port) != (first.scheme, first.host, first.port):
                    raise FetchError("redirect to another scheme, host or port")
            raise FetchError("too many redirects")

    async def get(
        self, url: str, *, authorization: str = "", headers: Mapping[str, str] | None = None
    ) -> JSONResponse:
        """Return the answer to a GET with this Authorization header, if any.

        Raises:
            FetchError: the answer is not JSON with status 200. The detail is what the provider sent.
        """
        return await self._ask("GET", url, {**(headers or {}), **_authorize(authorization)}, None)

    async def post(
        self, url: str, body: bytes, content_type: str, *, authorization: str = ""
    ) -> JSONResponse:
        """Return the answer to a POST. Raises what `get` raises."""
        headers = {"Content-Type": content_type, **_authorize(authorization)}
        return await self._ask("POST", url, headers, body)

    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> JSONResponse:
        response = await self.send(method, url, headers, body)
        if response.status != 200:
            shown = response.excerpt()[:MAX_DETAIL_CHARACTERS]
            raise FetchError(describe_status(response.status), to_printable(shown))
        try:
            content = DOCUMENT_READER.read(response.body)
        except ValueError:
            raise FetchError("answer is not valid JSON") from None
        return JSONResponse(content, response.next_url)

    async def _read(self, response: httpx.Response) -> bytes:
        if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
            raise FetchError("answer is compressed")
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > self._max_bytes:
                raise FetchError(f"answer is larger than {self._max_bytes} bytes")
        return bytes(body)


class HTTPClient:
    """Makes requests to one provider. For one event loop.

    Args:
        network: how the provider is reached.
        max_bytes: of one answer.
        timeout: seconds for all requests of a session; `SESSION_TIMEOUT` by default.
        max_redirects: how many are followed, on the same scheme, host and port. None by default, since
            requests may carry tokens.
        max_sessions: how many may be open at once; `MAX_SESSIONS` by default.
    """

    def __init__(
        self,
        network: Network,
        *,
        max_bytes: int = MAX_RESPONSE_BYTES,
        timeout: float | None = None,
        max_redirects: int = 0,
        max_sessions: int | None = None,
    ) -> None:
        self.threads = network.threads
        self._network = network
        self._max_bytes = max_bytes
        self._timeout = SESSION_TIMEOUT if timeout is None else timeout
        self._max_redirects = max_redirects
        self._free = asyncio.Semaphore(MAX_SESSIONS if max_sessions is None else max_sessions)

    @asynccontextmanager
    async def session(self, url: str) -> AsyncIterator[HTTPSession]:
        """Give what sends requests to the host of `url`, within the time of this client.

        Raises:
            FetchError: the time is over, or no connection can be set up.
            TooManyRequestsError: too many sessions were open for `BUSY_SECONDS`.
        """
        await self._enter()
        try:
            async with asyncio.timeout(self._timeout) as end, await self._open(url) as client:
                yield HTTPSession(client, self._max_bytes, self._max_redirects, end)
        except TimeoutError as error:
            detail = f"no answer within {self._timeout:g} s"
            raise FetchTimeoutError("context deadline exceeded", detail) from error
        finally:
            self._free.release()

    async def fetch(self, url: str, *, bearer: Callable[[], str] | None = None) -> HTTPResponse:
        """Return the document at `url`.

        Args:
            bearer: returns the token to send. It is called in a thread, and may raise `OSError`.

        Raises:
            FetchError: there is no answer with status 200.
            TooManyRequestsError: too many sessions were open for `BUSY_SECONDS`.
        """
        async with self.session(url) as session:
            headers = {}
            if bearer is not None:
                try:
                    headers["Authorization"] = f"Bearer {check_token(await self.threads.run(bearer))}"
                except (OSError, ValueError, ThreadsBusyError) as error:
                    raise FetchError("no usable answer", _describe(error)) from error
            return await session.send("GET", url, headers, only_ok=True)

    async def _enter(self) -> None:
        try:
            async with asyncio.timeout(BUSY_SECONDS):
                await self._free.acquire()
        except TimeoutError as error:
            text = "too many logins ask the identity provider at this moment, try again"
            raise TooManyRequestsError(text) from error

    async def _open(self, url: str) -> httpx.AsyncClient:
        try:
            return await self._network.open(url, {"Accept": "application/json"})
        # No usable roots, or proxy settings that cannot be used.
        except (OSError, ValueError, ImportError, ThreadsBusyError) as error:
            raise FetchError("no usable answer", _describe(error)) from error


def document_client(network: Network, max_bytes: int) -> HTTPClient:
    """Return a client for what a provider publishes: it follows redirects, within `TOTAL_TIMEOUT` seconds."""
    return HTTPClient(
        network,
        max_bytes=max_bytes,
        timeout=TOTAL_TIMEOUT,
        max_redirects=MAX_REDIRECTS,
        max_sessions=MAX_DOCUMENT_SESSIONS,
    )


def describe_status(status: int) -> str:
    """Return the number with its usual words, not those of the provider."""
    import httpx

    return f"{status} {httpx.codes.get_reason_phrase(status)}".rstrip()


def check_token(token: str) -> str:
    """Return a token that can be sent in a header.

    Raises:
        ValueError: it is empty or not printable ASCII; the text does not repeat it.
    """
    # The text of httpx would repeat it.
    if not token or not token.isascii() or not token.isprintable():
        raise ValueError("the bearer token is not a line of ASCII text")
    return token


@contextmanager
def _translated_errors() -> Iterator[None]:
    import httpx

    try:
        yield
    except httpx.TimeoutException as error:
        raise FetchTimeoutError("context deadline exceeded", _describe(error)) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise FetchError("no usable answer", _describe(error)) from error


def _describe(error: Exception) -> str:
    return to_printable(f"{type(error).__name__}: {error}".removesuffix(": ")[:MAX_DETAIL_CHARACTERS])


def _make_response(response: httpx.Response, body: bytes, sent_secrets: tuple[str, ...]) -> HTTPResponse:
    link = response.links.get("next", {}).get("url", "")
    return HTTPResponse(
        response.status_code,
        response.headers.get("content-type", "").partition(";")[0].strip().lower(),
        body,
        response.headers.get("cache-control", ""),
        str(response.url.join(link)) if link else "",
        sent_secrets,
    )


def _authorize(authorization: str) -> dict[str, str]:
    return {"Authorization": check_token(authorization)} if authorization else {}
