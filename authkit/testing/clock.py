"""A clock that tests move, for a host and its mounts. See `authkit.clock` and `authkit.host.store.clock`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from authkit.framework.fields.durations import parse_duration

__all__ = ["MovableClock"]


class MovableClock:
    """A clock that stands still until it is told to go on. It never goes back.

    It begins at `start`, by default at the time of the machine in whole seconds.
    """

    def __init__(self, start: datetime | None = None) -> None:
        self._now = start or datetime.now(UTC).replace(microsecond=0)
        self._waiting: list[tuple[datetime, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """Return the time in UTC."""
        return self._now

    def time(self) -> float:
        """Return the time as seconds since 1970."""
        return self._now.timestamp()

    def monotonic(self) -> float:
        """Return the same: this clock never goes back."""
        return self._now.timestamp()

    def tick(self, duration: str | float | timedelta) -> None:
        """Let time pass, and wake everything that waits for it.

        Args:
            duration: such as `"30m"`; a number counts seconds.

        Raises:
            ValueError: `duration` is none, or negative.
        """
        if isinstance(duration, str):
            step = parse_duration(duration)
        else:
            step = duration if isinstance(duration, timedelta) else timedelta(seconds=duration)
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
