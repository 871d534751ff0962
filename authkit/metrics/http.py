"""`GET /metrics` over HTTP/1.1, and nothing else: one request a connection, each bounded in size and time.

The event loop is one of its own, in a thread that ends with the process (`authkit.metrics.exporter`).
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus

from authkit.values import Value

__all__ = ["MAX_CONNECTIONS", "MAX_REQUEST_BYTES", "PACE_SECONDS", "Body", "serve_http"]

MAX_REQUEST_BYTES = 8 * 1024
"""Of a request with all its headers. A scraper sends some 300."""

REQUEST_SECONDS = 5.0
"""From the connection until the answer is sent."""

MAX_CONNECTIONS = 16
"""At the same moment. Of more the oldest is closed: whoever keeps connections open keeps nobody out."""

PACE_SECONDS = 0.01
"""Between two connections, and two pieces of a request: logins need the interpreter more than whoever asks a
hundred times a second."""

_LINE = "\r\n"
_END = b"\r\n\r\n"

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""What `accept` says when the machine or the process has no room: it goes by."""

EXHAUSTED_SECONDS = 1.0
"""Until the next try then."""


class Body(Value, frozen=True):
    """What is answered to a scraper."""

    content: bytes
    content_type: str


Render = Callable[[str], Body | None]
"""Returns the metrics, in a form that the header `Accept` asks for, or `None` where they cannot be had."""


async def serve_http(listener: socket.socket, render: Render, is_for: Callable[[str], bool]) -> None:
    """Answer on a listening socket until it is cancelled. `is_for` decides about the `Host` header.

    Raises:
        OSError: the socket cannot be used any more.
    """
    loop = asyncio.get_running_loop()
    open_ones: dict[asyncio.Task[None], None] = {}
    async with asyncio.TaskGroup() as group:
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except ConnectionAbortedError:
                continue
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                await asyncio.sleep(EXHAUSTED_SECONDS)
                continue
            connection.setblocking(False)
            if len(open_ones) >= MAX_CONNECTIONS:
                next(iter(open_ones)).cancel()
            task = group.create_task(_serve_one(connection, render, is_for))
            open_ones[task] = None
            task.add_done_callback(open_ones.pop)
            await asyncio.sleep(PACE_SECONDS)


async def _serve_one(connection: socket.socket, render: Render, is_for: Callable[[str], bool]) -> None:
    loop = asyncio.get_running_loop()
    with connection, suppress(OSError, TimeoutError):
        async with asyncio.timeout(REQUEST_SECONDS):
            head = await _read_head(connection)
            if head:
                await loop.sock_sendall(connection, _answer(head, render, is_for))
                connection.shutdown(socket.SHUT_WR)


async def _read_head(connection: socket.socket) -> bytes:
    """Return a request as far as it was sent: up to its blank line, `MAX_REQUEST_BYTES`, or its end."""
    loop = asyncio.get_running_loop()
    head = b""
    while _END not in head and len(head) <= MAX_REQUEST_BYTES:
        data = await loop.sock_recv(connection, MAX_REQUEST_BYTES)
        if not data:
            break
        if head:
            await asyncio.sleep(PACE_SECONDS)
        head += data
    return head


def _answer(head: bytes, render: Render, is_for: Callable[[str], bool]) -> bytes:
    status = _check(head)
    if status is not None:
        return _refusal(status)
    fields = _read_fields(head)
    if fields is None:
        return _refusal(HTTPStatus.BAD_REQUEST)
    if not is_for("".join(fields.get("host", []))):
        return _refusal(HTTPStatus.FORBIDDEN)
    body = render(",".join(fields.get("accept", [])))
    if body is None:
        return _refusal(HTTPStatus.INTERNAL_SERVER_ERROR)
    return _message(HTTPStatus.OK, body.content, body.content_type)


def _check(head: bytes) -> HTTPStatus | None:
    """Return what is wrong with a request, `None` if it asks for the metrics."""
    if _END not in head[: MAX_REQUEST_BYTES + len(_END)]:
        is_long = len(head) > MAX_REQUEST_BYTES
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE if is_long else HTTPStatus.BAD_REQUEST
    words = head.partition(b"\r\n")[0].split(b" ")
    if len(words) != 3 or words[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
        return HTTPStatus.BAD_REQUEST
    if words[0] != b"GET":
        return HTTPStatus.METHOD_NOT_ALLOWED
    return None if words[1].partition(b"?")[0] == b"/metrics" else HTTPStatus.NOT_FOUND


def _read_fields(head: bytes) -> dict[str, list[str]] | None:
    """Return the header fields by lower-case name, `None` where they are malformed or name two hosts."""
    # Not http.client's parser, which is that of mail: a Content-Type costs it half a second, has it import
    # and remember an encoding, or makes it raise anything.
    fields: dict[str, list[str]] = {}
    for line in head.partition(_END)[0].decode("latin-1").split(_LINE)[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            return None
        fields.setdefault(name.lower(), []).append(value.strip(" \t"))
    return None if len(fields.get("host", [])) > 1 else fields


def _refusal(status: HTTPStatus) -> bytes:
    text = f"{status.value} {status.phrase}: GET /metrics has the metrics\n"
    return _message(status, text.encode(), "text/plain; charset=utf-8")


def _message(status: HTTPStatus, content: bytes, content_type: str) -> bytes:
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        f"Content-Type: {content_type}\r\n"
        f"Content-Length: {len(content)}\r\n"
        f"{'Allow: GET' + _LINE if status is HTTPStatus.METHOD_NOT_ALLOWED else ''}"
        "X-Content-Type-Options: nosniff\r\n"
        "Cache-Control: no-store\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode("latin-1") + content
