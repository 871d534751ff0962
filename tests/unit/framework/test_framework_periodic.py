"""Periodic tasks, the node they run on, and a mount without storage."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Any

import pytest
from factories import FakeEvents, FakeSystem, Mount

from authkit.errors import (
    InternalError,
    ReadOnlyError,
    StorageError,
    SystemViewError,
    UnsupportedByHostError,
)
from authkit.framework import (
    Backend,
    Collection,
    Model,
    Singleton,
    Str,
    Task,
    WALEntry,
    cached,
    every,
    rollback,
)
from authkit.logical import BackendConfig, Operation, ReplicationState, Request, StorageEntry
from authkit.testing import MovableClock


class Busy(Backend, name="busy"):
    """Three tasks."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.runs: list[tuple[str, bool]] = []
        self.failures: dict[str, Exception] = {}

    def note(self, task: Task) -> None:
        """Note a run, or fail as told."""
        self.runs.append((task.name, task.can_write))
        if task.name in self.failures:
            raise self.failures[task.name]

    @every("1h")
    async def look(self, task: Task) -> None:
        """Look."""
        self.note(task)

    @every("1h", writes=True)
    async def prune(self, task: Task) -> None:
        """Prune."""
        self.note(task)

    @every("1m")
    def count(self, task: Task) -> None:
        """Count, in a thread."""
        self.note(task)


class ReadOnlyNode(FakeSystem):
    """A host in some state of replication."""

    def __init__(self, state: ReplicationState, *, local: bool = False) -> None:
        super().__init__()
        self.state = state
        self.local = local

    async def replication_state(self) -> ReplicationState:
        return self.state

    async def local_mount(self) -> bool:
        return self.local


def mounted(system: FakeSystem | None = None) -> tuple[Mount[Busy], MovableClock]:
    """Return a mount whose clock stands still, on a host."""
    clock = MovableClock()
    mount = Mount(Busy, clock=clock)
    if system is not None:
        config = BackendConfig(storage=mount.storage, system=system, events=mount.events, clock=clock)
        mount.backend = Busy(config)
    return mount, clock


async def test_tasks_run_at_their_intervals() -> None:
    """Each runs at the first tick and then when its interval has passed; all may write here."""
    mount, clock = mounted()
    await mount.tick()
    assert mount.backend.runs == [("look", True), ("prune", True), ("count", True)]
    await mount.tick()
    clock.tick(60)
    await mount.tick()
    assert mount.backend.runs[3:] == [("count", True)]
    clock.tick(3600)
    await mount.tick()
    assert len(mount.backend.runs) == 7


PRIMARY = ReplicationState.PERFORMANCE_PRIMARY
SECONDARY = ReplicationState.PERFORMANCE_SECONDARY
STANDBY = ReplicationState.PERFORMANCE_STANDBY


@pytest.mark.parametrize(
    ("state", "local", "can_write"),
    [
        (ReplicationState.PERFORMANCE_DISABLED | ReplicationState.DR_DISABLED, False, True),
        (ReplicationState(0), False, True),
        (PRIMARY, False, True),
        (SECONDARY, False, False),
        (SECONDARY, True, True),
        (STANDBY | PRIMARY, False, False),
        (STANDBY | SECONDARY, True, False),
    ],
)
async def test_tasks_know_whether_the_node_may_write(
    state: ReplicationState, local: bool, can_write: bool
) -> None:
    """A task with `writes` runs only where that is possible; the others run everywhere and are told."""
    mount, _ = mounted(ReadOnlyNode(state, local=local))
    await mount.tick()
    assert await mount.backend.node.can_write() is can_write
    assert ("look", can_write) in mount.backend.runs
    assert (("prune", True) in mount.backend.runs) is can_write


async def test_storage_has_the_last_word() -> None:
    """A standby that replication does not show is known by its storage, which lets nothing be deleted."""
    mount, _ = mounted()

    async def refuse(key: str) -> None:
        raise ReadOnlyError(ReadOnlyError.TEXT)

    mount.storage.delete = refuse  # type: ignore[method-assign]
    await mount.tick()
    assert mount.backend.runs == [("look", False), ("count", False)]
    del mount.storage.delete
    await mount.tick()
    # It stayed due all the time.
    assert mount.backend.runs[2:] == [("prune", True)]
    assert await mount.storage.list() == []


async def test_a_host_that_cannot_say() -> None:
    """A host without the call has no replication; where storage fails otherwise, nothing is written."""

    class Old(FakeSystem):
        async def replication_state(self) -> ReplicationState:
            raise UnsupportedByHostError("no such call")

    mount, _ = mounted(Old())
    await mount.tick()
    assert ("prune", True) in mount.backend.runs

    mount, _ = mounted()

    async def fail(key: str) -> None:
        raise StorageError("disk")

    mount.storage.delete = fail  # type: ignore[method-assign]
    with pytest.raises(InternalError, match=r"^periodic tasks failed: prune$"):
        await mount.tick()
    assert mount.backend.runs == [("look", False), ("count", False)]


async def test_one_failure_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """Every task has its run; what failed is named together, and tried one interval later."""
    mount, clock = mounted()
    mount.backend.failures = {"look": ValueError("detail"), "count": OSError("other")}
    with caplog.at_level(logging.ERROR), pytest.raises(InternalError) as caught:
        await mount.tick()
    assert str(caught.value) == "periodic tasks failed: look, count"
    assert isinstance(caught.value.__cause__, ValueError)
    assert len(mount.backend.runs) == 3
    assert "detail" in caplog.text
    mount.backend.failures = {}
    await mount.tick()
    assert len(mount.backend.runs) == 3
    clock.tick(60)
    await mount.tick()
    assert mount.backend.runs[3:] == [("count", True)]


