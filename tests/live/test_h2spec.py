"""The public conformance suite for HTTP/2 (h2spec 2.2.1) against our engine, over mutual TLS."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest
from certificates import host_identity, server_context
from livebed.binaries import find_built

from authkit.plugin.security.certificates import TLSIdentity, generate_identity
from authkit.rpc import CallContext, StreamMethod, load_engine, server
from authkit.rpc.messages import RequestHead, parse_request_head

RUN_SECONDS = 300

CASES = 146
"""As many as h2spec has, in its strict form."""

NO_TABLE = "h2spec uses a dynamic table, whose size we have announced as 0 (RFC 7541 section 4.2)"
DEPRECATED = "RFC 9113 section 5.3.2 no longer knows dependencies; priorities are ignored"

EXPECTED = {
    "generic/5/14": NO_TABLE,
    "generic/5/15": NO_TABLE,
    "http2/6.10/1": NO_TABLE,
    "http2/5.3.1/1": DEPRECATED,
    "http2/5.3.1/2": DEPRECATED,
}
"""Cases that do not pass, by section and place in it, and why."""


async def test_each_case_of_h2spec_passes_or_has_a_reason(
    short_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None fails or is skipped that the list does not name; the list names none that passes."""
    monkeypatch.setattr(server, "parse_request_head", parse_any_request)
    results = await run_suite(short_directory)
    failed = {case: problem for case, problem in results.items() if problem}
    assert failed.keys() == EXPECTED.keys(), failed
    assert len(results) == CASES


def parse_any_request(fields: Sequence[tuple[bytes, bytes]]) -> RequestHead:
    """Take the suite's GET requests for calls of a method, so that they are answered with data."""
    changed = [(name, b"POST" if name == b":method" else value) for name, value in fields]
    return parse_request_head([*changed, (b"content-type", b"application/grpc")])


async def answer(requests: AsyncIterator[bytes], call: CallContext) -> AsyncIterator[bytes]:
    """Answer once the request has ended. What it holds is no message, for which the call fails."""
    async for _ in requests:
        pass
    yield b"an answer"


async def run_suite(directory: Path) -> dict[str, str]:
    """Serve on a loopback port, run the suite, and return what is wrong with each case, mostly nothing."""
    binary = find_built("h2spec")
    if binary is None:
        pytest.skip("h2spec is not built: run scripts/live/build h2spec")
    client, plugin = host_identity(), generate_identity()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        service = load_engine("authkit", directory).server(
            [StreamMethod("/", answer)], listener, tls=server_context(plugin, client, directory)
        )
        await service.start()
        try:
            await run(binary, listener.getsockname()[1], client, plugin, directory)
        finally:
            await service.drain(timedelta(0))
    return read_report(directory / "report.xml")


async def run(binary: Path, port: int, client: TLSIdentity, plugin: TLSIdentity, directory: Path) -> None:
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
    """Return what is wrong with each case, by section and place in it."""
    found: dict[str, str] = {}
    for suite in ElementTree.parse(path).getroot().iter("testsuite"):
        for number, case in enumerate(suite.iter("testcase"), 1):
            problems = [f"{child.tag} {child.text or ''}".strip() for child in case]
            name = f"{suite.get('package')}/{number}"
            found[name] = f"{case.get('classname')}: {problems[0]}" if problems else ""
    return found
