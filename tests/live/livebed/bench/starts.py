"""How long plugins take to start and to refuse, and how much memory they have after logins."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

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


def measure_starts(
    files: Mapping[str, Path], starts: int, variables: Mapping[str, str] | None = None
) -> dict[str, dict[str, list[float]]]:
    """Return milliseconds to the handshake line, and those to the refusal of another cookie, by label.

    All take turns. A first start of each is not counted: packed plugins unpack themselves. `variables` are
    set beside those of a host.
    """
    times: dict[str, dict[str, list[float]]] = {"handshake": {}, "refusal": {}}
    with tempfile.TemporaryDirectory() as folder:
        environment = host_environment(Path(folder)) | dict(variables or {})
        for file in files.values():
            seconds_to_handshake(file, environment)
        for _ in range(starts):
            for label, file in files.items():
                handshake, refusal = seconds_to_handshake(file, environment), seconds_to_refusal(file)
                times["handshake"].setdefault(label, []).append(1000 * handshake)
                times["refusal"].setdefault(label, []).append(1000 * refusal)
    return times
