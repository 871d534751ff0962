"""The plugin is killed while it starts, again and again, until its server starts it no more or time is up."""

from __future__ import annotations

import time
from collections.abc import Sequence
from random import Random

from livebed.binaries import find_built
from livebed.breakdowns import seeded_chance
from livebed.mounts import Mount, open_mount
from livebed.plugins import go_peer
from livebed.processes import wait_until
from livebed.tokens import usual_issuer
from livebed.torture.bed import Bed
from livebed.torture.clients import LoginLoad
from livebed.torture.crashes import kill
from livebed.torture.leftovers import find_processes
from livebed.torture.rows import Row, Size

__all__ = ["kill_starting_plugins"]

APPEAR_SECONDS = 60.0
"""For a new process, once the last one is dead: clients ask all the time."""
SILENCE_SECONDS = 20.0
"""Without a login; a start takes a few seconds on a busy machine."""


def kill_starting_plugins(bed: Bed, size: Size) -> Sequence[Row]:
    """Kill our plugin, and the official one where it is built, for `size.seconds` under `size.clients`."""
    chance = seeded_chance()
    rows = [kill_starts("our plugin", bed.mount_jwt(bed.start_server()), size, chance)]
    binary = find_built("jwt-peer")
    if binary is not None:
        server = bed.start_server()
        plugin = go_peer(server.plugin_directory, binary)
        plugin.register(server.client)
        mount = open_mount(server, plugin, usual_issuer())
        rows.append(kill_starts("the official plugin", mount, size, chance))
    return rows


def kill_starts(whose: str, mount: Mount, size: Size, chance: Random) -> Row:
    """Kill one plugin in its starts; a mount that its server has given up is to come back with a reload."""
    kills, stalls, is_given_up, back = 0, 0, False, 0.0
    with LoginLoad(mount, size.clients) as load:
        load.wait_for_logins(1)
        until = time.monotonic() + size.seconds
        while time.monotonic() < until and not is_given_up:
            kill_in_a_start(mount, load, chance)
            kills += 1
            if not logs_in(load, time.monotonic()):
                is_given_up = not processes_of(mount)
                stalls += not is_given_up
        if is_given_up:
            reloaded = time.monotonic()
            mount.reload()
            load.wait_for_login_after(reloaded)
            back = time.monotonic() - reloaded
    return Row(
        f"{size.clients} clients log in with {whose}",
        f"`kill -9` of the plugin in its starts for {size.seconds:.0f} s",
        {
            "kills in a start": kills,
            "the server gave the mount up": f"after kill {kills}" if is_given_up else "no",
            "first login after `plugin reload`, s": round(back, 2) if is_given_up else "-",
        },
        {
            f"starts in which nobody logged in for {SILENCE_SECONDS:.0f} s": stalls,
            "logins without an answer": len(load.unclear),
            "processes left": len(find_processes(mount.server, mount.plugin)) - 1,
        },
    )


def kill_in_a_start(mount: Mount, load: LoginLoad, chance: Random) -> None:
    """See how long one start takes, and kill the next one somewhere in that time."""
    kill(mount)
    began = time.monotonic()
    load.wait_for_login_after(began)
    lasted = time.monotonic() - began
    kill(mount)
    wait_until(lambda: processes_of(mount), "a new process", timeout=APPEAR_SECONDS)
    load.wait(chance.uniform(0, lasted))
    kill(mount)


def logs_in(load: LoginLoad, moment: float) -> bool:
    """Whether somebody logs in who has asked after a moment."""
    try:
        load.wait_for_login_after(moment, SILENCE_SECONDS)
    except AssertionError:
        return False
    return True


def processes_of(mount: Mount) -> list[int]:
    """Return the processes that the server has started for the plugin."""
    return mount.server.pids_of(mount.plugin.command)
