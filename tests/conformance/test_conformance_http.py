"""Every case on the development server: over HTTP, with the plugin in a process of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from dev_process import dev_process

import conformance.cases  # noqa: F401 - declares them
from conformance.hosts import HTTPWay
from conformance.recording import recorded
from conformance.session import CASES, PLUGIN, ROOT, Case, run_case

RECORDED = recorded()
TESTS = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http_way() -> AsyncIterator[HTTPWay]:
    """A server of its own. The plugin stays enabled at a second path, so its process lives on between cases."""
    plugin = f"{PLUGIN}=conformance.answers:Answers"
    async with dev_process("--no-watch", plugin, root_token=ROOT, folder=TESTS) as dev:
        way = HTTPWay(dev.address)
        yield way
        await way.close()


@pytest.mark.parametrize("each", [each for each in CASES if not each.moves_clock], ids=lambda each: each.name)
async def test_over_http(http_way: HTTPWay, each: Case) -> None:
    """The development server answers each case as the real server did."""
    assert await run_case(each, http_way) == RECORDED[each.name]
