"""How much a client may send in one field.

Only requests are measured: what is stored has passed once, and an operator must never be locked out of
an object by a bound. Narrower bounds for single fields are declared with `field(max_length=...)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from authkit.errors import FieldError
from authkit.logical import JSONNumber

__all__ = ["MAX_DEPTH", "MAX_FIELD_SIZE", "MAX_ITEMS", "verify_size"]

MAX_DEPTH: Final = 32
"""How deeply lists and objects may nest; deeper ones serve nobody but an attacker of recursive code."""

MAX_FIELD_SIZE: Final = 2**20
"""Characters in one field, one more for each item: hosts store no larger entry (Vault's integrated
storage, max_entry_size), and let clients send 32 MiB."""

MAX_ITEMS: Final = 10_000
"""Items of one list or object. A text of commas would otherwise become millions of them."""


def verify_size(name: str, raw: object, limit: int | None = None, *, depth: int = 0) -> int:
    """Return the size of a JSON value: its characters, and one for each item.

    Nothing is looked at beyond what is too much already.

    Raises:
        FieldError: it is larger than `limit`, has more than `MAX_ITEMS` items in one place, or is
            nested deeper than `MAX_DEPTH`.
    """
    if type(raw) is str:  # nearly always
        _verify_within(name, len(raw), limit)
        return len(raw)
    if depth > MAX_DEPTH:
        raise FieldError(name, f"nested deeper than {MAX_DEPTH} levels")
    text = raw.literal if isinstance(raw, JSONNumber) else raw
    size = len(text) if isinstance(text, str) else 1
    parts: list[Any] = []
    if isinstance(raw, Mapping | list | tuple):
        if limit is not None and len(raw) > MAX_ITEMS:
            raise FieldError(name, f"more than {MAX_ITEMS} items")
        parts = [part for pair in raw.items() for part in pair] if isinstance(raw, Mapping) else list(raw)
    _verify_within(name, size, limit)
    for part in parts:
        size += verify_size(name, part, limit, depth=depth + 1)
        _verify_within(name, size, limit)
    return size


def _verify_within(name: str, size: int, limit: int | None) -> None:
    if limit is not None and size > limit:
        raise FieldError(name, f"longer than {limit} characters")
