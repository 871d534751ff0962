"""An hour that takes seconds: the clock of the simulator and the timers of the event loop are moved together.

Key sources and time-outs take their time from the event loop, tokens and states from the clock of the mount.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from authkit.testing import MovableClock

__all__ = ["MovedClock", "MovedLoop", "run_moved"]

GRACE_SECONDS = 0.25
"""What is not done after so long waits for its own time-out, and gets it. Real time."""
STEP_SECONDS = 1.0
STEP_PAUSE_SECONDS = 0.02

T = TypeVar("T")


class MovedLoop(asyncio.SelectorEventLoop):
    """An event loop whose time can be moved on: what is due by then happens in its next rounds."""

    def __init__(self) -> None:
        super().__init__()
        self.moved = 0.0

    def time(self) -> float:
        """Return the seconds on its clock."""
        return super().time() + self.moved


class MovedClock(MovableClock):
    """The clock of the mount. Moving it moves the event loop with it."""

    def __init__(self, loop: MovedLoop) -> None:
        super().__init__()
        self._loop = loop

    async def advance(self, seconds: float) -> None:
        """Let time pass, and then everything begin that was due."""
        self.tick(seconds)
        self._loop.moved += seconds
        await asyncio.sleep(0)

    async def wait_for(self, request: Coroutine[Any, Any, T]) -> tuple[T, float]:
        """Return what a request returns, and how many seconds had to pass on this clock for it."""
        task, began, real = asyncio.create_task(request), self.time(), time.monotonic()
        while not task.done():
            await asyncio.sleep(STEP_PAUSE_SECONDS if time.monotonic() > real + GRACE_SECONDS else 0.001)
            if not task.done() and time.monotonic() > real + GRACE_SECONDS:
                await self.advance(STEP_SECONDS)
        return task.result(), self.time() - began


def run_moved(work: Coroutine[Any, Any, T], loop: MovedLoop) -> T:
    """Run something on a loop whose time is moved, and close the loop."""
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(work)
