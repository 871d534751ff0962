"""TLS in front of a plaintext gRPC endpoint: bytes leave TLS on one side and enter it on the other.

grpcio's own TLS refuses the P-521 certificates of go-plugin hosts in both directions (measured with
grpcio 1.85.1); OpenSSL takes them. So the reference engine speaks plaintext over a socket in a
private directory, and this module stands between that socket and the world. What travels through it
is not its business.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from socket import socket
from typing import TypeVar

from authkit.errors import RPCError, StatusCode
from authkit.rpc.seam import Address, Refusal

_P = TypeVar("_P", bound=asyncio.Protocol)

__all__ = ["ALPN", "ClientRelay", "ServerRelay", "dial", "refusal_text"]

ALPN = "h2"
"""gRPC needs HTTP/2 agreed on by ALPN; go-grpc insists on it in both directions (1.75)."""

HANDSHAKE_SECONDS = 10.0
"""A peer that has not finished its TLS handshake by then is cut off."""

MAX_CONNECTIONS = 64
"""A host keeps one connection. More than this many is somebody else."""


class ServerRelay:
    """Accepts TLS connections on `listener` and connects each to the plaintext socket `inner`."""

    def __init__(
        self, listener: socket, inner: str, *, tls: ssl.SSLContext | None, on_refused: Refusal
    ) -> None:
        self._listener = listener
        self._inner = inner
        self._tls = tls
        self._on_refused = on_refused
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Accept connections."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Gate(self._accept), sock=self._listener)

    def stop_accepting(self) -> None:
        """Close the listener; established connections go on."""
        if self._server is not None:
            self._server.close()

    async def close(self) -> None:
        """Close the listener and every connection."""
        self.stop_accepting()
        await _cancel_all(self._connections)

    def _accept(self, transport: asyncio.Transport) -> None:
        if len(self._connections) >= MAX_CONNECTIONS:
            self._on_refused("too many connections")
            transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._serve(transport))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, raw: asyncio.Transport) -> None:
        outer = _Half()
        transport = raw
        try:
            transport = await self._secure(raw, outer)
            outer.attach(transport)
            loop = asyncio.get_running_loop()
            _, inner = await loop.create_unix_connection(_Half, self._inner)
            await _join(outer, inner)
        except (OSError, EOFError) as error:  # ssl.SSLError and time-outs are OSErrors
            self._on_refused(refusal_text(error))
        finally:
            transport.abort()
            raw.abort()

    async def _secure(self, raw: asyncio.Transport, outer: _Half) -> asyncio.Transport:
        loop = asyncio.get_running_loop()
        if self._tls is None:
            raw.set_protocol(outer)
            raw.resume_reading()
            return raw
        secured = await loop.start_tls(
            raw, outer, self._tls, server_side=True, ssl_handshake_timeout=HANDSHAKE_SECONDS
        )
        if secured is None:  # pragma: no cover - only when the loop is closing
            raise ConnectionAbortedError("connection lost during the TLS handshake")
        _require_alpn(secured)
        return secured


class ClientRelay:
    """Listens on the plaintext socket `inner` and connects whoever comes there to `address` over TLS."""

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
        self._server = await loop.create_unix_server(lambda: _Gate(self._accept), self.inner)

    async def close(self) -> None:
        """Close the socket and every connection."""
        if self._server is not None:
            self._server.close()
        await _cancel_all(self._connections)

    def _accept(self, transport: asyncio.Transport) -> None:
        task = asyncio.get_running_loop().create_task(self._connect(transport))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _connect(self, inner_transport: asyncio.Transport) -> None:
        inner = _Half()
        outer: _Half | None = None
        try:
            outer = await dial(self._address, _Half, tls=self._tls, server_name=self._server_name)
            self._attempt(None)
            inner.attach(inner_transport)
            inner_transport.set_protocol(inner)
            inner_transport.resume_reading()
            await _join(inner, outer)
        except RPCError as error:
            self._attempt(error)
        finally:
            inner_transport.abort()
            if outer is not None:
                outer.abort()

    def _attempt(self, failure: RPCError | None) -> None:
        self.failure = failure
        self.attempted.set()


async def dial(
    address: Address, factory: Callable[[], _P], *, tls: ssl.SSLContext | None, server_name: str
) -> _P:
    """Connect to `address`, verify the server, and return the connected protocol.

    Raises:
        RPCError: `UNAVAILABLE` with the reason.
    """
    loop = asyncio.get_running_loop()
    name = server_name if tls is not None else None
    try:
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            if address.network == "unix":
                transport, protocol = await loop.create_unix_connection(
                    factory, address.target, ssl=tls, server_hostname=name
                )
            else:
                host, _, port = address.target.rpartition(":")
                transport, protocol = await loop.create_connection(
                    factory, host, int(port), ssl=tls, server_hostname=name
                )
            if tls is not None:
                _require_alpn(transport)
    except (OSError, EOFError, ValueError) as error:
        raise RPCError(StatusCode.UNAVAILABLE, f"{address}: {refusal_text(error)}") from error
    return protocol


def refusal_text(error: BaseException) -> str:
    """Say in a few words why a connection failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the peer's certificate is not the announced one ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return f"TLS handshake failed ({error.reason or error})"
    if isinstance(error, TimeoutError):
        return "timed out"
    return str(error) or type(error).__name__


def _require_alpn(transport: asyncio.BaseTransport) -> None:
    tls = transport.get_extra_info("ssl_object")
    if tls is None or tls.selected_alpn_protocol() != ALPN:
        transport.close()
        raise ConnectionAbortedError("the peer did not agree on HTTP/2 (ALPN h2)")


async def _cancel_all(tasks: set[asyncio.Task[None]]) -> None:
    pending = list(tasks)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)


async def _join(one: _Half, other: _Half) -> None:
    """Carry bytes both ways until either side ends, then close both."""
    one.pair(other)
    try:
        await one.ended
        await other.ended
    finally:
        one.abort()
        other.abort()


class _Gate(asyncio.Protocol):
    """A fresh connection: holds its bytes back until somebody has decided what to do with it."""

    def __init__(self, accept: Callable[[asyncio.Transport], None]) -> None:
        self._accept = accept

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        self._accept(transport)


class _Half(asyncio.Protocol):
    """One end of a relayed connection. What arrives is written to the other half."""

    def __init__(self) -> None:
        self.ended: Awaitable[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None
        self._peer: _Half | None = None
        self._early: list[bytes] = []

    def attach(self, transport: asyncio.Transport) -> None:
        """Take over a transport that was made without this protocol."""
        self._transport = transport
        if transport.is_closing():
            self.connection_lost(None)

    def pair(self, peer: _Half) -> None:
        """Connect both halves; bytes that came before go out now."""
        self._peer, peer._peer = peer, self
        for half in (self, peer):
            early, half._early = half._early, []
            for data in early:
                half.data_received(data)

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._peer is None:
            # At most what one read of the transport delivers: it is paired in the same turn.
            self._early.append(data)
        elif self._peer._transport is not None:
            self._peer._transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._peer is not None and self._peer._transport is not None:
            # close(), not abort(): what was written to the other side still leaves.
            self._peer._transport.close()
        assert isinstance(self.ended, asyncio.Future)
        if not self.ended.done():
            self.ended.set_result(None)

    def pause_writing(self) -> None:
        peer = self._peer
        if peer is not None and peer._transport is not None:
            with contextlib.suppress(RuntimeError):
                peer._transport.pause_reading()

    def resume_writing(self) -> None:
        peer = self._peer
        if peer is not None and peer._transport is not None:
            with contextlib.suppress(RuntimeError):
                peer._transport.resume_reading()
