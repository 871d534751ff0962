"""The time of a host, in one place. Tests move a clock of their own: `authkit.testing.MovableClock`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Protocol

__all__ = ["Clock", "SystemClock"]

_LONGEST_SLEEP = timedelta(minutes=5)
"""A machine that was suspended, or whose clock was set, is late by no more than that."""


class Clock(Protocol):
    """Tells the time and waits for it."""

    def now(self) -> datetime:
        """Return the time in UTC."""
        ...

    async def wait_until(self, when: datetime) -> None:
        """Return once `when` has come."""


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.now(UTC)

    async def wait_until(self, when: datetime) -> None:
        """Return once `when` has come."""
        # Not one long sleep: it would not notice that the machine's clock was set.
        while (left := when - self.now()) > timedelta(0):  # noqa: ASYNC110
            await asyncio.sleep(min(left, _LONGEST_SLEEP).total_seconds())
