"""gRPC over HTTP/2 on OpenSSL, behind one narrow seam. Knows neither plugins nor Vault."""

from __future__ import annotations

import os

from authkit.errors import RPCError, StatusCode
from authkit.rpc.interface import (
    DEFAULT_MAX_MESSAGE_BYTES,
    Address,
    CallContext,
    Channel,
    Engine,
    Method,
    Refusal,
    RevocableReply,
    Server,
    StreamMethod,
    UnaryMethod,
)

__all__ = [
    "DEFAULT_MAX_MESSAGE_BYTES",
    "ENGINES",
    "Address",
    "CallContext",
    "Channel",
    "Engine",
    "Method",
    "RPCError",
    "Refusal",
    "RevocableReply",
    "Server",
    "StatusCode",
    "StreamMethod",
    "UnaryMethod",
    "load_engine",
]

ENGINES = ("authkit", "grpcio")
"""Names that `load_engine` takes; the first is the default."""


def load_engine(name: str, directory: str | os.PathLike[str]) -> Engine:
    """Return the engine of this name, the default one for an empty name. Imports only that one.

    `directory` belongs to this process's user alone (mode 0700), and nobody else can make the path lead
    elsewhere; an engine may keep sockets there, with plaintext behind them.

    Raises:
        ValueError: the engine is unknown.
    """
    if name not in ("", *ENGINES):
        raise ValueError(f"unknown gRPC engine {name!r}, use one of: {', '.join(ENGINES)}")
    if name == "grpcio":
        from authkit.rpc.grpcio_engine.engine import GRPCIOEngine

        return GRPCIOEngine(directory)
    from authkit.rpc.engine import AuthKitEngine

    return AuthKitEngine()
