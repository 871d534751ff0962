"""The JSON inside the messages: objects as text, strict in both directions.

Hosts put free-form data into string fields as JSON (Vault SDK 0.21, plugin/pb/translation.go). What
the values mean: field schemas and models.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Callable, Coroutine, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from enum import Enum
from json.encoder import encode_basestring_ascii as _quote
from typing import Any, NoReturn

from authkit.errors import BadRequestError, InternalError
from authkit.json_reader import JSONError, LenientReader, TooDeepError, TooManyValuesError, is_deeper_than
from authkit.logical import JSONNumber
from authkit.masking import Secret

__all__ = ["MAX_DEPTH", "MAX_EXACT_INTEGER", "MAX_REQUEST_VALUES", "NULL", "decode_object", "encode_object"]

MAX_DEPTH = 256
"""Deepest nesting accepted and sent. Values are walked recursively, and Python allows 1000 calls."""

MAX_REQUEST_VALUES = 250_000
"""Values of one request, and commas and brackets in its texts. A host lets strangers send 32 MiB (Vault 1.21,
max_request_size), each value of which costs a microsecond and a hundred bytes here. No entry that it
stores has more than 1 MiB, and fields have at most 10,000 items (`authkit.framework.fields.limits`)."""

MAX_EXACT_INTEGER = 2**53
"""Beyond it a host, which reads numbers as 64-bit floats, would round: such integers are sent as strings."""

MAX_KEY_IN_PATH = 64
"""Characters of a key shown in an error: enough to find it, too few to flood a log."""

NULL = "null"
"""The text for "no data". The empty string is none: a host fails to parse it."""


# --- from the host -----------------------------------------------------------------------------


def decode_object(text: str, *, is_request: bool = False) -> dict[str, Any] | None:
    """Return the object in `text`, `None` for the literal `null`. A request has `MAX_REQUEST_VALUES` at most.

    Integers are exact, other numbers are `JSONNumber`. As in Go the last of several equal keys
    counts, and half a surrogate pair becomes U+FFFD.

    Raises:
        BadRequestError: it is not JSON, not an object, or exceeds a limit: a number that no float can
            hold, an integer of thousands of digits, nesting deeper than `MAX_DEPTH`, too many values.
    """
    if text == NULL:
        return None
    try:
        value = (_REQUESTS if is_request else _OTHERS).read(text)
    except TooManyValuesError:
        raise BadRequestError("the request's data has too many values") from None
    except TooDeepError:
        raise BadRequestError("the request's data is nested too deeply") from None
    except JSONError:
        raise BadRequestError("the request's data is not valid JSON") from None
    if value is not None and not isinstance(value, dict):
        raise BadRequestError("the request's data is not a JSON object")
    return value


_REQUESTS = LenientReader(max_depth=MAX_DEPTH, number=JSONNumber, max_values=MAX_REQUEST_VALUES)
_OTHERS = LenientReader(max_depth=MAX_DEPTH, number=JSONNumber)


# --- to the host -------------------------------------------------------------------------------


def encode_object(value: Mapping[str, Any] | None, what: str = "data") -> str:
    """Return the JSON text of an object, `null` for `None`; never an empty string.

    Beyond JSON's own types: bytes become standard base64, a `timedelta` whole seconds, a `datetime`
    RFC 3339 in UTC, an enumeration its value, tuples and sets (sorted) lists. An integer beyond
    `MAX_EXACT_INTEGER` becomes a string. A `JSONNumber` keeps its literal.

    Raises:
        InternalError: something cannot be sent (a `Secret` for one). It names the place, beginning
            with `what`, and the reason, never the value.
    """
    if value is None:
        return NULL
    try:
        if type(value) is not dict and not isinstance(value, Mapping):
            raise _Unsendable(f"a {type(value).__name__} is not an object")
        text = _text(value)
    except _Unsendable as exc:
        raise InternalError(f"{what}{exc.place()}: {exc.reason}") from None
    except RecursionError:
        raise InternalError(f"{what}: nested too deeply, or contains itself") from None
    if is_deeper_than(MAX_DEPTH, value, text):
        # It would be refused when it comes back: internal data does, at renewal.
        raise InternalError(f"{what}: nested too deeply")
    return text


class _Unsendable(Exception):
    """Collects the way to a value while it passes the containers around it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.steps: list[str] = []

    def place(self) -> str:
        return "".join(reversed(self.steps))


