"""Read and write stored records: structs as JSON, by msgspec.

Unknown members are skipped and missing ones take their default, so that shapes can grow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from authkit.host.store.storage import PhysicalStorage

__all__ = ["dump", "load", "load_all"]

T = TypeVar("T")


def dump(record: Any) -> bytes:
    """Return a value as JSON."""
    return msgspec.json.encode(record, enc_hook=_plain)


def load(kind: type[T], data: bytes) -> T:
    """Return the instance of `kind` that `dump` has written.

    Raises:
        ValueError: `data` is not a valid record of that kind.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise ValueError(f"the stored {kind.__name__} cannot be read: {error}") from error


async def load_all(kind: type[T], physical: PhysicalStorage, prefix: str) -> list[T]:
    """Return every record below a prefix.

    Raises:
        ValueError: one of them is not a valid record of that kind.
    """
    return [load(kind, await physical.get(key) or b"") for key in await physical.keys(prefix)]


def _plain(value: object) -> object:
    """Return subclasses of JSON's types, such as `JSONNumber` and mapping proxies, as JSON's own."""
    if isinstance(value, Mapping):
        return dict(value)
    for kind in (float, int, str):
        if isinstance(value, kind):
            return kind(value)
    raise NotImplementedError(f"{type(value).__name__} cannot be stored")
