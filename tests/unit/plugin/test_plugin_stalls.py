"""Who keeps the event loop from its work is told, once for each time."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from pathlib import Path

import pytest

from authkit.plugin import stalls
from authkit.plugin.environment import STALL_VARIABLE
from authkit.plugin.stalls import Stall, StallWatch, log_stall, watch_stalls

PATIENCE = 30.0
"""Seconds until a test fails that waits for an event."""


class Reports:
    """What was reported; `arrived` is set by each report."""

    def __init__(self) -> None:
        self.stacks: list[str] = []
        self.arrived = threading.Event()

    def __call__(self, stall: Stall) -> None:
        assert stall.seconds >= 0.05
        assert stall.handler == ""  # authkit has not called it
        self.stacks.append(stall.stack)
        self.arrived.set()


def block_until(event: threading.Event) -> None:
    """Do what an author should not do in a coroutine."""
    assert event.wait(PATIENCE)


async def test_a_blocked_loop_is_reported_where_it_is() -> None:
    """With the line that blocks, and again for the next time."""
    reports = Reports()
    watch = StallWatch(reports, seconds=0.05)
    try:
        for _ in range(2):
            reports.arrived.clear()
            block_until(reports.arrived)
            await asyncio.sleep(0)
            ticked = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_later(0.03, ticked.set_result, None)
            await ticked
    finally:
        watch.stop()
    assert len(reports.stacks) >= 2
    assert all("in block_until" in stack and "event.wait(PATIENCE)" in stack for stack in reports.stacks[:2])


async def test_nothing_is_watched_unless_the_environment_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """In production no thread is started."""
    monkeypatch.delenv(STALL_VARIABLE, raising=False)
    assert watch_stalls() is None
    monkeypatch.setenv(STALL_VARIABLE, "0.5")
    watch = watch_stalls()
    assert watch is not None
    watch.stop()


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf", "1e9", "0.5s"])
async def test_other_values_are_refused(
    text: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log names the variable, and the plugin serves without a watch."""
    monkeypatch.setenv(STALL_VARIABLE, text)
    assert watch_stalls() is None
    assert f"{STALL_VARIABLE}: {text!r} is not a number of seconds" in caplog.text


def frames(*files: str) -> int | None:
    """Find the handler among frames with these files, the outermost first."""
    ours, standard = str(Path(stalls.__file__).parent), str(Path(os.__file__).parent)
    return stalls._find_handler([file.replace("OURS", ours).replace("STD", standard) for file in files])


def test_the_handler_is_the_first_code_that_authkit_calls() -> None:
    """Whatever that calls; launcher, tests, Python's library and what the collector calls are no handlers."""
    assert frames("launcher", "OURS/a.py", "STD/asyncio/events.py", "OURS/b.py", "acme.py", "help.py") == 4
    assert frames("OURS/a.py", "STD/site-packages/acme.py", "OURS/c.py", "STD/json.py") == 1
    assert frames("STD/asyncio/events.py", "test_acme.py", "OURS/a.py") is None
    assert frames("OURS/a.py", "STD/_weakrefset.py") is None
    assert frames("OURS/a.py", "<frozen importlib._bootstrap>") is None


def test_the_log_says_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    """The stack is a value of its own, for consoles that mark its lines."""
    with caplog.at_level(logging.WARNING):
        log_stall(Stall(seconds=2.04, handler="Acme.log_in", stack="  File x, line 1", file="x", line=1))
    (record,) = caplog.records
    assert "Acme.log_in has kept the event loop for 2.0 s" in record.getMessage()
    assert "plain `def`" in record.getMessage()
    assert record.kv == {"traceback": "  File x, line 1"}  # type: ignore[attr-defined]
