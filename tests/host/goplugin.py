"""The host of `authkit.host` as tests need it: any executable and environment, and a host that misbehaves.

What a plugin does right it does under the real thing; here are the hooks to look at it and to harm it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from certificates import client_context, host_identity, server_context
from factories import mount_config

from authkit.host.supervisor.child import Child, start_child
from authkit.host.supervisor.environment import plugin_environment
from authkit.host.supervisor.executable import file_sum
from authkit.host.supervisor.handshake import Announcement
from authkit.host.supervisor.run import ProcessOptions, ProcessRun, start_process
from authkit.host.supervisor.security import AutoMTLS, Secured, Security
from authkit.host.supervisor.services.mount import host_services
from authkit.logical import Operation, Request, Response
from authkit.plugin.pb.stdio_pb2 import StdioData
from authkit.plugin.security.certificates import TLSIdentity
from authkit.rpc import Channel, load_engine
from authkit.testing import InMemoryStorage
from authkit.wire.messages import decode_response, encode_request
from authkit.wire.pb import backend_pb2 as pb

PLUGINS = Path(__file__).parent / "plugins"
START = timedelta(seconds=20)


def environment(identity: TLSIdentity | None, **changes: str | None) -> dict[str, str]:
    """What a Vault server puts into a plugin's environment; `None` takes a variable away."""
    # The second one is coverage's: `make coverage` measures plugins, too.
    names = ("PATH", "COVERAGE_PROCESS_CONFIG")
    inherited = {name: os.environ[name] for name in names if name in os.environ}
    variables: dict[str, str | None] = {
        **plugin_environment(AutoMTLS(identity), inherited=inherited, registered={}),
        "AUTHKIT_RPC": os.environ.get("AUTHKIT_RPC", ""),
    }
    if identity is None:
        variables["PLUGIN_CLIENT_CERT"] = ""
    variables |= changes
    return {name: value for name, value in variables.items() if value is not None}


@dataclass
class Process:
    """A plugin process and what it has said so far."""

    child: Child | None = None
    lines: list[str] = field(default_factory=list)
    more: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.child is not None
        return self.child.pid

    def on_line(self, line: bytes, is_piece: bool = False) -> None:
        """Keep a line of standard error."""
        self.lines.append(line.decode())
        self.more.set()

    def records(self) -> list[dict[str, Any]]:
        """The log lines, parsed as a host does."""
        return [json.loads(line) for line in self.lines]

    async def logged(self, text: str) -> dict[str, Any]:
        """Wait for a log record that contains `text`, and return it."""
        async with asyncio.timeout(10):
            while True:
                for line in self.lines:
                    if text in line:
                        record: dict[str, Any] = json.loads(line)
                        return record
                self.more.clear()
                await self.more.wait()

    async def first_line(self) -> str | None:
        """Return the first line of standard output, `None` when it was closed without one."""
        assert self.child is not None
        async with asyncio.timeout(START.total_seconds()):
            return await asyncio.shield(self.child.first_line)

    async def ended(self, seconds: float = 10) -> int:
        """Wait for the end, of the process and of both pipes as a host does, and return the status."""
        assert self.child is not None
        async with asyncio.timeout(seconds):
            how = await asyncio.shield(self.child.ended)
        assert "still holds" not in how, how
        assert self.child.status is not None
        return self.child.status


def alive(pid: int) -> bool:
    """Whether a process still runs; one that has ended and waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def gone(pid: int, seconds: float) -> bool:
    """Whether a process that is not our child ends in time."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while alive(pid):
        if loop.time() > until:
            return False
        await asyncio.sleep(0.05)  # there is no event for a stranger's end
    return True


async def orphan(directory: Path, plugin: Path, path: str, line: str = "") -> int:
    """Return the pid of a plugin whose host was killed after it sent a request (and LINE was logged)."""
    host = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).parent / "doomed_host.py"),
        *(str(directory), str(plugin), path, *([line] if line else [])),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        # What a killed host leaves behind goes with the test.
        env={**os.environ, "TMPDIR": str(directory)},
    )
    assert host.stdout is not None
    async with asyncio.timeout(30):
        pid = int(await host.stdout.readline())
    host.kill()
    await host.wait()
    return pid


async def start(*arguments: str | Path, variables: Mapping[str, str]) -> Process:
    """Start a plugin of the tests (a file in plugins/) or any Python code, and no more than that."""
    process = Process()
    command = ["-I", *map(str, arguments)]
    process.child = await start_child(sys.executable, command, variables, process.on_line)
    return process


