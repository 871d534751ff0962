"""A backend whose code does not end when it should, for tests of the end of the process."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import re
import signal
import threading
import time

from authkit import serve
from authkit.framework import Backend, Call, read

LONG = 75
"""Seconds; longer than any bound on the end of the process."""

log = logging.getLogger(__name__)


class Stubborn(Backend, name="stubborn", version="1.0.0"):
    """Does what its path says, for longer than anybody waits."""

    stopping = ""

    async def stop(self) -> None:
        """Hang, when told."""
        log.info("stop hook")
        if self.stopping == "block":
            time.sleep(LONG)
        while self.stopping == "swallow":
            await self._swallow()

    async def _swallow(self) -> None:
        try:
            await asyncio.sleep(LONG)
        except asyncio.CancelledError:
            log.info("swallowed")

    @read("info")
    async def info(self, call: Call) -> dict[str, object]:
        """Tell who runs."""
        return {"pid": os.getpid()}

    @read("plain")
    def plain(self, call: Call) -> dict[str, object]:
        """Block a thread."""
        log.info("at work")
        time.sleep(LONG)
        return {}

    @read("loop")
    async def loop(self, call: Call) -> dict[str, object]:
        """Block the event loop."""
        log.info("at work")
        time.sleep(LONG)
        return {}

    @read("lock")
    async def lock(self, call: Call) -> dict[str, object]:
        """Block the event loop in a call that no signal interrupts."""
        log.info("at work")
        library = ctypes.CDLL(None)
        mutex = ctypes.create_string_buffer(128)
        library.pthread_mutex_lock(mutex)
        library.pthread_mutex_lock(mutex)
        return {}

    @read("interpreter")
    def interpreter(self, call: Call) -> dict[str, object]:
        """Keep every other thread from running Python: the engine of `re` never gives way."""
        log.info("at work")
        re.match(r"(a+)+$", "a" * 64 + "b")
        return {}

    @read("threads")
    async def threads(self, call: Call) -> dict[str, object]:
        """Leave threads behind that an interpreter waits for."""
        for _ in range(3):
            threading.Thread(target=time.sleep, args=(LONG,), daemon=False).start()
        log.info("at work")
        return {}

    @read("task")
    async def task(self, call: Call) -> dict[str, object]:
        """Leave a task behind that swallows its cancellation."""

        async def stay() -> None:
            while True:
                await self._swallow()

        self.left = asyncio.get_running_loop().create_task(stay())
        log.info("at work")
        return {}

    @read("fork")
    async def fork(self, call: Call) -> dict[str, object]:
        """End a forked child by SIGTERM, and tell what ended it."""
        child = os.fork()
        if child == 0:
            time.sleep(LONG)
            os._exit(0)
        os.kill(child, signal.SIGTERM)
        _, status = os.waitpid(child, 0)
        return {"ended_by": os.WTERMSIG(status)}

    @read("stop-blocks")
    async def stop_blocks(self, call: Call) -> dict[str, object]:
        """Have the stop hook block the event loop."""
        self.stopping = "block"
        log.info("at work")
        return {}

    @read("stop-swallows")
    async def stop_swallows(self, call: Call) -> dict[str, object]:
        """Have the stop hook swallow its cancellation."""
        self.stopping = "swallow"
        log.info("at work")
        return {}


if __name__ == "__main__":
    serve(Stubborn)
