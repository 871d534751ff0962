"""What is in the body of an HTTP request: one JSON object or a form, within the limits of a Vault server.

Statuses and texts are those that Vault 1.21.1 was seen to answer: broken JSON in an object or list is a
500 there, broken JSON elsewhere a 400. Reading the bytes from the connection is left to application.py.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any, NoReturn
from urllib.parse import unquote_plus

from authkit.host.messages import Failure
from authkit.logical import JSONNumber
from authkit.values import Value

__all__ = [
    "FORM",
    "LIMITS",
    "MAX_BODY_BYTES",
    "Limits",
    "check_limits",
    "media_type",
    "read_object",
]

MAX_BODY_BYTES = 32 * 1024 * 1024
"""Vault's default `max_request_size`."""
MAX_FORM_BYTES = 10 * 1024 * 1024
"""The largest form that Go's `ParseForm` reads, whatever the server allows."""
FORM = "application/x-www-form-urlencoded"
WHITESPACE = b" \t\r\n"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MAX_FLOAT_DIGITS = 308
"""Decimal digits of the largest 64-bit float: a longer integer is out of range for the server."""


class Limits(Value, frozen=True):
    """How large JSON may be. The defaults are those of a Vault 1.21 listener; nothing else sets them."""

    depth: int = 300
    """Containers inside each other."""
    string_bytes: int = 1024 * 1024
    """Length of one text."""
    object_entries: int = 10_000
    """Members of one object."""
    array_elements: int = 10_000
    """Elements of one list."""
    tokens: int = 500_000
    """Values, keys and punctuation in all."""


LIMITS = Limits()


def media_type(header: str) -> str:
    """Return the type in a Content-Type header without its parameters, in small letters; "" for none."""
    return header.partition(";")[0].strip().lower()


def read_object(body: bytes, content_type: str) -> dict[str, Any] | None:
    """Return what a client wrote; `None` when it wrote nothing, or the literal `null`.

    Integers are exact, other numbers are `JSONNumber`. A form is read where the type says that it is one and
    it doesn't begin like JSON; several values of one name are joined by commas.

    Raises:
        Failure: it is neither, or too large.
    """
    start = body.lstrip(WHITESPACE)[:1]
    if media_type(content_type) == FORM and start not in (b"{", b"["):
        return _read_form(body)
    value = check_limits(body)
    if value is None:
        return None
    if not isinstance(value, dict):
        kind = _go_kind(value)
        raise _parse_error(f"json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}")
    return value


def check_limits(body: bytes, limits: Limits = LIMITS) -> Any:
    """Return the JSON value in `body`, `None` when it is empty.

    Raises:
        Failure: it is no JSON, has a key twice in one object, or exceeds the limits.
    """
    text = body.removeprefix(BYTE_ORDER_MARK).decode(errors="replace").strip(" \t\r\n")
    if not text:
        return None
    try:
        value = _DECODER.decode(text)
    except _RefusedError as error:
        raise _broken(text, str(error)) from None
    except RecursionError:
        raise Failure(500, "JSON input exceeds allowed nesting depth") from None
    except json.JSONDecodeError as error:
        raise _syntax_error(text, error) from None
    return _whole(value, limits)


# --- decoding ----------------------------------------------------------------------------------


class _RefusedError(Exception):
    """JSON that Python takes and Vault does not."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for key, value in pairs:
        if key in members:
            raise _RefusedError(f"duplicate key '{key}' in object")
        members[key] = value
    return members


def _float(literal: str) -> JSONNumber:
    number = JSONNumber(literal)
    if math.isinf(number):
        raise _RefusedError(f"malformed JSON, invalid number syntax for '{literal}'")
    return number


def _integer(literal: str) -> int:
    if len(literal.lstrip("-")) > MAX_FLOAT_DIGITS:
        _float(literal)
    return int(literal)


def _constant(name: str) -> NoReturn:
    if name.startswith("-"):
        raise _RefusedError("malformed JSON, invalid number syntax for '-'")
    raise _RefusedError(f"invalid character '{name[0]}' looking for beginning of value")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_float, parse_int=_integer, parse_constant=_constant
)


# --- the limits --------------------------------------------------------------------------------


def _whole(value: Any, limits: Limits) -> Any:
    """Return the value with half surrogate pairs replaced, as Go does.

    Raises:
        Failure: it exceeds the limits.
    """
    _check_size(value, limits)
    tokens, depth, level = 0, 0, [value]
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        tokens += sum(map(_own_tokens, level))
        if depth > limits.depth:
            raise Failure(500, "JSON input exceeds allowed nesting depth")
        if tokens > limits.tokens:
            raise Failure(500, "JSON payload exceeds allowed token count")
        level = [child for container in level for child in _children(container)]
        for child in level:
            _check_size(child, limits)
    return _without_halves(value)


def _own_tokens(container: dict[str, Any] | list[Any]) -> int:
    """Count its brackets, commas, keys, colons and values that aren't containers themselves."""
    members = list(_children(container))
    each = 4 if isinstance(container, dict) else 2
    return (
        1 + (not members) + each * len(members) - sum(isinstance(member, dict | list) for member in members)
    )