def _text(value: Any) -> str:
    writer = _WRITERS.get(type(value))
    if writer is None:
        writer = next((write for kind, write in _KINDS if isinstance(value, kind)), _refuse)
    return writer(value)


def _object(value: Mapping[Any, Any]) -> str:
    members = []
    for key, member in value.items():
        if not isinstance(key, str):
            raise _Unsendable(f"a key is a {type(key).__name__}, not text")
        if type(member) is str:  # most are
            members.append(f"{_quote(key)}:{_quote(member)}")
            continue
        try:
            members.append(f"{_quote(key)}:{_text(member)}")
        except _Unsendable as exc:
            exc.steps.append(f".{key[:MAX_KEY_IN_PATH]}")
            raise
    return "{" + ",".join(members) + "}"


def _array(value: Sequence[Any]) -> str:
    items = []
    for index, item in enumerate(value):
        try:
            items.append(_text(item))
        except _Unsendable as exc:
            exc.steps.append(f"[{index}]")
            raise
    return "[" + ",".join(items) + "]"


def _set(value: AbstractSet[Any]) -> str:
    try:
        return _array(sorted(value))
    except TypeError:
        raise _Unsendable("a set whose members have no order") from None


def _integer(value: int) -> str:
    try:
        literal = int.__repr__(value)
    except ValueError:
        raise _Unsendable("an integer of too many digits") from None
    return literal if -MAX_EXACT_INTEGER <= value <= MAX_EXACT_INTEGER else f'"{literal}"'


def _float(value: float) -> str:
    if not math.isfinite(value):
        raise _Unsendable("a number that is not finite")
    return float.__repr__(value)


def _literal(value: JSONNumber) -> str:
    _float(value)
    return value.literal


def _base64(value: bytes) -> str:
    return f'"{b64encode(value).decode()}"'


def _seconds(value: timedelta) -> str:
    return str(value.days * 86_400 + value.seconds)


def _time(value: datetime) -> str:
    if value.tzinfo is None:
        raise _Unsendable("a datetime without time zone")
    try:
        return f'"{value.astimezone(UTC).replace(tzinfo=None).isoformat()}Z"'
    except OverflowError:
        raise _Unsendable("a datetime out of range") from None


def _refuse(value: Any) -> NoReturn:
    kind = type(value).__name__
    if isinstance(value, Secret):
        raise _Unsendable("a Secret is never sent")
    hint = ": is an 'await' missing?" if isinstance(value, Coroutine) else ""
    raise _Unsendable(f"a {kind} has no JSON form{hint}")


_WRITERS: dict[type, Callable[[Any], str]] = {
    str: _quote,
    bool: lambda value: "true" if value else "false",
    type(None): lambda _: NULL,
    int: _integer,
    float: _float,
    JSONNumber: _literal,
    dict: _object,
    list: _array,
    tuple: _array,
}

# For subclasses and rarer types; the order matters (an IntEnum is an int, a bytes a sequence).
_KINDS: tuple[tuple[Any, Callable[[Any], str]], ...] = (
    (Secret, _refuse),
    (Enum, lambda value: _text(value.value)),
    (str, _quote),
    (JSONNumber, _literal),
    (int, _integer),
    (float, _float),
    (bytes | bytearray | memoryview, _base64),
    (timedelta, _seconds),
    (datetime, _time),
    (Mapping, _object),
    (AbstractSet, _set),
    (Sequence, _array),
)
