"""Protobuf's well-known types as Python values, whichever package's generated code they come from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from authkit.errors import InternalError

__all__ = ["EPOCH", "ZERO_TIME_SECONDS", "decode_struct", "decode_time"]

ZERO_TIME_SECONDS = -62_135_596_800
"""Go's zero time, 0001-01-01T00:00:00Z: how a host says "none"."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Struct(Protocol):
    @property
    def fields(self) -> Any: ...


class _Timestamp(Protocol):
    @property
    def seconds(self) -> int: ...
    @property
    def nanos(self) -> int: ...


def decode_struct(struct: _Struct) -> dict[str, Any]:
    """Return the object in a message. Numbers are floats, as `Struct` has no others."""
    return {key: _decode_value(value) for key, value in struct.fields.items()}


def _decode_value(value: Any) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            return decode_struct(value.struct_value)
        case "list_value":
            return [_decode_value(item) for item in value.list_value.values]
        case None | "null_value":
            return None
        case kind:
            return getattr(value, kind)


def decode_time(value: _Timestamp) -> datetime | None:
    """Return the time in UTC, cut down to whole microseconds; `None` for Go's zero time.

    Raises:
        InternalError: it lies beyond the year 9999 or before the year 1.
    """
    if value.seconds == ZERO_TIME_SECONDS and value.nanos == 0:
        return None
    try:
        return EPOCH + timedelta(seconds=value.seconds, microseconds=value.nanos // 1000)
    except OverflowError as exc:
        raise InternalError("a timestamp is out of range") from exc
