"""Where a host keeps everything: both kinds keep the same promises, and a file survives SIGKILL."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from authkit.errors import ReadOnlyError, StorageError
from authkit.host.mounts.storage import MountStorage, StorageGate, remove_all
from authkit.host.store.storage import InMemoryPhysicalStorage, PhysicalStorage, SQLiteStorage
from authkit.logical import StorageEntry

WRITER = """
import asyncio, sys
from authkit.host.store.storage import SQLiteStorage

async def main():
    storage = SQLiteStorage(sys.argv[1])
    for number in range(100_000):
        await storage.apply({f"n/{number}": str(number).encode(), "last": str(number).encode()})
        print(number, flush=True)

asyncio.run(main())
"""
KILLED_AFTER = 40
"""Answered writes."""


@pytest.fixture(params=["memory", "file"])
async def storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[PhysicalStorage]:
    """Both kinds."""
    made: PhysicalStorage
    made = InMemoryPhysicalStorage() if request.param == "memory" else SQLiteStorage(tmp_path / "data")
    yield made
    await made.close()


async def test_values_come_back(storage: PhysicalStorage) -> None:
    """What is stored is there, what is removed is gone, what never was is no error."""
    await storage.apply({"a": b"1", "b": b"", "c": b"\0\xff"})
    assert [await storage.get(key) for key in "abcd"] == [b"1", b"", b"\0\xff", None]
    await storage.apply({"a": None, "b": b"2", "never": None})
    assert [await storage.get(key) for key in "ab"] == [None, b"2"]


async def test_keys_below_a_prefix(storage: PhysicalStorage) -> None:
    """Every key that begins with the prefix, sorted, and no other."""
    await storage.apply(dict.fromkeys(["b/2", "b/1", "b", "ba", "a", "b/1/x"], b""))
    assert await storage.keys("b/") == ["b/1", "b/1/x", "b/2"]
    assert await storage.keys("") == ["a", "b", "b/1", "b/1/x", "b/2", "ba"]
    assert await storage.keys("c") == []
    await storage.apply({"b/1": None})
    assert await storage.keys("b/") == ["b/1/x", "b/2"]


async def test_everything_below_a_prefix_goes(storage: PhysicalStorage) -> None:
    """As a mount's storage goes with the mount."""
    await storage.apply(dict.fromkeys(["a/1", "a/2/x", "ab"], b""))
    await remove_all(storage, "a/")
    assert await storage.keys("") == ["ab"]


# --- the file ----------------------------------------------------------------------------------


async def test_a_file_is_read_again(tmp_path: Path) -> None:
    """Another run finds what the last one stored."""
    first = SQLiteStorage(tmp_path / "data")
    await first.apply({"a": b"1", "b": b"2"})
    await first.apply({"b": None})
    await first.close()
    second = SQLiteStorage(tmp_path / "data")
    assert await second.keys("") == ["a"]
    await second.close()


async def test_a_file_is_for_its_owner(tmp_path: Path) -> None:
    """Nobody else can read it: it holds what plugins store."""
    storage = SQLiteStorage(tmp_path / "data")
    await storage.apply({"a": b"1"})
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o600
    await storage.close()


async def test_a_file_has_one_user(tmp_path: Path) -> None:
    """A second host on the same file would answer from its own memory: it is refused."""
    first = SQLiteStorage(tmp_path / "data")
    with pytest.raises(OSError, match="cannot be used"):
        SQLiteStorage(tmp_path / "data")
    await first.apply({"a": b"1"})
    await first.close()
    await SQLiteStorage(tmp_path / "data").close()


def test_a_file_that_is_none(tmp_path: Path) -> None:
    """A file of another kind is left as it is."""
    other = tmp_path / "data"
    other.write_bytes(b"not a database, but long enough to be looked at" * 40)
    other.chmod(0o600)
    before = other.read_bytes()
    with pytest.raises(sqlite3.DatabaseError):
        SQLiteStorage(other)
    assert other.read_bytes() == before


