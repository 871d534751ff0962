"""What ends a process by force, and when."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from authkit.plugin import ending as module
from authkit.plugin.ending import CLOSING_SECONDS, SHUTDOWN_GRACE, Ending, Reason

HOST_KILLS_SECONDS = 2.0


class Watched:
    """An `Ending` whose process cannot end: what it does is noted."""

    def __init__(self) -> None:
        self.parent = 100
        self.ended = threading.Event()
        self.status = -1
        self.timers: list[float] = []
        self.told: list[str] = []
        self.heard = threading.Event()
        self.ending = Ending(2, parent=lambda: self.parent, exit=self.exit, limit=self.limit)

    def exit(self, status: int) -> None:
        """Note the end."""
        self.status = status
        self.ended.set()

    def limit(self, seconds: float, **options: Any) -> None:
        """Note a timer."""
        assert options == {"file": 2, "exit": True}
        self.timers.append(seconds)

    def hear(self, reason: Reason) -> None:
        """Note what the loop is told."""
        self.told.append(reason.text)
        self.heard.set()


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    """One that looks around all the time; its thread ends with the test, and signals are as before."""
    monkeypatch.setattr(module, "_POLL_SECONDS", 0.001)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    monkeypatch.setattr(module, "_let_forks_go", lambda handled: None)
    made = Watched()
    made.ending.start()
    yield made
    made.ending.within(0)
    assert made.ended.wait(5)
    signal.set_wakeup_fd(-1)
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_an_orphan_that_does_not_serve_yet_ends_at_once(watched: Watched) -> None:
    """Also while the author's module is being imported."""
    watched.parent = 1
    assert watched.ended.wait(5)
    assert watched.status == 1


def test_an_orphan_that_serves_is_told_first(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """And ended when that does not help; the timer behind is a second later."""
    monkeypatch.setattr(module, "CLOSING_SECONDS", 0.05)
    watched.ending.serve(watched.hear)
    watched.parent = 1
    assert watched.ended.wait(5)
    assert watched.told == ["the host is gone"]
    assert watched.timers[-1] == pytest.approx(1.05)


def test_a_loop_that_is_closed_does_not_stop_the_watch(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever telling it raises, the end by force comes."""
    monkeypatch.setattr(module, "CLOSING_SECONDS", 0.0)

    def fail(reason: Reason) -> None:
        raise RuntimeError("Event loop is closed")

    watched.ending.serve(fail)
    watched.parent = 1
    assert watched.ended.wait(5)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_heard(watched: Watched, number: signal.Signals) -> None:
    """And begins the time that is left: the grace, and what closing takes."""
    watched.ending.serve(watched.hear)
    signal.raise_signal(number)
    assert watched.heard.wait(5)
    assert watched.told == [number.name]
    assert watched.timers[-1] == pytest.approx(10 + CLOSING_SECONDS + 1)


def test_a_hangup_that_the_host_ignores_is_ignored(watched: Watched) -> None:
    """A server that was started with `nohup` stays, and so does its plugin."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    watched.ending.serve(watched.hear)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_the_earliest_deadline_counts(watched: Watched) -> None:
    """A host that is killed during the grace of a signal is not outlived by all of it."""
    watched.ending.within(1000)
    watched.ending.within(2000)
    assert not watched.ended.is_set()
    assert watched.timers[-1] == 1001
    watched.ending.within(0)
    assert watched.ended.wait(5)


def test_the_timer_is_put_off_while_all_is_well(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """Again and again: a process in which no thread runs any more is ended by it."""
    monkeypatch.setattr(module, "_REARM_SECONDS", 0.0)
    watched.ending._next_timer = 0.0
    again = threading.Event()
    noted = watched.limit

    def limit(seconds: float, **options: Any) -> None:
        noted(seconds, **options)
        if len(watched.timers) > 3:
            again.set()

    watched.ending._limit = limit
    assert again.wait(5)
    assert set(watched.timers) == {60}


def test_last_steps_are_taken_before_the_end(watched: Watched) -> None:
    """The latest first, whatever one of them raises."""
    steps: list[str] = []
    watched.ending.at_end(lambda: steps.append("first"))
    watched.ending.at_end(lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    watched.ending.at_end(lambda: steps.append("last"))
    watched.ending.within(0)
    assert watched.ended.wait(5)
    assert steps == ["last", "first"]


def test_the_host_need_not_kill_it() -> None:
    """What is left after `Shutdown` is less than the host waits."""
    assert Reason("", SHUTDOWN_GRACE).seconds < HOST_KILLS_SECONDS
    assert Reason("", timedelta(0)).seconds == CLOSING_SECONDS
