"""A coarse bound on speed, beside the official Go plugin on one server: counts are in the example's tests."""

from __future__ import annotations

import pytest
from livebed.bench.bed import GO, open_bed
from livebed.bench.growing_tokens import lasting_token
from livebed.bench.rounds import Lane, interleave
from livebed.bench.traffic import Traffic, login
from livebed.binaries import find_built
from livebed.tokens import usual_issuer

from authkit.rpc import ENGINES

MIN_RATIO = 0.5
"""Of the Go plugin's logins per second, at one client. docs/performance.md has the real figure, above 1."""

ROUNDS = 3
LOGINS = 200


def test_logins_take_at_most_twice_as_long_as_with_the_go_plugin() -> None:
    """In the best of some rounds: another process may take the machine in any of them."""
    missing = [name for name in ("vault", "jwt-peer", "load") if find_built(name) is None]
    if missing:
        pytest.skip(f"not built: {', '.join(missing)}. Run scripts/live/build")
    with open_bed(ENGINES[:1]) as bed:
        lanes = []
        for contender in bed.contenders:
            path = contender.mount(usual_issuer()).path
            traffic = Traffic([login(path, lasting_token(usual_issuer()))])
            lanes.append(Lane(contender.label, traffic, contender.pid))
        runs = interleave(bed.server, lanes, rounds=ROUNDS, clients=1, count=LOGINS)
    rounds = zip(runs[ENGINES[0]], runs[GO], strict=True)
    ratios = [ours["per_second"] / go["per_second"] for ours, go in rounds]
    assert max(ratios) >= MIN_RATIO, ratios
