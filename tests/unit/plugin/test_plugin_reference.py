"""The reference engine where others may write to TMPDIR: its plaintext stays in the process."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from certificates import client_context, host_identity, server_context

from authkit.plugin.security.certificates import generate_identity
from authkit.plugin.security.private_directory import PrivateDirectory
from authkit.rpc import Address, CallContext, Channel, Server, UnaryMethod, load_engine

SECOND = timedelta(seconds=1)


class Rival:
    """Another user who puts a directory in place of the process's, with a server on every name used there."""

    def __init__(self, private: PrivateDirectory, planted: Path) -> None:
        self.private, self.planted = private, planted
        self.connections = 0
        self.servers: list[asyncio.Server] = []

    async def replace(self) -> None:
        """Do it, and listen."""
        os.rename(self.private.path, f"{self.private.path}.away")
        os.symlink(self.planted, self.private.path)
        for name in ("g1", "g2"):
            path = str(self.planted / name)
            self.servers.append(await asyncio.start_unix_server(self.note, path))

    async def note(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Count a connection that was meant for the process itself."""
        self.connections += 1
        writer.close()

    def close(self) -> None:
        """Stop listening."""
        for server in self.servers:
            server.close()


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_no_byte_goes_to_whoever_replaces_the_directory(moment: str, short_directory: Path) -> None:
    """Neither requests on their way to grpcio's server nor calls of its channel: both still arrive."""
    short_directory.chmod(0o777)
    planted = short_directory / "planted"
    planted.mkdir()
    host, plugin = host_identity(), generate_identity()
    address = Address("unix", str(short_directory / "s"))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address.target)
    listener.listen()
    listener.setblocking(False)

    def echo(request: bytes, call: CallContext) -> bytes:
        return request

    with (
        closing(PrivateDirectory(str(short_directory), prefix="authkit-", variable="TMPDIR")) as private,
        closing(Rival(private, planted)) as rival,
    ):
        engine = load_engine("grpcio", private.inside)
        server_tls = server_context(plugin, host, short_directory)
        server: Server = engine.server([UnaryMethod("/t.T/Echo", echo)], listener, tls=server_tls)
        client_tls = client_context(host, plugin, short_directory)
        channel: Channel = engine.channel(address, tls=client_tls, server_name="localhost")
        if moment == "before":
            await rival.replace()
        await server.start()
        if moment == "after":
            await rival.replace()
        try:
            assert await channel.call("/t.T/Echo", b"secret", timeout=5 * SECOND) == b"secret"
        finally:
            await channel.close()
            await server.drain(timedelta(0))
        assert rival.connections == 0
        assert {path.name for path in planted.iterdir()} == {"g1", "g2"}
