"""Logs each HTTP request: method, path, status, milliseconds and the client's address.

Never logged: bodies, headers and queries, in which logins, tokens and codes are. In a path what looks like a
secret is masked, and so is the request's own token.
"""

from __future__ import annotations

import logging
import time
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from authkit.host.http.requests import read_token
from authkit.masking import mask_logged, mask_text

__all__ = ["AccessLog"]

log = logging.getLogger(__name__)

MAX_SHOWN = 512
"""Characters of a path that are shown."""
UNQUOTED = "/:@!$&'()*+,;=~[]"
"""Characters that a path shows as they are. Others are escaped: a blank would make two fields of it."""
NO_ANSWER = "-"
"""In place of the status when the client has left before it was answered."""


class AccessLog:
    """An ASGI application that logs the requests of another one."""

    def __init__(self, application: ASGIApp) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; log it once it is answered."""
        status: int | str = NO_ANSWER

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        began = time.monotonic()
        try:
            await self.application(scope, receive, watch)
        finally:
            if scope["type"] == "http":
                _log(Request(scope), status, time.monotonic() - began)


def _log(request: Request, status: int | str, seconds: float) -> None:
    client = request.client.host if request.client else "unknown"
    path = _shown_path(request)
    log.info("%.16s %s %s %.0f ms from %s", request.method, path, status, seconds * 1000, client)


def _shown_path(request: Request) -> str:
    path = unquote(request.scope["raw_path"].decode("ascii", "replace"), errors="replace")
    token = read_token(request)
    shown = quote(mask_logged(mask_text(path, [token])), safe=UNQUOTED)
    return shown if len(shown) <= MAX_SHOWN else f"{shown[:MAX_SHOWN]}..."
