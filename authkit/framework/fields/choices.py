"""Field types made from others: a few allowed texts, an enumeration, a value or nothing.

The types they are made from are in `authkit.framework.fields.types` and
`authkit.framework.fields.containers`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Generic, TypeVar

from authkit.errors import FieldError
from authkit.framework.fields.types import UNSET, FieldType, TextType, Unset, text_of

__all__ = ["ChoiceType", "EnumType", "OptionalType"]

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)


class ChoiceType(TextType):
    """One of a few texts."""

    def __init__(self, *choices: str) -> None:
        if not choices:
            raise TypeError("a choice needs at least one text")
        self.choices = choices

    @property
    def zero(self) -> str:
        """The first choice."""
        return self.choices[0]

    def null(self, name: str) -> Unset:
        """Take null as absent: a choice is never empty."""
        return UNSET

    def parse(self, name: str, raw: Any) -> str:
        """Return the text, when it is one of the choices."""
        text = text_of(name, raw)
        if text not in self.choices:
            raise FieldError(name, f"must be one of: {', '.join(self.choices)}")
        return text


class EnumType(FieldType[E], Generic[E]):
    """A member of an enumeration of texts, by its text."""

    def __init__(self, members: type[E]) -> None:
        self.members = members
        self._texts = ChoiceType(*(member.value for member in members))

    @property
    def choices(self) -> tuple[str, ...]:
        """The texts of the members."""
        return self._texts.choices

    @property
    def zero(self) -> E:
        """The first member."""
        return self.members(self._texts.zero)

    def null(self, name: str) -> Unset:
        """Take null as absent."""
        return UNSET

    def parse(self, name: str, raw: Any) -> E:
        """Return the member."""
        return self.members(self._texts.parse(name, raw))

    def dump(self, value: E) -> str:
        """Return the member's text."""
        return value.value


class OptionalType(FieldType[T | None], Generic[T]):
    """A value of another type, or none: for fields that must tell "not set" from zero."""

    def __init__(self, inner: FieldType[T]) -> None:
        self.inner = inner
        self.label = inner.label
        self.secret = inner.secret

    @property
    def zero(self) -> None:
        """None."""
        return

    def parse(self, name: str, raw: Any) -> T:
        """Return the value."""
        return self.inner.parse(name, raw)

    def merge(self, name: str, current: T | None, raw: Any) -> T | None:
        """Return the patched value."""
        return self.inner.merge(name, self.inner.zero if current is None else current, raw)

    def dump(self, value: T | None) -> Any:
        """Return the value as JSON, null for none."""
        return None if value is None else self.inner.dump(value)
