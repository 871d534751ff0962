"""Writes a `HostResponse` as HTTP, and builds redirects and refusals.

JSON is one line with HTML characters escaped, as from a Vault server.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from authkit.host.messages import HostResponse

__all__ = ["encode", "redirect", "refusal", "write_answer"]

COMMON = {
    "Cache-Control": "no-store",
    "Content-Type": "application/json",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
}
"""On every answer of the API, as on Vault 1.21.1."""
NO_CONTENT = 204
ESCAPED = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def encode(body: Mapping[str, Any]) -> bytes:
    """Return the JSON text of an answer."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.translate(ESCAPED).encode(errors="replace") + b"\n"


def write_answer(answer: HostResponse) -> Response:
    """Return the HTTP response of an answer."""
    content = b""
    if answer.raw is not None:
        content = answer.raw
    elif answer.body is not None:
        content = encode(answer.body)
    response = Response(content, answer.status, COMMON)
    if answer.content_type:
        response.headers["Content-Type"] = answer.content_type
    for name, values in answer.headers.items():
        if not _NAME.fullmatch(name):
            continue
        del response.headers[name]
        for value in values:
            response.headers.append(name, _header_value(value))
    if answer.status == NO_CONTENT:
        del response.headers["Content-Length"]
    return response


_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def _header_value(value: str) -> str:
    """Return a plugin's value as Go's server sends it: UTF-8, on one line."""
    return _CONTROL.sub(" ", value).strip().encode(errors="replace").decode("latin-1")


def refusal(status: int, *texts: str, close: bool = False) -> Response:
    """Return an error answer. `close`: close the connection, since the request is not read to its end."""
    response = write_answer(HostResponse(status=status, body={"errors": list(texts)}))
    if close:
        response.headers["Connection"] = "close"
    return response


def redirect(location: str) -> Response:
    """Return a redirect that keeps method and body."""
    headers = {"Location": location, "Cache-Control": "no-store"}
    return Response(b"", 307, headers, media_type="text/html; charset=utf-8")
