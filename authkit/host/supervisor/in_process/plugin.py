"""A plugin in this process: no socket, but every message through `authkit.wire` both ways.

The backend receives and sends bytes, as on a real server. For a plugin in a separate process see
`authkit.host.supervisor.plugin_process`.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from authkit.errors import BrokerError
from authkit.host.supervisor.in_process.channel import InProcessChannel
from authkit.host.supervisor.supervised import SupervisedPlugin
from authkit.logical import BackendFactory, Servable
from authkit.rpc.interface import Channel, Method
from authkit.wire.backend import BackendService

__all__ = ["InProcessPlugin", "InProcessRun", "InProcessRuns", "MakeService"]


class Service(Protocol):
    """What a plugin serves."""

    def methods(self) -> Sequence[Method]:
        """Return everything to be served, by path."""
        ...

    async def close(self) -> None:
        """End everything that is served."""


Dial = Callable[[int], Awaitable[Channel]]
"""Connects a plugin with what its host serves under a broker id."""

MakeService = Callable[[Dial], Service]


class InProcessPlugin(SupervisedPlugin):
    """A plugin (`authkit.host.store.plugins.HostedPlugin`) made of a backend class or factory."""

    def __init__(self, backend: type[Servable] | BackendFactory) -> None:
        factory = backend if isinstance(backend, BackendFactory) else backend.factory()
        self._runs = InProcessRuns(lambda dial: BackendService(factory, dial), protocol=5)
        super().__init__(self._runs.start)
        self.backend_type = factory.backend_type
        self.version = factory.version

    async def crash(self, reason: str = "the test ended it") -> None:
        """End the plugin like a killed process: calls in flight fail, no backend is notified.

        The next call starts it again.
        """
        await self._runs.crash(reason)


class InProcessRuns:
    """Starts runs of a service, and ends them like killed processes."""

    def __init__(self, make: MakeService, *, protocol: int) -> None:
        self._make = make
        self._protocol = protocol
        self._running: list[InProcessRun] = []

    async def start(self) -> InProcessRun:
        """Start a run."""
        run = InProcessRun(self._make, protocol=self._protocol)
        self._running = [other for other in self._running if not other.ended.done()]
        self._running.append(run)
        return run

    async def crash(self, reason: str) -> None:
        """End all that run."""
        running, self._running = self._running, []
        for run in running:
            await run.crash(f"The plugin ended: {reason}.")


class InProcessRun:
    """One run of a plugin in this process. See `authkit.host.supervisor.supervisor.Run`."""

    is_multiplexed = True

    def __init__(self, make: MakeService, *, protocol: int = 5) -> None:
        self.protocol = protocol
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._numbers = itertools.count(1)
        self._offers: dict[int, InProcessChannel] = {}
        self._service = make(self._dial)
        self.channel = InProcessChannel(self._service.methods())

    async def offer(self, methods: Sequence[Method]) -> int:
        """Serve methods to the plugin."""
        number = next(self._numbers)
        self._offers[number] = InProcessChannel(methods)
        return number

    async def withdraw(self, broker_id: int) -> None:
        """Stop serving what was offered under this id."""
        channel = self._offers.pop(broker_id, None)
        if channel is not None:
            await channel.close()

    async def stop(self) -> None:
        """Clean up every backend, then end."""
        if not self.ended.done():
            await self._service.close()
            await self._end("The plugin was stopped.", "the channel is closed")

    async def crash(self, reason: str) -> None:
        """End at once."""
        if not self.ended.done():
            await self._end(reason, "error reading from server: EOF")
            # The tasks of a process end with it; those of objects have to be stopped.
            await self._service.close()

    async def _end(self, reason: str, status: str) -> None:
        self.ended.set_result(reason)
        self.channel.fail(status)
        for channel in self._offers.values():
            channel.fail(status)

    async def _dial(self, broker_id: int) -> Channel:
        channel = self._offers.get(broker_id)
        if channel is None:
            raise BrokerError(f"the host did not announce connection {broker_id}")
        return channel
