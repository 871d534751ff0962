"""The value of a storage entry: compact JSON, with every digit of every number.

Models: `authkit.framework.models`. What a host is sent is another JSON, which has forms for bytes, times
and integers that a host would round: see `authkit.wire.jsontext`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from authkit.json_reader import LenientReader
from authkit.logical import JSONNumber

__all__ = ["decode_entry", "encode_entry"]


def encode_entry(value: Mapping[str, Any]) -> bytes:
    """Return the object as JSON. `JSONNumber` keeps its literal.

    Raises:
        ValueError: there is something in it that JSON cannot express.
    """
    return _encode(value).encode()


def decode_entry(data: bytes) -> dict[str, Any]:
    """Return the object that `encode_entry` wrote; numbers with fraction or exponent as `JSONNumber`.

    Raises:
        ValueError: it is not JSON, or not an object.
    """
    return _READER.read_object(data)


_READER: Final = LenientReader(number=JSONNumber)


def _encode(value: Any) -> str:
    if isinstance(value, JSONNumber):
        return value.literal
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{json.dumps(str(k))}:{_encode(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_encode, value)) + "]"
    if value is None or isinstance(value, str | int | float):
        return json.dumps(value, allow_nan=False)
    raise ValueError(f"{type(value).__name__} is not JSON")
