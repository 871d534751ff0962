"""A database plugin in this process: no socket, but every message as bytes."""

from __future__ import annotations

from typing import Any

from authkit.database import Database
from authkit.database.service import DatabaseService
from authkit.host.supervisor.databases.supervised import SupervisedDatabase
from authkit.host.supervisor.in_process.plugin import InProcessRuns

__all__ = ["InProcessDatabase"]

MULTIPLEXED_PROTOCOL = 6


class InProcessDatabase(SupervisedDatabase):
    """A database plugin made of the author's class."""

    def __init__(self, database: type[Database[Any, Any]]) -> None:
        database.verify_servable()
        self._runs = InProcessRuns(lambda dial: DatabaseService(database), protocol=MULTIPLEXED_PROTOCOL)
        super().__init__(self._runs.start)
        self.version = database.version

    async def crash(self, reason: str = "the test ended it") -> None:
        """End the plugin like a killed process. The next call starts it again."""
        await self._runs.crash(reason)
