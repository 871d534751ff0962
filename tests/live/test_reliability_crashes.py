"""Short forms of the parts of `make torture` in which plugin or server are killed or stopped."""

from __future__ import annotations

import pytest
from livebed.torture.bed import Bed
from livebed.torture.catalog import find_part


@pytest.mark.parametrize("name", ["kills", "stops"])
def test_nothing_is_lost(bed: Bed, name: str) -> None:
    """Each login ends in time with a token or a clear error; objects stay, and nothing is left behind."""
    part = find_part(name)
    for row in part.run(bed, part.short):
        print(row)
        assert row.is_fine, row
        assert row.seen["logins"]
