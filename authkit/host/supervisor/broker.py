"""The host's side of the broker: a server for each mount, announced to the plugin on one stream.

All servers share one identity. See `authkit.plugin.services.broker` for the plugin's side.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

from authkit.errors import RPCError
from authkit.plugin.pb.broker_pb2 import ConnInfo
from authkit.rpc.interface import Channel, Engine, Method, Server

__all__ = ["HostBroker"]

DRAIN = timedelta(seconds=5)
"""For calls of a mount that has ended, as long as a Vault server waits."""

BACKLOG = 16


class HostBroker:
    """The servers that one run of a plugin dials. `directory` must be private to this user."""

    def __init__(self, engine: Engine, directory: str, tls: ssl.SSLContext | None) -> None:
        self._engine = engine
        self._directory = directory
        self._tls = tls
        self._numbers = itertools.count(1)
        self._servers: dict[int, tuple[Server, str]] = {}
        self._announcements: asyncio.Queue[ConnInfo] = asyncio.Queue()
        self._stream: asyncio.Task[None] | None = None

    def open(self, channel: Channel) -> None:
        """Open the stream that announces servers to the plugin."""
        self._stream = asyncio.get_running_loop().create_task(self._keep_open(channel))

    async def offer(self, methods: Sequence[Method]) -> int:
        """Serve methods on a new socket, announce it, and return its number."""
        number = next(self._numbers)
        path = os.path.join(self._directory, f"b{number}")
        server = self._engine.server(methods, _listen(path), tls=self._tls)
        self._servers[number] = (server, path)
        await server.start()
        self._announcements.put_nowait(ConnInfo(service_id=number, network="unix", address=path))
        return number

    async def withdraw(self, number: int) -> None:
        """Drain a server and close it."""
        server, path = self._servers.pop(number, (None, ""))
        if server is not None:
            await server.drain(DRAIN)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    async def hang_up(self) -> None:
        """Close the stream, so that the plugin expects no more servers."""
        if self._stream is not None:
            self._stream.cancel()
            await asyncio.gather(self._stream, return_exceptions=True)

    async def close(self) -> None:
        """Close the stream and all servers without draining."""
        await self.hang_up()
        servers, self._servers = self._servers, {}
        await asyncio.gather(*(server.drain(timedelta(0)) for server, _ in servers.values()))

    async def _keep_open(self, channel: Channel) -> None:
        with contextlib.suppress(RPCError):  # `Child.ended` reports the end of the process
            async for _ in channel.stream("/plugin.GRPCBroker/StartStream", self._messages()):
                pass  # a plugin announces nothing to a host of backends

    async def _messages(self) -> AsyncIterator[bytes]:
        while True:
            yield (await self._announcements.get()).SerializeToString()


def _listen(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener
