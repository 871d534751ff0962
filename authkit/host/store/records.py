"""Records as JSON and back: the form in which the host keeps its own state.

Members that a record does not know are skipped, missing ones have their default, so that shapes can grow.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar, cast

from msgspec import DecodeError
from msgspec.json import Decoder, Encoder

__all__ = ["dump", "load"]

T = TypeVar("T")


def dump(record: object) -> bytes:
    """Return a record as JSON."""
    return _ENCODER.encode(record)


def load(kind: type[T], data: bytes) -> T:
    """Return the record of this kind that `dump` has written.

    Raises:
        ValueError: `data` is something else.
    """
    try:
        value: T = _decoder(cast("Any", kind)).decode(data)
    except DecodeError as error:
        raise ValueError(f"the stored {kind.__name__} cannot be read: {error}") from error
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, float):
        return float(value)
    raise TypeError(f"a {type(value).__name__} cannot be stored")


_ENCODER = Encoder(enc_hook=_plain)


@cache
def _decoder(kind: Any) -> Decoder[Any]:
    return Decoder(kind)
