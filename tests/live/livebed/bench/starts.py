"""How long plugins take to start and to refuse, and how much memory they have after logins."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from livebed.bench.bed import Contender
from livebed.bench.rounds import Lane, run_lane
from livebed.processes import resident_kib
from livebed.server import Server
from livebed.starts import host_environment, seconds_to_handshake, seconds_to_refusal

__all__ = ["RESIDENT_AFTER_LOGINS", "measure_memory", "measure_starts"]

RESIDENT_AFTER_LOGINS = 1000


def measure_memory(server: Server, lanes: Sequence[Lane]) -> dict[str, list[float]]:
    """Log in at fresh processes; return the resident set of each in MiB."""
    found = {}
    for lane in lanes:
        if lane.plugin is not None:
            run_lane(server, lane, clients=8, count=RESIDENT_AFTER_LOGINS)
            found[lane.label] = [resident_kib(lane.plugin) / 1024]
    return found


def measure_starts(contenders: Sequence[Contender], starts: int) -> dict[str, dict[str, list[float]]]:
    """Return milliseconds to the handshake line, and those to the refusal of another cookie."""
    times: dict[str, dict[str, list[float]]] = {"handshake": {}, "refusal": {}}
    for contender in contenders:
        with tempfile.TemporaryDirectory() as folder:
            environment = host_environment(Path(folder))
            file = contender.plugin.file
            handshakes = [1000 * seconds_to_handshake(file, environment) for _ in range(starts)]
        times["handshake"][contender.label] = handshakes
        times["refusal"][contender.label] = [1000 * seconds_to_refusal(file) for _ in range(starts)]
    return times
