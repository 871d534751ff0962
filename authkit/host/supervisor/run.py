"""One run of a plugin's process: checksum, start, handshake, connection, shutdown, clean-up.

Each mount hands in the methods to serve (`ProcessRun.offer`). See `authkit.host.supervisor.supervisor`
for restarts.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import signal
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import timedelta
from typing import ClassVar

from authkit.errors import PluginStartError, RPCError
from authkit.host.store.plugin_errors import status_text
from authkit.host.supervisor.backend_client import is_multiplexed
from authkit.host.supervisor.broker import HostBroker
from authkit.host.supervisor.child import Child, start_child
from authkit.host.supervisor.directories import lend_directory
from authkit.host.supervisor.executable import check_sum, describe_file
from authkit.host.supervisor.handshake import Announcement, parse_announcement, unrecognized
from authkit.host.supervisor.hints import explain
from authkit.host.supervisor.logs import LogReader, PluginLog
from authkit.host.supervisor.security import Security
from authkit.plugin.pb.stdio_pb2 import StdioData
from authkit.rpc import load_engine
from authkit.rpc.interface import Channel, Method
from authkit.values import Value

__all__ = ["START_TIMEOUT", "ProcessOptions", "ProcessRun", "start_process"]

logger = logging.getLogger("authkit.host")

START_TIMEOUT = timedelta(minutes=1)
"""Until the handshake line (go-plugin's default, which no server changes)."""

CONNECT_TIMEOUT = timedelta(seconds=20)

SHUTDOWN_TIMEOUT = timedelta(seconds=2)
"""From `Shutdown` until the process is killed (go-plugin 1.8, client.go, Kill)."""

END_FOLLOWS = timedelta(seconds=2)
"""How long after closing its output a process usually ends."""

KEPT_LOG_LINES = 5
"""The last lines of the log, kept for the hint of an error."""

OnLog = Callable[[PluginLog], None]
OnOutput = Callable[[int, bytes], None]


def _ignore(*arguments: object) -> None:
    """Ignore the event."""


class ProcessOptions(Value, frozen=True, kw_only=True):
    """How to start a plugin. Set by the host."""

    path: str
    """The executable."""
    arguments: Sequence[str] = ()
    environment: Mapping[str, str]
    """Complete, see `authkit.host.supervisor.environment`. Without TMPDIR a private one is added."""
    sha256: str
    """Expected SHA-256 of the file, in hexadecimal. Checked right before execution."""
    security: Security
    timeout: timedelta = START_TIMEOUT
    """Until the handshake line."""
    engine: str = ""
    """Name of the gRPC engine; empty for the default one."""
    on_line: Callable[[bytes], None] = _ignore
    """Called with each raw line of standard error, secrets included."""
    on_stdout: Callable[[bytes, bool], None] = _ignore
    """Called with each line of standard output, and whether it is only a piece of one."""
    on_log: OnLog = _ignore
    """Called with each parsed log record."""
    on_output: OnOutput = _ignore
    """Called with output of the author's code: 1 or 2 for the stream, and the bytes. Servers drop it."""

    unshown: ClassVar = ("environment",)


class ProcessRun:
    """A running plugin process. Implements `authkit.host.supervisor.supervisor.Run`."""

    def __init__(
        self,
        child: Child,
        announcement: Announcement,
        channel: Channel,
        broker: HostBroker,
        output: asyncio.Task[None],
        resources: ExitStack,
        *,
        is_multiplexed: bool,
    ) -> None:
        self.child = child
        self.announcement = announcement
        self.channel = channel
        self.is_multiplexed = is_multiplexed
        self._broker = broker
        self._output = output
        self._resources = resources
        self._stopping: asyncio.Task[None] | None = None
        _running.add(self)

    @property
    def protocol(self) -> int:
        """The application protocol in use."""
        return self.announcement.version

    @property
    def ended(self) -> asyncio.Future[str]:
        """Done once the process has ended."""
        return self.child.ended

    async def offer(self, methods: Sequence[Method]) -> int:
        """Serve methods to the plugin."""
        return await self._broker.offer(methods)

    async def withdraw(self, broker_id: int) -> None:
        """Stop serving the methods offered under this id."""
        await self._broker.withdraw(broker_id)

    async def stop(self) -> None:
        """Shut the process down as go-plugin does, and remove its files."""
        if self._stopping is None:
            self._stopping = asyncio.get_running_loop().create_task(self._stop())
        # The shutdown goes on if the caller is cancelled.
        await asyncio.shield(self._stopping)

    async def _stop(self) -> None:
        try:
            if not self.ended.done():
                await self._broker.hang_up()
                with suppress(RPCError):
                    await self.channel.call("/plugin.GRPCController/Shutdown", b"", timeout=SHUTDOWN_TIMEOUT)
            await self.channel.close()
            await _wait_for_end(self.child)
        finally:
            self.child.abandon()
            self._output.cancel()
            await self._broker.close()
            self._resources.close()
            _running.discard(self)

    def end_at_once(self) -> None:
        """Kill the process and remove its files, without an event loop."""
        if self.child.status is None:
            with suppress(ProcessLookupError):
                os.kill(self.child.pid, signal.SIGKILL)
        self._resources.close()


_running: set[ProcessRun] = set()


@atexit.register
def _end_all() -> None:
    """Kill plugins that were not stopped. A host that is killed itself can't do this."""
    while _running:
        _running.pop().end_at_once()


async def start_process(options: ProcessOptions) -> ProcessRun:
    """Start a plugin, shake hands and connect.

    Raises:
        PluginStartError: a step failed. The process and its files are gone by then.
    """
    tail: deque[str] = deque(maxlen=KEPT_LOG_LINES)
    try:
        return await _start(options, tail)
    except PluginStartError as error:
        lines = "".join(f"\n  {line}" for line in tail)
        parts = [explain(str(error)), error.hint, f"It wrote last:{lines}" if lines else ""]
        raise PluginStartError(str(error), hint=" ".join(part for part in parts if part)) from error


async def _start(options: ProcessOptions, tail: deque[str]) -> ProcessRun:
    def on_record(record: PluginLog) -> None:
        cause = record.pairs.get("error")  # of a record with a traceback, which is too long for a hint
        tail.append(f"{record.message.strip()}{f': {cause}' if cause else ''}"[:500])
        options.on_log(record)

    def on_line(line: bytes, is_piece: bool) -> None:
        options.on_line(line)
        reader.feed(line, is_piece)

    reader = LogReader(on_record)
    with ExitStack() as resources:
        directory = resources.enter_context(lend_directory())
        await asyncio.to_thread(check_sum, options.path, options.sha256)
        # A killed plugin can't remove its files, so TMPDIR is removed after it.
        environment = {"TMPDIR": directory, **options.environment}
        child = await start_child(options.path, options.arguments, environment, on_line, options.on_stdout)
        child.ended.add_done_callback(lambda ended: reader.finish())
        try:
            announcement = await _handshake(child, options)
            return await _connect(child, announcement, options, directory, resources)
        except BaseException:
            child.kill()
            with suppress(asyncio.CancelledError):
                await asyncio.shield(child.ended)
            child.abandon()
            raise


async def _handshake(child: Child, options: ProcessOptions) -> Announcement:
    try:
        async with asyncio.timeout(options.timeout.total_seconds()):
            line = await asyncio.shield(child.first_line)
    except TimeoutError:
        raise PluginStartError("timeout while waiting for plugin to start") from None
    if line is None:
        if child.has_closed_output:
            # The process is about to end. Its exit status says more.
            await asyncio.wait({child.ended}, timeout=END_FOLLOWS.total_seconds())
        error = unrecognized(None, describe_file(options.path))
        error.hint = child.ended.result() if child.ended.done() else ""
        raise error
    return parse_announcement(line, options.security.versions, notes=describe_file(options.path))


async def _connect(
    child: Child, announcement: Announcement, options: ProcessOptions, directory: str, resources: ExitStack
) -> ProcessRun:
    secured = options.security.secure(announcement.certificate, directory)
    engine = load_engine(options.engine, directory)
    channel = engine.channel(announcement.address, tls=secured.client, server_name=secured.server_name)
    broker = HostBroker(engine, directory, secured.server)
    output: asyncio.Task[None] | None = None
    try:
        await channel.ready(CONNECT_TIMEOUT)
        broker.open(channel)
        output = asyncio.get_running_loop().create_task(_read_output(channel, options.on_output))
        shared = announcement.version >= 5 and await is_multiplexed(channel)
    except BaseException as error:
        if output is not None:
            output.cancel()
        await broker.close()
        await channel.close()
        if isinstance(error, RPCError):
            raise _unreachable(announcement, error) from error
        raise
    return ProcessRun(
        child, announcement, channel, broker, output, resources.pop_all(), is_multiplexed=shared
    )


async def _read_output(channel: Channel, on_output: OnOutput) -> None:
    async def one_empty_request() -> AsyncIterator[bytes]:
        yield b""

    with suppress(RPCError):  # a plugin need not have the service
        async for message in channel.stream("/plugin.GRPCStdio/StreamStdio", one_empty_request()):
            data = StdioData.FromString(message)
            on_output(data.channel, data.data)


async def _wait_for_end(child: Child) -> None:
    await asyncio.wait({child.ended}, timeout=SHUTDOWN_TIMEOUT.total_seconds())
    if not child.ended.done():
        logger.warning("plugin failed to exit gracefully", extra={"kv": {"pid": child.pid}})
        child.kill()
        # Bounded: see `PIPES_CLOSE_SECONDS` in `child`.
        await child.ended


def _unreachable(announcement: Announcement, error: RPCError) -> PluginStartError:
    """Return the error for a failed connection, worded as by grpc-go."""
    cause = error.__cause__
    if isinstance(cause, ssl.SSLError):
        reason = f"transport: authentication handshake failed: {error.message}"
    elif isinstance(cause, OSError) and cause.strerror:
        network, target = announcement.address.network, announcement.address.target
        reason = f"transport: error while dialing: dial {network} {target}: connect: {cause.strerror.lower()}"
    else:
        return PluginStartError(status_text(error))
    status = RPCError(error.code, f'connection error: desc = "{reason}"')
    return PluginStartError(status_text(status))
