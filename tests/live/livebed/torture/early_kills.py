"""The plugin is killed while it starts, again and again. Now and then its server starts it no more."""

from __future__ import annotations

import time
from collections.abc import Sequence
from random import Random

from livebed.binaries import find_built
from livebed.breakdowns import seeded_chance
from livebed.mounts import Mount, open_mount
from livebed.plugins import go_peer
from livebed.processes import listening_sockets, wait_until
from livebed.tokens import usual_issuer
from livebed.torture.bed import Bed
from livebed.torture.clients import LoginLoad
from livebed.torture.crashes import kill
from livebed.torture.leftovers import find_processes
from livebed.torture.rows import Row, Size

__all__ = ["kill_starting_plugins"]

GIVEN_UP_SECONDS = 10.0
"""Without another process, though clients ask all the time: a server starts one at once, or never."""

SOCKET_SECONDS = 60.0
REST_OF_A_START = 0.25
"""From the socket to the first answer: the server's calls before that are few."""


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
    """Kill one plugin in its starts; each time that its server gives it up, do what brings it back."""
    kills, waits, returns = 0, [0.0], [0.0]
    with LoginLoad(mount, size.clients) as load:
        load.wait_for_logins(1)
        until = time.monotonic() + size.seconds
        while time.monotonic() < until:
            kill_in_a_start(mount, load, chance)
            kills += 1
            if is_started(mount):
                waits.append(wait_for_login(load))
            else:
                mount.plugin.register(mount.client, env=[f"KILLS={kills}"])
                returns.append(wait_for_login(load))
    return Row(
        f"{size.clients} clients log in with {whose}",
        f"`kill -9` of the plugin in its starts for {size.seconds:.0f} s",
        {
            "kills in a start": kills,
            "first login after a kill, s: longest": round(max(waits), 2),
            "not started again": len(returns) - 1,
            "first login after a registration, s: longest": round(max(returns), 2),
        },
        {
            "logins without an answer": len(load.unclear),
            "processes left": len(find_processes(mount.server, mount.plugin)) - 1,
        },
    )


def kill_in_a_start(mount: Mount, load: LoginLoad, chance: Random) -> None:
    """See how long one start takes, and kill the next one in that time: every other in its last part."""
    kill(mount)
    lasts = wait_for_login(load)
    kill(mount)
    assert is_started(mount)
    if chance.random() < 0.5:
        wait_until(lambda: listens(mount), "a socket of the plugin", timeout=SOCKET_SECONDS)
        lasts *= REST_OF_A_START
    load.wait(chance.uniform(0, lasts))
    kill(mount)


def listens(mount: Mount) -> bool:
    """Whether the plugin has a socket for its server."""
    return any(listening_sockets(pid) for pid in mount.server.pids_of(mount.plugin.command))


def is_started(mount: Mount) -> bool:
    """Whether the server starts the plugin that was killed."""
    try:
        wait_until(lambda: mount.server.pids_of(mount.plugin.command), "a process", timeout=GIVEN_UP_SECONDS)
    except AssertionError:
        return False
    return True


def wait_for_login(load: LoginLoad) -> float:
    """Return after how many seconds somebody has logged in who asks from now on."""
    began = time.monotonic()
    load.wait_for_login_after(began)
    return time.monotonic() - began
