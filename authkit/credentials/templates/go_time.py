"""Times in Go's layouts: `2006-01-02 15:04:05-0700`.

A layout shows how the moment Mon Jan 2 15:04:05 2006 -0700 would be written. Source: Go 1.26, time/format.go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

__all__ = ["format_time"]

_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
"""Not those of `strftime`, which depend on the locale."""


_PART: Final = re.compile(
    r"""(?x)
      January | Jan(?![a-z]) | Monday | Mon(?![a-z]) | MST | 0[1-6] | 002 | 15 | 1 | 2006 | 2
    | _2(?!006) | __2 | 3 | 4 | 5 | PM | pm | (?P<offset>[-Z]07(?:0000|:00:00|00|:00|))
    | (?P<fraction>[.,](?:0+|9+)(?![0-9]))
    """
)
"""What is replaced; of several that begin at one place, the first."""


def format_time(moment: datetime, layout: str) -> str:
    """Return `moment`, which has a time zone, in a layout of Go's. Text that is no part of a time stays."""
    return _PART.sub(lambda part: _show(part, moment), layout)


def _show(part: re.Match[str], moment: datetime) -> str:
    if part["fraction"]:
        return _show_fraction(part[0], moment)
    if part["offset"]:
        return _show_offset(part[0], moment)
    return _PARTS[part[0]](moment)


def _show_fraction(part: str, moment: datetime) -> str:
    """`.000` has that many digits; `.999` has no zeros at its end, and vanishes without digits."""
    digits = f"{moment.microsecond:06}000"[: len(part) - 1]
    digits = digits.rstrip("0") if part[1] == "9" else digits
    return part[0] + digits if digits else ""


def _show_offset(part: str, moment: datetime) -> str:
    seconds = int((moment.utcoffset() or timedelta()).total_seconds())
    if part[0] == "Z" and not seconds:
        return "Z"
    minutes, rest = divmod(abs(seconds), 60)
    numbers = f"{minutes // 60:02}", f"{minutes % 60:02}", f"{rest:02}"
    shown = numbers[: len(part.replace(":", "")) // 2]
    return ("-" if seconds < 0 else "+") + (":" if ":" in part else "").join(shown)


_PARTS: Final[Mapping[str, Callable[[datetime], str]]] = {
    "January": lambda moment: _MONTHS[moment.month - 1],
    "Jan": lambda moment: _MONTHS[moment.month - 1][:3],
    "1": lambda moment: str(moment.month),
    "01": lambda moment: f"{moment.month:02}",
    "Monday": lambda moment: _DAYS[moment.weekday()],
    "Mon": lambda moment: _DAYS[moment.weekday()][:3],
    "2": lambda moment: str(moment.day),
    "_2": lambda moment: f"{moment.day:2}",
    "02": lambda moment: f"{moment.day:02}",
    "__2": lambda moment: f"{moment.timetuple().tm_yday:3}",
    "002": lambda moment: f"{moment.timetuple().tm_yday:03}",
    "15": lambda moment: f"{moment.hour:02}",
    "3": lambda moment: str(moment.hour % 12 or 12),
    "03": lambda moment: f"{moment.hour % 12 or 12:02}",
    "4": lambda moment: str(moment.minute),
    "04": lambda moment: f"{moment.minute:02}",
    "5": lambda moment: str(moment.second),
    "05": lambda moment: f"{moment.second:02}",
    "2006": lambda moment: f"{moment.year:04}",
    "06": lambda moment: f"{moment.year % 100:02}",
    "PM": lambda moment: "AM" if moment.hour < 12 else "PM",
    "pm": lambda moment: "am" if moment.hour < 12 else "pm",
    "MST": lambda moment: moment.tzname() or "",
}
