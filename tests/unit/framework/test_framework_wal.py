"""The write-ahead log: entries, rollback, what a host's tick does with them."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from canaries import canary
from factories import CountingStorage, Mount

from authkit.errors import InternalError, ReadOnlyError, StorageError
from authkit.framework import Backend, WALEntry, rollback
from authkit.framework.tasks import wal
from authkit.logical import BackendConfig, Operation, StorageEntry

SECRET = canary("wal")
MANY = 300


class Rotating(Backend, name="rotating"):
    """Changes passwords elsewhere."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.undone: list[WALEntry] = []
        self.failure: Exception | None = None

    @rollback("rotate")
    async def undo(self, entry: WALEntry) -> None:
        """Undo a rotation."""
        if self.failure is not None:
            raise self.failure
        self.undone.append(entry)

    @rollback("quick", min_age="0s")
    def undo_at_once(self, entry: WALEntry) -> None:
        """Undo without waiting."""
        self.undone.append(entry)


async def tick(mount: Mount[Any], data: Mapping[str, Any] | None = None) -> None:
    """Send the host's periodic request."""
    assert await mount.request(Operation.ROLLBACK, "", data, address=None) is None


async def age(mount: Mount[Any], entry_id: str, seconds: int = 0) -> None:
    """Give an entry another time."""
    key = f"wal/{entry_id}"
    stored = await mount.storage.get(key)
    assert stored is not None
    value = {**json.loads(stored.value), "created_at": seconds}
    await mount.storage.put(StorageEntry(key, json.dumps(value).encode()))


async def test_entries_have_the_shape_of_the_sdk() -> None:
    """An entry is `type`, `data` and `created_at` in seconds under `wal/<uuid>`; those of others are read."""
    mount = Mount(Rotating)
    entry_id = await mount.backend.wal.put("rotate", {"user": "app"})
    stored = await mount.storage.get(f"wal/{entry_id}")
    assert stored is not None
    value = json.loads(stored.value)
    assert value["type"] == "rotate"
    assert value["data"] == {"user": "app"}
    assert isinstance(value["created_at"], int)
    assert len(entry_id) == 36
    await mount.storage.put(
        StorageEntry("wal/other", b'{"type":"rotate","data":null,"created_at":1700000000}\n')
    )
    found = await mount.backend.wal.find("other")
    created_at = datetime.fromtimestamp(1700000000, UTC)
    assert found == WALEntry(id="other", kind="rotate", data=None, created_at=created_at)
    assert await mount.backend.wal.find("none") is None
    assert set(await mount.backend.wal.list()) == {entry_id, "other"}


async def test_what_is_committed_is_not_undone() -> None:
    """A commit deletes the entry; a second one does no harm."""
    mount = Mount(Rotating)
    entry_id = await mount.backend.wal.put("quick", 1)
    await mount.backend.wal.commit(entry_id)
    await mount.backend.wal.commit(entry_id)
    await tick(mount)
    assert mount.backend.undone == []


async def test_old_entries_are_undone_once() -> None:
    """An entry is given to its method when it is old enough, and then it is gone."""
    mount = Mount(Rotating)
    young = await mount.backend.wal.put("rotate", {"n": 1})
    old = await mount.backend.wal.put("rotate", {"n": 2})
    quick = await mount.backend.wal.put("quick", {"n": 3})
    await age(mount, old)
    await tick(mount)
    assert {entry.id for entry in mount.backend.undone} == {old, quick}
    assert await mount.backend.wal.list() == [young]
    await tick(mount)
    assert len(mount.backend.undone) == 2


async def test_an_entry_of_a_clock_that_was_wrong_is_undone() -> None:
    """Else it would wait for the future in which it was written. Clocks differ by a little."""
    mount = Mount(Rotating)
    for seconds in (30, 3600):
        entry_id = await mount.backend.wal.put("rotate", seconds)
        await age(mount, entry_id, int(time.time()) + seconds)
    await tick(mount)
    assert [entry.data for entry in mount.backend.undone] == [3600]


async def test_immediate_ignores_the_age() -> None:
    """The key `immediate` in a tick's data undoes young entries as well, whatever its value."""
    mount = Mount(Rotating)
    await mount.backend.wal.put("rotate", 1)
    await tick(mount, {"immediate": False})
    assert [entry.data for entry in mount.backend.undone] == [1]


