"""Both methods on one server, in turns: logins, other requests, memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from livebed.bench.bed import GO
from livebed.bench.rounds import Lane, Runs, interleave, median
from livebed.bench.starts import RESIDENT_AFTER_LOGINS, measure_memory
from livebed.bench.traffic import Request, Traffic
from livebed.binaries import ServerProgram, find_built
from livebed.client import Client
from livebed.pin_methods import pin_in_go, pin_in_python
from livebed.plugins import Plugin
from livebed.server import Server

__all__ = ["AUTHKIT", "LOGIN", "TEAM", "Figures", "Size", "measure_running"]

AUTHKIT = "authkit"
PIN = "2468-1357-only-the-team-knows"
TEAM = {"pin": PIN, "token_policies": ["default"], "token_ttl": "1h"}
LOGIN = {"role": "dev", "member": "ann", "pin": PIN}
SCENARIO_CLIENTS = 8
RENEWED_TOKENS = 64

Figures = dict[str, dict[str, float]]
"""By what was measured, then by contender."""


@dataclass(frozen=True)
class Size:
    """How long is measured."""

    logins: int
    """Of one run of one contender."""
    rounds: int
    clients: tuple[int, ...]
    builds: int
    """Of each form; the last one counts."""
    starts: int
    first_logins: int


@contextmanager
def open_server() -> Iterator[tuple[Server, dict[str, Plugin]]]:
    """Start a quiet server with both methods in its plugin directory; yield them by their labels."""
    vault, binary = find_built("vault"), find_built("shared-pin")
    assert vault is not None
    assert binary is not None
    with Server(ServerProgram(vault, "vault", "built"), log_level="warn") as server:
        folder = server.plugin_directory
        yield server, {AUTHKIT: pin_in_python(folder), GO: pin_in_go(folder, binary)}


def enable(client: Client, plugin: Plugin) -> None:
    """Register a method and enable it under its name, with the team `dev`."""
    plugin.register(client)
    client.write(f"sys/auth/{plugin.name}", type=plugin.name)
    client.write(f"auth/{plugin.name}/role/dev", **TEAM)


def measure_running(size: Size) -> Figures:
    """Return logins per second, what they cost, memory, and other requests: medians."""
    figures: Figures = {}
    with open_server() as (server, plugins):
        for plugin in plugins.values():
            enable(server.client, plugin)
            server.client.write(f"auth/{plugin.name}/config", wrong_pins=1_000_000)
        memory = measure_memory(server, lanes_of(server, plugins, "logins"))
        for clients in size.clients:
            lanes = lanes_of(server, plugins, "logins")
            runs = interleave(server, lanes, rounds=size.rounds, clients=clients, count=size.logins)
            figures |= login_figures(runs, f"{clients} client{'s' * (clients > 1)}")
        for kind in ("renewals", "role reads", "role writes", "refused logins"):
            lanes = lanes_of(server, plugins, kind)
            count = size.logins // 4
            runs = interleave(server, lanes, rounds=size.rounds, clients=SCENARIO_CLIENTS, count=count)
            figures[f"{kind}/s, {SCENARIO_CLIENTS} clients"] = median(runs, "per_second")
        figures[f"RSS MiB after {RESIDENT_AFTER_LOGINS:,} logins"] = {
            label: values[0] for label, values in memory.items()
        }
    return figures


def login_figures(runs: Runs, clients: str) -> Figures:
    """Return the rows of logins from so many clients."""
    return {
        f"logins/s, {clients}": median(runs, "per_second"),
        f"p50 ms, {clients}": median(runs, "p50_ms"),
        f"plugin CPU ms for a login, {clients}": median(runs, "cpu_ms_plugin"),
        f"server CPU ms for a login, {clients}": median(runs, "cpu_ms_server"),
    }


def lanes_of(server: Server, plugins: dict[str, Plugin], kind: str) -> list[Lane]:
    """Return what each of the two is sent."""
    return [
        Lane(label, traffic_of(server.client, plugin.name, kind), server.wait_for_one_process(plugin.command))
        for label, plugin in plugins.items()
    ]


def traffic_of(client: Client, path: str, kind: str) -> Traffic:
    """Return requests of one kind at a mount."""
    mount = f"auth/{path}"
    match kind:
        case "logins":
            return Traffic([Request("POST", f"{mount}/login", LOGIN)])
        case "refused logins":
            return Traffic([Request("POST", f"{mount}/login", {**LOGIN, "pin": "a guess"})], is_refused=True)
        case "role reads":
            return Traffic([Request("GET", f"{mount}/role/dev")], "data.token_type", token=client.token)
        case "role writes":
            return Traffic([Request("POST", f"{mount}/role/written", TEAM)], "", token=client.token)
        case "renewals":
            tokens = [
                client.login_answer(path, **LOGIN)["auth"]["client_token"] for _ in range(RENEWED_TOKENS)
            ]
            requests = [Request("POST", "auth/token/renew", {"token": token}) for token in tokens]
            return Traffic(requests, token=client.token)
    raise ValueError(f"no such kind of requests: {kind}")
