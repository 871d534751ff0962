"""The supervisor of a plugin: one run at a time, and a new one for the first call after a crash.

A `Launch` starts a run: a process (see `run`) or objects in this process (see `in_process`).
See `supervised` for the mounts that use the run, and `databases` for the connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Protocol, TypeVar

from authkit.errors import PluginStartError
from authkit.rpc.interface import Channel, Method

__all__ = ["MAX_RESTARTS", "RESTART_WINDOW", "Launch", "Revivable", "Run", "Supervisor", "Supervisors"]

MAX_RESTARTS = 5
"""Restarts after crashes within `RESTART_WINDOW`; a Vault server has no such limit."""

RESTART_WINDOW = timedelta(minutes=1)


class Run(Protocol):
    """One run of a plugin, after a successful start."""

    @property
    def channel(self) -> Channel:
        """To the plugin's own services."""
        ...

    @property
    def protocol(self) -> int:
        """The application protocol in use. From 5 on, calls name their mount."""
        ...

    @property
    def is_multiplexed(self) -> bool:
        """Whether it serves more than one mount."""
        ...

    @property
    def ended(self) -> asyncio.Future[str]:
        """Done when the run is over. The result describes how it ended, for a human."""
        ...

    async def offer(self, methods: Sequence[Method]) -> int:
        """Serve methods to the plugin, and return their broker id."""
        ...

    async def withdraw(self, broker_id: int) -> None:
        """Stop serving the methods offered under this id."""

    async def stop(self) -> None:
        """Shut the run down, by force after a timeout. Safe to call more than once."""


Launch = Callable[[], Awaitable[Run]]
"""Starts the plugin. Raises `PluginStartError`."""


class Revivable(Protocol):
    """What the supervisor calls on a mount, or on a connection of a database plugin."""

    async def revive(self) -> None:
        """Move to the current run. Never raises."""

    async def cleanup(self) -> None:
        """End the mount."""


M = TypeVar("M", bound=Revivable)


class Supervisor:
    """Keeps one run for the mounts that share it, and replaces it after a crash."""

    def __init__(self, launch: Launch, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._launch = launch
        self._clock = clock
        self._run: Run | None = None
        self._starting = asyncio.Lock()
        self._restarts: deque[float] = deque()
        self._reviving: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self.mounts: list[Revivable] = []
        """Mounts, or connections of a database plugin, that share the run. `Supervisors.join` adds to it,
        `leave` removes."""

    async def current(self) -> Run:
        """Return the current run. Start one first if there is none or it has crashed.

        Raises:
            PluginStartError: the plugin did not start, or crashed too often recently.
        """
        if self._run is not None and not self._run.ended.done():
            return self._run
        async with self._starting:
            if self._is_closed:
                raise PluginStartError("the plugin is closed")
            if self._run is None:
                self._run = await self._launch()
            elif self._run.ended.done():
                self._run = await self._restart(self._run)
            return self._run

    async def leave(self, mount: Revivable) -> None:
        """Remove a mount that has ended. Stop the plugin with its last mount."""
        with contextlib.suppress(ValueError):
            self.mounts.remove(mount)
        if not self.mounts:
            async with self._starting:
                # A mount may have been added while this waited for the lock.
                if not self.mounts:
                    await self._stop()

    async def close(self) -> None:
        """Stop the run, and refuse to start another."""
        async with self._starting:
            self._is_closed = True
            await self._stop()

    async def _restart(self, last: Run) -> Run:
        self._count_restart(last.ended.result())
        await last.stop()
        run = await self._launch()
        for mount in self.mounts:
            task = asyncio.get_running_loop().create_task(mount.revive())
            self._reviving.add(task)
            task.add_done_callback(self._reviving.discard)
        return run

    def _count_restart(self, how_it_ended: str) -> None:
        now = self._clock()
        while self._restarts and self._restarts[0] <= now - RESTART_WINDOW.total_seconds():
            self._restarts.popleft()
        if len(self._restarts) >= MAX_RESTARTS:
            seconds = int(RESTART_WINDOW.total_seconds())
            raise PluginStartError(
                f"plugin has crashed more than {MAX_RESTARTS} times in {seconds} seconds",
                hint=f"It is started again once fewer of its crashes are that recent. {how_it_ended}",
            )
        self._restarts.append(now)

    async def _stop(self) -> None:
        run, self._run = self._run, None
        for task in self._reviving:
            task.cancel()
        if run is not None:
            await run.stop()


class Supervisors:
    """The runs of one plugin: one that all its mounts share, or one for each if it is not multiplexed."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._all: list[Supervisor] = []
        self._joining = asyncio.Lock()

    async def join(self, make: Callable[[Supervisor], M]) -> M:
        """Return a new mount: in the shared run, or in a separate one.

        Raises:
            PluginStartError: the plugin did not start.
        """
        async with self._joining:
            supervisor = self._all[-1] if self._all else self._begin()
            run = await supervisor.current()
            if supervisor.mounts and not run.is_multiplexed:
                supervisor = self._begin()
            mount = make(supervisor)
            supervisor.mounts.append(mount)
            return mount

    async def close(self) -> None:
        """End every mount and every run."""
        for supervisor in self._all:
            # Concurrently: a plugin that hangs costs one timeout, not one per mount.
            await asyncio.gather(*(mount.cleanup() for mount in supervisor.mounts))
            await supervisor.close()
        self._all.clear()

    def _begin(self) -> Supervisor:
        self._all = [supervisor for supervisor in self._all if supervisor.mounts]
        self._all.append(Supervisor(self._launch))
        return self._all[-1]
