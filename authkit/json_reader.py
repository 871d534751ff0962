"""JSON text read within named limits: strictly, or leniently as Go reads it.

The errors say what is wrong and repeat nothing of the text: decoders of other packages quote their input.
"""

from __future__ import annotations

import json
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

from msgspec import MsgspecError, ValidationError
from msgspec.json import Decoder

__all__ = [
    "JSONError",
    "LenientReader",
    "StrictReader",
    "TooDeepError",
    "TooManyValuesError",
    "is_deeper_than",
]


class JSONError(ValueError):
    """A text is not valid JSON, or exceeds a limit of the reader."""


class TooDeepError(JSONError):
    """The text has more objects and lists inside each other than allowed."""

    def __init__(self) -> None:
        super().__init__("nested too deeply")


class TooManyValuesError(JSONError):
    """The text has more values than allowed."""

    def __init__(self) -> None:
        super().__init__("too many values")


class _Reader(ABC):
    """What both readers share. Numbers are finite, `NaN` and `Infinity` are refused.

    Args:
        max_depth: objects and lists inside each other.
    """

    def __init__(self, *, max_depth: int | None = None) -> None:
        self._max_depth = max_depth

    def read(self, data: str | bytes) -> Any:
        """Return the value of a text.

        Raises:
            JSONError: it is not JSON, not UTF-8, or exceeds a limit.
        """
        text = data if isinstance(data, str) else _decode(data)
        try:
            value = self._parse(text)
        except RecursionError:
            raise TooDeepError from None
        if self._max_depth is not None and is_deeper_than(self._max_depth, value, text):
            raise TooDeepError
        return value

    def read_object(self, data: str | bytes) -> dict[str, Any]:
        """Return the object of a text.

        Raises:
            JSONError: what `read` raises, or the value is not an object.
        """
        value = self.read(data)
        if not isinstance(value, dict):
            raise JSONError("not a JSON object")
        return value

    @abstractmethod
    def _parse(self, text: str) -> Any:
        """Return the value. Raises JSONError, or RecursionError for a text that is nested too deeply."""


class StrictReader(_Reader):
    """Reads JSON on which every reader agrees: no member twice, no half of a surrogate pair.

    Args:
        max_integer_digits: with the sign; else the interpreter's own limit of some thousands.
    """

    def __init__(self, *, max_depth: int | None = None, max_integer_digits: int | None = None) -> None:
        super().__init__(max_depth=max_depth)
        self._max_integer_digits = max_integer_digits
        self._decoder = json.JSONDecoder(
            object_pairs_hook=_unique_members,
            parse_int=self._read_integer,
            parse_float=partial(_read_number, float),
            parse_constant=_refuse_constant,
        )

    def _parse(self, text: str) -> Any:
        try:
            # What `decode` does, without its two searches for blanks.
            stripped = text.strip(_BLANKS)
            value, end = self._decoder.raw_decode(stripped)
        except JSONError:
            raise
        except ValueError:
            raise JSONError("not valid JSON") from None
        if end != len(stripped):
            raise JSONError("not valid JSON")
        if _SURROGATE.search(text) and not _is_unicode(value):
            raise JSONError("not Unicode text")
        return value

    def _read_integer(self, literal: str) -> int:
        if self._max_integer_digits is not None and len(literal) > self._max_integer_digits:
            raise JSONError("a number is too long")
        return int(literal)


class LenientReader(_Reader):
    """Reads JSON as Go does, eight times as fast as the strict reader.

    The last of several members of one name counts, and half a surrogate pair becomes U+FFFD.

    Args:
        max_values: commas and opening brackets, strings included. A text with more is not parsed.
        number: makes the value of a number with a fraction or an exponent from its text.
    """

    def __init__(
        self,
        *,
        max_values: int | None = None,
        max_depth: int | None = None,
        number: Callable[[str], float] = float,
    ) -> None:
        super().__init__(max_depth=max_depth)
        self._max_values = max_values
        self._decoder = Decoder(float_hook=partial(_read_number, number))

    def _parse(self, text: str) -> Any:
        limit = self._max_values
        if limit is not None and len(text) > limit and sum(map(text.count, ",[{")) > limit:
            raise TooManyValuesError
        try:
            return self._decoder.decode(text)
        except JSONError:
            raise
        except ValidationError:
            # A number out of range: strangers send them, and reading again costs a call for each escape.
            raise JSONError("not valid JSON") from None
        except (MsgspecError, ValueError):
            return self._parse_again(text)

    def _parse_again(self, text: str) -> Any:
        """Parse a text that may have failed for half a surrogate pair.

        Hosts in Go send none. Searching all texts for them would cost a call for each escape.
        """
        if "\\u" in text:
            # An error is raised without its cause, which may hold the text.
            with suppress(MsgspecError, ValueError):
                return self._decoder.decode(_ESCAPE.sub(_whole_character, text))
        raise JSONError("not valid JSON") from None


def is_deeper_than(depth: int, value: Any, text: str) -> bool:
    """Return whether `value`, whose JSON is `text`, has more than `depth` containers inside each other."""
    # The brackets bound the depth: few values are walked.
    if text.count("{") + text.count("[") <= depth:
        return False
    level = [value] if _is_container(value) else []
    for _ in range(depth):
        # Strangers send millions of values: their exact type tells nearly all of them.
        level = [
            child
            for container in level
            for child in _children(container)
            if (kind := type(child)) not in _SCALARS
            and (kind in _DECODED or (not isinstance(child, float) and _is_container(child)))
        ]
        if not level:
            return False
    return True


_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_DECODED: Final = frozenset({list, dict})


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise JSONError("not UTF-8") from None


def _read_number(make: Callable[[str], float], literal: str) -> float:
    value = make(literal)
    if math.isinf(value):
        raise JSONError("a number is too large")
    return value


def _children(container: Any) -> Iterable[Any]:
    if type(container) is list:
        return container
    return container.values() if isinstance(container, Mapping) else container


def _is_container(value: Any) -> bool:
    return isinstance(value, Mapping | Sequence) and not isinstance(
        value, str | bytes | bytearray | memoryview
    )


def _unique_members(members: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(members)
    if len(value) != len(members):
        raise JSONError("a member name occurs twice")
    return value


def _refuse_constant(literal: str) -> None:
    raise JSONError(f"{literal} is not valid JSON")


_BLANKS: Final = " \t\n\r"
"""Of JSON (RFC 8259 section 2): `str.strip` takes many more."""

_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")

# One escape at a time, so that an escaped backslash is never taken for the start of the next one.
_ESCAPE: Final = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def _whole_character(escape: re.Match[str]) -> str:
    return "\\ufffd" if escape[1] else escape[0]


def _is_unicode(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
