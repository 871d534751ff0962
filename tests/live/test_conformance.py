"""The conformance cases on a real server: what was recorded is still what it answers.

`AUTHKIT_RECORD=1 pytest tests/live/test_conformance.py` records them anew.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest
from conformance.cases import EVERYWHERE, LAUNCHER, PLUGIN, Case, run_case
from conformance.hosts import HTTPWay
from conformance.recording import recorded, write
from livebed.plugins import python_plugin
from livebed.server import Server


@pytest.fixture(scope="module")
def address(server: Server) -> str:
    """The shared server's address, once the answering plugin is registered there."""
    python_plugin(server.plugin_directory, PLUGIN, LAUNCHER).register(server.client)
    return server.address


@pytest.fixture
async def way(address: str) -> AsyncIterator[HTTPWay]:
    """The way to the server."""
    over_http = HTTPWay(address)
    yield over_http
    await over_http.close()


@pytest.mark.parametrize("each", EVERYWHERE, ids=lambda each: each.name)
async def test_on_a_real_server(server: Server, way: HTTPWay, each: Case) -> None:
    """The server answers each case as it did when the case was recorded, and as our own host does."""
    steps = await run_case(each, way)
    if os.environ.get("AUTHKIT_RECORD"):
        write(each.name, steps)
    elif not server.program.is_bao:
        assert steps == recorded()[each.name]
