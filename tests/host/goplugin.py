"""A go-plugin host for tests: starts an executable as a server does, with P-521 certificates and a broker.

It knows of Vault what `authkit.wire` encodes: the messages come from there, the storage from
`authkit.logical`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from socket import AF_UNIX, socket
from typing import Any

from certificates import client_context, host_identity, server_context

from authkit.logical import InMemoryStorage, Operation, Request, Response
from authkit.plugin.certificates import Identity, decode_field
from authkit.plugin.pb.broker_pb2 import ConnInfo
from authkit.rpc import Address, Call, Channel, Engine, Method, Server, UnaryMethod, load_engine
from authkit.serving import COOKIE_KEY, COOKIE_VALUE
from authkit.wire.messages import decode_response, decode_storage_entry, encode_request, encode_storage_entry
from authkit.wire.pb import backend_pb2 as pb

PLUGINS = Path(__file__).parent / "plugins"
START = timedelta(seconds=20)


def environment(identity: Identity | None, **changes: str | None) -> dict[str, str]:
    """What a Vault server puts into a plugin's environment; `None` takes a variable away."""
    variables: dict[str, str | None] = {
        "PATH": os.environ["PATH"],
        COOKIE_KEY: COOKIE_VALUE,
        "PLUGIN_PROTOCOL_VERSIONS": "5",
        "PLUGIN_MIN_PORT": "10000",
        "PLUGIN_MAX_PORT": "25000",
        "PLUGIN_CLIENT_CERT": identity.certificate_pem.decode() if identity else "",
        "VAULT_VERSION": "1.21.1",
        "VAULT_PLUGIN_METADATA_MODE": "false",
        "VAULT_PLUGIN_AUTOMTLS_ENABLED": "true",
        "AUTHKIT_RPC": os.environ.get("AUTHKIT_RPC", ""),
        **changes,
    }
    return {name: value for name, value in variables.items() if value is not None}


@dataclass(frozen=True)
class Handshake:
    """The line that a plugin has announced itself with."""

    fields: list[str]

    @property
    def address(self) -> Address:
        """Where it listens."""
        return Address(self.fields[2], self.fields[3])

    @property
    def identity(self) -> Identity:
        """Its certificate; the key is its own."""
        return Identity(decode_field(self.fields[5]), b"")


@dataclass
class Process:
    """A plugin process and what it has said so far."""

    process: asyncio.subprocess.Process
    lines: list[str] = field(default_factory=list)
    more: asyncio.Condition = field(default_factory=asyncio.Condition)
    reader: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    async def read_log(self) -> None:
        """Collect the lines of standard error."""
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            async with self.more:
                self.lines.append(line.decode().rstrip("\n"))
                self.more.notify_all()

    def records(self) -> list[dict[str, Any]]:
        """The log lines, parsed as a host does."""
        return [json.loads(line) for line in self.lines]

    async def logged(self, text: str) -> dict[str, Any]:
        """Wait for a log record that contains `text`, and return it."""
        async with asyncio.timeout(10), self.more:
            while True:
                for line in self.lines:
                    if text in line:
                        record: dict[str, Any] = json.loads(line)
                        return record
                await self.more.wait()

    async def handshake(self) -> Handshake:
        """Read the line."""
        assert self.process.stdout is not None
        async with asyncio.timeout(START.total_seconds()):
            line = await self.process.stdout.readline()
        assert line.endswith(b"\n"), (line, self.lines)
        return Handshake(line.decode().strip().split("|"))

    async def ended(self, seconds: float = 10) -> int:
        """Wait for the end, of the process and of both pipes as a host does, and return the status."""
        async with asyncio.timeout(seconds):
            assert self.process.stdout is not None
            await self.process.stdout.read()
            assert self.reader is not None
            await self.reader
            return await self.process.wait()


