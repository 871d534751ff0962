"""The conformance cases on a real server: what was recorded is still what it answers.

`AUTHKIT_RECORD=1 pytest tests/live/test_conformance.py` records them anew.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest
from conformance.catalogue import EVERYWHERE
from conformance.hosts import HTTPWay
from conformance.recording import recorded, write
from conformance.session import KINDS, LAUNCHERS, Case, run_case
from livebed.plugins import python_plugin
from livebed.server import Server

OPENBAO_DIFFERS = {
    "routing: write_to_a_folder_of_a_tolerant_mount": "refuses to write to a path that ends in a slash",
    "routing: head_and_options": "answers OPTIONS with 400",
    "errors: text_index_state": "gives the text of a missing index state no status of its own",
    "login: policies_of_the_host_are_refused": "has no control groups: that name is a policy like any other",
    "renewal: renewal_fails_with_a_status": "passes the status of a failed renewal on",
    "identity: metadata_of_the_alias_follows": "keeps no custom metadata that a plugin names",
    "policies: variable_with_a_wildcard": "takes no wildcard from the value of a variable",
    "mounts: reloads_that_make_no_sense": "looks for the plugin first",
    "mounts: catalog": "has no pins",
    "leases: old_paths": "has left them behind",
    "databases: resets_and_reloads": "resets connections by name alone",
}
"""Cases that OpenBao answers otherwise than Vault (OpenBao after 2.4, development branch of August 2026)."""


@pytest.fixture(scope="module")
def address(server: Server) -> str:
    """The shared server's address, once both plugins are registered there."""
    for name, launcher in LAUNCHERS.items():
        python_plugin(server.plugin_directory, name, launcher, kind=KINDS[name]).register(server.client)
    return server.address


@pytest.fixture
async def way(address: str) -> AsyncIterator[HTTPWay]:
    """The way to the server."""
    over_http = HTTPWay(address)
    yield over_http
    await over_http.close()


@pytest.mark.parametrize("each", EVERYWHERE, ids=lambda each: each.name)
async def test_on_a_real_server(
    request: pytest.FixtureRequest, server: Server, way: HTTPWay, each: Case
) -> None:
    """The server answers each case as it did when the case was recorded, and as our own host does."""
    if server.program.is_bao and each.name in OPENBAO_DIFFERS:
        request.applymarker(pytest.mark.xfail(reason=f"OpenBao {OPENBAO_DIFFERS[each.name]}", strict=True))
    steps = await run_case(each, way)
    if os.environ.get("AUTHKIT_RECORD"):
        write(each.name, steps)
    elif not server.program.is_bao:
        assert steps == recorded()[each.name]
