"""Contenders take turns, because a server slows down as its memory fills; what counts is the median."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from identity_provider import Provider

from livebed.bench.load import Figures, run_load
from livebed.bench.traffic import Traffic
from livebed.server import Server

__all__ = ["Lane", "Runs", "interleave", "median", "run_lane"]

WARM_UP = 50

Runs = dict[str, list[Figures]]
"""The runs of each contender, by its label."""


@dataclass(frozen=True)
class Lane:
    """What one contender is sent."""

    label: str
    traffic: Traffic
    plugin: int | None
    """The process; `None` where the server does everything itself."""
    provider: Provider | None = None
    """Whose requests are counted."""


def interleave(server: Server, lanes: Sequence[Lane], *, rounds: int, clients: int, count: int) -> Runs:
    """Run the traffic of each lane once in every round, after a warm-up."""
    for lane in lanes:
        run_lane(server, lane, clients=min(clients, WARM_UP), count=min(count, WARM_UP))
    runs: Runs = {lane.label: [] for lane in lanes}
    for _ in range(rounds):
        for lane in lanes:
            runs[lane.label].append(run_lane(server, lane, clients=clients, count=count))
    return runs


def run_lane(server: Server, lane: Lane, *, clients: int, count: int) -> Figures:
    """Run a lane's traffic once; `provider_requests` are counted where there is a provider."""
    processes = {"server": server.pid} | ({} if lane.plugin is None else {"plugin": lane.plugin})
    asked = 0 if lane.provider is None else len(lane.provider.fetches)
    figures = run_load(server.address, lane.traffic, processes, clients=clients, count=count)
    if lane.provider is not None:
        figures["provider_requests"] = len(lane.provider.fetches) - asked
    return figures


def median(runs: Mapping[str, Sequence[Figures]], figure: str) -> dict[str, float]:
    """Return the median of a figure for each contender that has it."""
    return {
        label: float(statistics.median(run[figure] for run in each))
        for label, each in runs.items()
        if each and figure in each[0]
    }