async def start(
    *arguments: str | Path, variables: Mapping[str, str], directory: Path | None = None
) -> Process:
    """Start a plugin of the tests (a file in plugins/) or any Python code."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        *map(str, arguments),
        env=dict(variables),
        cwd=directory,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    started = Process(process)
    started.reader = asyncio.ensure_future(started.read_log())
    return started


class Mount:
    """One mount: its storage, the server that the plugin dials, and calls to its backend."""

    def __init__(self, host: Host, identifier: str) -> None:
        self.host, self.identifier = host, identifier
        self.storage = InMemoryStorage()
        self.server: Server | None = None

    def services(self) -> list[Method]:
        """Storage, as a host serves it."""

        async def get(message: bytes, call: Call) -> bytes:
            entry = await self.storage.get(pb.StorageGetArgs.FromString(message).key)
            return pb.StorageGetReply(entry=entry and encode_storage_entry(entry)).SerializeToString()

        async def put(message: bytes, call: Call) -> bytes:
            await self.storage.put(decode_storage_entry(pb.StoragePutArgs.FromString(message).entry))
            return pb.StoragePutReply().SerializeToString()

        return [UnaryMethod("/pb.Storage/Get", get), UnaryMethod("/pb.Storage/Put", put)]

    async def call(self, method: str, message: Any) -> bytes:
        """Call the backend, as this mount."""
        metadata = [("multiplex_id", self.identifier)]
        return await self.host.channel.call(
            f"/pb.Backend/{method}", message.SerializeToString(), metadata=metadata, timeout=START
        )

    async def request(self, operation: Operation, path: str, **data: Any) -> pb.HandleRequestReply:
        """Send a request and return the reply."""
        request = Request(operation=operation, path=path, data=data, has_data=True, id="req-1")
        args = pb.HandleRequestArgs(request=encode_request(request))
        return pb.HandleRequestReply.FromString(await self.call("HandleRequest", args))

    async def response(self, operation: Operation, path: str, **data: Any) -> Response:
        """Send a request that must succeed and return its response."""
        reply = await self.request(operation, path, **data)
        assert not reply.HasField("err"), reply.err
        return decode_response(reply.response)


class Host:
    """A host and its plugin process."""

    def __init__(self, directory: Path, engine: str = "") -> None:
        self.directory = directory
        self.engine: Engine = load_engine(engine, directory)
        self.identity = host_identity()
        self.presented = self.identity
        """What the brokered servers present; a test may make it another one."""
        self.protocol_4 = ""
        """How protocol 4 secures the connection, if it is spoken: `plaintext` or `shared` (one identity)."""
        self.server_name = "localhost"
        self.process: Process
        self.handshake: Handshake
        self.channel: Channel
        self._announcements: asyncio.Queue[bytes] = asyncio.Queue()
        self._mounts: list[Mount] = []
        self._tasks: list[asyncio.Task[Any]] = []
        self.printed: list[bytes] = []
        self._print = asyncio.Condition()

    async def launch(self, *arguments: str | Path, **changes: str | None) -> None:
        """Start the plugin, verify it, and open the two long streams, as go-plugin does."""
        self.process = await start(
            *arguments, variables=environment(self.identity, **{"TMPDIR": str(self.directory), **changes})
        )
        self.handshake = await self.process.handshake()
        self.channel = self.channel_as(self.identity)
        await self.channel.ready(START)
        self._tasks.append(asyncio.ensure_future(self._keep_broker_stream()))
        self._tasks.append(asyncio.ensure_future(self._read_stdio()))

    @property
    def trusted(self) -> Identity:
        """What the plugin is expected to be."""
        return self.identity if self.protocol_4 else self.handshake.identity

    def channel_as(self, identity: Identity, trusted: Identity | None = None) -> Channel:
        """A channel to the plugin with some certificate."""
        context = None
        if self.protocol_4 != "plaintext":
            context = client_context(identity, trusted or self.trusted, self.directory)
        return self.engine.channel(self.handshake.address, tls=context, server_name=self.server_name)

    async def mount(self, identifier: str = "m1", *, config: Mapping[str, str] | None = None) -> Mount:
        """Set up a mount: announcement and Setup at the same time."""
        mount, error = await self.set_up(identifier, config=config)
        assert error == "", error
        initialized = await mount.call("Initialize", pb.InitializeArgs())
        assert initialized == b""
        return mount

    async def set_up(self, identifier: str, *, config: Mapping[str, str] | None = None) -> tuple[Mount, str]:
        """Set up a mount and return the error text of Setup."""
        mount = Mount(self, identifier)
        self._mounts.append(mount)
        number = len(self._mounts)
        path = self.directory / f"b{number}"
        listener = socket(AF_UNIX)
        listener.bind(str(path))
        listener.listen()
        listener.setblocking(False)
        context = None
        if self.protocol_4 != "plaintext":
            context = server_context(self.presented, self.trusted, self.directory)
        mount.server = self.engine.server(mount.services(), listener, tls=context)
        await mount.server.start()
        info = ConnInfo(service_id=number, network="unix", address=str(path))
        self._announcements.put_nowait(info.SerializeToString())
        args = pb.SetupArgs(broker_id=number, Config=config or {}, backendUUID=f"uuid-{identifier}")
        reply = pb.SetupReply.FromString(await mount.call("Setup", args))
        return mount, reply.err

    async def shut_down(self) -> int:
        """End the plugin as go-plugin does, and return its exit status."""
        self._tasks[0].cancel()
        with contextlib.suppress(Exception):
            await self.channel.call("/plugin.GRPCController/Shutdown", b"", timeout=timedelta(seconds=2))
        await self.channel.close()
        return await self.process.ended(2)

    async def close(self) -> None:
        """Leave nothing behind."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if hasattr(self, "channel"):
            await self.channel.close()
        for mount in self._mounts:
            if mount.server is not None:
                await mount.server.drain(timedelta(0))
        if hasattr(self, "process") and self.process.process.returncode is None:
            self.process.process.kill()
            await self.process.process.wait()

    async def _keep_broker_stream(self) -> None:
        async def announcements() -> AsyncIterator[bytes]:
            while True:
                yield await self._announcements.get()

        async for _ in self.channel.stream("/plugin.GRPCBroker/StartStream", announcements()):
            pass

    async def _read_stdio(self) -> None:
        async def nothing() -> AsyncIterator[bytes]:
            yield b""

        async for data in self.channel.stream("/plugin.GRPCStdio/StreamStdio", nothing()):
            async with self._print:
                self.printed.append(data)
                self._print.notify_all()

    async def received(self, printed: bytes) -> None:
        """Wait for a message on the stdio stream."""
        async with asyncio.timeout(10), self._print:
            await self._print.wait_for(lambda: printed in self.printed)
