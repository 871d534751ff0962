"""The body of a request, read from its connection within a bound."""

from __future__ import annotations

from starlette.requests import Request

__all__ = ["read_body"]


async def read_body(request: Request, most: int) -> bytes | None:
    """Return the body, `None` when it is longer than `most` bytes; then the rest is left unread."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > most:
        return None
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most:
            return None
    return bytes(body)
