"""A method whose logins wait for ever, and note when they begin and when they are given up."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

from authkit import AuthMethod, Identity, login
from authkit.framework import Call, Str, read

notes = Path()
"""Where it notes; the launcher says."""


def note(what: str, name: str) -> None:
    """Append a line: what happened to which login, and when."""
    with notes.open("a") as file:
        file.write(json.dumps({"what": what, "name": name, "at": time.monotonic()}) + "\n")


class Waiting(AuthMethod, name="waiting", version="0.1.0"):
    """Logs nobody in."""

    @login("wait")
    async def wait(self, name: Str) -> Identity:
        """Wait for ever."""
        note("began", name)
        try:
            await asyncio.Event().wait()
        finally:
            note("ended", name)
        return Identity(name=name)

    @read("tasks")
    async def count_tasks(self, call: Call) -> dict[str, object]:
        """Return how many tasks there are."""
        return {"tasks": len(asyncio.all_tasks())}
