"""The short form of a part, as a test."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import pytest

from livebed.torture.bed import Bed
from livebed.torture.catalog import find_part
from livebed.torture.rows import Row

__all__ = ["run_short"]


def run_short(bed: Bed, name: str, *, ignored: Collection[str] = ()) -> Sequence[Row]:
    """Run a part for some seconds, and check that nothing was lost; skip it where it cannot run.

    `ignored` are figures that a short form cannot judge.
    """
    part = find_part(name)
    reason = part.why_not()
    if reason:
        pytest.skip(reason)
    rows = part.run(bed, part.short)
    assert rows
    for row in rows:
        print(row)
        lost = {what: count for what, count in row.lost.items() if what not in ignored}
        assert replace(row, lost=lost).is_fine, row
    return rows
