"""Durations as operators write and read them: `90`, `2d`, `1h30m`.

The rules are those of Vault's public documentation (go-secure-stdlib, parseutil/parseutil.go,
ParseDurationSecond, and Go's time.ParseDuration). Fields of durations:
`authkit.framework.fields.types`.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

__all__ = ["MAX_DURATION", "format_duration", "parse_duration", "seconds_to_duration"]

MAX_DURATION: Final = timedelta(seconds=(2**63 - 1) // 10**9)
"""About 292 years: a host counts nanoseconds in 64 bits."""

MAX_TEXT_LENGTH: Final = 64
"""Longer texts are refused without parsing."""

# The letter for micro exists twice in Unicode; Go accepts both.
_NANOSECONDS: Final = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_UNIT: Final = r"(?:ns|us|µs|μs|ms|s|m|h)"
_PART: Final = re.compile(rf"([0-9]*)(?:\.([0-9]*))?({_UNIT})")
_WHOLE: Final = re.compile(rf"(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+){_UNIT})+")


def parse_duration(text: str) -> timedelta:
    """Return the duration that `text` names: digits are seconds, `2d` are days, the rest is Go syntax.

    The empty text is zero. What is finer than a microsecond is cut off.

    Raises:
        ValueError: the text is not a duration. The message does not repeat it.
    """
    if len(text) > MAX_TEXT_LENGTH:
        raise ValueError("a duration is not that long a text")
    if not text:
        return timedelta(0)
    sign, digits = (-1, text[1:]) if text[0] == "-" else (1, text.removeprefix("+"))
    if _is_number(digits):
        return seconds_to_duration(sign * int(digits))
    if digits.endswith("d"):
        if not _is_number(digits[:-1]):
            raise ValueError("days are whole and stand alone, as in '2d'")
        return seconds_to_duration(sign * int(digits[:-1]) * 86400)
    if _WHOLE.fullmatch(digits) is None:
        raise ValueError("expected seconds, or a duration such as '90s', '1h30m' or '2d'")
    return _bounded(timedelta(microseconds=sign * (_nanoseconds(digits) // 1000)))


def seconds_to_duration(seconds: int) -> timedelta:
    """Return whole seconds as a duration.

    Raises:
        ValueError: more than a host can count.
    """
    if abs(seconds) > MAX_DURATION // timedelta(seconds=1):
        raise ValueError("the duration is too long")
    return timedelta(seconds=seconds)


def format_duration(duration: timedelta) -> str:
    """Return the duration as Go writes it, `48h0m0s`, in whole seconds."""
    total = int(duration.total_seconds())
    sign, total = ("-", -total) if total < 0 else ("", total)
    hours, minutes, seconds = total // 3600, total // 60 % 60, total % 60
    if hours:
        return f"{sign}{hours}h{minutes}m{seconds}s"
    return f"{sign}{minutes}m{seconds}s" if minutes else f"{sign}{seconds}s"


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _nanoseconds(text: str) -> int:
    total = 0
    for whole, fraction, unit in _PART.findall(text):
        scale = _NANOSECONDS[unit]
        total += int(whole or "0") * scale + int(fraction or "0") * scale // 10 ** len(fraction)
        if total > MAX_DURATION // timedelta(microseconds=1) * 1000:
            raise ValueError("the duration is too long")
    return total


def _bounded(duration: timedelta) -> timedelta:
    if abs(duration) > MAX_DURATION:
        raise ValueError("the duration is too long")
    return duration
