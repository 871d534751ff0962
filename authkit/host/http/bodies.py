"""The body of an HTTP request: received within limits, and parsed as one JSON object or a form."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any
from urllib.parse import unquote_plus

from starlette.requests import Request

from authkit.host.messages import Failure
from authkit.json_reader import JSONError, LenientReader
from authkit.logical import JSONNumber
from authkit.wire.jsontext import MAX_DEPTH, MAX_REQUEST_VALUES

__all__ = ["BODY_SECONDS", "FORM", "MAX_BODY_BYTES", "media_type", "read_body", "read_object"]

MAX_BODY_BYTES = 32 * 1024 * 1024
"""Vault's default `max_request_size`."""

BODY_SECONDS = 30.0
"""Time limit for receiving a whole body (Vault's `http_read_timeout`)."""

MAX_FORM_BYTES = 10 * 1024 * 1024
"""The largest form that Go's `ParseForm` reads, whatever the server allows."""

FORM = "application/x-www-form-urlencoded"

_READER = LenientReader(max_values=MAX_REQUEST_VALUES, max_depth=MAX_DEPTH, number=JSONNumber)

_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def media_type(header: str) -> str:
    """Return the media type of a Content-Type header in lower case, without parameters."""
    return header.partition(";")[0].strip().lower()


async def read_body(request: Request, most: int, seconds: float = BODY_SECONDS) -> bytes | None:
    """Receive a body. Return `None`, and leave the rest unread, if it is longer than `most` bytes.

    Raises:
        TimeoutError: the body did not arrive in time.
        ClientDisconnect: the client closed the connection.
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


def read_object(body: bytes, content_type: str) -> dict[str, Any] | None:
    """Parse a body; `None` for an empty one or the literal `null`.

    Integers are exact, other numbers are `JSONNumber`. A body is parsed as a form if its type says so and it
    doesn't begin like JSON. Repeated form values are joined by commas.

    Raises:
        Failure: the body is malformed, names a member twice, or exceeds a limit.
    """
    text = body.decode("utf-8-sig", errors="replace").strip(" \t\r\n")
    if media_type(content_type) == FORM and text[:1] not in ("{", "["):
        return _read_form(body)
    if not text:
        return None
    try:
        value = _READER.read(text)
        if not isinstance(value, dict | None):
            raise JSONError("not a JSON object")
    except JSONError as error:
        raise Failure(400, f"error parsing JSON: {error}") from None
    _CHECKER.decode(text)
    return value


def _refuse_twice(members: list[tuple[str, Any]]) -> None:
    """Refuse an object with two members of one name: readers differ on which of them counts.

    A Vault server answers so, whatever the path and the token are (1.21.1).
    """
    names = set()
    for name, _ in members:
        if name in names:
            shown = name.encode(errors="replace").decode()
            raise Failure(500, f"duplicate key '{shown}' in object")
        names.add(name)


_CHECKER = json.JSONDecoder(object_pairs_hook=_refuse_twice, parse_int=str, parse_float=str)
"""Goes through a text that has been read. Numbers are of no interest to it."""


def _read_form(body: bytes) -> dict[str, Any] | None:
    """Return the fields of a form, as Go's `ParseForm` reads one."""
    text = body.decode(errors="replace")
    if len(body) > MAX_FORM_BYTES or ";" in text or _BROKEN_ESCAPE.search(text):
        raise Failure(400, "error parsing form data")
    fields: dict[str, list[str]] = {}
    for pair in filter(None, text.split("&")):
        name, _, value = pair.partition("=")
        fields.setdefault(unquote_plus(name), []).append(unquote_plus(value))
    return {name: ",".join(values) for name, values in fields.items()} or None
