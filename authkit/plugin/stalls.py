"""Tells who keeps the event loop from its work, while a plugin is developed.

A blocking call in an `async` handler makes every other request wait, and no error says so. `authkit dev` sets
`AUTHKIT_STALL_SECONDS`, the simulator watches by itself; in production nothing does.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from types import FrameType

from authkit.plugin.environment import STALL_VARIABLE
from authkit.values import Value

__all__ = ["Stall", "StallWatch", "advice", "log_stall", "watch_stalls"]

_PACKAGE = str(Path(__file__).parent.parent) + os.sep
_STANDARD_LIBRARY = str(Path(os.__file__).parent) + os.sep
_TICKS = 4
"""How often the loop is asked within the time that counts as a stall."""

_log = logging.getLogger("authkit.stalls")


class Stall(Value, frozen=True, kw_only=True):
    """A time in which the event loop made no step. Made by `StallWatch`, while it lasts."""

    seconds: float
    """So far."""
    handler: str
    """The outermost function of the author's code; empty where authkit had not called it."""
    stack: str
    """Of the loop's thread, from the author's code on."""
    file: str
    """Where the outermost function is at."""
    line: int


class StallWatch:
    """Watches the running event loop from a thread.

    Args:
        report: is called in that thread, once for each stall.
        seconds: a longer time without a step of the loop is a stall.
    """

    def __init__(self, report: Callable[[Stall], None], *, seconds: float) -> None:
        self._report = report
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._watched = threading.get_ident()
        self._stopped = threading.Event()
        self._tick()
        self._thread = threading.Thread(target=self._watch, name="authkit-stalls", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Watch no longer."""
        self._stopped.set()
        self._handle.cancel()

    def _tick(self) -> None:
        self._last = time.monotonic()
        self._handle = self._loop.call_later(self._seconds / _TICKS, self._tick)

    def _watch(self) -> None:
        reported = 0.0
        while not self._stopped.wait(self._seconds / _TICKS):
            last = self._last
            kept = time.monotonic() - last
            frame = sys._current_frames().get(self._watched)
            if kept < self._seconds or last == reported or frame is None:
                continue
            reported = last
            self._report(_describe(kept, frame))


def watch_stalls() -> StallWatch | None:
    """Watch the running loop if the environment asks for it, and log what keeps it."""
    text = os.environ.get(STALL_VARIABLE, "")
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.01 <= seconds <= 3600:
        _log.error("%s: %r is not a number of seconds from 0.01 to 3600", STALL_VARIABLE, text)
        return None
    return StallWatch(log_stall, seconds=seconds)


def log_stall(stall: Stall) -> None:
    """Warn of a stall."""
    _log.warning(advice(stall), extra={"kv": {"traceback": stall.stack}})


def advice(stall: Stall) -> str:
    """Return what happened, and what to do."""
    return (
        f"{stall.handler or 'a handler'} has kept the event loop for {stall.seconds:.1f} s, and all other "
        "requests wait: await what it calls, or make it a plain `def`, which runs in a thread"
    )


def _describe(seconds: float, frame: FrameType) -> Stall:
    frames = [each for each, _ in traceback.walk_stack(frame)][::-1]
    start = _find_handler([each.f_code.co_filename for each in frames])
    own = frames[start or 0 :]
    shown = traceback.StackSummary.extract((each, each.f_lineno) for each in own)
    return Stall(
        seconds=seconds,
        handler="" if start is None else own[0].f_code.co_qualname,
        stack="".join(shown.format()).rstrip(),
        file=own[0].f_code.co_filename,
        line=own[0].f_lineno,
    )


def _find_handler(files: Sequence[str]) -> int | None:
    """Return the place of the author's first frame that authkit has called, by the frames' files."""
    for place, (caller, called) in enumerate(pairwise(files), start=1):
        if caller.startswith(_PACKAGE) and not called.startswith(_PACKAGE) and not _is_standard(called):
            return place
    return None


def _is_standard(file: str) -> bool:
    # The collector calls it from anywhere. Installed packages lie below it.
    return file.startswith((_STANDARD_LIBRARY, "<")) and "site-packages" not in file
