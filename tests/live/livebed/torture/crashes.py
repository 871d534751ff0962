"""The plugin is killed again and again, or stopped for a while as its host may be, while clients log in."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from statistics import median

from livebed.mounts import Mount
from livebed.processes import is_alive, wait_until
from livebed.torture.bed import Bed
from livebed.torture.clients import LoginLoad, describe_refusals
from livebed.torture.leftovers import count_files, find_processes
from livebed.torture.objects import RoleWriter, count_lost, read_objects, write_objects
from livebed.torture.rows import Row, Size

__all__ = ["kill", "kill_plugin", "stop_processes"]

KILL_EVERY_SECONDS = 2.0
WARM_UP = 50
"""Logins before the first fault."""
SETTLE_SECONDS = 10.0
"""For processes and files of the dead to go."""


def kill_plugin(bed: Bed, size: Size) -> Sequence[Row]:
    """Kill the plugin every two seconds, for `size.seconds`, under `size.clients`.

    None is killed before it has logged somebody in. What was sent before the kill does not count: the dead
    process may have answered it. `early_kills` is about kills in a start.
    """
    mount = mount_with_objects(bed)
    kept, files = read_objects(mount), count_files(mount.server)
    waits: list[float] = []
    with LoginLoad(mount, size.clients) as load, RoleWriter([mount]) as writer:
        load.wait_for_logins(WARM_UP)
        until = time.monotonic() + size.seconds
        while time.monotonic() < until:
            load.wait(KILL_EVERY_SECONDS)
            kill(mount)
            killed = time.monotonic()
            load.wait_for_login_after(killed)
            waits.append(time.monotonic() - killed)
        load.wait_for_logins(WARM_UP)
    seen = figures_of(load) | {
        "kills": len(waits),
        "first login after a kill, s: median": round(median(waits), 2),
        "longest": round(max(waits), 2),
        "roles written": len(writer.written),
        "refused writes": writer.refused,
    }
    lost = losses_of(load, size) | {
        "objects": count_lost(kept, read_objects(mount)) + writer.count_lost(mount),
        "processes, sockets and directories left": count_leftovers(mount, files),
    }
    return [
        Row(
            f"{size.clients} clients log in, one writes roles",
            f"`kill -9` of the plugin every {KILL_EVERY_SECONDS:.0f} s for {size.seconds:.0f} s",
            seen,
            lost,
        )
    ]


def stop_processes(bed: Bed, size: Size) -> Sequence[Row]:
    """Stop the plugin for `size.seconds`, then its server, under `size.clients`."""
    mount = mount_with_objects(bed)
    processes: dict[str, Callable[[], int]] = {
        "the plugin": lambda: mount.pid,
        "the server": lambda: mount.server.pid,
    }
    return [stop(mount, what, find(), size) for what, find in processes.items()]


def stop(mount: Mount, what: str, pid: int, size: Size) -> Row:
    """Stop one process for a while; logins that it has held up are to end once it goes on."""
    kept, files = read_objects(mount), count_files(mount.server)
    with LoginLoad(mount, size.clients) as load:
        load.wait_for_logins(WARM_UP)
        os.kill(pid, signal.SIGSTOP)
        try:
            load.wait(size.seconds)
        finally:
            os.kill(pid, signal.SIGCONT)
        continued = time.monotonic()
        load.wait_for_logins(WARM_UP)
    return Row(
        f"{size.clients} clients log in",
        f"SIGSTOP of {what} for {size.seconds:.0f} s",
        figures_of(load, continued),
        losses_of(load, size, continued)
        | {
            "objects": count_lost(kept, read_objects(mount)),
            "processes, sockets and directories left": count_leftovers(mount, files),
        },
    )


# -------------------------------------------------------------------------------------------------


def mount_with_objects(bed: Bed) -> Mount:
    """Return a mount with objects, on a server of its own."""
    mount = bed.mount_jwt(bed.start_server())
    write_objects(mount)
    mount.login()
    return mount


def kill(mount: Mount) -> None:
    """Kill every process of the plugin, and return once they answer nobody any more."""
    pids = mount.server.pids_of(mount.plugin.command)
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, pids)), "the end of killed processes", timeout=SETTLE_SECONDS)


def figures_of(load: LoginLoad, since: float = 0.0) -> dict[str, float | str]:
    """Return the figures of a load."""
    return {
        "logins": load.succeeded,
        "refused": len(load.refused),
        "with": describe_refusals(load.refused),
        "slowest, s": round(load.slowest(since), 2),
    }


def losses_of(load: LoginLoad, size: Size, since: float = 0.0) -> dict[str, int]:
    """Return how many logins took too long, or had no answer."""
    return {
        f"logins of more than {size.patience:.0f} s": len(load.slower_than(size.patience, since)),
        "logins without an answer": len(load.unclear),
    }


def count_leftovers(mount: Mount, files: int) -> int:
    """Return how many processes and files there are beyond those of one plugin, once they had time to go."""

    def count() -> int:
        processes = len(find_processes(mount.server, mount.plugin)) - 1
        return abs(processes) + max(count_files(mount.server) - files, 0)

    mount.login()
    with suppress(AssertionError):
        wait_until(lambda: count() == 0, "leftovers to go", timeout=SETTLE_SECONDS)
    return count()
