"""Forms: read from a request of this origin, and turned into the fields of a write and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request

from authkit.host.http.bodies import FORM, media_type, read_body, read_object
from authkit.host.messages import Failure
from authkit.host.mount_overview import Field
from authkit.host.page.visits import PageError

__all__ = ["changes", "form_text", "read_form"]

MAX_FORM_BYTES = 1024 * 1024
EMPTY: Mapping[str, object] = {"object": {}, "array": [], "integer": 0, "number": 0, "boolean": False}
"""What is written for a field that was emptied, by the type of its schema. A text is empty."""


async def read_form(request: Request) -> dict[str, str]:
    """Return a form posted from this origin. A request without an Origin header is refused.

    Raises:
        PageError: the origin is another one, or the body is not a valid form within the limits.
    """
    origin = urlsplit(request.headers.get("origin", ""))
    if origin.scheme not in ("http", "https") or origin.netloc != request.headers.get("host", ""):
        raise PageError(403, "Refused", "This form was sent by another site.")
    try:
        body = await read_body(request, MAX_FORM_BYTES)
    except TimeoutError:
        raise PageError(408, "Too slow", "The form did not arrive in time.") from None
    if body is None:
        raise PageError(413, "Too much", "The form holds more than the page accepts.")
    content_type = request.headers.get("content-type", "")
    if media_type(content_type) != FORM:
        raise PageError(415, "Refused", "This is not a form.")
    try:
        read = read_object(body, content_type) or {}
    except Failure as failure:
        raise PageError(failure.status, "Refused", ", ".join(failure.errors)) from None
    return {name: str(value) for name, value in read.items()}


def form_text(field: Field, value: object) -> str:
    """Return the text of a stored value in an input; empty for none, and for a secret."""
    if field.sensitive or value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and all(isinstance(each, str) and _is_plain(each) for each in value):
        return ", ".join(value)
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False) if value else ""
    return str(value)


def _is_plain(element: str) -> bool:
    """Whether a text with commas between a list's elements is read back with this one as it was."""
    is_whole = element == element.strip() != "" and not {",", "\n"} & {*element}
    return is_whole and not element.startswith("[")


def changes(fields: Iterable[Field], form: Mapping[str, str], stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields to write: those that the form has, and empty ones that have a stored value.

    Raises:
        ValueError: a field is not valid JSON; the text names it.
    """
    written = {}
    for field in fields:
        text = form.get(field.name, "").replace("\r\n", "\n").strip()
        if text or form_text(field, stored.get(field.name)):
            written[field.name] = _read(field, text)
    return written


def _read(field: Field, text: str) -> Any:
    if not text:
        return EMPTY.get(field.kind, "")
    if field.kind != "object" and not (field.kind == "array" and text.startswith("[")):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        example = '{"key": "value"}' if field.kind == "object" else '["one", "two"]'
        raise ValueError(f"{field.name} is not JSON, such as {example}") from None