async def test_failures_keep_the_entry(caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be undone stays and is reported by kind; others are undone all the same."""
    mount = Mount(Rotating)
    await age(mount, await mount.backend.wal.put("rotate", {"password": SECRET}))
    await mount.backend.wal.put("quick", 1)
    for key, value in [("a", {"type": "gone", "data": SECRET, "created_at": 0}), ("b", {"data": SECRET})]:
        await mount.storage.put(StorageEntry(f"wal/{key}", json.dumps(value).encode()))
    mount.backend.failure = RuntimeError("no")
    with (
        caplog.at_level(logging.DEBUG),
        pytest.raises(
            InternalError, match=r'^error rolling back entries: "gone", "rotate", "unreadable"$'
        ) as caught,
    ):
        await tick(mount)
    assert SECRET not in caplog.text + repr(caught.value)
    assert caught.value.__cause__ is not None
    assert [entry.data for entry in mount.backend.undone] == [1]
    assert len(await mount.backend.wal.list()) == 3
    mount.backend.failure = None
    with pytest.raises(InternalError, match=r'entries: "gone", "unreadable"$'):
        await tick(mount)
    assert len(mount.backend.undone) == 2


async def test_a_tick_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """In time. Entries that stay do not keep the others from their turn."""
    mount = Mount(Rotating)
    for number, kind in enumerate(["rotate", "rotate", "quick"]):
        value = {"type": kind, "data": number, "created_at": int(time.time()) if kind == "rotate" else 0}
        await mount.storage.put(StorageEntry(f"wal/{number}", json.dumps(value).encode()))
    monkeypatch.setattr(wal, "TICK_SECONDS", 0.0)
    for _ in range(2):
        await tick(mount)
        assert mount.backend.undone == []
    await tick(mount)
    assert [entry.data for entry in mount.backend.undone] == [2]


async def test_the_log_of_a_tick_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    """A service that is down fails all; each failure has a traceback."""
    mount = Mount(Rotating)
    mount.backend.failure = RuntimeError("no")
    for number in range(MANY):
        value = {"type": "rotate", "data": number, "created_at": 0}
        await mount.storage.put(StorageEntry(f"wal/{number:06}", json.dumps(value).encode()))
    with pytest.raises(InternalError):
        await tick(mount)
    assert wal.MAX_FAILURES <= caplog.text.count("Traceback") <= wal.MAX_FAILURES + 1


async def test_a_tick_undoes_what_many_clients_have_left() -> None:
    """Who asks for credentials and leaves, again and again, must not delay what others have left by hours."""
    mount = Mount(Rotating)
    for number in range(MANY):
        value = {"type": "quick", "data": number, "created_at": 0}
        await mount.storage.put(StorageEntry(f"wal/{number:06}", json.dumps(value).encode()))
    await tick(mount)
    assert len(mount.backend.undone) == MANY


async def test_what_is_at_work_takes_no_turn_of_a_tick() -> None:
    """Many requests at once hold up nothing that is due."""
    mount = Mount(Rotating)
    wal = mount.backend.wal
    for number in range(MANY):
        entry_id = await wal.put("quick", number)
        if number % 2:
            wal.hold(entry_id)
        else:
            wal.commit_later(entry_id)
    value = {"type": "quick", "data": "due", "created_at": 0}
    await mount.storage.put(StorageEntry("wal/zz-after-all-others", json.dumps(value).encode()))
    await tick(mount)
    assert [entry.data for entry in mount.backend.undone] == ["due"]


async def test_only_a_node_that_may_delete_the_entry_undoes() -> None:
    """A standby, whose storage takes no writes, does not touch the world outside."""
    mount = Mount(Rotating)
    await mount.backend.wal.put("quick", 1)

    async def refuse(key: str) -> None:
        raise ReadOnlyError(ReadOnlyError.TEXT)

    mount.storage.delete = refuse  # type: ignore[method-assign]
    await tick(mount)
    assert mount.backend.undone == []
    del mount.storage.delete
    await tick(mount)
    assert len(mount.backend.undone) == 1


async def test_a_secondary_undoes_what_it_has_begun() -> None:
    """The log is its own cluster's: there is work to undo even where other storage is read-only."""

    class Secondary(CountingStorage):
        async def delete(self, key: str) -> None:
            if not key.startswith("wal/"):
                raise ReadOnlyError(ReadOnlyError.TEXT)
            await super().delete(key)

    mount = Mount(Rotating)
    config = BackendConfig(storage=Secondary(), system=mount.system, events=mount.events)
    mount.backend = Rotating(config)
    await mount.backend.wal.put("quick", 1)
    await tick(mount)
    assert len(mount.backend.undone) == 1
    assert await mount.backend.wal.list() == []


async def test_a_read_only_error_passes_with_its_text() -> None:
    """A node that loses its right to write in the middle says so in the words that hosts look for."""
    mount = Mount(Rotating)
    await age(mount, await mount.backend.wal.put("rotate", 1))
    mount.backend.failure = ReadOnlyError(ReadOnlyError.TEXT)
    with pytest.raises(ReadOnlyError, match=r"^cannot write to readonly storage$"):
        await tick(mount)
    assert len(await mount.backend.wal.list()) == 1
    await mount.backend.wal.put("quick", 2)
    with pytest.raises(ReadOnlyError):
        await tick(mount)
    assert [entry.data for entry in mount.backend.undone] == [2]


async def test_what_cannot_be_put() -> None:
    """A kind that nobody undoes, data that is no JSON, a host that refuses: nothing is stored."""
    mount = Mount(Rotating)
    with pytest.raises(ValueError, match="no method is a @rollback"):
        await mount.backend.wal.put("other", 1)
    with pytest.raises(ValueError, match="not JSON"):
        await mount.backend.wal.put("rotate", {"a": object()})
    mount.storage.failure = StorageError("no")
    with pytest.raises(StorageError):
        await mount.backend.wal.put("rotate", 1)
    assert await mount.backend.wal.list() == []


def test_the_log_is_local_storage_when_it_is_used() -> None:
    """Another cluster could not undo what this one has done; a backend without a log has no such storage."""

    class Plain(Backend, name="plain"):
        """Nothing."""

    assert Mount(Rotating).backend.special_paths().local_storage == ("wal/",)
    assert Mount(Plain).backend.special_paths().local_storage == ()


def test_wrong_declarations() -> None:
    """A kind has a name and one method, an age is a duration."""
    for kind, min_age in [("", "1m"), ("a", "soon"), ("a", "-1s")]:
        with pytest.raises(ValueError):
            rollback(kind, min_age=min_age)
    with pytest.raises(TypeError, match="two methods for @rollback"):

        class Twice(Rotating, name="twice"):
            @rollback("rotate")
            async def again(self, entry: WALEntry) -> None: ...
