"""All parts, in the order of the table."""

from __future__ import annotations

from livebed.torture.clock_back import set_clock_wrong
from livebed.torture.crashes import kill_plugin, stop_processes
from livebed.torture.early_kills import kill_starting_plugins
from livebed.torture.failovers import kill_leaders, why_no_load
from livebed.torture.growth import come_and_go, reload_often
from livebed.torture.leaving import leave_logins
from livebed.torture.many_objects import begin_browser_logins, keep_secrets
from livebed.torture.providers import fail_for_an_hour, fail_on_a_server
from livebed.torture.rows import Part, Size
from livebed.torture.scarcity import run_short_of_everything
from livebed.torture.soak import soak
from livebed.torture.storage_faults import delay_storage, fail_storage
from livebed.torture.stuck_names import never_answer
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
        "starts",
        kill_starting_plugins,
        long=Size(seconds=90, clients=8),
        short=Size(seconds=5, clients=4),
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
    Part("provider", fail_for_an_hour, long=Size(seconds=3600), short=Size(seconds=60)),
    Part("provider-server", fail_on_a_server, long=Size(count=5), short=Size(count=1)),
    Part("storage", fail_storage, long=Size(count=100), short=Size(count=8)),
    Part("late-storage", delay_storage, long=Size(seconds=20), short=Size(seconds=1)),
    Part(
        "scarcity", run_short_of_everything, long=Size(count=90, clients=32), short=Size(count=36, clients=4)
    ),
    Part("names", never_answer, long=Size(count=200, clients=64), short=Size(count=40, clients=40)),
    Part("clock", set_clock_wrong, long=Size(count=4), short=Size(count=1)),
    Part(
        "soak",
        soak,
        long=Size(limit=720, count=1_000_000, clients=16),
        short=Size(limit=20, count=400, clients=4),
    ),
    Part(
        "browser-logins",
        begin_browser_logins,
        long=Size(limit=240, count=100_000, clients=16),
        short=Size(limit=20, count=400, clients=4),
    ),
    Part(
        "secrets",
        keep_secrets,
        long=Size(limit=180, count=10_000, clients=16),
        short=Size(limit=20, count=40, clients=4),
    ),
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