async def test_read_only_storage_is_tolerated_once_reported(caplog: pytest.LogCaptureFixture) -> None:
    """A task that did not promise to write may find that it cannot: said once, in the host's words."""
    mount, clock = mounted()
    mount.backend.failures = {"count": ReadOnlyError("x: cannot write to readonly storage")}
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await mount.tick()
            clock.tick(60)
    assert [record.getMessage() for record in caplog.records] == [
        "periodic task count: x: cannot write to readonly storage"
    ]


async def test_a_writer_that_cannot_write_says_so_in_the_words_of_the_host() -> None:
    """The node stepped down in the middle: the error passes as it is, unless something else failed."""
    mount, clock = mounted()
    mount.backend.failures = {"prune": ReadOnlyError("x: cannot write to readonly storage")}
    with pytest.raises(ReadOnlyError, match=r"^x: cannot write to readonly storage$"):
        await mount.tick()
    assert len(mount.backend.runs) == 3
    clock.tick(3600)
    mount.backend.failures["count"] = SystemViewError("no")
    with pytest.raises(InternalError, match="prune, count"):
        await mount.tick()


async def test_a_task_does_not_overtake_itself() -> None:
    """While a run goes on, later ticks leave the task alone and run the others."""

    class Slow(Backend, name="slow"):
        """One slow task."""

        gate: asyncio.Event
        runs = 0
        others = 0

        @every("1s")
        async def wait(self, task: Task) -> None:
            """Wait."""
            self.runs += 1
            await self.gate.wait()

        @every("1s")
        async def other(self, task: Task) -> None:
            """Run."""
            self.others += 1

    clock = MovableClock()
    mount = Mount(Slow, clock=clock)
    mount.backend.gate = asyncio.Event()
    first = asyncio.create_task(mount.tick())
    while not mount.backend.runs:
        await asyncio.sleep(0)
    clock.tick(10)
    await mount.tick()
    assert (mount.backend.runs, mount.backend.others) == (1, 1)
    mount.backend.gate.set()
    await first
    assert (mount.backend.runs, mount.backend.others) == (1, 1)
    clock.tick(10)
    await mount.tick()
    assert (mount.backend.runs, mount.backend.others) == (2, 2)


async def test_no_task_asks_the_host_when_none_is_due() -> None:
    """A tick with nothing to do makes no call back to the host."""
    mount, _ = mounted()
    await mount.tick()

    async def fail(*args: Any) -> Any:
        raise AssertionError("asked the host")

    mount.storage.delete = fail  # type: ignore[method-assign]
    mount.system.replication_state = fail  # type: ignore[method-assign]
    await mount.tick()


@pytest.mark.parametrize("interval", ["", "0", "-1h", "soon"])
def test_intervals_are_positive(interval: str) -> None:
    """An interval that is none is refused where it stands."""
    with pytest.raises(ValueError):
        every(interval)


async def run(self: Any, task: Task) -> None:
    """Do nothing."""


@pytest.mark.parametrize("interval", ["1m", 60, 60.0, timedelta(minutes=1)])
def test_an_interval_is_a_text_or_seconds_or_a_duration(interval: str | float | timedelta) -> None:
    """All of these are one minute."""
    assert every(interval)(run).interval == timedelta(minutes=1)


@pytest.mark.parametrize("interval", [None, True, run, ["1h"]])
def test_other_intervals_are_refused_with_the_right_spelling(interval: Any) -> None:
    """Also a decorator without parentheses."""
    with pytest.raises(TypeError, match=r"write @every\('1h'\)"):
        every(interval)


def test_a_task_takes_a_task() -> None:
    """A method that takes nothing, or more, would fail at each tick."""

    async def nothing(self: Any) -> None: ...

    async def more(self: Any, task: Task, other: str) -> None: ...

    for handler in (nothing, more):
        with pytest.raises(TypeError, match=rf"async def {handler.__name__}\(self, task: Task\)"):
            every("1h")(handler)


class Settings(Model):
    """Settings."""

    url: Str


class Everything(Backend, name="everything", version="1.0.0"):
    """All kinds of declarations."""

    config = Singleton(Settings, "config", seal_wrap=True)
    items = Collection(Settings, "item/{name}", local=True, list_info=("url",))

    @cached
    def client(self, settings: Settings) -> object:
        """Make a client."""
        return object()

    @every("1m", writes=True)
    async def prune(self, task: Task) -> None:
        """Prune."""

    @rollback("rotate")
    async def undo(self, entry: WALEntry) -> None:
        """Undo."""


class Untouchable:
    """The host while a plugin is registered: every call fails."""

    def __getattr__(self, name: str) -> Any:
        async def fail(*args: Any, **options: Any) -> Any:
            raise AssertionError(f"{name} was called")

        return fail

    async def list(self, prefix: str = "") -> list[str]:
        raise AssertionError

    async def get(self, key: str) -> StorageEntry | None:
        raise AssertionError

    async def put(self, entry: StorageEntry) -> None:
        raise AssertionError

    async def delete(self, key: str) -> None:
        raise AssertionError


async def test_registration_touches_nothing() -> None:
    """A plugin is set up, asked for paths and help, and ended while neither storage nor system answers."""
    nothing: Any = Untouchable()
    factory = Everything.factory()
    backend = factory.build(BackendConfig(storage=nothing, system=nothing, events=FakeEvents()))
    special = backend.special_paths()
    assert set(special.local_storage) == {"item/", "wal/"}
    assert special.seal_wrap_storage == ("config",)
    for path in ("", "config", "item/a"):
        assert await backend.handle_request(Request(operation=Operation.HELP, path=path)) is not None
    await backend.invalidate_key("config")
    await backend.cleanup()
