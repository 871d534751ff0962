"""Growth on a real server, beside the Go plugin: the CPU time of either plugin's process for a login."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from identity_provider import serve_provider

from livebed.bench.bed import GO, Bed, Contender
from livebed.bench.curves import Curve, choose_points
from livebed.bench.growing_tokens import grouped_token, lasting_token, padded_token, signers
from livebed.bench.load import run_load
from livebed.bench.rounds import Lane, interleave, median
from livebed.bench.traffic import Request, Traffic, login
from livebed.mounts import DEV_ROLE, Mount
from livebed.processes import resident_kib
from livebed.tokens import usual_issuer

__all__ = ["LIVE_CURVES", "measure_live"]

CLIENTS = 4
WRITERS = 32
MOST_WARM_ROLES = 1_000
FIGURE = "cpu_ms_plugin"


@dataclass
class Side:
    """One contender, and what its mounts fetch from."""

    contender: Contender
    stack: ExitStack

    def configured(self, **config: object) -> Mount:
        """Return a new mount whose configuration has these fields alone; the usual ones if there are none."""
        mount = self.contender.mount(usual_issuer())
        if config:
            mount.client.write(f"auth/{mount.path}/config", **config)
        return mount


def static_keys(side: Side, count: int) -> Traffic:
    """Log in with the key that stands last in the configuration."""
    keys = signers(count)
    mount = side.configured(jwt_validation_pubkeys=[key.public_pem for key in keys])
    return Traffic([login(mount.path, lasting_token(keys[-1]))])


def published_keys(side: Side, count: int) -> Traffic:
    """Log in with the key that stands last in a fetched key set."""
    keys = signers(count)
    provider = side.stack.enter_context(serve_provider(*[key.jwk for key in keys]))
    mount = side.configured(jwks_url=provider.keys_url)
    return Traffic([login(mount.path, lasting_token(keys[-1]))])


def groups(side: Side, count: int) -> Traffic:
    """Log in with a token that names so many groups."""
    mount = side.configured()
    mount.write_role(groups_claim="groups")
    return Traffic([login(mount.path, grouped_token(count))])


def token_sizes(side: Side, size: int) -> Traffic:
    """Log in with a token of so many bytes."""
    return Traffic([login(side.configured().path, padded_token(size))])


def roles(side: Side, count: int) -> Traffic:
    """Log in with each role in turn. Few roles are in memory by then, of many each login has a new one."""
    mount, token = side.configured(), lasting_token(usual_issuer())
    names = [f"role-{number}" for number in range(count)]
    requests = [Request("POST", f"auth/{mount.path}/role/{name}", DEV_ROLE) for name in names]
    writes = Traffic(requests, "", token=mount.client.token)
    run_load(mount.client.address, writes, {}, clients=WRITERS, count=count)
    logins = Traffic([login(mount.path, token, name) for name in names])
    if count <= MOST_WARM_ROLES:
        run_load(mount.client.address, logins, {}, clients=WRITERS, count=count)
    return logins


Prepare = Callable[[Side, int], Traffic]

LIVE_CURVES: Sequence[tuple[str, str, Sequence[int], Prepare]] = (
    ("static-keys", "static keys", (1, 4, 16, 64), static_keys),
    ("published-keys", "published keys", (1, 10, 100), published_keys),
    ("groups", "groups", (0, 20, 100, 500), groups),
    ("token-size", "bytes of the token", (500, 2_000, 8_000, 16_000), token_sizes),
    ("roles", "roles", (10, 1_000, 12_000), roles),
)
"""Names, what grows, how far, and what makes a mount for it."""

MOUNTS = (1, 10, 25, 50)


def measure_live(bed: Bed, *, rounds: int, count: int, is_quick: bool) -> Iterator[Curve]:
    """Yield each curve once it is measured. All points of a curve take turns, but for mounts."""
    with ExitStack() as stack:
        sides = [Side(contender, stack) for contender in bed.pair()]
        yield from measure_mounts(bed, choose_points(MOUNTS, is_quick=is_quick), rounds, count)
        for name, x, points, prepare in LIVE_CURVES:
            lanes, places = [], {}
            for point in choose_points(points, is_quick=is_quick):
                for side in sides:
                    lane = Lane(f"{side.contender.label} {point}", prepare(side, point), side.contender.pid)
                    lanes.append(lane)
                    places[lane.label] = series_name(side.contender), point
            runs = interleave(bed.server, lanes, rounds=rounds, clients=CLIENTS, count=count)
            curve = Curve(name, x)
            for label, cpu in median(runs, FIGURE).items():
                curve.add(*places[label], 1000 * cpu)
            yield curve


def measure_mounts(bed: Bed, points: Sequence[int], rounds: int, count: int) -> Iterator[Curve]:
    """Yield CPU time and memory of a process that gets more and more mounts, all of which are used."""
    curve, memory = Curve("mounts", "mounts"), Curve("memory", "mounts", "RSS MiB")
    requests: dict[str, list[Request]] = {contender.label: [] for contender in bed.pair()}
    for point in points:
        lanes = []
        for contender in bed.pair():
            known = requests[contender.label]
            while len(known) < point:
                mount = contender.mount(usual_issuer())
                known.append(login(mount.path, lasting_token(usual_issuer())))
            lanes.append(Lane(contender.label, Traffic(known), contender.pid))
        runs = interleave(bed.server, lanes, rounds=rounds, clients=CLIENTS, count=count)
        cpu = median(runs, FIGURE)
        for contender in bed.pair():
            curve.add(series_name(contender), point, 1000 * cpu[contender.label])
            memory.add(series_name(contender), point, resident_kib(contender.pid) / 1024)
    yield curve
    yield memory


def series_name(contender: Contender) -> str:
    """Return what the figures of a contender are called in plots and tables."""
    return f"{'Go plugin' if contender.label == GO else contender.label}, on a server"
