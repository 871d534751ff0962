"""The ASGI application: the API below `/v1/`, the page below `/ui/`, everything else redirected to the page.

Limits the size of a request's body and the time to receive and to answer it. See `requests.py` and
`answers.py` for parsing and writing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Iterable, Sequence
from typing import Protocol

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from authkit.host.http.answers import redirect, refusal, write_answer
from authkit.host.http.bodies import BODY_SECONDS, MAX_BODY_BYTES, read_body
from authkit.host.http.requests import API, read_request, read_token
from authkit.host.http.targets import MalformedTargetError, clean, is_own_name, read_path
from authkit.host.messages import Failure, HostRequest, HostResponse
from authkit.values import Value, replace

__all__ = ["Answering", "Application", "Bounds"]

log = logging.getLogger(__name__)

PAGE = "/ui/"


class Answering(Protocol):
    """Answers requests: `authkit.host.server.core.Core`, or a fake in tests."""

    async def handle(self, request: HostRequest) -> HostResponse:
        """Return the answer. Does not raise for any request of a client."""
        ...


class BrowserPage(Protocol):
    """The page below `/ui/`: `authkit.host.page.application.Page`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request below `/ui/`."""
        ...

    def refusal(self, status: int, texts: Sequence[str]) -> Response:
        """Return the page for a refused request below `/v1/` whose client is a browser."""
        ...


class Bounds(Value, frozen=True):
    """Limits of one request. The defaults are Vault's; tests set others."""

    body_bytes: int = MAX_BODY_BYTES
    body_seconds: float = BODY_SECONDS
    answer_seconds: float = 90.0
    """Time limit for the core's answer (`max_request_duration`)."""


DEFAULT_BOUNDS = Bounds()


class Application:
    """Serves the API of a core, and optionally a page."""

    def __init__(
        self,
        core: Answering,
        *,
        page: BrowserPage | None = None,
        names: Iterable[str] = (),
        bounds: Bounds = DEFAULT_BOUNDS,
    ) -> None:
        self.core = core
        self.page = page
        self.names = frozenset(name.lower() for name in names)
        self.bounds = bounds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Stop if the client disconnects."""
        if scope["type"] == "http":
            with contextlib.suppress(ClientDisconnect):
                await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw_path = scope["raw_path"].decode("ascii", "replace")
        early = self._answer_early(scope, raw_path)
        if early is not None:
            await early(scope, receive, send)
        elif raw_path.startswith(API):
            response = await self._respond(Request(scope, receive))
            await response(scope, receive, send)
        elif self.page is not None and raw_path.startswith(PAGE):
            await self.page(scope, receive, send)
        else:
            await refusal(404)(scope, receive, send)

    def _answer_early(self, scope: Scope, raw_path: str) -> Response | None:
        """Return the answer to a foreign host name, a malformed path or a redirect; `None` to go on."""
        authority = Request(scope).headers.get("host", "")
        if authority and not is_own_name(authority, self.names):
            log.warning(
                "refused a request for another host; see --listen-insecure", extra={"kv": {"host": authority}}
            )
            return refusal(403, "this server does not answer to the name in the Host header", close=True)
        try:
            read_path(raw_path)
        except MalformedTargetError:
            return Response(status_code=400)
        location = _location(raw_path, has_page=self.page is not None)
        if location == raw_path:
            return None
        query = scope["query_string"].decode("ascii", "replace")
        return redirect(f"{location}?{query}" if query and location != PAGE else location)

    async def _respond(self, request: Request) -> Response:
        """Return the answer to a request below `/v1/`."""
        try:
            body = await read_body(request, self.bounds.body_bytes, self.bounds.body_seconds)
        except TimeoutError:
            return refusal(500, "i/o timeout", close=True)
        if body is None:
            return refusal(413, "http: request body too large", close=True)
        try:
            asked = read_request(request, body)
        except Failure as failure:
            return write_answer(failure.response())
        answer = await self._ask(asked, request)
        errors = (answer.body or {}).get("errors") if answer.status >= 400 else None
        if errors and self.page is not None and _is_opened_in_browser(request):
            return self.page.refusal(answer.status, list(map(str, errors)))
        return write_answer(_echo_namespace(asked, answer))

    async def _ask(self, asked: HostRequest, request: Request) -> HostResponse:
        """Return the core's answer.

        Raises:
            ClientDisconnect: the client closed the connection, and the request was cancelled.
        """
        try:
            async with asyncio.timeout(self.bounds.answer_seconds):
                return await _unless_gone(self.core.handle(asked), request)
        except TimeoutError:
            return HostResponse(status=500, body={"errors": ["context deadline exceeded"]})
        except ClientDisconnect:
            raise
        except Exception:
            log.exception("a request failed", extra={"kv": {"method": asked.method, "path": asked.path}})
            return HostResponse(status=500, body={"errors": ["internal error"]})


def _is_opened_in_browser(request: Request) -> bool:
    """Whether a person has opened the address.

    Clients of the API seldom ask for HTML, but Java's does by default (HttpURLConnection): who sends a token,
    or says that the request is for the API, is one of them.
    """
    kinds = (each.partition(";")[0].strip() for each in request.headers.get("accept", "").split(","))
    is_client = read_token(request) or request.headers.get("X-Vault-Request")
    return request.method == "GET" and "text/html" in kinds and not is_client


def _location(raw_path: str, *, has_page: bool) -> str:
    """Return the canonical location of a path. It differs from the path for a redirect."""
    if raw_path in ("/v1", "/ui"):
        return raw_path + "/"
    if raw_path.startswith("/.well-known/"):
        return raw_path
    location = clean(raw_path)
    if location.startswith((API, PAGE)) or not has_page:
        return location
    return PAGE


async def _unless_gone(answering: Awaitable[HostResponse], request: Request) -> HostResponse:
    """Return the answer. Cancel the request if the client closes the connection first."""
    work = asyncio.ensure_future(answering)
    gone = asyncio.ensure_future(_wait_until_gone(request))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise ClientDisconnect
        return work.result()
    finally:
        for task in (work, gone):
            task.cancel()
        await asyncio.gather(work, gone, return_exceptions=True)


async def _wait_until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _echo_namespace(asked: HostRequest, answer: HostResponse) -> HostResponse:
    """Return the answer with the request's namespace in its headers. Vault CE echoes and ignores it."""
    if not asked.namespace:
        return answer
    return replace(answer, headers={**answer.headers, "X-Vault-Namespace": [asked.namespace]})