async def test_a_failed_write_changes_nothing(tmp_path: Path) -> None:
    """All of it or nothing, also in memory."""
    storage = SQLiteStorage(tmp_path / "data")
    await storage.apply({"a": b"1"})
    with pytest.raises((sqlite3.Error, TypeError, ValueError)):
        await storage.apply({"a": b"2", "b": object()})  # type: ignore[dict-item]
    assert await storage.get("a") == b"1"
    assert await storage.keys("") == ["a"]
    await storage.close()


async def test_every_answered_write_survives_sigkill(tmp_path: Path) -> None:
    """A process that is killed in the middle of its writes has lost none that it knew to be stored."""
    path = tmp_path / "data"
    command = [sys.executable, "-c", WRITER, str(path)]
    writer = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert writer.stdout is not None
    answered = -1
    while answered < KILLED_AFTER:
        answered = int(await writer.stdout.readline())
    writer.send_signal(signal.SIGKILL)
    rest, _ = await writer.communicate()
    answered = int(rest.split()[-1]) if rest.split() else answered
    storage = SQLiteStorage(path)
    kept = {int(key.removeprefix("n/")) for key in await storage.keys("n/")}
    assert kept == set(range(len(kept)))
    assert len(kept) > answered
    assert await storage.get("last") == str(max(kept)).encode()
    await storage.close()


# --- what a mount sees -------------------------------------------------------------------------


def mount_storage(**switches: bool) -> tuple[MountStorage, StorageGate]:
    """The storage of a mount that has been set up, and its gate."""
    gate = StorageGate(**switches)
    storage = MountStorage(InMemoryPhysicalStorage(), "auth/x/", gate)
    storage.is_in_setup = False
    return storage, gate


async def test_a_mount_sees_its_own(storage: PhysicalStorage) -> None:
    """Two mounts with the same keys do not meet."""
    one, two = (MountStorage(storage, prefix, StorageGate()) for prefix in ("auth/1/", "auth/2/"))
    one.is_in_setup = two.is_in_setup = False
    await one.put(StorageEntry("role/a", b"1", seal_wrap=True))
    await two.put(StorageEntry("role/b", b"2"))
    assert await one.get("role/a") == StorageEntry("role/a", b"1", seal_wrap=True)
    assert await one.get("role/b") is None
    assert (await one.list(), await one.list("role/")) == (["role/"], ["a"])
    await one.delete("role/a")
    assert await one.list() == []
    assert await two.list("role/") == ["b"]


async def test_nothing_is_written_during_setup() -> None:
    """Reads work, writes have a Vault server's words."""
    storage = MountStorage(InMemoryPhysicalStorage(), "auth/x/", StorageGate())
    assert await storage.get("a") is None
    with pytest.raises(StorageError, match="cannot write to storage during setup"):
        await storage.put(StorageEntry("a", b""))
    with pytest.raises(StorageError, match="cannot write to storage during setup"):
        await storage.delete("a")


async def test_relative_keys_are_refused() -> None:
    """As a server refuses them."""
    storage, _ = mount_storage()
    for call in (storage.get, storage.delete, storage.list):
        with pytest.raises(StorageError, match="relative paths not supported"):
            await call("a/../b")
    with pytest.raises(StorageError, match="relative paths not supported"):
        await storage.put(StorageEntry("../a", b""))


async def test_a_standby_does_not_write() -> None:
    """It says so in the words by which a host forwards a request."""
    storage, gate = mount_storage(read_only=True)
    with pytest.raises(ReadOnlyError, match=r"\Acannot write to readonly storage\Z"):
        await storage.put(StorageEntry("a", b""))
    gate.read_only = False
    await storage.put(StorageEntry("a", b""))


@pytest.mark.parametrize("switch", ["fail_gets", "fail_puts", "fail_deletes", "fail_lists"])
async def test_each_call_can_be_made_to_fail(switch: str) -> None:
    """And only that one."""
    storage, _ = mount_storage(**{switch: True})
    calls = {
        "fail_gets": lambda: storage.get("a"),
        "fail_puts": lambda: storage.put(StorageEntry("a", b"")),
        "fail_deletes": lambda: storage.delete("a"),
        "fail_lists": lambda: storage.list(),
    }
    with pytest.raises(StorageError, match="switched off by a test"):
        await calls.pop(switch)()
    for call in calls.values():
        await call()
