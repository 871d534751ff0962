"""The leader of a raft cluster is killed again and again, while clients log in at all of its nodes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import httpx

from livebed.bench.load import run_load
from livebed.bench.traffic import Traffic, login
from livebed.binaries import find_built
from livebed.client import ServerError
from livebed.cluster import Cluster, Node
from livebed.factories import our_plugin
from livebed.mounts import Mount, open_mount
from livebed.plugins import Plugin
from livebed.processes import wait_until
from livebed.tokens import usual_issuer
from livebed.torture.bed import Bed
from livebed.torture.browsers import BrowserMount
from livebed.torture.clients import LoginLoad, describe_refusals
from livebed.torture.objects import RoleWriter, count_lost, read_objects, write_objects
from livebed.torture.rows import Row, Size

__all__ = ["kill_leaders", "why_no_load"]

KILL_EVERY_SECONDS = 20.0
RETRY_SECONDS = 30.0
"""A login that has not ended well by then is lost."""
LOGINS_EACH = 100
"""Of each client, where nodes are compared."""
READ_ONLY = ("read-only storage", "readonly")
"""What a server says of a write on a node that stands by (Vault SDK 0.21, logical/errors.go: ErrReadOnly)."""


def why_no_load() -> str:
    """Return why forwarded logins cannot be measured."""
    return "" if find_built("load") else "no load generator: run scripts/live/build"


@dataclass
class Ends:
    """What was seen at each end of a leader."""

    standby_plugins: int = 0
    """Plugins that ran on nodes that stood by."""
    took: list[float] = field(default_factory=list)
    """Seconds from the end of a leader to the first good login at the next one."""


def kill_leaders(bed: Bed, size: Size) -> Sequence[Row]:
    """Kill the leader `size.count` times, 20 s apart, under `size.clients`; each dead node comes back."""
    cluster = bed.start_cluster()
    plugin = cluster.install(our_plugin)
    mounts = open_mounts(cluster, plugin)
    write_objects(mounts[0])
    kept = read_objects(mounts[0])
    browser = BrowserMount.open(bed, mounts[0])
    ends, period = Ends(), size.seconds or KILL_EVERY_SECONDS
    load = LoginLoad(mounts[0], size.clients, [node.address for node in cluster.nodes], RETRY_SECONDS)
    with load, RoleWriter(mounts) as writer:
        for _ in range(size.count):
            began = time.monotonic()
            fail_over(cluster, mounts, browser, ends)
            load.wait(began + period - time.monotonic())
    now = at(mounts, cluster.active)
    objects = count_lost(kept, read_objects(now)) + writer.count_lost(now)
    tried = [outcome for outcome in load.outcomes if outcome.attempts > 1]
    seen: dict[str, float | str] = {
        "leaders killed": size.count,
        "logins": load.succeeded,
        "tried more than once": len(tried),
        "attempts refused": len(load.attempts),
        "with": describe_refusals(load.attempts),
        "slowest, s": round(load.slowest(), 2),
        "next leader's first login after, s": describe_seconds(ends.took),
        "roles written": len(writer.written),
        "browser logins across the end": browser.finished,
        "renewals at the provider": browser.renewed,
    }
    lost = {
        f"logins after {RETRY_SECONDS:.0f} s": len(load.outcomes) - load.succeeded,
        "roles, issuers and keys": objects + browser.changed_keys,
        "browser logins": browser.lost,
        "refresh tokens": browser.refused_renewals,
        "plugins on standbys, or writes by them": ends.standby_plugins + count_refused_writes(cluster),
    }
    at_work = f"{size.clients} clients log in at three nodes and try again, one writes roles, people sign in"
    fault = f"the leader of three raft nodes killed every {period:.0f} s"
    return [Row(at_work, fault, seen, lost), compare_nodes(cluster, now, size.clients)]


def fail_over(cluster: Cluster, mounts: Sequence[Mount], browser: BrowserMount, ends: Ends) -> None:
    """Kill the leader while people are at their provider, let them come back, and start the dead node."""
    ends.standby_plugins += count_standby_plugins(cluster, mounts[0].plugin)
    dying = cluster.active
    browser.begin(at(mounts, dying))
    killed = time.monotonic()
    successor = cluster.kill_active()
    moved = at(mounts, successor)
    wait_until(lambda: logs_in(moved), "a login at the next leader", timeout=RETRY_SECONDS)
    ends.took.append(time.monotonic() - killed)
    browser.finish(moved)
    cluster.bring_back(dying)


def compare_nodes(cluster: Cluster, mount: Mount, clients: int) -> Row:
    """Compare logins at the leader with logins at a standby, which hands them on."""
    traffic = Traffic([login(mount.path, mount.issuer.token())])
    count = clients * LOGINS_EACH
    nodes = {"leader": cluster.active, "standby": cluster.standbys[0]}
    seen: dict[str, float | str] = {}
    for _ in "ab":  # the first is the warm-up
        for name, node in nodes.items():
            figures = run_load(node.address, traffic, {}, clients=clients, count=count)
            seen[f"{name}: logins/s"] = round(figures["per_second"])
            seen[f"{name}: p50, ms"] = round(figures["p50_ms"], 1)
            seen[f"{name}: p99, ms"] = round(figures["p99_ms"], 1)
    # `run_load` raises for a login that fails.
    return Row(f"{clients} clients", f"none: {count:,} logins at either node", seen, {"logins": 0})


# -------------------------------------------------------------------------------------------------


def open_mounts(cluster: Cluster, plugin: Plugin) -> list[Mount]:
    """Return one mount as it is reached at each node, the leader first."""
    leader = cluster.active
    mount = open_mount(leader, plugin, usual_issuer())
    others = [node for node in cluster.nodes if node is not leader]
    return [mount, *(replace(mount, server=node) for node in others)]


def at(mounts: Sequence[Mount], node: Node) -> Mount:
    """Return the mount as it is reached at a node."""
    return next(mount for mount in mounts if mount.server is node)


def count_standby_plugins(cluster: Cluster, plugin: Plugin) -> int:
    """Return how many plugins run on nodes of a Vault that stand by. OpenBao has them answer reads."""
    if cluster.program.is_bao:
        return 0
    return sum(len(node.pids_of(plugin.command)) for node in cluster.standbys)


def count_refused_writes(cluster: Cluster) -> int:
    """Return how many lines of all logs tell of a write that a standby of a Vault has tried.

    Plugins on OpenBao's standbys refuse a write, which makes the server forward it: what they refused must be
    among the objects afterwards.
    """
    if cluster.program.is_bao:
        return 0
    lines = (line for node in cluster.nodes for line in node.log().splitlines())
    return sum(any(text in line for text in READ_ONLY) for line in lines)


def logs_in(mount: Mount) -> bool:
    """Whether a login succeeds."""
    try:
        mount.login()
    except (ServerError, httpx.TransportError):
        return False
    return True


def describe_seconds(took: Sequence[float]) -> str:
    """Return the shortest and the longest."""
    return f"{min(took):.1f} to {max(took):.1f}" if took else "-"