def _check_size(value: Any, limits: Limits) -> None:
    if isinstance(value, dict):
        if len(value) > limits.object_entries:
            raise Failure(500, "JSON object exceeds allowed entry count")
        for key in value:
            _check_size(key, limits)
    elif isinstance(value, list):
        if len(value) > limits.array_elements:
            raise Failure(500, "JSON array exceeds allowed element count")
    elif isinstance(value, str):
        if len(value) > limits.string_bytes or len(value.encode(errors="replace")) > limits.string_bytes:
            raise Failure(500, "JSON string value exceeds allowed length")
        if "\ud800" <= value[-1:] <= "\udbff":
            raise Failure(500, "malformed JSON, unterminated surrogate pair in string")


def _children(container: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return container.values() if isinstance(container, dict) else container


_HALF = re.compile("[\ud800-\udfff]")


def _without_halves(value: Any) -> Any:
    if isinstance(value, str):
        return _HALF.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_halves(item) for item in value]
    if isinstance(value, dict):
        return {_HALF.sub("\ufffd", key): _without_halves(member) for key, member in value.items()}
    return value


# --- the texts of Go's decoder -----------------------------------------------------------------

_LITERALS = {"t": "true", "f": "false", "n": "null"}


def _syntax_error(text: str, error: json.JSONDecodeError) -> Failure:
    """Say what is wrong in the words of Vault's decoder."""
    at, reason = error.pos, error.msg
    if reason.startswith("Unterminated string"):
        return _broken(text, "malformed JSON, unclosed string")
    if reason.startswith("Invalid control"):
        return _parse_error(f"invalid character '\\x{ord(text[at]):02x}' in string literal")
    if reason.startswith("Invalid \\"):
        return _broken(text, f"invalid character '{text[at + 1 : at + 2]}' in string escape code")
    found = text[at : at + 1]
    if not found:
        return _broken(text, "malformed JSON, unclosed containers")
    if reason == "Extra data":
        return _broken(text, f"invalid character '{found}' after top-level value")
    if reason.startswith("Expecting ':'"):
        return _parse_error(f"invalid character '{found}' after object key")
    if reason.startswith("Expecting ','"):
        if found.isdigit() and text[at - 1] == "0":
            return _broken(text, f"invalid character '{found}' after top-level value")
        return _parse_error(f"invalid character '{found}' after object key:value pair or array element")
    return _missing_value(text, at)


def _missing_value(text: str, at: int) -> Failure:
    """Say what stands where a key or a value should."""
    # From 3.13 on Python points at the comma before a closing bracket, earlier at the bracket.
    closing = text[at:].lstrip(", \t\r\n")[:1]
    if closing in ("}", "]") and text[: at + 1].rstrip("}] \t\r\n").endswith(","):
        what = "object key-value pair" if closing == "}" else "array element"
        return _broken(text, f"invalid character '{closing}' after {what}")
    literal = _LITERALS.get(text[at])
    if literal is None:
        return _broken(text, f"invalid character '{text[at]}' looking for beginning of value")
    wrong = next(i for i, expected in enumerate(literal) if text[at + i : at + i + 1] != expected)
    found = text[at + wrong : at + wrong + 1]
    if not found:
        return _parse_error("unexpected EOF")
    return _parse_error(f"invalid character '{found}' in literal {literal} (expecting '{literal[wrong]}')")


def _broken(text: str, reason: str) -> Failure:
    """Return the error of Vault's first look at the body, which only reads objects and lists."""
    return Failure(500, reason) if text[0] in "{[" else _parse_error(reason)


def _parse_error(reason: str) -> Failure:
    return Failure(400, f"error parsing JSON: failed to parse JSON input: {reason}")


def _go_kind(value: Any) -> str:
    kinds = {bool: "bool", int: "number", JSONNumber: "number", str: "string", list: "array"}
    return kinds[type(value)]


# --- forms -------------------------------------------------------------------------------------

_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


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
