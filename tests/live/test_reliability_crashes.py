"""Short forms of the parts of `make torture` in which plugin or server are killed or stopped."""

from __future__ import annotations

import pytest
from livebed.torture.bed import Bed
from livebed.torture.short import run_short


@pytest.mark.parametrize("part", ["kills", "stops"])
def test_nothing_is_lost_in_a_crash(bed: Bed, part: str) -> None:
    """Each login ends in time with a token or a clear error; objects stay, and nothing is left behind."""
    for row in run_short(bed, part):
        assert row.seen["logins"]


def test_a_plugin_killed_in_its_start_is_started_again(bed: Bed) -> None:
    """By the next login, or by a changed registration where the server has given it up."""
    for row in run_short(bed, "starts"):
        assert row.seen["kills in a start"]
