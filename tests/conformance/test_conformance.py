"""Every case on the hosts of this repository, compared with what a real server answered."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

import conformance.cases  # noqa: F401 - declares them
from authkit.host.clock import MovableClock
from authkit.host.core import Core
from authkit.host.local import LocalPlugin
from conformance.answers import VERSION, Answers
from conformance.hosts import CoreWay
from conformance.recording import recorded
from conformance.session import CASES, PLUGIN, ROOT, Case, run_case

RECORDED = recorded()


@pytest.fixture
async def core_way() -> AsyncIterator[CoreWay]:
    """A core in this process, with the answering plugin and a clock that moves."""
    clock = MovableClock()
    core = Core(root_token=ROOT, clock=clock)
    core.catalog.add_local(PLUGIN, lambda entry: LocalPlugin(Answers), VERSION)
    await core.start()
    yield CoreWay(core, clock)
    await core.stop()


@pytest.mark.parametrize("each", CASES, ids=lambda each: each.name)
async def test_in_this_process(core_way: CoreWay, each: Case) -> None:
    """The core answers each case as the real server did."""
    steps = await run_case(each, core_way)
    if not each.moves_clock:
        assert steps == RECORDED[each.name]


def test_every_case_says_what_it_is_about() -> None:
    """There are enough, each with a name of its own and a sentence; each is recorded or moves time."""
    assert len({each.name for each in CASES}) == len(CASES) >= 150
    assert all(each.run.__doc__ for each in CASES)
    assert {each.name for each in CASES if not each.moves_clock} == RECORDED.keys()
