"""The time, in one place: what plugin code reads as `self.clock`, and what the simulator of tests moves."""

from __future__ import annotations

import time as machine
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

__all__ = ["MAX_SKEW", "SYSTEM_CLOCK", "Clock", "SystemClock"]


MAX_SKEW: Final = timedelta(minutes=1)
"""By which the clocks of two nodes may differ. A stored time further in the future is from a wrong clock."""


class Clock(Protocol):
    """Tells the time. Every method may be called in any thread."""

    def now(self) -> datetime:
        """Return the time in UTC, aware of its zone: for what is stored, shown and compared with dates."""
        ...

    def time(self) -> float:
        """Return the same as seconds since 1970, for code that takes a function such as `time.time`."""
        ...

    def monotonic(self) -> float:
        """Return seconds since some moment, which never go back: for durations and ages in memory."""
        ...


class SystemClock:
    """The clock of the machine."""

    # Python's own functions: a call costs no frame.
    time = staticmethod(machine.time)
    monotonic = staticmethod(machine.monotonic)

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.now(UTC)


SYSTEM_CLOCK: Final = SystemClock()
"""What every mount reads in production."""
