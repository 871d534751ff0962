"""A core that answers whatever a test wants, served on a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import httpx

from authkit.host.http.access_log import AccessLog
from authkit.host.http.application import Application, Bounds
from authkit.host.http.server import listen, serving
from authkit.host.messages import HostRequest, HostResponse

OK = HostResponse(status=200, body={"data": {"a": 1}})


@dataclass
class FakeCore:
    """Remembers what was asked."""

    answer: HostResponse | Callable[[HostRequest], HostResponse] = OK
    asked: list[HostRequest] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    hangs: bool = False

    async def handle(self, request: HostRequest) -> HostResponse:
        """Answer, or hang until somebody cancels."""
        self.asked.append(request)
        self.begun.set()
        if self.hangs:
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        return self.answer(request) if callable(self.answer) else self.answer

    @property
    def last(self) -> HostRequest:
        """What was asked last."""
        return self.asked[-1]


@dataclass(frozen=True)
class Served:
    """A running application, and two ways to talk to it."""

    core: FakeCore
    port: int
    http: httpx.AsyncClient

    async def send(self, data: bytes) -> bytes:
        """Send bytes as they are; return all that comes back until the server closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            async with asyncio.timeout(10):
                return await reader.read()
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def served(
    core: FakeCore | None = None,
    *,
    bounds: Bounds | None = None,
    names: tuple[str, ...] = (),
    log: bool = False,
) -> AsyncIterator[Served]:
    """Serve a fake core on a free loopback port."""
    core = core or FakeCore()
    listener: socket.socket = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    application = Application(core, names=names, bounds=bounds or Bounds())
    async with (
        serving(AccessLog(application) if log else application, listener),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http,
    ):
        yield Served(core, port, http)
