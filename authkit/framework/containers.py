"""Field types that hold several values: lists, maps, key-value pairs.

Values are tuples and read-only mappings. Scalars are in `authkit.framework.fields`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from authkit.errors import FieldError
from authkit.framework.fields import FieldType, text_of
from authkit.framework.numbers import parse_integer
from authkit.logical import JSONNumber

__all__ = [
    "MAX_DEPTH",
    "CommaIntsType",
    "CommaListType",
    "KVType",
    "ListType",
    "MapType",
    "TextListType",
    "verify_size",
]

MAX_DEPTH: Final = 32
"""How deeply lists and objects may nest; deeper ones serve nobody but an attacker of recursive code."""


class MapType(FieldType[Mapping[str, Any]]):
    """An object with any content. A list of objects is merged from left to right."""

    label = "map"

    @property
    def zero(self) -> Mapping[str, Any]:
        """No entries."""
        return MappingProxyType({})

    def parse(self, name: str, raw: Any) -> Mapping[str, Any]:
        """Return the object, read-only at its top."""
        merged: dict[str, Any] = {}
        for part in raw if isinstance(raw, list | tuple) else [raw]:
            if not isinstance(part, Mapping) and not (part is None and isinstance(raw, list | tuple)):
                raise FieldError(name, "expected a map")
            merged.update(part or {})
        verify_size(name, merged)
        return MappingProxyType(merged)

    def dump(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """Return the object."""
        return dict(value)


class KVType(FieldType[Mapping[str, str]]):
    """Texts by key: an object with scalar values, or a list of `key=value`."""

    label = "keypair"

    @property
    def zero(self) -> Mapping[str, str]:
        """No pairs."""
        return MappingProxyType({})

    def parse(self, name: str, raw: Any) -> Mapping[str, str]:
        """Return the pairs, in the order given. A single text is one pair, commas included."""
        pairs: dict[str, str] = {}
        for part in raw if isinstance(raw, list | tuple) else [raw]:
            if isinstance(part, Mapping):
                pairs |= {key: _scalar(name, value) for key, value in part.items()}
            elif isinstance(part, str) and "=" in part:
                key, _, value = part.partition("=")
                pairs[key] = value
            else:
                raise FieldError(name, "expected an object of texts, or a list of key=value")
        return MappingProxyType(pairs)

    def dump(self, value: Mapping[str, str]) -> dict[str, str]:
        """Return the pairs as an object."""
        return dict(value)


class ListType(FieldType[tuple[Any, ...]]):
    """A list of anything. A single value is a list of one."""

    label = "slice"

    @property
    def zero(self) -> tuple[Any, ...]:
        """No items."""
        return ()

    def parse(self, name: str, raw: Any) -> tuple[Any, ...]:
        """Return the items."""
        verify_size(name, raw)
        return tuple(_items(raw))

    def dump(self, value: tuple[Any, ...]) -> list[Any]:
        """Return the items."""
        return list(value)


class TextListType(FieldType[tuple[str, ...]]):
    """A list of texts, each without blanks around it. A single text is a list of one."""

    label = "slice"

    @property
    def zero(self) -> tuple[str, ...]:
        """No items."""
        return ()

    def parse(self, name: str, raw: Any) -> tuple[str, ...]:
        """Return the texts; empty ones and duplicates stay."""
        if raw == "":
            return ()
        return tuple(_scalar(name, item).strip() for item in _items(self.split(raw)))

    def split(self, raw: Any) -> Any:
        """Return what a single text stands for: itself."""
        return raw

    def dump(self, value: tuple[str, ...]) -> list[str]:
        """Return the texts."""
        return list(value)


class CommaListType(TextListType):
    """A list of texts; a single text is split at its commas, the items of a list are not."""

    def split(self, raw: Any) -> Any:
        """Return the parts of a single text."""
        return raw.split(",") if isinstance(raw, str) else raw


class CommaIntsType(FieldType[tuple[int, ...]]):
    """A list of integers; a single text is split at its commas."""

    label = "slice"

    @property
    def zero(self) -> tuple[int, ...]:
        """No items."""
        return ()

    def parse(self, name: str, raw: Any) -> tuple[int, ...]:
        """Return the integers."""
        if raw == "":
            return ()
        try:
            return tuple(
                parse_integer(item) for item in _items(raw.split(",") if isinstance(raw, str) else raw)
            )
        except ValueError:
            raise FieldError(name, "expected a list of integers") from None

    def dump(self, value: tuple[int, ...]) -> list[int]:
        """Return the integers."""
        return list(value)


def verify_size(name: str, raw: object, limit: int | None = None, *, depth: int = 0) -> int:
    """Return the size of a JSON value: its characters, and one for each item.

    Raises:
        FieldError: it is larger than `limit`, or nested deeper than `MAX_DEPTH`.
    """
    if depth > MAX_DEPTH:
        raise FieldError(name, f"nested deeper than {MAX_DEPTH} levels")
    text = raw.literal if isinstance(raw, JSONNumber) else raw
    size = len(text) if isinstance(text, str) else 1
    parts: list[Any] = []
    if isinstance(raw, Mapping):
        parts = [part for pair in raw.items() for part in pair]
    elif isinstance(raw, list | tuple):
        parts = list(raw)
    for part in parts:
        size += verify_size(name, part, limit, depth=depth + 1)
    if limit is not None and size > limit:
        raise FieldError(name, f"longer than {limit} characters")
    return size


def _items(raw: Any) -> list[Any]:
    if isinstance(raw, list | tuple):
        return list(raw)
    # An empty object is how some clients write an empty list.
    return [] if isinstance(raw, Mapping) and not raw else [raw]


def _scalar(name: str, raw: object) -> str:
    return "" if raw is None else text_of(name, raw)
