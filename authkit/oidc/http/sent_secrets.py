"""The secrets of a request: a provider may repeat them in an error, where they are masked."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator, Mapping
from urllib.parse import unquote_plus

from authkit.masking import is_secret_name

__all__ = ["find_sent_secrets"]

_FORM = "application/x-www-form-urlencoded"

_CODES = frozenset({"code", "device_code"})
"""Members of a body that are as good as a token until they are spent."""


def find_sent_secrets(headers: Mapping[str, str], body: bytes | None) -> tuple[str, ...]:
    """Return the secrets of an Authorization header and of a form or JSON object, also as they were sent."""
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    found = list(_in_authorization(headers.get("Authorization", "")))
    if body and kind == _FORM:
        found += _in_form(body)
    elif body and kind == "application/json":
        found += _in_json(body)
    return tuple(dict.fromkeys(found))


def _in_authorization(header: str) -> Iterator[str]:
    scheme, _, value = header.partition(" ")
    if value:
        yield value
    if scheme == "Basic":
        _, _, password = b64decode(value).decode().partition(":")
        # A client secret is form-encoded before that (RFC 6749, section 2.3.1).
        yield from (password, unquote_plus(password))


def _in_form(body: bytes) -> Iterator[str]:
    for member in body.decode(errors="replace").split("&"):
        name, _, value = member.partition("=")
        if _is_secret(unquote_plus(name)):
            yield from (value, unquote_plus(value))


def _in_json(body: bytes) -> Iterator[str]:
    try:
        content = json.loads(body)
    except ValueError:
        return
    for name, value in content.items() if isinstance(content, dict) else ():
        if isinstance(value, str) and _is_secret(name):
            yield from (value, json.dumps(value)[1:-1])


def _is_secret(name: str) -> bool:
    return name in _CODES or is_secret_name(name)
