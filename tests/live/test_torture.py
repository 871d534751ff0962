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
from certificates import client_context, host_identity, server_context
from livebed.binaries import find_built

from authkit.errors import RPCError, StatusCode
from authkit.plugin.security.certificates import TLSIdentity, generate_identity
from authkit.rpc import ENGINES, Address, CallContext, Server, StreamMethod, UnaryMethod, load_engine

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
    "a window that shrinks in mid-stream",
    "a client that says GOAWAY in mid-call",
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

    async def echo(self, request: bytes, call: CallContext) -> bytes:
        """Suspend once."""
        await asyncio.sleep(0)
        return request

    async def sleep(self, request: bytes, call: CallContext) -> bytes:
        """Suspend for a while."""
        await asyncio.sleep(0.002)
        return request

    async def hang(self, request: bytes, call: CallContext) -> bytes:
        """Never answer."""
        self.hanging += 1
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.hanging -= 1
        return b""

    def break_down(self, request: bytes, call: CallContext) -> bytes:
        """Fail."""
        raise ValueError("a detail of the inside")

    def refuse(self, request: bytes, call: CallContext) -> bytes:
        """Refuse, in words that need encoding."""
        raise RPCError(StatusCode.FAILED_PRECONDITION, "nicht heute: 100 % ä")

    def go_away(self, request: bytes, call: CallContext) -> bytes:
        """Have the server end its connections; calls in flight go on. Only our engine can be told to."""
        for connection in list(getattr(self.server, "_connections", ())):
            connection.go_away()
        return b""

    async def chat(self, requests: AsyncIterator[bytes], call: CallContext) -> AsyncIterator[bytes]:
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
    program = find_torture()
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


@pytest.mark.parametrize("engine_name", ENGINES)
async def test_a_go_server_that_sends_its_clients_away(engine_name: str, short_directory: Path) -> None:
    """Every 20 ms it says GOAWAY (MaxConnectionAge): each of 2,000 calls is answered, on some connection."""
    program = find_torture()
    host, plugin, path = host_identity(), generate_identity(), short_directory / "s"
    server = await start(program, "-serve", *arguments(path, host, plugin, short_directory))
    channel = load_engine(engine_name, short_directory).channel(
        Address("unix", str(path)),
        tls=client_context(plugin, host, short_directory),
        server_name="localhost",
    )

    async def call_many(worker: int) -> None:
        for number in range(100):
            request = b"%d/%d" % (worker, number)
            assert await channel.call("/t.T/Echo", request, timeout=timedelta(seconds=20)) == request

    try:
        async with asyncio.timeout(RUN_SECONDS):
            assert server.stdout is not None
            assert await server.stdout.readline() == b"serving\n"
            await asyncio.gather(*map(call_many, range(20)))
    finally:
        await channel.close()
        await end(server)


def find_torture() -> Path:
    """The program, or the test is skipped."""
    program = find_built("torture")
    if program is None:
        pytest.skip("the torture client is not built: run scripts/live/build (needs Go)")
    return program


def arguments(path: Path, ours: TLSIdentity, theirs: TLSIdentity, directory: Path) -> list[str]:
    """Where the Go program finds the socket and its certificates."""
    certificate = write_pem(directory / "go.pem", ours.certificate_pem, ours.private_key_pem)
    trusted = write_pem(directory / "python.pem", theirs.certificate_pem)
    return [f"-socket={path}", f"-certificate={certificate}", f"-trusted={trusted}"]


async def start(program: Path, *words: str) -> asyncio.subprocess.Process:
    """Start the Go program."""
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(str(program), *words, stdin=pipe, stdout=pipe)


async def end(process: asyncio.subprocess.Process) -> None:
    """End it by any means."""
    if process.returncode is None:
        process.kill()
        await process.wait()


async def torture(
    program: Path, path: Path, host: TLSIdentity, plugin: TLSIdentity, window: int, directory: Path
) -> list[dict[str, Any]]:
    """Run the client; return what it says of each case."""
    client = await start(program, f"-window={window}", *arguments(path, host, plugin, directory))
    try:
        async with asyncio.timeout(RUN_SECONDS):
            output, _ = await client.communicate()
    finally:
        await end(client)
    return [json.loads(line) for line in output.decode().splitlines()]
