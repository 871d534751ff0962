"""A socket, and the application served on it until it is told to stop.

What is served: `authkit.host.http.application`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import AsyncIterator

import uvicorn
from starlette.types import ASGIApp

__all__ = ["NotLoopbackError", "listen", "serving"]

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

    The API speaks plain HTTP and its root token is printed in the terminal: without
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
    """Serve on a listening socket inside the context. In the end what still runs gets a moment.

    SIGINT and SIGTERM stop the server first, and then reach the handlers of the program.
    """
    config = uvicorn.Config(
        application,
        http="h11",
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
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await task
        listener.close()
