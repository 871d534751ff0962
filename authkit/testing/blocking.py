"""Warns a test of `async` handlers that block. What watches the event loop: `authkit.plugin.stalls`."""

from __future__ import annotations

import warnings
from collections import deque

from authkit.plugin.stalls import Stall, StallWatch, advice

__all__ = ["BlockingHandlerWarning", "BlockingWatch"]


class BlockingHandlerWarning(RuntimeWarning):
    """An `async` handler has kept the event loop: on a server all other requests would wait.

    The text names the handler and the seconds, and has the stack from the handler on. The seconds are those
    until the stack was taken: the handler may have blocked for longer.
    """


class BlockingWatch:
    """Notes in a thread who blocks, for `warn` to tell in the test's own.

    Nothing is watched without `seconds`.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._stalls: deque[Stall] = deque()
        self._watch: StallWatch | None = None

    def start(self) -> None:
        """Watch the running event loop."""
        if self._seconds is not None:
            self._watch = StallWatch(self._stalls.append, seconds=self._seconds)

    def stop(self) -> None:
        """Watch no longer."""
        if self._watch is not None:
            self._watch.stop()

    def warn(self) -> None:
        """Warn of each handler that has blocked, at the line where it did. A test's own code may block."""
        while self._stalls:
            stall = self._stalls.popleft()
            if stall.handler:
                text = f"{advice(stall)}\n{stall.stack}"
                warnings.warn_explicit(text, BlockingHandlerWarning, stall.file, stall.line)
