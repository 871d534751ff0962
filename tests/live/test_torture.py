"""Our server under a go-grpc client that does everything at once, on every engine."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from certificates import host_identity, server_context
from livebed.binaries import find_built

from authkit.errors import RPCError, StatusCode
from authkit.plugin.certificates import Identity, generate_identity
from authkit.rpc import ENGINES, Call, Server, StreamMethod, UnaryMethod, load_engine

RUN_SECONDS = 240
CASES = [
    "echo of every size",
    "many calls at once",
    "cancelled deadlines leave no stream",
    "long metadata",
    "unknown methods",
    "exceptions",
    "streams",
    "calls across a restarted connection",
]


class Tortured:
    """The methods that tests/live/go/torture calls."""

    def __init__(self) -> None:
        self.hanging = 0
        self.server: Server

    def methods(self) -> list[UnaryMethod | StreamMethod]:
        """Return them, by path."""
        unary = {
            "Echo": lambda request, call: request,
            "Async": self.echo,
            "Sleep": self.sleep,
            "Hang": self.hang,
            "Hanging": lambda request, call: b"%d" % self.hanging,
            "Metadata": lambda request, call: (call.one(request.decode()) or "").encode(),
            "Break": self.break_down,
            "Refuse": self.refuse,
            "GoAway": self.go_away,
        }
        methods = [UnaryMethod(f"/t.T/{name}", handler) for name, handler in unary.items()]  # type: ignore[arg-type]
        return [*methods, StreamMethod("/t.T/Chat", self.chat)]

    async def echo(self, request: bytes, call: Call) -> bytes:
        """Suspend once."""
        await asyncio.sleep(0)
        return request

    async def sleep(self, request: bytes, call: Call) -> bytes:
        """Suspend for a while."""
        await asyncio.sleep(0.002)
        return request

    async def hang(self, request: bytes, call: Call) -> bytes:
        """Never answer."""
        self.hanging += 1
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.hanging -= 1
        return b""

    def break_down(self, request: bytes, call: Call) -> bytes:
        """Fail."""
        raise ValueError("a detail of the inside")

    def refuse(self, request: bytes, call: Call) -> bytes:
        """Refuse, in words that need encoding."""
        raise RPCError(StatusCode.FAILED_PRECONDITION, "nicht heute: 100 % ä")

    def go_away(self, request: bytes, call: Call) -> bytes:
        """Have the server end its connections; calls in flight go on. Only our engine can be told to."""
        for connection in list(getattr(self.server, "_connections", ())):
            connection.go_away()
        return b""

    async def chat(self, requests: AsyncIterator[bytes], call: Call) -> AsyncIterator[bytes]:
        """Answer each message with itself."""
        async for request in requests:
            yield request


def write_pem(path: Path, *parts: bytes) -> Path:
    """Write a PEM file."""
    path.write_bytes(b"".join(parts))
    return path


@pytest.mark.parametrize("window", [0, 65535], ids=["estimated window", "small window"])
@pytest.mark.parametrize("engine_name", ENGINES)
async def test_a_go_client_that_does_everything_at_once(
    engine_name: str, window: int, short_directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Sizes up to 40 MB, 20,000 calls at once, 1,000 deadlines, 40 KB of metadata, GOAWAY in mid-air."""
    program = find_built("torture")
    if program is None:
        pytest.skip("the torture client is not built: run scripts/live/build (needs Go)")
    host, plugin, tortured = host_identity(), generate_identity(), Tortured()
    with socket.socket(socket.AF_UNIX) as listener:
        path = short_directory / "s"
        listener.bind(str(path))
        listener.listen(128)
        listener.setblocking(False)
        engine = load_engine(engine_name, short_directory)
        context = server_context(plugin, host, short_directory)
        tortured.server = engine.server(tortured.methods(), listener, tls=context)
        await tortured.server.start()
        try:
            results = await torture(program, path, host, plugin, window, short_directory)
        finally:
            await tortured.server.drain(timedelta(seconds=1))
    assert [result["case"] for result in results] == CASES
    assert [result for result in results if result["problem"]] == []
    assert tortured.hanging == 0


async def torture(
    program: Path, path: Path, host: Identity, plugin: Identity, window: int, directory: Path
) -> list[dict[str, Any]]:
    """Run the client; return what it says of each case."""
    certificate = write_pem(directory / "client.pem", host.certificate_pem, host.private_key_pem)
    trusted = write_pem(directory / "server.pem", plugin.certificate_pem)
    client = await asyncio.create_subprocess_exec(
        str(program),
        f"-socket={path}",
        f"-certificate={certificate}",
        f"-trusted={trusted}",
        f"-window={window}",
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(RUN_SECONDS):
            output, _ = await client.communicate()
    finally:
        if client.returncode is None:
            client.kill()
            await client.wait()
    return [json.loads(line) for line in output.decode().splitlines()]
