"""Field types that hold several values: lists, maps, key-value pairs.

Values are tuples and read-only mappings. Scalars are in `authkit.framework.fields.types`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from authkit.errors import FieldError
from authkit.framework.fields.limits import MAX_ITEMS, verify_size
from authkit.framework.fields.merge_patch import merge_patch
from authkit.framework.fields.numbers import parse_integer
from authkit.framework.fields.types import FieldType, text_of

__all__ = [
    "CommaIntsType",
    "CommaListType",
    "KVType",
    "ListType",
    "MapType",
    "TextListType",
]


class MapType(FieldType[Mapping[str, Any]]):
    """An object with any content. A list of objects is merged from left to right."""

    label = "map"

    @property
    def zero(self) -> Mapping[str, Any]:
        """No entries."""
        return MappingProxyType({})

    def parse(self, name: str, raw: Any) -> Mapping[str, Any]:
        """Return the object, read-only."""
        merged: dict[str, Any] = {}
        for part in raw if isinstance(raw, list | tuple) else [raw]:
            if not isinstance(part, Mapping) and not (part is None and isinstance(raw, list | tuple)):
                raise FieldError(name, "expected a map")
            merged.update(part or {})
        verify_size(name, merged)
        return MappingProxyType(merged)

    def merge(self, name: str, current: Mapping[str, Any], raw: Any) -> Mapping[str, Any]:
        """Return the object with the members of `raw` merged into it, at every level; null removes one."""
        return self.parse(name, merge_patch(current, raw))

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

    def merge(self, name: str, current: Mapping[str, str], raw: Any) -> Mapping[str, str]:
        """Return the pairs with those of `raw` replaced; null removes one."""
        return self.parse(name, merge_patch(current, raw))

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
        return tuple(_scalar(name, item).strip() for item in _items(self.split(name, raw)))

    def split(self, name: str, raw: Any) -> Any:
        """Return the items of a single text: the text itself."""
        return raw

    def dump(self, value: tuple[str, ...]) -> list[str]:
        """Return the texts."""
        return list(value)


class CommaListType(TextListType):
    """A list of texts; a single text is split at its commas, the items of a list are not."""

    def split(self, name: str, raw: Any) -> Any:
        """Return the parts of a single text."""
        return _split(name, raw)


class CommaIntsType(FieldType[tuple[int, ...]]):
    """A list of integers; a single text is split at its commas."""

    label = "slice"

    @property
    def zero(self) -> tuple[int, ...]:
        """No items."""
        return ()

    def parse(self, name: str, raw: Any) -> tuple[int, ...]:
        """Return the integers. Where there are commas and blanks alone there are none."""
        items = _items(_split(name, raw))
        if all(item is None or (isinstance(item, str) and not item.strip()) for item in items):
            return ()
        try:
            return tuple(map(parse_integer, items))
        except ValueError:
            raise FieldError(name, "expected a list of integers") from None

    def dump(self, value: tuple[int, ...]) -> list[int]:
        """Return the integers."""
        return list(value)


def _split(name: str, raw: Any) -> Any:
    if not isinstance(raw, str):
        return raw
    if raw.count(",") >= MAX_ITEMS:
        raise FieldError(name, f"more than {MAX_ITEMS} items")
    return raw.split(",")


def _items(raw: Any) -> list[Any]:
    if isinstance(raw, list | tuple):
        return list(raw)
    # An empty object is how some clients write an empty list.
    return [] if isinstance(raw, Mapping) and not raw else [raw]


def _scalar(name: str, raw: object) -> str:
    return "" if raw is None else text_of(name, raw)
