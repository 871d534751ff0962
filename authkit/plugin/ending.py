"""The end of the process: in bounded time, whatever the author's code does until then.

The event loop may be blocked, threads may never end, hooks may hang. So a thread of its own watches
the parent process, the signals and the deadline of an end that has begun, and ends the process when
nothing else does. Behind it stands a timer that needs no Python at all, for code that keeps every
other thread from running.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from authkit.values import Value

__all__ = ["CLOSING_SECONDS", "SHUTDOWN_GRACE", "STUCK_SECONDS", "Ending", "Reason"]

log = logging.getLogger(__name__)

SHUTDOWN_GRACE = timedelta(seconds=0.5)
"""For calls in flight when the host asks for shutdown: it kills the process after 2 s (go-plugin 1.8,
client.go, Kill)."""

TERMINATE_GRACE = timedelta(seconds=10)
"""For calls in flight at SIGTERM and SIGHUP: the host lives and waits for its answers."""

CLOSING_SECONDS = 1.3
"""After the grace, until the process is ended by force: for cleanups and the last lines of the log. With
`SHUTDOWN_GRACE` it is below the 2 s of a host, which would leave private files behind."""

STUCK_SECONDS = 60
"""A process in which no Python thread has run for so long is ended: it answers nobody, and its host
starts another one. A host waits 90 s for a request (Vault 1.21)."""

_POLL_SECONDS = 0.5
_REARM_SECONDS = 10.0
_LAST_RESORT_SECONDS = 1.0
"""Past the deadline, until the timer ends what the watching thread could not."""


class Reason(Value, frozen=True):
    """Why the process ends, and how long calls in flight may take."""

    text: str
    grace: timedelta

    @property
    def seconds(self) -> float:
        """Until the process is ended by force."""
        return self.grace.total_seconds() + CLOSING_SECONDS


_ORPHANED = Reason("the host is gone", timedelta(0))
_SIGNALS = {
    signal.SIGTERM: Reason("SIGTERM", TERMINATE_GRACE),
    signal.SIGHUP: Reason("SIGHUP", TERMINATE_GRACE),
}


class Ending:
    """Ends the process, by force if need be. There is one per process, watching from start to end.

    `descriptor` is where the timer writes the stacks of all threads before it ends the process. The other
    arguments are for tests.
    """

    def __init__(
        self,
        descriptor: int,
        *,
        parent: Callable[[], int] = os.getppid,
        exit: Callable[[int], object] = os._exit,
        limit: Callable[..., None] = faulthandler.dump_traceback_later,
    ) -> None:
        self._descriptor = descriptor
        self._parent = parent
        self._exit = exit
        self._limit = limit
        self._original = parent()
        self._on_end: Callable[[Reason], None] | None = None
        self._deadline: float | None = None
        self._next_timer = 0.0
        self._told: set[str] = set()
        self._last_steps: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_writer, False)

    def start(self) -> None:
        """Begin to watch the parent process. From now on it is not outlived."""
        threading.Thread(target=self._watch, name="authkit-ending", daemon=True).start()

    def serve(self, on_end: Callable[[Reason], None]) -> None:
        """Have `on_end` called, from another thread, when a signal or the host's end says stop.

        The time until the end by force begins then. Until this call an orphan is ended at once, and signals
        have their default effect. Call it from the main thread.
        """
        self._on_end = on_end
        handled = [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
        for number in handled:
            signal.signal(number, self._note_signal)
        # Written to by the signal itself: seen even while the main thread is in a call that goes on.
        signal.set_wakeup_fd(self._wake_writer, warn_on_full_buffer=False)
        _let_forks_go(handled)

    def within(self, seconds: float) -> None:
        """End the process by force when it still exists after so long. The earliest deadline counts."""
        with self._lock:
            deadline = time.monotonic() + seconds
            if self._deadline is not None and self._deadline <= deadline:
                return
            self._deadline = deadline
            self._set_timer(seconds + _LAST_RESORT_SECONDS)
        self._wake(0)

    def at_end(self, step: Callable[[], None]) -> None:
        """Have `step` called before an end by force, the latest first. It may fail or hang."""
        self._last_steps.append(step)

    # --- the watching thread -------------------------------------------------------------------

    def _watch(self) -> None:
        while (left := self._time_left()) > 0:
            for number in self._read(min(left, _POLL_SECONDS)):
                if number in _SIGNALS:
                    self._end(_SIGNALS[signal.Signals(number)])
            if self._parent() != self._original:
                self._end(_ORPHANED)
        self._end_by_force()

    def _time_left(self) -> float:
        """Return the seconds until the deadline; without one, put off the timer, since this thread runs."""
        with self._lock:
            now = time.monotonic()
            if self._deadline is not None:
                return self._deadline - now
            if now >= self._next_timer:
                self._next_timer = now + _REARM_SECONDS
                self._set_timer(STUCK_SECONDS)
            return _POLL_SECONDS

    def _set_timer(self, seconds: float) -> None:
        with suppress(RuntimeError):  # no thread to be had; the watching thread is still there
            self._limit(seconds, file=self._descriptor, exit=True)

    def _end(self, reason: Reason) -> None:
        self.within(reason.seconds if self._on_end else 0)
        if self._on_end is None or reason.text in self._told:
            return
        self._told.add(reason.text)
        with suppress(RuntimeError):  # the event loop is closed: the end is near
            self._on_end(reason)

    def _end_by_force(self) -> None:
        log.error("the plugin did not end in time and is ended now", extra={"kv": {"threads": _stacks()}})
        for step in reversed(self._last_steps):
            with suppress(Exception):
                step()
        self._exit(1)

    def _read(self, seconds: float) -> bytes:
        ready, _, _ = select.select([self._wake_reader], [], [], seconds)
        return os.read(self._wake_reader, 64) if ready else b""

    def _wake(self, number: int) -> None:
        with suppress(BlockingIOError):  # full, so it is awake already
            os.write(self._wake_writer, bytes((number,)))

    def _note_signal(self, number: int, frame: object) -> None:
        # Twice as a rule; alone where somebody has taken the descriptor away, as `add_signal_handler` does.
        self._wake(number)


def _let_forks_go(handled: list[signal.Signals]) -> None:
    """Give forked children the default effect of signals: what a child is sent is not for its parent."""

    def forget() -> None:
        signal.set_wakeup_fd(-1)
        for number in handled:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, handled)

    # Held back meanwhile: the child shares the descriptor until it has forgotten it.
    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, handled),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, handled),
        after_in_child=forget,
    )


def _stacks() -> str:
    """Say where each thread is."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    places = []
    for ident, frame in sys._current_frames().items():
        code = frame.f_code
        where = f"{os.path.basename(code.co_filename)}:{frame.f_lineno}"
        places.append(f"{names.get(ident, ident)} in {code.co_qualname} ({where})")
    return ", ".join(places)
