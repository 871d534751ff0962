"""The public conformance suite for HTTP/2 (h2spec 2.2.1) against our engine, over mutual TLS."""

from __future__ import annotations

import asyncio
import os
import socket
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest
from certificates import host_identity, server_context
from livebed.binaries import find_built

from authkit.plugin.certificates import Identity, generate_identity
from authkit.rpc import UnaryMethod, load_engine

RUN_SECONDS = 300

CASES = 147
"""As many as h2spec has, in its strict form."""

EXPECTED: dict[str, str] = {}
"""Cases that do not pass, each with its reason."""


async def test_each_case_of_h2spec_passes_or_has_a_reason(short_directory: Path) -> None:
    """None fails or is skipped that the list does not name; the list names none that passes."""
    results = await run_suite(short_directory)
    print(results)
    assert len(results) == CASES
    assert {case for case, outcome in results.items() if outcome != "passed"} == set(EXPECTED)


async def run_suite(directory: Path) -> dict[str, str]:
    """Serve on a loopback port, run the suite, and return what became of each case."""
    binary = find_built("h2spec")
    if binary is None:
        pytest.skip("h2spec is not built: run scripts/live/build h2spec")
    client, plugin = host_identity(), generate_identity()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        server = load_engine("authkit", directory).server(
            [UnaryMethod("/t.T/Echo", lambda request, call: request)],
            listener,
            tls=server_context(plugin, client, directory),
        )
        await server.start()
        try:
            await run(binary, listener.getsockname()[1], client, plugin, directory)
        finally:
            await server.drain(timedelta(0))
    return read_report(directory / "report.xml")


async def run(binary: Path, port: int, client: Identity, plugin: Identity, directory: Path) -> None:
    """Run the suite to its end."""
    (directory / "root.pem").write_bytes(plugin.certificate_pem)
    (directory / "client.pem").write_bytes(client.certificate_pem)
    (directory / "client.key").write_bytes(client.private_key_pem)
    process = await asyncio.create_subprocess_exec(
        binary,
        str(port),
        directory / "client.pem",
        directory / "client.key",
        directory / "report.xml",
        env={**os.environ, "SSL_CERT_FILE": str(directory / "root.pem")},
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(RUN_SECONDS):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def read_report(path: Path) -> dict[str, str]:
    """Return the outcome of each case, by section and place in it."""
    found: dict[str, str] = {}
    for suite in ElementTree.parse(path).getroot().iter("testsuite"):
        for number, case in enumerate(suite.iter("testcase"), 1):
            name = f"{suite.get('package')}/{number}: {case.get('classname')}"
            outcomes = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
            found[name] = outcomes[0] if outcomes else "passed"
    return found
