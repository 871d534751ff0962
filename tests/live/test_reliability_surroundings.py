"""Short forms of the parts of `make torture` with faults around a plugin, many objects or long loads."""

from __future__ import annotations

import pytest
from livebed.torture.bed import Bed
from livebed.torture.short import run_short

NOISY = "p99 more than twice as long"
"""A figure that says little with the few requests of a short form."""


@pytest.mark.parametrize(
    "name",
    [
        "provider",
        "provider-server",
        "storage",
        "late-storage",
        "scarcity",
        "names",
        "clock",
        "soak",
        "browser-logins",
        "secrets",
    ],
)
def test_nothing_is_lost(bed: Bed, name: str) -> None:
    """Nobody is let in or refused wrongly, what was written stays, and nothing grows."""
    run_short(bed, name, ignored=[NOISY])
