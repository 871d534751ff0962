"""Every case on the hosts of this repository, compared with what a real server answered."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from dev_process import dev_process

from authkit.host.built_in import add_built_in
from authkit.host.server.core import Core
from authkit.host.supervisor.databases.in_process import InProcessDatabase
from authkit.host.supervisor.in_process.plugin import InProcessPlugin
from authkit.testing import MovableClock
from conformance.answers import VERSION, Answers
from conformance.catalogue import EVERYWHERE
from conformance.hosts import CoreWay, HTTPWay
from conformance.issuer import Issuer
from conformance.recording import recorded
from conformance.session import CASES, DATABASE, ENGINE, LAUNCHERS, PLUGIN, ROOT, Case, run_case
from conformance.shelf import Shelf

RECORDED = recorded()


@pytest.fixture
async def core_way() -> AsyncIterator[CoreWay]:
    """A core in this process, with both plugins and a clock that moves."""
    clock = MovableClock()
    core = Core(root_token=ROOT, clock=clock)
    core.catalog.add_local(PLUGIN, lambda entry: InProcessPlugin(Answers), VERSION)
    core.catalog.add_local(ENGINE, lambda entry: InProcessPlugin(Issuer), VERSION, type="secret")
    core.catalog.add_local_database(DATABASE, lambda entry: InProcessDatabase(Shelf), "v0.1.0")
    add_built_in(core.catalog, clock)
    await core.start()
    yield CoreWay(core, clock)
    await core.stop()


@pytest.mark.parametrize("each", CASES, ids=lambda each: each.name)
async def test_in_this_process(core_way: CoreWay, each: Case) -> None:
    """The core answers each case as the real server did."""
    steps = await run_case(each, core_way)
    if not each.moves_clock:
        assert steps == RECORDED[each.name]


async def test_over_http(tmp_path: Path, subtests: pytest.Subtests) -> None:
    """So does the development server, over HTTP, with the plugins in processes of their own."""
    launchers = []
    for name, text in LAUNCHERS.items():
        launcher = tmp_path / name
        launcher.write_text(f"#!{sys.executable} -I\n{text}")
        launcher.chmod(0o755)
        launchers.append(str(launcher))
    async with dev_process(*launchers, "--no-watch", "--no-ui", "--root-token", ROOT) as dev:
        way = HTTPWay(dev.address)
        for each in EVERYWHERE:
            with subtests.test(each.name):
                assert await run_case(each, way) == RECORDED[each.name]
        await way.close()


def test_every_case_says_what_it_is_about() -> None:
    """There are enough, each with a name of its own and a sentence; each is recorded or moves time."""
    assert len({each.name for each in CASES}) == len(CASES) >= 150
    assert all(each.run.__doc__ for each in CASES)
    assert {each.name for each in EVERYWHERE} == RECORDED.keys()
