"""Calls of a provider's JSON API: a few requests of one lookup, within one time and size limit.

What is asked, and what an answer means, is left to `jwt_auth.providers`. Redirects are not
followed: these requests carry tokens.
"""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote_plus

from authkit.errors import TooManyRequestsError
from authkit.masking import mask_text
from authkit.oidc.http.fetch import (
    DOCUMENT_READER,
    MAX_DETAIL_CHARACTERS,
    FetchError,
    FetchTimeoutError,
    check_token,
    describe,
    describe_status,
    read_body,
)
from authkit.oidc.http.network import Network
from authkit.printable import to_printable
from authkit.threads import ThreadsBusyError
from authkit.values import Value

if TYPE_CHECKING:
    import httpx

__all__ = ["API", "Answer", "Reply", "Session"]

LOOKUP_TIMEOUT = 30.0
"""Seconds for all requests of one lookup: a login waits for them."""

MAX_ANSWER_BYTES = 4 * 1024 * 1024
"""The largest single answer; a page of groups with long descriptions has some 100 KiB."""

MAX_LOOKUPS_AT_ONCE = 32
"""Lookups of one API at the same moment, each with a connection of its own: strangers can begin them, and
a mount has one API for its logins. At 0.2 s for an answer that is 160 logins a second."""

BUSY_SECONDS = 2.0
"""Seconds that a further lookup waits for one of them to end."""


class Answer(Value, frozen=True):
    """What an API answered with status 200."""

    content: Any
    """The JSON, parsed."""
    next_url: str
    """The `Link` header of the relation `next`, made absolute; empty without one."""


class Reply(Value, frozen=True):
    """What an API answered, with whatever status."""

    status: int
    content_type: str
    """The media type in lower case, without parameters."""
    body: bytes
    next_url: str
    """The `Link` header of the relation `next`, made absolute; empty without one."""
    credentials: tuple[str, ...] = ()
    """What it was asked with. A provider may repeat it, which nobody may read."""

    unshown: ClassVar = ("credentials",)


class Session:
    """The requests of one lookup, over the same connections."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        *,
        max_bytes: int = MAX_ANSWER_BYTES,
    ) -> Reply:
        """Return what comes back, a redirect or an error included.

        Raises:
            FetchError: nothing does, or more than `max_bytes`.
        """
        import httpx

        try:
            async with self._client.stream(method, url, headers=headers, content=body) as response:
                raw = await read_body(response, max_bytes)
            next_url = _next_url(response)
        except httpx.TimeoutException as error:
            raise FetchTimeoutError("context deadline exceeded", describe(error)) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise FetchError("no usable answer", describe(error)) from error
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        return Reply(response.status_code, kind, raw, next_url, _credentials(headers))

    async def get(
        self, url: str, *, authorization: str = "", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Return the answer to a GET with this Authorization header, if any.

        Raises:
            FetchError: it cannot be had; what a provider sent with another status is the detail.
        """
        return await self._ask("GET", url, {**(headers or {}), **_authorize(authorization)}, None)

    async def post(self, url: str, body: bytes, content_type: str, *, authorization: str = "") -> Answer:
        """Return the answer to a POST. Raises what `get` raises."""
        headers = {"Content-Type": content_type, **_authorize(authorization)}
        return await self._ask("POST", url, headers, body)

    async def _ask(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        reply = await self.send(method, url, headers, body)
        if reply.status != 200:
            said = reply.body[: 4 * MAX_DETAIL_CHARACTERS].decode(errors="replace")
            shown = mask_text(said, reply.credentials)[:MAX_DETAIL_CHARACTERS]
            raise FetchError(describe_status(reply.status), to_printable(shown))
        try:
            content = DOCUMENT_READER.read(reply.body)
        except ValueError:
            raise FetchError("answer is not valid JSON") from None
        return Answer(content, reply.next_url)


class API:
    """An HTTP API of one provider, reached through `network`. For one event loop.

    No more than `MAX_LOOKUPS_AT_ONCE` lookups are made at once.
    """

    def __init__(self, network: Network) -> None:
        self.threads = network.threads
        self._network = network
        self._free = asyncio.Semaphore(MAX_LOOKUPS_AT_ONCE)

    @asynccontextmanager
    async def lookup(self, url: str, timeout: float | None = None) -> AsyncIterator[Session]:
        """Give what asks the host of `url`, for `timeout` seconds or else `LOOKUP_TIMEOUT`.

        Raises:
            FetchError: they are over, or no client can be made.
            TooManyRequestsError: too many lookups were made for `BUSY_SECONDS`.
        """
        seconds = LOOKUP_TIMEOUT if timeout is None else timeout
        await self._enter()
        try:
            async with asyncio.timeout(seconds), await self._open(url) as client:
                yield Session(client)
        except TimeoutError as error:
            raise FetchTimeoutError("context deadline exceeded", f"not done within {seconds:g} s") from error
        finally:
            self._free.release()

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
        except (OSError, ValueError, ImportError, ThreadsBusyError) as error:
            raise FetchError("no usable answer", describe(error)) from error


def _authorize(authorization: str) -> dict[str, str]:
    return {"Authorization": check_token(authorization)} if authorization else {}


def _credentials(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Return the secrets of an Authorization header, also those within one of HTTP Basic (RFC 7617)."""
    scheme, _, value = headers.get("Authorization", "").partition(" ")
    if scheme != "Basic":
        return (value,) if value else ()
    _, _, password = b64decode(value).decode().partition(":")
    # A client secret is form-encoded before that (RFC 6749, section 2.3.1).
    return (value, password, unquote_plus(password))


def _next_url(response: httpx.Response) -> str:
    link = response.links.get("next", {}).get("url", "")
    return str(response.url.join(link)) if link else ""
