"""A clock for a host in tests, which they move. See `authkit.host.store.clock`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from authkit.framework.fields.durations import parse_duration

__all__ = ["MovableClock"]


class MovableClock:
    """A clock that stands still until it is told to go on. It never goes back."""

    def __init__(self, start: datetime | None = None) -> None:
        self._now = start or datetime.now(UTC).replace(microsecond=0)
        self._waiting: list[tuple[datetime, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """Return the time in UTC."""
        return self._now

    def monotonic(self) -> float:
        """Return the time as seconds, for code that takes a function such as `time.monotonic`."""
        return self._now.timestamp()

    def tick(self, duration: str | timedelta) -> None:
        """Let time pass, such as `"30m"`, and wake everything that waits for it.

        Raises:
            ValueError: `duration` is none, or negative.
        """
        step = parse_duration(duration) if isinstance(duration, str) else duration
        if step < timedelta(0):
            raise ValueError("time does not go back")
        self._now += step
        due = [future for when, future in self._waiting if when <= self._now]
        self._waiting = [(when, future) for when, future in self._waiting if when > self._now]
        for future in due:
            if not future.done():
                future.set_result(None)

    async def wait_until(self, when: datetime) -> None:
        """Return once `when` has come."""
        if when <= self._now:
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((when, future))
        try:
            await future
        finally:
            self._waiting = [waiting for waiting in self._waiting if waiting[1] is not future]
