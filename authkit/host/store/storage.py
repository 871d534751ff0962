"""Where a host keeps everything: in memory, or in one SQLite file.

Keys are flat text, values are bytes. What a mount sees of it: `authkit.host.mounts.storage`.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from authkit.host.store.private_files import make_private_file, private_path, verify_private_file

__all__ = ["InMemoryPhysicalStorage", "PhysicalStorage", "SQLiteStorage", "children"]


_BESIDE = ("-wal", "-shm", "-journal")
"""What SQLite makes beside a file, and restores its content from (sqlite.org/tempfiles.html)."""


def children(keys: Iterable[str], prefix: str) -> list[str]:
    """Return the names directly below `prefix`, sorted; those of folders end with a slash."""
    below = (key[len(prefix) :].partition("/") for key in keys if key.startswith(prefix))
    return sorted({name + slash for name, slash, _ in below})


class PhysicalStorage(Protocol):
    """Keys and values of one host."""

    async def get(self, key: str) -> bytes | None:
        """Return the value, `None` when there is none."""
        ...

    async def keys(self, prefix: str) -> list[str]:
        """Return every key that begins with `prefix`, sorted."""
        ...

    async def apply(self, changes: Mapping[str, bytes | None]) -> None:
        """Store the values and remove the keys whose value is `None`: all of it or, after a crash, nothing.

        It is kept for good once this returns.
        """

    async def close(self) -> None:
        """Release resources. No other method is called afterwards."""


class InMemoryPhysicalStorage:
    """Storage that lives as long as the object."""

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}
        self._sorted: list[str] | None = []

    async def get(self, key: str) -> bytes | None:
        """Return the value, `None` when there is none."""
        return self._values.get(key)

    async def keys(self, prefix: str) -> list[str]:
        """Return every key that begins with `prefix`, sorted."""
        if self._sorted is None:
            self._sorted = sorted(self._values)
        first = last = bisect_left(self._sorted, prefix)
        while last < len(self._sorted) and self._sorted[last].startswith(prefix):
            last += 1
        return self._sorted[first:last]

    async def apply(self, changes: Mapping[str, bytes | None]) -> None:
        """Store and remove."""
        self.take(changes)

    def take(self, changes: Mapping[str, bytes | None]) -> None:
        """Store and remove, at once."""
        for key, value in changes.items():
            if value is None:
                if self._values.pop(key, None) is not None:
                    self._sorted = None
            else:
                if key not in self._values:
                    self._sorted = None
                self._values[key] = value

    async def close(self) -> None:
        """Do nothing."""


class SQLiteStorage:
    """One file. Reads come from memory; a write is in the file before it is answered.

    Only its owner may read the file or write to its folder. One process at a time
    can have it open.

    Raises:
        NotPrivateError: another user could read or replace the file, or one that SQLite keeps beside it.
        OSError: the file cannot be opened, or another process has it open.
        sqlite3.DatabaseError: the file is not a database.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._memory = InMemoryPhysicalStorage()
        # One thread: writes keep their order, and none holds up the event loop while the disk works.
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="authkit-storage")
        try:
            self._database, values = self._writer.submit(_open, Path(path)).result()
        except BaseException:
            self._writer.shutdown()
            raise
        self._memory.take(values)

    async def get(self, key: str) -> bytes | None:
        """Return the value, `None` when there is none."""
        return await self._memory.get(key)

    async def keys(self, prefix: str) -> list[str]:
        """Return every key that begins with `prefix`, sorted."""
        return await self._memory.keys(prefix)

    async def apply(self, changes: Mapping[str, bytes | None]) -> None:
        """Store and remove, in one transaction."""
        loop = asyncio.get_running_loop()
        # Shielded: a cancelled caller must not leave memory and file apart.
        await asyncio.shield(loop.run_in_executor(self._writer, self._write, dict(changes)))

    async def close(self) -> None:
        """Close the file."""
        await asyncio.get_running_loop().run_in_executor(self._writer, self._database.close)
        self._writer.shutdown()

    def _write(self, changes: Mapping[str, bytes | None]) -> None:
        with self._database:
            self._database.execute("BEGIN")
            self._database.executemany(
                "DELETE FROM entries WHERE key = ?",
                [(key,) for key, value in changes.items() if value is None],
            )
            self._database.executemany(
                "INSERT OR REPLACE INTO entries VALUES (?, ?)",
                [(key, value) for key, value in changes.items() if value is not None],
            )
        self._memory.take(changes)


def _open(path: Path) -> tuple[sqlite3.Connection, dict[str, bytes | None]]:
    path = private_path(path)
    for suffix in _BESIDE:
        verify_private_file(path.with_name(path.name + suffix))
    make_private_file(path)
    database = sqlite3.connect(path, isolation_level=None, timeout=0)
    try:
        # A second process would answer from its own memory: it is kept out. FULL: also after a power cut.
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value BLOB NOT NULL)")
        return database, dict(database.execute("SELECT key, value FROM entries"))
    except sqlite3.OperationalError as error:
        database.close()
        raise OSError(f"{path} cannot be used: {error}") from error
    except BaseException:
        database.close()
        raise
