"""Attack: lines in a server's own log, and commands for the terminal of whoever reads it."""

from __future__ import annotations

import pytest
from livebed.binaries import ServerProgram
from livebed.misbehaviour import NaughtyMount
from livebed.processes import wait_until
from livebed.server import Server

FORGED = "2026-01-01T00:00:00.000Z [INFO]  core: this line is forged"


@pytest.mark.parametrize("log_format", ["standard", "json"])
def test_nobody_writes_a_line_of_the_server_s_own(program: ServerProgram, log_format: str) -> None:
    """Not by what is logged, raised or printed: each forgery is within a record, or behind a mark."""
    with Server(program, log_format=log_format) as server:
        naughty = NaughtyMount(server)
        mark = server.log_mark()
        naughty.do(deed="forging")
        naughty.do(deed="logging levels")
        wait_until(lambda: "naughty print" in server.log()[mark:], "what was printed last", timeout=10)
        log = server.log()[mark:]
    assert log.count("naughty forgery") >= 5
    assert "\x1b" not in log
    # In JSON a server escapes by itself; in its standard form it marks the lines of a value.
    assert not any(line.startswith(FORGED) for line in log.splitlines())
    shown = [line for line in log.splitlines() if "this line is forged" in line]
    assert all(line.startswith(("  | ", "{")) or "naughty" in line for line in shown)
