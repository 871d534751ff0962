"""The seam between authkit and its gRPC engines: methods by path, bytes in and bytes out.

An engine moves messages; it knows no protobuf, no plugin and no Vault. The layers above
works with any engine, and is never told which one it got.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from socket import socket
from typing import Protocol

from authkit.errors import RPCError, StatusCode
from authkit.values import Value, field

__all__ = [
    "DEFAULT_MAX_MESSAGE_BYTES",
    "Address",
    "CallContext",
    "Channel",
    "Engine",
    "Method",
    "Refusal",
    "RevocableReply",
    "Server",
    "StreamHandler",
    "StreamMethod",
    "UnaryHandler",
    "UnaryMethod",
    "verify_metadata",
]

DEFAULT_MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""Longest message accepted or sent. A host allows 2 GiB; nothing that a mount sends comes near 64 MiB."""


class Address(Value, frozen=True):
    """Where a server listens."""

    network: str
    """`unix` or `tcp`."""
    target: str
    """A socket path, or `host:port`."""

    def __str__(self) -> str:
        return f"{self.network}:{self.target}"


class CallContext(Value, frozen=True):
    """What a handler learns about a call beside its message. Set by the engine.

    A call that its client cancels, or whose deadline passes, is cancelled as asyncio cancels tasks.
    """

    path: str
    """As `/package.Service/Method`."""
    metadata: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By lower-case key; binary (`-bin`) entries are left out."""
    deadline: float | None = None
    """In the running loop's time (`loop.time()`); `None` when the client set none."""

    def one(self, key: str) -> str | None:
        """Return the only value of a metadata key, `None` when it is absent or repeated."""
        values = self.metadata.get(key, ())
        return values[0] if len(values) == 1 else None


class RevocableReply(bytes):
    """A reply whose sender wants to know if the client did not take it.

    A client may cancel a call while its reply is on the way. The handler has ended by then and cannot be
    cancelled. The engine `grpcio` does not tell.
    """

    on_untaken: Callable[[], None]
    """Called at most once, soon after the reply was sent, or in place of sending it. It must not wait."""


UnaryHandler = Callable[[bytes, CallContext], bytes | Awaitable[bytes]]
"""Returns the reply at once, or something to await. Raises `RPCError` to choose a status; any other
exception ends the call with `INTERNAL` and a neutral text, and goes to the log."""

StreamHandler = Callable[[AsyncIterator[bytes], CallContext], AsyncIterator[bytes]]
"""Receives the client's messages and yields its own, in any order. Ends the call by returning."""


class UnaryMethod(Value, frozen=True):
    """One request, one reply."""

    path: str
    handler: UnaryHandler


class StreamMethod(Value, frozen=True):
    """Any number of messages each way; a server-streaming method reads one."""

    path: str
    handler: StreamHandler


Method = UnaryMethod | StreamMethod

Refusal = Callable[[str], None]
"""Told, in one line, why a connection was refused (TLS handshake failed, no HTTP/2 agreed)."""


_METADATA_KEY = re.compile(r"[0-9a-z_.-]+")


def verify_metadata(metadata: Sequence[tuple[str, str]]) -> None:
    """Raise RPCError if metadata cannot be sent: keys are lower-case, values printable ASCII.

    Raises:
        RPCError: `INTERNAL`, as go-grpc has it (1.75, internal/metadata, Validate); the rule is that of
            grpc/grpc, doc/PROTOCOL-HTTP2.md, Custom-Metadata.
    """
    for key, value in metadata:
        if _METADATA_KEY.fullmatch(key) is None:
            raise RPCError(StatusCode.INTERNAL, f"{key!r} cannot be a metadata key")
        if not (value.isascii() and value.isprintable()):
            raise RPCError(StatusCode.INTERNAL, f"the metadata of {key!r} is not printable ASCII")


class Server(Protocol):
    """Serves methods on one listening socket.

    An unknown path is answered with `UNIMPLEMENTED`. No call can end the server or another call.
    """

    async def start(self) -> None:
        """Accept connections. Returns once calls can be answered."""

    async def drain(self, grace: timedelta) -> None:
        """Take no more calls, let those in flight end within `grace`, cancel the rest, close everything.

        Safe to call more than once.
        """


class Channel(Protocol):
    """Calls methods of one server. Connects again by itself when the connection was lost."""

    async def ready(self, timeout: timedelta) -> None:
        """Return once connected.

        Raises:
            RPCError: `UNAVAILABLE`, the text says what failed (refused, wrong certificate, time).
        """

    async def call(
        self,
        path: str,
        request: bytes,
        *,
        timeout: timedelta | None = None,
        metadata: Sequence[tuple[str, str]] = (),
    ) -> bytes:
        """Call a unary method.

        Raises:
            RPCError: any status other than OK, the connection's own failures included; `INTERNAL` for
                metadata that cannot be sent, `RESOURCE_EXHAUSTED` for a request that is too long.
        """
        ...

    def stream(
        self,
        path: str,
        requests: AsyncIterable[bytes],
        *,
        metadata: Sequence[tuple[str, str]] = (),
    ) -> AsyncIterator[bytes]:
        """Call a streaming method; leave the iterator (`aclose`) to cancel it.

        Raises:
            RPCError: while iterating, any status other than OK.
        """
        ...

    async def close(self) -> None:
        """Cancel what is in flight and close the connection. Safe to call more than once."""


class Engine(Protocol):
    """One implementation of gRPC over HTTP/2."""

    name: str

    def server(
        self,
        methods: Iterable[Method],
        listener: socket,
        *,
        tls: ssl.SSLContext | None,
        on_refused: Refusal | None = None,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
    ) -> Server:
        """Return a server for `listener`, which already listens. Without `tls` it speaks plaintext."""
        ...

    def channel(
        self,
        address: Address,
        *,
        tls: ssl.SSLContext | None,
        server_name: str,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
    ) -> Channel:
        """Return a channel to `address`; `server_name` is verified against the server's certificate."""
        ...
