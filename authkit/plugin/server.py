"""A plugin process from start to end, one function per phase: listen, announce, serve, drain, stop.

What is served is an `Application`; this module knows nothing of it but its gRPC methods.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from authkit.errors import HandshakeError
from authkit.plugin.descriptors import raise_limit
from authkit.plugin.ending import SHUTDOWN_GRACE, Ending, Reason
from authkit.plugin.environment import STALL_VARIABLE, HostEnvironment
from authkit.plugin.handshake import choose_version, handshake_line
from authkit.plugin.lifetime import wait_for_host_to_leave
from authkit.plugin.listener import Listener, listen
from authkit.plugin.security.private_directory import PrivateDirectory, remove_abandoned
from authkit.plugin.security.tls import TransportSecurity
from authkit.plugin.services.broker import Broker
from authkit.plugin.services.controller import Controller, Health, Stdio
from authkit.plugin.services.open_calls import OpenCalls
from authkit.plugin.services.reflection import Reflection
from authkit.plugin.streams import StandardStreams
from authkit.rpc import Address, Channel, Engine, Method, Server, load_engine
from authkit.values import Value

if TYPE_CHECKING:
    from google.protobuf.descriptor_pool import DescriptorPool

__all__ = ["Application", "Dial", "Plan", "agree_on_version", "run"]

log = logging.getLogger(__name__)

Dial = Callable[[int], Awaitable[Channel]]
"""Connects to the service that the host announces under this number. Raises `BrokerError`."""

DRAIN_SECONDS = 0.2
"""Beyond the grace, for calls that were cancelled to end."""

CLOSE_SECONDS = 1.0
"""For the application to close; what takes longer is left behind with the process."""


class Application(Protocol):
    """What a plugin serves."""

    def methods(self) -> Sequence[Method]:
        """Return its gRPC methods."""
        ...

    def pools(self) -> Sequence[DescriptorPool]:
        """Return the descriptors of its services, for reflection."""
        ...

    async def close(self) -> None:
        """Stop everything that it started."""


class Plan(Value, frozen=True, kw_only=True):
    """How to serve, decided before anything is opened."""

    environment: HostEnvironment
    version: int
    """The application protocol version to announce."""
    secure: Callable[[str], TransportSecurity]
    """Makes the TLS contexts; gets a private directory. Raises `HandshakeError`."""
    application: Callable[[Dial], Application]
    engine: str = ""
    """Name of the gRPC engine; empty for the default one."""


_PREFIX = "authkit-run-"
"""Of private directories in TMPDIR. Version 0.1, which took no lock on its own, named them otherwise."""

_FAILURE = Reason("failure", timedelta(0))


def agree_on_version(environment: HostEnvironment, supported: Sequence[int]) -> int:
    """Return the protocol version to speak.

    Raises:
        HandshakeError: the host offers none of `supported`.
    """
    version = choose_version(environment.versions, supported)
    if version is None:
        offered = ", ".join(map(str, sorted(environment.versions))) or "nothing"
        known = ", ".join(map(str, supported))
        raise HandshakeError(
            f"PLUGIN_PROTOCOL_VERSIONS: the host offers {offered}, this plugin speaks {known}"
        )
    return version


def run(plan: Plan, streams: StandardStreams, ending: Ending) -> None:
    """Serve until the host, a signal or the end of the host says stop; `ending` bounds what follows.

    Raises:
        HandshakeError: serving could not begin.
    """
    # Not asyncio.run, which waits at the end for threads and for tasks that refuse to end.
    loop = asyncio.new_event_loop()
    serving = loop.create_task(_run(plan, streams, ending))
    while not serving.done():
        try:
            loop.run_until_complete(serving)
        except (SystemExit, KeyboardInterrupt) as error:
            # asyncio lets these two out of the loop when a task raises them. One that belongs to
            # a request is caught where it is answered; this one is a task that somebody left behind.
            log.error("a task tried to end the process", exc_info=error)
    serving.result()


async def _run(plan: Plan, streams: StandardStreams, ending: Ending) -> None:
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[Reason] = loop.create_future()

    def on_end(reason: Reason) -> None:
        loop.call_soon_threadsafe(_ask_to_stop, stop, reason)

    ending.serve(on_end)
    raise_limit()
    temporary = os.environ.get("TMPDIR") or "/tmp"  # noqa: S108
    with closing(PrivateDirectory(temporary, prefix=_PREFIX, variable="TMPDIR")) as private:
        ending.at_end(private.close)
        security = plan.secure(private.inside)
        with closing(listen(plan.environment, private)) as listener:
            ending.at_end(listener.remove_file)
            engine = load_engine(plan.engine, private.inside)
            calls = OpenCalls()
            broker = Broker(_connector(engine, security), calls)
            application = plan.application(broker.dial)
            server = engine.server(
                _all_methods(application, broker, calls, streams, stop),
                listener.socket,
                tls=security.server,
                on_refused=_log_refusal,
            )
            await server.start()
            try:
                _announce(plan, security, listener, streams)
                if removed := remove_abandoned(temporary, prefix=_PREFIX):
                    log.info("removed %d directories of plugins that were killed, in %s", removed, temporary)
                await _serve(broker, stop)
            finally:
                reason = stop.result() if stop.done() else _FAILURE
                ending.within(reason.seconds)
                calls.ended.set()
                await _drain(server, application, reason)


def _connector(engine: Engine, security: TransportSecurity) -> Callable[[Address], Channel]:
    def connect(address: Address) -> Channel:
        return engine.channel(address, tls=security.client, server_name=security.server_name)

    return connect


def _all_methods(
    application: Application,
    broker: Broker,
    calls: OpenCalls,
    streams: StandardStreams,
    stop: asyncio.Future[Reason],
) -> list[Method]:
    controller = Controller(lambda: _ask_to_stop(stop, Reason("the host asked for it", SHUTDOWN_GRACE)))
    methods: list[Method] = [
        *application.methods(),
        *broker.methods(),
        *controller.methods(),
        *Stdio(streams, calls).methods(),
        *Health(calls).methods(),
    ]
    services = {method.path.split("/")[1] for method in methods}

    def pools() -> list[DescriptorPool]:
        from authkit.plugin.pb import _pool, broker_pb2, controller_pb2, health_pb2, reflection_pb2, stdio_pb2

        del broker_pb2, controller_pb2, health_pb2, reflection_pb2, stdio_pb2  # importing registers them
        return [_pool.POOL, *application.pools()]

    return [*methods, *Reflection(sorted(services), pools).methods()]


def _announce(plan: Plan, security: TransportSecurity, listener: Listener, streams: StandardStreams) -> None:
    line = handshake_line(
        version=plan.version,
        network=listener.address.network,
        address=listener.address.target,
        certificate=security.announced,
        multiplex=False if plan.environment.multiplex_requested else None,
    )
    try:
        streams.announce(line)
    except OSError as error:
        raise HandshakeError(f"the host does not read the handshake line: {error}") from error


async def _serve(broker: Broker, stop: asyncio.Future[Reason]) -> None:
    """Return when something says stop; `stop` then holds the reason."""
    # What lives now lives as long as the process: the garbage collector need not look at it again.
    gc.collect()
    gc.freeze()
    gc.enable()
    leaving = asyncio.get_running_loop().create_task(_stop_when_host_leaves(broker, stop))
    watch = None
    if STALL_VARIABLE in os.environ:
        from authkit.plugin.stalls import watch_stalls

        watch = watch_stalls()
    try:
        await stop
    finally:
        leaving.cancel()
        if watch is not None:
            watch.stop()


async def _stop_when_host_leaves(broker: Broker, stop: asyncio.Future[Reason]) -> None:
    _ask_to_stop(stop, Reason(await wait_for_host_to_leave(broker), timedelta(0)))


async def _drain(server: Server, application: Application, reason: Reason) -> None:
    log.debug("stopping: %s", reason.text)
    try:
        async with asyncio.timeout(reason.grace.total_seconds() + DRAIN_SECONDS):
            await server.drain(reason.grace)
    except TimeoutError:
        log.warning("calls in flight did not end in time")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await application.close()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=DRAIN_SECONDS)


def _ask_to_stop(stop: asyncio.Future[Reason], reason: Reason) -> None:
    if not stop.done():
        stop.set_result(reason)


def _log_refusal(reason: str) -> None:
    log.warning("connection refused: %s", reason)
