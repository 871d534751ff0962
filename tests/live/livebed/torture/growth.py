"""Mounts come and go, and plugins are reloaded, a thousand times: neither plugin nor server grows."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from livebed.bench.curves import Curve
from livebed.mounts import Mount, open_mount
from livebed.plugins import JWT_LAUNCHER, python_plugin
from livebed.processes import connections_to, open_files, resident_kib, wait_until
from livebed.server import Server
from livebed.tokens import usual_issuer
from livebed.torture.bed import Bed
from livebed.torture.leftovers import count_files, find_processes
from livebed.torture.rows import Row, Size

__all__ = ["come_and_go", "reload_often"]

WARM_UP = 0.2
"""Of all rounds: caches and allocators fill meanwhile."""
POINTS = 20
MEMORY_GROWTH = 0.05
"""How far the highest figure of the second half may be above that of the first."""
SETTLE_SECONDS = 10.0


@dataclass(frozen=True)
class Footprint:
    """What a process holds, and what is in the server's TMPDIR."""

    descriptors: int
    """But for connections to the server's API: clients keep some for a next request."""
    threads: int
    files: int

    @classmethod
    def of(cls, server: Server, pid: int) -> Footprint:
        """Look at a process."""
        connections = connections_to(int(server.address.rpartition(":")[2]))
        return cls(
            descriptors=sum(target not in connections for target in open_files(pid).values()),
            threads=sum(1 for _ in Path(f"/proc/{pid}/task").iterdir()),
            files=count_files(server),
        )

    @classmethod
    def settled(cls, server: Server, pid: int, before: Footprint) -> Footprint:
        """Look at a process once what was closed a moment ago had time to go."""
        with suppress(AssertionError):  # the row tells
            wait_until(
                lambda: not any(cls.of(server, pid).growth_since(before).values()),
                "the process to settle",
                timeout=SETTLE_SECONDS,
            )
        return cls.of(server, pid)

    def growth_since(self, before: Footprint) -> dict[str, int]:
        """Return what there is more of."""
        return {
            "descriptors more": max(self.descriptors - before.descriptors, 0),
            "threads more": max(self.threads - before.threads, 0),
            "files more": max(self.files - before.files, 0),
        }


def come_and_go(bed: Bed, size: Size) -> Sequence[Row]:
    """Enable, use and disable a mount `size.count` times, beside one that stays."""
    mount = bed.mount_jwt(bed.start_server())
    server, pid = mount.server, mount.pid
    passing = Mount(server, mount.plugin, mount.issuer, "passing")
    warm, step = max(int(size.count * WARM_UP), 2), max(size.count // POINTS, 1)
    curve = Curve("torture-mounts", "mounts enabled and disabled", "RSS MiB of the plugin")
    before = Footprint.of(server, pid)
    peaks = [0, 0]
    for number in range(1, size.count + 1):
        passing.enable()
        passing.configure()
        passing.write_role()
        passing.login()
        passing.disable()
        mount.login()
        if number == warm:
            before = Footprint.of(server, pid)
        if number % step == 0:
            kib, half = resident_kib(pid), 2 * number > size.count
            curve.add("authkit", number, kib / 1024)
            peaks[half] = max(peaks[half], kib)
    bed.curves.append(curve)
    after, allowed = Footprint.settled(server, pid, before), peaks[0] * (1 + MEMORY_GROWTH)
    return [
        Row(
            "one client logs in at a mount that stays",
            f"a mount enabled, configured, used and disabled, {size.count:,} times",
            {
                "highest RSS in the first half, MiB": round(peaks[0] / 1024, 1),
                "in the second": round(peaks[1] / 1024, 1),
                "descriptors": after.descriptors,
                "threads": after.threads,
            },
            after.growth_since(before)
            | {
                f"KiB beyond {100 * MEMORY_GROWTH:.0f} % more": max(round(peaks[1] - allowed), 0),
                "processes replaced": int(mount.pid != pid),
            },
        )
    ]


def reload_often(bed: Bed, size: Size) -> Sequence[Row]:
    """Reload `size.clients` plugins at once, `size.count` times in all. Each reload is a new process."""
    server = bed.start_server()
    mounts = [mount_alone(server, f"jwt_auth_{number}") for number in range(size.clients)]
    each = size.count // size.clients
    with ThreadPoolExecutor(size.clients) as pool:
        list(pool.map(lambda mount: reload(mount, max(int(each * WARM_UP), 1)), mounts))
        before = Footprint.of(server, server.pid)
        list(pool.map(lambda mount: reload(mount, each), mounts))
    after = Footprint.settled(server, server.pid, before)
    processes = sum(len(find_processes(server, mount.plugin)) for mount in mounts)
    memory = [resident_kib(mount.pid) / 1024 for mount in mounts]
    return [
        Row(
            "a login after each reload",
            f"{size.clients} plugins reloaded at once, {each * size.clients:,} times in all",
            {
                "RSS of the plugins, MiB": f"{min(memory):.1f} to {max(memory):.1f}",
                "descriptors of the server": after.descriptors,
                "threads": after.threads,
            },
            after.growth_since(before) | {"processes left": processes - len(mounts)},
        )
    ]


def mount_alone(server: Server, name: str) -> Mount:
    """Mount the JWT example from a file of its own: it has a process of its own."""
    plugin = python_plugin(server.plugin_directory, name, JWT_LAUNCHER)
    plugin.register(server.client)
    return open_mount(server, plugin, usual_issuer())


def reload(mount: Mount, times: int) -> None:
    """Reload a plugin, and log in after each time."""
    for _ in range(times):
        mount.reload()
        mount.login()
