"""A method with handlers that do not end when they should, for tests of what that may hold up."""

from __future__ import annotations

import os
import threading
import time

from authkit import AuthMethod, Identity, login, serve
from authkit.framework import Call, Str, Task, WALEntry, every, read, rollback, write

LONG = 75
"""Seconds; a host gives a request 90."""

at_once = {"task": 0, "rollback": 0}
most = {"task": 0, "rollback": 0}
lock = threading.Lock()
release = threading.Event()


class Slow(AuthMethod, name="slow", version="0.1.0"):
    """Does what its path says."""

    stuck = False

    @login("login")
    def log_in(self, name: Str) -> Identity:
        """Take long, in a thread."""
        self.log.info("login at work")
        time.sleep(LONG)
        return Identity(name=name)

    @login("gated")
    def gated(self, name: Str) -> Identity:
        """Wait in a thread until released."""
        self.log.info("login at work")
        release.wait(LONG)
        return Identity(name=name)

    @login("loop")
    async def loop(self, name: Str) -> Identity:
        """Take long, and hold everything up."""
        self.log.info("login at work")
        time.sleep(LONG)
        return Identity(name=name)

    @login("quick")
    def quick(self, name: Str) -> Identity:
        """Let in, in a thread."""
        return Identity(name=name)

    @write("release")
    async def let_go(self, call: Call) -> None:
        """Let the gated logins, tasks and rollbacks go on."""
        release.set()

    @write("begin")
    async def begin(self, call: Call) -> None:
        """Leave something to be undone, and have the task get stuck."""
        self.stuck = True
        await self.wal.put("thing", {})

    @read("info")
    async def info(self, call: Call) -> dict[str, object]:
        """Tell how often tasks and rollbacks ran at once."""
        return {"pid": os.getpid(), "most": most}

    @every("1s")
    def work(self, task: Task) -> None:
        """Wait until released, when told: longer than any deadline."""
        if self.stuck:
            self._wait("task")

    @rollback("thing", min_age="0s")
    def undo(self, entry: WALEntry) -> None:
        """Wait until released."""
        self._wait("rollback")

    def _wait(self, what: str) -> None:
        with lock:
            at_once[what] += 1
            most[what] = max(most[what], at_once[what])
        self.log.info("%s at work", what)
        release.wait(10 * LONG)
        with lock:
            at_once[what] -= 1


if __name__ == "__main__":
    serve(Slow)
