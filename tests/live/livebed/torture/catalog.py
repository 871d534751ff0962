"""All parts, in the order of the table."""

from __future__ import annotations

from livebed.torture.crashes import kill_plugin, stop_processes
from livebed.torture.failovers import kill_leaders, why_no_load
from livebed.torture.growth import come_and_go, reload_often
from livebed.torture.leaving import leave_logins
from livebed.torture.rows import Part, Size
from livebed.torture.versions import change_engine_versions, change_versions, why_no_postgresql

__all__ = ["PARTS", "find_part"]

PARTS = (
    Part(
        "kills",
        kill_plugin,
        long=Size(seconds=180, clients=32),
        short=Size(seconds=5, clients=8, patience=30),
    ),
    Part(
        "stops",
        stop_processes,
        long=Size(seconds=20, clients=32),
        short=Size(seconds=2, clients=8, patience=30),
    ),
    Part(
        "leaders",
        kill_leaders,
        long=Size(seconds=20, count=8, clients=8),
        short=Size(seconds=4, count=1, clients=2),
        why_not=why_no_load,
    ),
    Part("versions", change_versions, long=Size(count=10, clients=32), short=Size(count=1, clients=4)),
    Part(
        "leases",
        change_engine_versions,
        long=Size(count=5, clients=8),
        short=Size(count=1, clients=4),
        why_not=why_no_postgresql,
    ),
    Part("leaving", leave_logins, long=Size(count=50), short=Size(count=5)),
    Part("mounts", come_and_go, long=Size(count=1000), short=Size(count=20)),
    Part("reloads", reload_often, long=Size(count=1000, clients=4), short=Size(count=6, clients=2)),
)


def find_part(name: str) -> Part:
    """Return the part of that name.

    Raises:
        LookupError: there is none.
    """
    for part in PARTS:
        if part.name == name:
            return part
    raise LookupError(f"no part {name}")
