"""Short forms of the parts of `make torture` in which leaders, versions, clients and mounts come and go."""

from __future__ import annotations

import pytest
from livebed.torture.bed import Bed
from livebed.torture.short import run_short


def test_nothing_is_lost_with_a_leader(bed: Bed) -> None:
    """Logins that are tried again end well; objects, keys, browser logins and refresh tokens survive."""
    rows = run_short(bed, "leaders")
    assert rows[0].seen["browser logins across the end"]
    assert rows[0].seen["renewals at the provider"]


@pytest.mark.parametrize("part", ["versions", "leases"])
def test_only_requests_in_flight_notice_a_change_of_version(bed: Bed, part: str) -> None:
    """A reload, an upgrade and a downgrade fail no other request, and no user is left without a lease."""
    run_short(bed, part)


def test_work_stops_when_its_client_goes_away(bed: Bed) -> None:
    """Within 100 ms, also where the plugin waits for a provider."""
    run_short(bed, "leaving")


@pytest.mark.parametrize("part", ["mounts", "reloads"])
def test_nothing_grows(bed: Bed, part: str) -> None:
    """Neither mounts that come and go nor reloads leave descriptors, threads, files or processes."""
    run_short(bed, part)
