"""The simulator warns of an `async` handler that blocks, and of nothing else."""

from __future__ import annotations

import re
import threading
import warnings

import pytest

from authkit import AuthMethod, Call, read
from authkit.plugin.stalls import Stall
from authkit.testing import BlockingHandlerWarning
from authkit.testing.blocking import BlockingWatch
from authkit.testing_pytest import Simulate

PATIENCE = 30.0
"""Seconds until a test fails that waits for an event."""


class Blocking(AuthMethod, name="blocking", version="0.1.0"):
    """Its handlers wait until the watch has seen them, or for a moment."""

    seen: threading.Event

    @read("async")
    async def in_the_loop(self, call: Call) -> dict[str, bool]:
        """Block."""
        return {"seen": self.seen.wait(PATIENCE)}

    @read("thread")
    def in_a_thread(self, call: Call) -> dict[str, bool]:
        """Block, where that is right."""
        return {"seen": self.seen.wait(0.3)}


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Is set when the watch has noted somebody."""
    event = threading.Event()
    monkeypatch.setattr(Blocking, "seen", event, raising=False)
    # `append` is what the watch calls; the event is set after it.
    start = BlockingWatch.start

    def start_and_tell(self: BlockingWatch) -> None:
        start(self)
        if self._watch is not None:
            note = self._stalls.append
            self._watch._report = lambda stall: (note(stall), event.set())[0]

    monkeypatch.setattr(BlockingWatch, "start", start_and_tell)
    return event


async def test_a_handler_that_blocks_is_warned_of(simulate: Simulate, seen: threading.Event) -> None:
    """With its name, the seconds, the stack and what to do, at its line."""
    vault = await simulate(Blocking, blocking_seconds=0.05)
    with pytest.warns(BlockingHandlerWarning) as warned:
        assert await vault.read("async") == {"seen": True}
    (warning,) = warned
    text = str(warning.message)
    assert re.match(r"Blocking\.in_the_loop has kept the event loop for \d+\.\d s", text)
    assert "plain `def`" in text
    assert "self.seen.wait(PATIENCE)" in text
    assert warning.filename == __file__


async def test_a_thread_may_block(simulate: Simulate, seen: threading.Event) -> None:
    """A plain `def` keeps nobody from working."""
    vault = await simulate(Blocking, blocking_seconds=0.05)
    with warnings.catch_warnings():
        warnings.simplefilter("error", BlockingHandlerWarning)
        await vault.read("thread")


async def test_a_test_may_block(simulate: Simulate) -> None:
    """A stall in code that authkit has not called is not a handler's."""
    vault = await simulate(Blocking, blocking_seconds=None)
    vault._blocking._stalls.append(Stall(seconds=3.0, handler="", stack="", file="x", line=1))
    await vault.help()


async def test_the_watch_can_be_switched_off(simulate: Simulate) -> None:
    """Then no thread is started."""
    before = set(threading.enumerate())
    await simulate(Blocking, blocking_seconds=None)
    assert not [each for each in set(threading.enumerate()) - before if each.name == "authkit-stalls"]
