"""The values in a template: texts, whole numbers and booleans, as Go treats them."""

from __future__ import annotations

from authkit.names import fold_name

__all__ = ["Scalar", "cut", "is_true", "show", "to_lower", "to_upper", "type_name"]

Scalar = str | int | bool


def type_name(kind: type[Scalar]) -> str:
    """Return what Go calls a type."""
    return "string" if kind is str else kind.__name__


def is_true(value: Scalar) -> bool:
    """Whether `if` takes a value for true: no empty text, no zero, not `false`."""
    return bool(value)


def show(value: Scalar) -> str:
    """Return the text of a value, as `{{ }}` and `%v` write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def cut(text: str, size: int) -> str:
    """Return the longest beginning of `text` that has at most `size` bytes in UTF-8."""
    return text.encode()[:size].decode(errors="ignore")


def to_lower(text: str) -> str:
    """Return what Go's `strings.ToLower` returns."""
    return fold_name(text)


def to_upper(text: str) -> str:
    """Return what Go's `strings.ToUpper` returns: one character for each, so that `ß` stays."""
    return "".join(map(_upper, text)) if not text.isascii() else text.upper()


def _upper(character: str) -> str:
    # Where the full mapping has several characters, the simple one is that of titles, or there is none.
    for changed in (character.upper(), character.title()):
        if len(changed) == 1:
            return changed
    return character