class Impostor(AutoMTLS):
    """A host whose brokered servers present another identity than the announced one."""

    def __init__(self, identity: TLSIdentity, presented: TLSIdentity, directory: Path) -> None:
        super().__init__(identity)
        self.presented = presented
        self.directory = directory

    def secure(self, announced: bytes | None, directory: Any) -> Secured:
        """Be honest towards the plugin's own server alone."""
        assert announced is not None
        trusted = TLSIdentity(announced, b"")
        return Secured(
            client=client_context(self.identity, trusted, self.directory),
            server=server_context(self.presented, trusted, self.directory),
        )


class Mount:
    """One mount: its storage, the server that the plugin dials, and calls to its backend."""

    def __init__(self, host: Host, identifier: str) -> None:
        self.host, self.identifier = host, identifier
        self.storage = InMemoryStorage()

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
        self.engine = engine
        self.identity = host_identity()
        self.presented: TLSIdentity | None = None
        """What the brokered servers present, if it is not the announced identity. Set it before `launch`."""
        self.security: Security | None = None
        """Another scheme than AutoMTLS. Set it before `launch`."""
        self.process = Process()
        self.printed: list[bytes] = []
        self._print = asyncio.Event()
        self._run: ProcessRun | None = None
        self._extra: list[Channel] = []

    @property
    def run(self) -> ProcessRun:
        """The plugin that runs."""
        assert self._run is not None
        return self._run

    @property
    def channel(self) -> Channel:
        """To the plugin."""
        return self.run.channel

    @property
    def handshake(self) -> Announcement:
        """What the plugin has announced itself with."""
        return self.run.announcement

    async def launch(self, *arguments: str | Path, **changes: str | None) -> None:
        """Start the plugin, verify it, and open the two long streams, as go-plugin does."""
        security: Security = self.security or AutoMTLS(self.identity)
        if self.presented is not None:
            security = Impostor(self.identity, self.presented, self.directory)
        variables = environment(self.identity, TMPDIR=str(self.directory))
        variables = {**variables, **dict(security.variables())}
        variables["PLUGIN_PROTOCOL_VERSIONS"] = ",".join(map(str, security.versions))
        variables |= {name: value for name, value in changes.items() if value is not None}
        for name in [name for name, value in changes.items() if value is None]:
            variables.pop(name, None)
        self._run = await start_process(
            ProcessOptions(
                path=sys.executable,
                arguments=["-I", *map(str, arguments)],
                environment=variables,
                sha256=file_sum(sys.executable),
                security=security,
                timeout=START,
                engine=self.engine,
                on_line=self.process.on_line,
                on_output=self._printed,
            )
        )
        self.process.child = self._run.child

    def channel_as(
        self, identity: TLSIdentity, trusted: TLSIdentity, server_name: str = "localhost"
    ) -> Channel:
        """A further channel to the plugin with some certificate."""
        context = client_context(identity, trusted, self.directory)
        engine = load_engine(self.engine, self.directory)
        channel = engine.channel(self.handshake.address, tls=context, server_name=server_name)
        self._extra.append(channel)
        return channel

    @property
    def plugin_identity(self) -> TLSIdentity:
        """The plugin's certificate; the key is its own."""
        assert self.handshake.certificate is not None
        return TLSIdentity(self.handshake.certificate, b"")

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
        number = await self.run.offer(host_services(mount_config(storage=mount.storage)))
        args = pb.SetupArgs(broker_id=number, Config=config or {}, backendUUID=f"uuid-{identifier}")
        reply = pb.SetupReply.FromString(await mount.call("Setup", args))
        return mount, reply.err

    async def shut_down(self) -> int:
        """End the plugin as go-plugin does, and return its exit status."""
        await self.run.stop()
        return await self.process.ended(2)

    async def close(self) -> None:
        """Leave nothing behind."""
        for channel in self._extra:
            await channel.close()
        if self._run is not None:
            await self._run.stop()

    def _printed(self, stream: int, data: bytes) -> None:
        self.printed.append(StdioData(channel=stream, data=data).SerializeToString())
        self._print.set()

    async def received(self, printed: bytes) -> None:
        """Wait for a message on the stdio stream."""
        async with asyncio.timeout(10):
            while printed not in self.printed:
                self._print.clear()
                await self._print.wait()
