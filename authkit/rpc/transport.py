"""Connections: accepted or dialled, over TLS, with HTTP/2 agreed on. What they carry is not its business."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from socket import socket
from typing import Any, TypeVar

from authkit.errors import RPCError, StatusCode
from authkit.rpc.interface import Address, Refusal

__all__ = ["ALPN", "Acceptor", "abort", "cancel_all", "dial", "refusal_text"]

_P = TypeVar("_P", bound=asyncio.Protocol)

ALPN = "h2"
"""gRPC needs HTTP/2 agreed on by ALPN; go-grpc insists on it in both directions (1.75)."""

HANDSHAKE_SECONDS = 10.0
"""A peer that has not finished its TLS handshake by then is cut off."""

SHUTDOWN_SECONDS = 1.0
"""For a peer to take leave of TLS (close_notify) after we did; nothing is lost without it."""

MAX_CONNECTIONS = 64
"""A host keeps one connection. More than this many is somebody else."""


class Acceptor:
    """Accepts connections on `listener` and hands them over after the TLS handshake.

    `serve` gets the secured transport and what has arrived on it already; when it returns the
    connection is closed.
    """

    def __init__(
        self,
        listener: socket,
        serve: Callable[[asyncio.Transport, bytes], Awaitable[None]],
        *,
        tls: ssl.SSLContext | None,
        on_refused: Refusal,
    ) -> None:
        self._listener = listener
        self._serve = serve
        self._tls = tls
        self._on_refused = on_refused
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Accept connections."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Gate(self._accept), sock=self._listener)

    def stop_accepting(self) -> None:
        """Close the listener; established connections go on."""
        if self._server is not None:
            self._server.close()

    async def close(self) -> None:
        """Close the listener and every connection."""
        self.stop_accepting()
        await cancel_all(self._connections)

    def _accept(self, transport: asyncio.Transport) -> None:
        if len(self._connections) >= MAX_CONNECTIONS:
            self._on_refused("too many connections")
            transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._run(transport))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _run(self, raw: asyncio.Transport) -> None:
        transport = raw
        try:
            early = _Early()
            transport = await self._secure(raw, early)
            await self._serve(transport, bytes(early.data))
        except (OSError, EOFError) as error:  # ssl.SSLError and time-outs are OSErrors
            self._on_refused(refusal_text(error))
        finally:
            abort(transport)
            raw.abort()

    async def _secure(self, raw: asyncio.Transport, early: _Early) -> asyncio.Transport:
        if self._tls is None:
            raw.set_protocol(early)
            return raw
        loop = asyncio.get_running_loop()
        secured = await loop.start_tls(
            raw,
            early,
            self._tls,
            server_side=True,
            ssl_handshake_timeout=HANDSHAKE_SECONDS,
            ssl_shutdown_timeout=SHUTDOWN_SECONDS,
        )
        if secured is None or early.is_lost:
            raise ConnectionAbortedError("connection lost during the TLS handshake")
        require_alpn(secured)
        # Held back until the server of it resumes it.
        secured.pause_reading()
        return secured


async def dial(
    address: Address, factory: Callable[[], _P], *, tls: ssl.SSLContext | None, server_name: str
) -> _P:
    """Connect to `address`, verify the server, and return the connected protocol.

    Raises:
        RPCError: `UNAVAILABLE` with the reason.
    """
    loop = asyncio.get_running_loop()
    secured: dict[str, Any] = {}
    if tls is not None:
        secured = {"ssl": tls, "server_hostname": server_name, "ssl_shutdown_timeout": SHUTDOWN_SECONDS}
    try:
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            if address.network == "unix":
                transport, protocol = await loop.create_unix_connection(factory, address.target, **secured)
            else:
                host, _, port = address.target.rpartition(":")
                transport, protocol = await loop.create_connection(factory, host, int(port), **secured)
            if tls is not None:
                require_alpn(transport)
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


def require_alpn(transport: asyncio.BaseTransport) -> None:
    """Raise ConnectionError if the peer did not agree on HTTP/2."""
    tls = transport.get_extra_info("ssl_object")
    if tls is None or tls.selected_alpn_protocol() != ALPN:
        transport.close()
        raise ConnectionAbortedError("the peer did not agree on HTTP/2 (ALPN h2)")


def abort(transport: asyncio.Transport) -> None:
    """Abort a connection that may be gone already, for which CPython 3.11.2 raises (sslproto.py)."""
    with contextlib.suppress(AttributeError):
        transport.abort()


async def cancel_all(tasks: set[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait for their end."""
    pending = list(tasks)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)


class Gate(asyncio.Protocol):
    """A fresh connection: holds its bytes back until somebody has decided what to do with it."""

    def __init__(self, accept: Callable[[asyncio.Transport], None]) -> None:
        self._accept = accept

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Pause, and hand over."""
        assert isinstance(transport, asyncio.Transport)
        # In the next turn of the loop: it begins to read after this call (CPython 3.11.2, also when paused).
        asyncio.get_running_loop().call_soon(transport.pause_reading)
        self._accept(transport)


class _Early(asyncio.Protocol):
    """Keeps what arrives between the handshake and the one who serves: at most one read."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.is_lost = False

    def data_received(self, data: bytes) -> None:
        self.data += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
