"""What a request has in secret fields, as texts: to be masked in the answer to that very request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from authkit.errors import AuthKitError
from authkit.framework.fields.numbers import number_text
from authkit.framework.fields.schema import FieldSchema
from authkit.framework.fields.types import UNSET

__all__ = ["secret_texts"]

MAX_TEXTS: Final = 1000
"""Texts of one field. Real ones have a handful; a stranger may send millions, which are searched for."""


def secret_texts(schema: Mapping[str, FieldSchema], data: Mapping[str, Any]) -> tuple[str, ...]:
    """Return every text in the fields of `data` that are never shown: as sent, and as converted."""
    found: dict[str, None] = {}
    for name, declared in schema.items():
        if declared.sensitive and name in data:
            found |= dict.fromkeys(islice(_texts(data[name]), MAX_TEXTS))
            found |= dict.fromkeys(islice(_texts(_converted(declared, data[name])), MAX_TEXTS))
    return tuple(found)


def _converted(declared: FieldSchema, raw: object) -> object:
    """Return the value as it is stored: a text may have become a list, or lost its blanks."""
    try:
        value = declared.convert(raw)
        return None if value is UNSET else declared.type.dump(value)
    except AuthKitError:
        return None


def _texts(raw: object) -> Iterator[str]:
    pending = [raw]
    while pending:
        part = pending.pop()
        if isinstance(part, str):
            if part:
                yield part
        elif isinstance(part, Mapping):
            pending.extend(islice(part.values(), MAX_TEXTS))
        elif isinstance(part, list | tuple):
            pending.extend(islice(part, MAX_TEXTS))
        elif isinstance(part, int | float) and not isinstance(part, bool):
            yield number_text(part)
