"""The small parts of messages: durations, times, lists of text. Checked here, once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from datetime import datetime, timedelta

from authkit.errors import InternalError
from authkit.wire.pb.timestamp_pb2 import Timestamp
from authkit.wire.well_known import EPOCH, ZERO_TIME_SECONDS, decode_time

__all__ = [
    "MAX_DURATION",
    "decode_duration",
    "decode_time",
    "encode_duration",
    "encode_positive_duration",
    "encode_time",
    "fill_map",
    "texts",
    "zero_time",
]

MAX_DURATION = timedelta(microseconds=(2**63 - 1) // 1000)
"""292 years: what a signed 64-bit count of nanoseconds can hold. Longer ones are cut to it."""

_MICROSECOND = timedelta(microseconds=1)


def fill_map(field: MutableMapping[str, str], values: Mapping[str, str]) -> None:
    """Copy `values` into the map of a message: its constructor and its `update` take five times as long."""
    for key, value in values.items():
        field[key] = value


def encode_duration(value: timedelta) -> int:
    """Return the nanoseconds of `value`, which is cut to `MAX_DURATION` either way."""
    return min(max(value, -MAX_DURATION), MAX_DURATION) // _MICROSECOND * 1000 if value else 0


def encode_positive_duration(value: timedelta, what: str) -> int:
    """Return the nanoseconds of `value`, cut to `MAX_DURATION`.

    Raises:
        InternalError: it is negative. Hosts have no defined behaviour for a negative lifetime.
    """
    if value.days < 0:
        raise InternalError(f"{what} is negative")
    return encode_duration(value)


def decode_duration(nanoseconds: int) -> timedelta:
    """Return the duration, cut down to whole microseconds."""
    return timedelta(microseconds=nanoseconds // 1000)


def encode_time(value: datetime | None) -> Timestamp:
    """Return the timestamp, for `None` Go's zero time: a host refuses an absent one.

    Raises:
        InternalError: `value` has no time zone.
    """
    if value is None:
        return zero_time()
    if value.tzinfo is None:
        raise InternalError("a time has no time zone")
    seconds, rest = divmod(value - EPOCH, timedelta(seconds=1))
    return Timestamp(seconds=seconds, nanos=rest // _MICROSECOND * 1000)


def zero_time() -> Timestamp:
    """Return Go's zero time."""
    return Timestamp(seconds=ZERO_TIME_SECONDS)


def texts(value: Iterable[str], what: str) -> list[str]:
    """Return the texts as a list.

    Raises:
        InternalError: it is a single text, whose letters would be sent one by one, or holds
            something else than text.
    """
    if value == ():
        return []
    items = [value] if isinstance(value, str | bytes) else list(value)
    if isinstance(value, str | bytes) or not all(isinstance(item, str) for item in items):
        raise InternalError(f"{what} is not a list of texts")
    return items
