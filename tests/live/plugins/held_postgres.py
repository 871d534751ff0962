"""The engine of examples/postgres_users, with time between "the user is made" and "the answer is sent"."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from postgres_users import engine

from authkit import read, replace
from authkit.clock import SystemClock
from authkit.framework.tasks import wal
from authkit.logical import BackendConfig

HOLD_SECONDS = 0.08
AHEAD = timedelta(minutes=11)
LATER = Path(__file__)
"""While this file exists the clock is ahead; the launcher names another one."""


class HeldDatabase(engine.Database):
    """Holds the answer back when a user was made."""

    async def run(self, *statements: Any, what: str, **values: Any) -> None:
        """Run the statements, then wait."""
        await super().run(*statements, what=what, **values)
        if what == "create the user":
            await asyncio.sleep(random.uniform(0, HOLD_SECONDS))


class JumpingClock(SystemClock):
    """Is ahead once the file exists: entries of the write-ahead log are then old."""

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.fromtimestamp(self.time(), UTC)

    def time(self) -> float:  # type: ignore[override]
        """Return the seconds since 1970."""
        return super().time() + (AHEAD.total_seconds() if LATER.exists() else 0)


class HeldPostgresUsers(engine.PostgresUsers, name="postgres_users", version="0.2.0-dev"):
    """Temporary users whose answers take a while."""

    def __init__(self, config: BackendConfig) -> None:
        super().__init__(replace(config, clock=JumpingClock()))

    @read("pending")
    async def read_pending(self) -> dict[str, Any]:
        """Return the entries of the write-ahead log."""
        return {"entries": await self.wal.list()}


def prepare(later: str) -> None:
    """Make the engine what the tests need; `later` is the file that moves the clock."""
    global LATER
    LATER = Path(later)
    engine.Database = HeldDatabase  # type: ignore[misc]
    wal.TICK_SECONDS = 60.0  # type: ignore[misc]
