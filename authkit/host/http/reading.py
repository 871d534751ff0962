"""The body of a request, read from its connection within bounds."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

__all__ = ["BODY_SECONDS", "read_body"]

BODY_SECONDS = 30.0
"""In which a whole body arrives (Vault's `http_read_timeout`)."""


async def read_body(request: Request, most: int, seconds: float = BODY_SECONDS) -> bytes | None:
    """Return the body, `None` when it is longer than `most` bytes; then the rest is left unread.

    Raises:
        TimeoutError: it did not arrive in time.
        ClientDisconnect: the client has left.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > most:
        return None
    body = bytearray()
    async with asyncio.timeout(seconds):
        async for piece in request.stream():
            body += piece
            if len(body) > most:
                return None
    return bytes(body)
