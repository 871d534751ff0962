"""What a field of a request can hold: conversion from JSON, and back.

Absent, null and empty are three things: an absent field is `UNSET`, null becomes what the type says (for
most types its empty value, as with Vault), and only then comes a value. Lists and maps are in
`authkit.framework.fields.containers`, headers in `authkit.framework.fields.headers`, types made from others
in `authkit.framework.fields.choices`; which fields a path has: `authkit.framework.fields.schema`.

The conversions are those of Vault SDK 0.21, framework/field_data.go, as a builtin method sees them.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Final, Generic, TypeVar

from authkit.errors import FieldError
from authkit.framework.fields.durations import parse_duration, seconds_to_duration
from authkit.framework.fields.numbers import number_text, parse_integer, parse_real
from authkit.masking import Secret

__all__ = [
    "UNSET",
    "BoolType",
    "DurationType",
    "FieldType",
    "FloatType",
    "IntType",
    "LowerTextType",
    "NameType",
    "SecretType",
    "TextType",
    "TimeType",
    "Unset",
    "is_name",
    "text_of",
]

T = TypeVar("T")

_NAME: Final = re.compile(r"\w(?:[\w.-]*\w)?", re.ASCII)
_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)
_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE: Final = frozenset({"", "0", "f", "F", "FALSE", "false", "False"})


class Unset(Enum):
    """The type of `UNSET`."""

    UNSET = "unset"

    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> bool:
        return False


UNSET: Final = Unset.UNSET
"""In place of a value: the request did not set this field."""


class FieldType(ABC, Generic[T]):
    """How a field is read from a request, kept and shown. Subclass it for a type of your own."""

    label: str = "string"
    """What help pages call it."""
    secret: bool = False
    """Whether the value is written but never shown."""

    @property
    @abstractmethod
    def zero(self) -> T:
        """The empty value."""

    @abstractmethod
    def parse(self, name: str, raw: Any) -> T:
        """Return the value of anything but null; a value of this type is returned as it is.

        Raises:
            FieldError: `raw` cannot be converted. The reason says what was expected.
        """

    def null(self, name: str) -> T | Unset:
        """Return the value of null."""
        return self.zero

    def convert(self, name: str, raw: object) -> T | Unset:
        """Return the value of any JSON value.

        Raises:
            FieldError: it cannot be converted.
        """
        return self.null(name) if raw is None else self.parse(name, raw)

    def merge(self, name: str, current: T, raw: Any) -> T:
        """Return what a patch with `raw`, which is not null, makes of `current`: by default the new value.

        Raises:
            FieldError: `raw` cannot be converted.
        """
        return self.parse(name, raw)

    def dump(self, value: T) -> Any:
        """Return the value as JSON: what `parse` reads again, and what a read shows."""
        return value

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        return hash(type(self))


class TextType(FieldType[str]):
    """Text. A number counts as its digits, a boolean as `1` or `0`."""

    @property
    def zero(self) -> str:
        """The empty text."""
        return ""

    def parse(self, name: str, raw: Any) -> str:
        """Return the text."""
        return raw if type(raw) is str else text_of(name, raw)


class LowerTextType(TextType):
    """Text in lower case."""

    label = "lowercase string"

    def parse(self, name: str, raw: Any) -> str:
        """Return the text in lower case."""
        return (raw if type(raw) is str else text_of(name, raw)).lower()


class NameType(TextType):
    """A name: ASCII word characters, with `-` and `.` inside. Never empty."""

    label = "name string"

    def null(self, name: str) -> str:
        """Refuse null."""
        return self.parse(name, "")

    def parse(self, name: str, raw: Any) -> str:
        """Return the name."""
        text = text_of(name, raw)
        if not is_name(text):
            raise FieldError(name, "field does not match the formatting rules")
        return text


class SecretType(FieldType[Secret]):
    """Text that is accepted and never shown."""

    secret = True

    @property
    def zero(self) -> Secret:
        """The empty secret."""
        return Secret("")

    def parse(self, name: str, raw: Any) -> Secret:
        """Return the text, wrapped."""
        if type(raw) is str:
            return Secret(raw)
        return raw if isinstance(raw, Secret) else Secret(text_of(name, raw))

    def dump(self, value: Secret) -> str:
        """Return the text itself: for storage alone."""
        return value.reveal()


class IntType(FieldType[int]):
    """An integer of 64 bits, exact."""

    label = "int"

    @property
    def zero(self) -> int:
        """0."""
        return 0

    def parse(self, name: str, raw: Any) -> int:
        """Return the integer; `1.0` and `1e3` are integers, `1.5` is not."""
        try:
            return parse_integer(raw)
        except ValueError as error:
            raise FieldError(name, str(error)) from None


class BoolType(FieldType[bool]):
    """A boolean, also as 0 and 1 or as text."""

    label = "bool"

    @property
    def zero(self) -> bool:
        """False."""
        return False

    def parse(self, name: str, raw: Any) -> bool:
        """Return the boolean."""
        if isinstance(raw, bool):
            return raw
        if isinstance(raw, str) and raw in _TRUE | _FALSE:
            return raw in _TRUE
        if isinstance(raw, int | float) and raw in (0, 1):
            return bool(raw)
        raise FieldError(name, "expected true or false")


class FloatType(FieldType[float]):
    """A finite number."""

    label = "float"

    @property
    def zero(self) -> float:
        """0.0."""
        return 0.0

    def parse(self, name: str, raw: Any) -> float:
        """Return the number."""
        try:
            return parse_real(raw)
        except ValueError as error:
            raise FieldError(name, str(error)) from None


class DurationType(FieldType[timedelta]):
    """A duration in whole seconds; finer ones are cut. Null counts as absent."""

    label = "duration (sec)"

    def __init__(self, *, signed: bool = False) -> None:
        self.signed = signed

    @property
    def zero(self) -> timedelta:
        """No time at all."""
        return timedelta(0)

    def null(self, name: str) -> Unset:
        """Take null as absent."""
        return UNSET

    def parse(self, name: str, raw: Any) -> timedelta:
        """Return the duration."""
        try:
            duration = _duration(raw)
        except ValueError as error:
            raise FieldError(name, str(error)) from None
        if duration < timedelta(0) and not self.signed:
            raise FieldError(name, "cannot provide negative value")
        return timedelta(seconds=int(duration.total_seconds()))

    def dump(self, value: timedelta) -> int:
        """Return whole seconds."""
        return int(value.total_seconds())


class TimeType(FieldType[datetime]):
    """A moment in UTC, given as RFC 3339 or in seconds since 1970. Null counts as absent."""

    label = "time"

    @property
    def zero(self) -> datetime:
        """The year 1, as in Go."""
        return datetime.min.replace(tzinfo=UTC)

    def null(self, name: str) -> Unset:
        """Take null as absent."""
        return UNSET

    def parse(self, name: str, raw: Any) -> datetime:
        """Return the moment."""
        if isinstance(raw, datetime) and raw.tzinfo is not None:
            return raw.astimezone(UTC)
        try:
            if isinstance(raw, str) and _TIME.fullmatch(raw):
                return datetime.fromisoformat(raw).astimezone(UTC)
            if not isinstance(raw, bool) and raw != "":
                return datetime.fromtimestamp(parse_integer(raw), UTC)
        except (ValueError, OverflowError, OSError):
            pass
        raise FieldError(name, "expected a time as RFC 3339 text or as seconds since 1970")

    def dump(self, value: datetime) -> str:
        """Return RFC 3339."""
        return value.isoformat().replace("+00:00", "Z")


def is_name(text: str) -> bool:
    """Whether `text` is a name as it stands in a path: see `NameType`."""
    return _NAME.fullmatch(text) is not None


def text_of(name: str, raw: object) -> str:
    """Return the text of a scalar JSON value.

    Raises:
        FieldError: it is a list, an object or null.
    """
    if isinstance(raw, str):
        return raw
    if isinstance(raw, bool):
        return "1" if raw else "0"
    if isinstance(raw, int | float):
        return number_text(raw)
    raise FieldError(name, "expected text")


def _duration(raw: object) -> timedelta:
    if isinstance(raw, timedelta):
        return raw
    if isinstance(raw, str):
        return parse_duration(raw)
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise ValueError("expected a duration")
    return seconds_to_duration(parse_integer(raw))
