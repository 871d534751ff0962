"""Numbers in requests, exact to the last digit.

A plugin receives the client's own literals; here they become integers and floats without a detour
through 64-bit floats. Fields of numbers: `authkit.framework.fields.types`.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Final

from authkit.logical import JSONNumber

__all__ = ["MAX_INTEGER", "MIN_INTEGER", "number_text", "parse_integer", "parse_real"]

MIN_INTEGER: Final = -(2**63)
MAX_INTEGER: Final = 2**63 - 1
"""Hosts and other plugins count in 64 bits."""

MAX_LITERAL_LENGTH: Final = 80
"""64 binary digits with prefix, sign and some underscores. Longer literals are not parsed at all."""

MAX_EXPONENT: Final = 18
"""The largest power of ten below `MAX_INTEGER`: `1e999999999` must not become an integer first."""

_OCTAL: Final = re.compile(r"([+-]?)0([0-7_]+)")


def parse_integer(raw: object) -> int:
    """Return a JSON value as an integer.

    Accepted are integers, booleans, other numbers without a fraction (`1.0`, `1e3`), and text in
    Go's literal syntax (`0x10`, `1_000`, `010` is eight); the empty text is zero.

    Raises:
        ValueError: it is not an integer, or exceeds 64 bits. The message does not repeat it.
    """
    if isinstance(raw, int):
        value = int(raw)
    elif isinstance(raw, float):
        value = _integral(raw.literal if isinstance(raw, JSONNumber) else repr(raw))
    elif isinstance(raw, str):
        value = _from_text(raw)
    else:
        raise ValueError("expected an integer")
    if not MIN_INTEGER <= value <= MAX_INTEGER:
        raise ValueError("the integer is out of range")
    return value


def parse_real(raw: object) -> float:
    """Return a JSON value as a float; the empty text is zero.

    Raises:
        ValueError: it is not a finite number. The message does not repeat it.
    """
    if raw == "":
        return 0.0
    if not isinstance(raw, int | float | str) or (isinstance(raw, str) and not _is_plain(raw)):
        raise ValueError("expected a number")
    try:
        value = float(raw)
    except (ValueError, OverflowError):
        raise ValueError("expected a number") from None
    if value - value != 0:
        raise ValueError("the number is out of range")
    return value


def number_text(raw: float) -> str:
    """Return the number as its client wrote it."""
    return raw.literal if isinstance(raw, JSONNumber) else str(raw)


def _integral(literal: str) -> int:
    if len(literal) > MAX_LITERAL_LENGTH:
        raise ValueError("the number has too many digits")
    try:
        number = Decimal(literal)
    except InvalidOperation:
        raise ValueError("expected an integer") from None
    if not number:
        return 0
    if not number.is_finite() or number.adjusted() > MAX_EXPONENT:
        raise ValueError("the integer is out of range")
    if number.adjusted() < 0 or number != number.to_integral_value():
        raise ValueError("expected an integer, not a fraction")
    return int(number)


def _from_text(text: str) -> int:
    if not text:
        return 0
    if not _is_plain(text):
        raise ValueError("expected an integer")
    octal = _OCTAL.fullmatch(text)
    try:
        return int(f"{octal[1]}0o{octal[2]}" if octal else text, 0)
    except ValueError:
        raise ValueError("expected an integer") from None


def _is_plain(text: str) -> bool:
    # Python also takes blanks around a number and the digits of every script.
    return len(text) <= MAX_LITERAL_LENGTH and text.isascii() and text == text.strip()
