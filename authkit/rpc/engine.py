"""authkit's own engine: HTTP/2 and gRPC on asyncio and OpenSSL."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from socket import socket

from authkit.rpc.channel import GRPCChannel
from authkit.rpc.interface import DEFAULT_MAX_MESSAGE_BYTES, Address, Channel, Method, Refusal, Server
from authkit.rpc.server import GRPCServer

__all__ = ["AuthKitEngine"]


class AuthKitEngine:
    """gRPC of our own. Needs no directory and no thread."""

    name = "authkit"

    def server(
        self,
        methods: Iterable[Method],
        listener: socket,
        *,
        tls: ssl.SSLContext | None,
        on_refused: Refusal | None = None,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
    ) -> Server:
        """Return a server for `listener`."""
        return GRPCServer(
            methods,
            listener,
            tls=tls,
            on_refused=on_refused or (lambda reason: None),
            max_message_bytes=max_message_bytes,
        )

    def channel(
        self,
        address: Address,
        *,
        tls: ssl.SSLContext | None,
        server_name: str,
        max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
    ) -> Channel:
        """Return a channel to `address`."""
        return GRPCChannel(address, tls=tls, server_name=server_name, max_message_bytes=max_message_bytes)
