"""Short forms of the parts of `make torture` in which what is around a plugin fails, or is very much."""

from __future__ import annotations

import pytest
from livebed.torture.bed import Bed
from livebed.torture.catalog import find_part

NOISY = "p99 more than twice as long"
"""Of the few requests of a short form says little."""


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
    part = find_part(name)
    rows = part.run(bed, part.short)
    assert rows
    for row in rows:
        print(row)
        lost = {what: count for what, count in row.lost.items() if what != NOISY}
        assert not any(lost.values()), row
