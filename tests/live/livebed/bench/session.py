"""The whole run, one part after the other, each on a fresh server: its memory fills with tokens."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack

from livebed.bench.bed import BUILT_IN, Bed, open_bed
from livebed.bench.growing_tokens import lasting_token
from livebed.bench.live_curves import measure_live
from livebed.bench.options import Options
from livebed.bench.process_curves import measure_in_process
from livebed.bench.results import Results, describe_run
from livebed.bench.rounds import Lane, interleave
from livebed.bench.scenarios import SCENARIOS, Site, lanes_of, plain_lanes
from livebed.bench.starts import RESIDENT_AFTER_LOGINS, measure_memory, measure_starts
from livebed.bench.traffic import Traffic, login
from livebed.tokens import Issuer, usual_issuer

__all__ = ["PLAIN_SCENARIO", "run_session"]

PLAIN_SCENARIO = "login, shared secret"
SCENARIO_CLIENTS = 8


def run_session(options: Options) -> Results:
    """Measure what the options ask for; progress goes to stderr."""
    began = time.monotonic()
    with open_bed(options.engines, options.beside) as bed:
        about = describe_run(options.arguments, bed.server.client.call("GET", "sys/health")["version"])
        results = Results(about, [each.label for each in bed.contenders])
        if "logins" in options.parts:
            measure_logins(bed, options, results)
    if "scenarios" in options.parts:
        with open_bed(options.engines, options.beside) as bed:
            measure_scenarios(bed, options, results)
    if "curves" in options.parts:
        with open_bed(options.engines[:1]) as bed:
            measure_curves(bed, options, results)
    results.about["took"] = f"{time.monotonic() - began:.0f} s"
    return results


def measure_logins(bed: Bed, options: Options, results: Results) -> None:
    """Compare logins with a static RSA key, memory and starts."""
    token = lasting_token(usual_issuer())
    lanes = []
    for contender in bed.contenders:
        mount = contender.mount(usual_issuer())
        lanes.append(Lane(contender.label, Traffic([login(mount.path, token)]), contender.pid))
    results.single[f"RSS MiB after {RESIDENT_AFTER_LOGINS} logins"] = measure_memory(bed.server, lanes)
    lanes.append(Lane(BUILT_IN, bed.mount_built_in(), None))
    for clients in options.clients:
        tell(f"{clients} clients")
        results.logins[clients] = interleave(
            bed.server, lanes, rounds=options.rounds, clients=clients, count=options.logins
        )
    tell("starts")
    files = {each.label: each.plugin.file for each in bed.contenders}
    for name, times in measure_starts(files, options.starts).items():
        results.single[f"start to {name}, ms"] = times


def measure_scenarios(bed: Bed, options: Options, results: Results) -> None:
    """Compare other keys, other requests and refusals."""
    rsa, ec = Issuer.rsa("rsa"), Issuer.ec("ec")
    with ExitStack() as stack:
        sites = [Site(contender, rsa, ec, stack) for contender in bed.contenders]
        for name, make in SCENARIOS.items():
            measure_scenario(bed, options, results, name, lanes_of(sites, make))
        measure_scenario(bed, options, results, PLAIN_SCENARIO, plain_lanes(bed))


def measure_scenario(bed: Bed, options: Options, results: Results, name: str, lanes: list[Lane]) -> None:
    """Let the contenders take turns at one kind of request."""
    tell(name)
    results.scenarios[name] = interleave(
        bed.server, lanes, rounds=options.rounds, clients=SCENARIO_CLIENTS, count=options.logins // 5
    )


def measure_curves(bed: Bed, options: Options, results: Results) -> None:
    """Measure growth: beside the Go plugin on a server, and more closely in this process."""
    count, rounds = options.logins // 8, min(options.rounds, 3)
    by_name = {}
    for curve in measure_live(bed, rounds=rounds, count=count, is_quick=options.is_quick):
        tell(f"{curve.name}, on a server")
        by_name[curve.name] = curve
    for curve in measure_in_process(is_quick=options.is_quick):
        tell(f"{curve.name}, in process")
        by_name.setdefault(curve.name, curve).join(curve)
    results.curves.extend(by_name.values())


def tell(what: str) -> None:
    """Say what is being measured, or has just been."""
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)
