"""A socket, and the application served on it until it is told to stop.

What is served is left to application.py; signals and what is printed, to the command line.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import AsyncIterator
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["HEADER_SECONDS", "NotLoopbackError", "listen", "serving"]

HEADER_SECONDS = 10.0
"""In which the first line and the headers of a request arrive (Vault's `http_read_header_timeout`)."""
IDLE_SECONDS = 300
"""How long an unused connection stays open (Vault's `http_idle_timeout`)."""
HEADER_BYTES = 1024 * 1024
"""The most that a request's first line and headers may have, as with Go's server."""
CONNECTIONS = 1000
"""Beyond it a request gets a 503."""
STOP_SECONDS = 2
"""How long requests may go on while the server stops."""


class NotLoopbackError(ValueError):
    """Somebody else's machine could connect to this address, and nobody has said that this is wanted."""


def listen(host: str, port: int, *, allow_insecure_address: bool = False) -> socket.socket:
    """Return a listening socket; port 0 takes a free one.

    The API speaks plain HTTP and its root token is known to whoever reads the terminal: without
    `allow_insecure_address` only addresses of this machine's loopback interface are served.

    Raises:
        NotLoopbackError: the address is reachable from elsewhere.
        OSError: it can't be listened on.
    """
    address = "127.0.0.1" if host == "localhost" else host
    parsed = ipaddress.ip_address(address)
    if not parsed.is_loopback and not allow_insecure_address:
        raise NotLoopbackError(host)
    family = socket.AF_INET6 if parsed.version == 6 else socket.AF_INET
    # Named as TCP, else asyncio leaves Nagle's algorithm on: each answer would wait 40 ms for an ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(128)
    except BaseException:
        listener.close()
        raise
    return listener


@contextlib.asynccontextmanager
async def serving(application: ASGIApp, listener: socket.socket) -> AsyncIterator[None]:
    """Serve on a socket inside the context. In the end it is closed, and what still runs gets a moment."""
    config = uvicorn.Config(
        application,
        http=PatientProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
        limit_concurrency=CONNECTIONS,
        h11_max_incomplete_event_size=HEADER_BYTES,
    )
    config.load()
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await server.ready.wait()
        yield
    finally:
        server.stop()
        await task
        listener.close()


class _Server(uvicorn.Server):
    """Serves inside somebody else's program: signals stay theirs."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self.stopping = asyncio.Event()

    def stop(self) -> None:
        """Begin to end."""
        self.should_exit = True
        self.stopping.set()

    async def main_loop(self) -> None:
        """Renew the date of the answers every second, until told to stop."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), 1)

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """Capture none."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and tell whoever waits for it."""
        try:
            await super().startup(sockets)
        finally:
            self.ready.set()


class PatientProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, with a bound on the time that a request's head may take.

    Without one, a client that sends nothing, or a header line a minute, keeps its connection for ever.
    """

    head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Read on. The time for a head counts from its first byte, and ends with its last."""
        if self.conn.their_state is h11.IDLE and self.head_timer is None:
            self._wait_for_head()
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()

    def send_400_response(self, msg: str) -> None:
        """Refuse what isn't HTTP. A request whose body has turned out so is over: nobody else answers it."""
        super().send_400_response(msg)
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        self.head_timer = self.loop.call_later(HEADER_SECONDS, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self.head_timer is not None:
            self.head_timer.cancel()
            self.head_timer = None
