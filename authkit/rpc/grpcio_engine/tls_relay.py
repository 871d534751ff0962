"""TLS in front of a plaintext gRPC endpoint: bytes leave TLS on one side and enter it on the other.

grpcio's own TLS refuses the P-521 certificates of go-plugin hosts in both directions (measured with
grpcio 1.85.1); OpenSSL takes them. So the reference engine speaks plaintext over a socket in a
private directory, and this module stands between that socket and the world.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from socket import socket

from authkit.errors import RPCError
from authkit.rpc.interface import Address, Refusal
from authkit.rpc.transport import Acceptor, Gate, abort, cancel_all, dial

__all__ = ["ClientRelay", "ServerRelay"]


class ServerRelay:
    """Accepts TLS connections on `listener` and connects each to the plaintext socket `inner`."""

    def __init__(
        self, listener: socket, inner: str, *, tls: ssl.SSLContext | None, on_refused: Refusal
    ) -> None:
        self._inner = inner
        self._acceptor = Acceptor(listener, self._carry, tls=tls, on_refused=on_refused)

    async def start(self) -> None:
        """Accept connections."""
        await self._acceptor.start()

    def stop_accepting(self) -> None:
        """Close the listener; established connections go on."""
        self._acceptor.stop_accepting()

    async def close(self) -> None:
        """Close the listener and every connection."""
        await self._acceptor.close()

    async def _carry(self, transport: asyncio.Transport, early: bytes) -> None:
        _, inner = await asyncio.get_running_loop().create_unix_connection(_Half, self._inner)
        await _join(_Half.of(transport), inner, early)


class ClientRelay:
    """Listens on the plaintext socket `inner` and connects each client to `address` over TLS."""

    def __init__(self, inner: str, address: Address, *, tls: ssl.SSLContext | None, server_name: str) -> None:
        self.inner = inner
        self._address = address
        self._tls = tls
        self._server_name = server_name
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.failure: RPCError | None = None
        """Why the last attempt to connect failed; `None` after a successful one."""
        self.attempted = asyncio.Event()
        """Set after each attempt."""

    async def start(self) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: Gate(self._accept), self.inner)

    async def close(self) -> None:
        """Close the socket and every connection."""
        if self._server is not None:
            self._server.close()
        await cancel_all(self._connections)

    def _accept(self, transport: asyncio.Transport) -> None:
        task = asyncio.get_running_loop().create_task(self._connect(transport))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _connect(self, inner: asyncio.Transport) -> None:
        try:
            outer = await dial(self._address, _Half, tls=self._tls, server_name=self._server_name)
        except RPCError as error:
            self._attempt(error)
        else:
            self._attempt(None)
            await _join(_Half.of(inner), outer, b"")
        finally:
            inner.abort()

    def _attempt(self, failure: RPCError | None) -> None:
        self.failure = failure
        self.attempted.set()


async def _join(one: _Half, other: _Half, early: bytes) -> None:
    """Carry bytes both ways until either side ends, then close both. `early` came from `one` before."""
    one.pair(other)
    if early:
        one.data_received(early)
    one.transport.resume_reading()
    try:
        await one.ended
        await other.ended
    finally:
        abort(one.transport)
        abort(other.transport)


class _Half(asyncio.Protocol):
    """One end of a relayed connection. What arrives is written to the other half."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._peer: _Half | None = None
        self._early: list[bytes] = []

    @classmethod
    def of(cls, transport: asyncio.Transport) -> _Half:
        """Take over a transport that was made with another protocol, and is paused."""
        half = cls()
        transport.set_protocol(half)
        half.transport = transport
        if transport.is_closing():
            half.connection_lost(None)
        return half

    def pair(self, peer: _Half) -> None:
        """Connect both halves; what came before goes out now."""
        self._peer, peer._peer = peer, self
        for half in (self, peer):
            early, half._early = half._early, []
            for data in early:
                half.data_received(data)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self._peer is None:
            # A dialled half, before its pair is there: at most what one read delivers.
            self._early.append(data)
        else:
            self._peer.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._peer is not None:
            # close(), not abort(): what was written to the other side still leaves.
            self._peer.transport.close()
        if not self.ended.done():
            self.ended.set_result(None)

    def pause_writing(self) -> None:
        if self._peer is not None:
            with contextlib.suppress(RuntimeError):
                self._peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self._peer is not None:
            with contextlib.suppress(RuntimeError):
                self._peer.transport.resume_reading()
