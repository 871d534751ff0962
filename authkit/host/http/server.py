"""Listens on a loopback socket and serves an application on it.

See `authkit.host.http.application` for the application.
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
"""Limit of a request's first line and headers, as in Go's server."""
CONNECTIONS = 1000
"""Further requests get status 503."""
STOP_SECONDS = 2
"""Time limit for requests in flight when the server stops."""


class NotLoopbackError(ValueError):
    """The address is reachable from other machines, which was not allowed."""


def listen(host: str, port: int, *, allow_insecure_address: bool = False) -> socket.socket:
    """Return a listening socket; port 0 takes a free one.

    The API speaks plain HTTP and its root token is printed in the terminal: without
    `allow_insecure_address` only addresses of this machine's loopback interface are served.

    Raises:
        NotLoopbackError: the address is not a loopback address.
        OSError: the address is in use or not available.
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
    """Serve on a listening socket inside the context. Requests in flight at its end get `STOP_SECONDS`.

    SIGINT and SIGTERM stop the server, and then reach the program's handlers.
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
