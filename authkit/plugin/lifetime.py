"""How long a plugin process lives: as long as its host, and not a moment longer.

A host that is killed says nothing. Its end shows in two ways: the stream that it keeps open ends,
and the process gets another parent. The second is watched from a thread, so that it works even
while the author's code blocks the event loop.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable

from authkit.plugin.broker import Broker

__all__ = ["HOST_MUST_CONNECT_SECONDS", "OrphanWatch", "wait_for_host_to_leave"]

HOST_MUST_CONNECT_SECONDS = 60.0
"""A host that has not connected a minute after the handshake line will not come: it has given up
waiting for us by then (go-plugin 1.8, StartTimeout)."""

SHUTDOWN_GRACE_SECONDS = 1.5
"""After the end of its stream a living host asks for shutdown at once; it kills us 2 s later."""

_POLL_SECONDS = 0.5
_LAST_RESORT_SECONDS = 2.0


async def wait_for_host_to_leave(broker: Broker) -> str:
    """Return, with the reason, when the host has gone without asking for shutdown, or never came."""
    try:
        async with asyncio.timeout(HOST_MUST_CONNECT_SECONDS):
            await broker.host_came.wait()
    except TimeoutError:
        return f"no host connected within {HOST_MUST_CONNECT_SECONDS:.0f} s"
    while True:
        await broker.host_left.wait()
        await asyncio.sleep(SHUTDOWN_GRACE_SECONDS)
        if broker.host_left.is_set():
            return "the host has closed its connection"


class OrphanWatch:
    """Calls `on_orphan` when the parent process has changed, and ends the process if that does not help.

    `on_orphan` is called from a thread of its own.
    """

    def __init__(
        self,
        on_orphan: Callable[[], None],
        *,
        parent: Callable[[], int] = os.getppid,
        exit: Callable[[int], object] = os._exit,
    ) -> None:
        self._on_orphan = on_orphan
        self._parent = parent
        self._exit = exit
        self._original = parent()
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin to watch."""
        threading.Thread(target=self._watch, name="authkit-orphan-watch", daemon=True).start()

    def stop(self) -> None:
        """Cease to watch."""
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(_POLL_SECONDS):
            if self._parent() != self._original:
                self._on_orphan()
                if not self._stopped.wait(_LAST_RESORT_SECONDS):
                    self._exit(1)
                return
