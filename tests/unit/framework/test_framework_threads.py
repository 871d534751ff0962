"""Plain `def` handlers: how many at once, who waits, who is refused, and when one has really ended."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from factories import Mount, mount_config

from authkit import (
    AuthMethod,
    Credentials,
    Identity,
    Renewal,
    RenewCall,
    Verified,
    fetch_identity,
    login,
    renewal,
)
from authkit.errors import TooManyRequestsError
from authkit.framework import Backend, Call, Model, Singleton, Str, Task, WALEntry, every, read, rollback
from authkit.framework import handler_threads as module
from authkit.logical import Operation, Request
from authkit.testing import MovableClock

STRANGERS = 40
SECONDS = 5.0


class Gate:
    """Where calls in threads wait until a test opens it."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.entered = 0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Wait."""
        with self._lock:
            self.entered += 1
        assert self.opened.wait(30)


class Settings(Model):
    """Settings."""

    url: Str


class Provider:
    """One that talks to something slow."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate

    def verify(self, credentials: Credentials) -> Verified:
        """Wait."""
        self.gate.wait()
        return Verified(name="somebody")


class Slow(AuthMethod, name="slow", version="1.0.0"):
    """A method with a slow login, and with whatever else may have to wait for it."""

    config = Singleton(Settings, "config")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.gate = Gate()
        self.provider = Provider(self.gate)
        self.tasks = 0
        self.undone: list[str] = []

    @login("login")
    def log_in(self, name: Str) -> Identity:
        """Wait, and let in."""
        self.gate.wait()
        return Identity(name=name)

    @login("ask")
    async def ask(self, name: Str) -> Identity:
        """Let the provider wait."""
        return await fetch_identity(self.provider, Credentials(secret="x"))

    @renewal
    def renew(self, call: RenewCall) -> Renewal:
        """Renew, in a thread."""
        return Renewal.keep()

    @config.on_write
    def check(self, write: Any) -> None:
        """Check, in a thread."""

    @read("quick")
    def quick(self, call: Call) -> dict[str, str]:
        """Answer, in a thread."""
        return {"thread": threading.current_thread().name}

    @read("stop-iteration")
    def stop_iteration(self, call: Call) -> dict[str, str]:
        """Take the first of nothing."""
        return next(iter(()))

    @read("loop")
    async def loop(self, call: Call) -> dict[str, str]:
        """Answer."""
        return {}

    @every("1m")
    def work(self, task: Task) -> None:
        """Wait."""
        self.tasks += 1
        self.gate.wait()

    @rollback("thing", min_age="0s")
    def undo(self, entry: WALEntry) -> None:
        """Wait."""
        self.undone.append(entry.id)
        self.gate.wait()


@pytest.fixture
async def mount() -> AsyncIterator[Mount[Slow]]:
    """A mount whose threads end with the test."""
    clock = MovableClock()
    made = Mount(Slow, clock=clock)
    made.clock = clock  # type: ignore[attr-defined]
    yield made
    made.backend.gate.opened.set()
    await made.backend.cleanup()


async def until(condition: Any) -> None:
    """Let the loop turn until a condition holds; a thread has no event for the loop."""
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.001)


def started(before: set[threading.Thread]) -> list[threading.Thread]:
    """Threads for plain methods that are new."""
    return [each for each in set(threading.enumerate()) - before if each.name.startswith("authkit Slow.")]


def strangers(mount: Mount[Slow], number: int, path: str = "login") -> list[asyncio.Task[Any]]:
    """Logins of many at once."""
    request = Request(
        operation=Operation.UPDATE, path=path, data={"name": "x"}, has_data=True, unauthenticated=True
    )
    return [asyncio.create_task(mount.backend.handle_request(request)) for _ in range(number)]


async def ask(mount: Mount[Slow], path: str) -> Any:
    """Read a path."""
    async with asyncio.timeout(SECONDS):
        return await mount.backend.handle_request(Request(operation=Operation.READ, path=path))


@pytest.mark.parametrize("path", ["login", "ask"])
async def test_strangers_at_a_slow_login_hold_up_nothing_else(path: str, mount: Mount[Slow]) -> None:
    """Neither other handlers of the mount nor its writes, nor other mounts, nor the loop's own pool."""
    other = Mount(Slow)
    waiting = strangers(mount, STRANGERS, path)
    await until(lambda: mount.backend.gate.entered)
    assert (await ask(mount, "quick")).data
    assert (await ask(other, "quick")).data
    async with asyncio.timeout(SECONDS):
        write = Request(operation=Operation.UPDATE, path="config", data={"url": "x"}, has_data=True)
        await mount.backend.handle_request(write)
        assert await asyncio.to_thread(lambda: "free") == "free"
    mount.backend.gate.opened.set()
    await asyncio.gather(*waiting)
    assert mount.backend.gate.entered == STRANGERS


async def test_no_more_than_a_bounded_number_run_and_wait(mount: Mount[Slow]) -> None:
    """So many threads, so many that wait; everybody else is refused at once, with 429."""
    before = set(threading.enumerate())
    waiting = strangers(mount, module.MAX_AT_ONCE + module.MAX_WAITING)
    await until(lambda: mount.backend.gate.entered == module.MAX_AT_ONCE)
    assert len(started(before)) == module.MAX_AT_ONCE
    (refused,) = strangers(mount, 1)
    with pytest.raises(TooManyRequestsError) as caught:
        await asyncio.wait_for(refused, SECONDS)
    assert caught.value.status == 429
    assert mount.backend.mount_gauges().waiting_calls == module.MAX_WAITING
    mount.backend.gate.opened.set()
    assert all(await asyncio.gather(*waiting))
    assert mount.backend.mount_gauges().waiting_calls == 0


async def test_nobody_waits_for_a_thread_for_ever(
    mount: Mount[Slow], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a while it is 429 as well; those that run go on, and the place in the queue is free again."""
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.01)
    running = strangers(mount, module.MAX_AT_ONCE)
    await until(lambda: mount.backend.gate.entered == module.MAX_AT_ONCE)
    for late in strangers(mount, module.MAX_WAITING):
        with pytest.raises(TooManyRequestsError):
            await asyncio.wait_for(late, SECONDS)
    monkeypatch.setattr(module, "WAIT_SECONDS", SECONDS)
    (patient,) = strangers(mount, 1)
    mount.backend.gate.opened.set()
    assert all(await asyncio.gather(patient, *running))


async def test_a_place_is_taken_until_the_thread_has_ended(mount: Mount[Slow]) -> None:
    """Whoever hangs up frees nothing: the thread goes on, and counts."""
    for _ in range(2):
        for gone in strangers(mount, module.MAX_AT_ONCE + 5):
            await asyncio.sleep(0)
            gone.cancel()
            with pytest.raises(asyncio.CancelledError):
                await gone
    first = strangers(mount, module.MAX_AT_ONCE)
    await until(lambda: mount.backend.gate.entered == module.MAX_AT_ONCE)
    for task in first:
        task.cancel()
    await asyncio.gather(*first, return_exceptions=True)
    (patient,) = strangers(mount, 1)
    await asyncio.sleep(0.02)
    assert mount.backend.gate.entered == module.MAX_AT_ONCE
    mount.backend.gate.opened.set()
    assert await asyncio.wait_for(patient, SECONDS)


async def test_no_thread_before_it_is_needed_and_none_after(mount: Mount[Slow]) -> None:
    """A mount of async handlers has none; they end with the mount; the loop's own pool is not used."""
    before = set(threading.enumerate())
    await ask(mount, "loop")
    assert started(before) == []
    for _ in range(2):
        assert "Slow.quick" in (await ask(mount, "quick")).data["thread"]
    assert len(started(before)) == 1
    await mount.backend.cleanup()
    await until(lambda: started(before) == [])
    assert asyncio.get_running_loop()._default_executor is None  # type: ignore[attr-defined]


async def test_what_a_thread_cannot_raise_into_the_loop_is_an_error(mount: Mount[Slow]) -> None:
    """StopIteration, which no future takes, is not waited for until the deadline."""
    with pytest.raises(RuntimeError, match="StopIteration"):
        await ask(mount, "stop-iteration")


async def test_a_late_end_is_logged(mount: Mount[Slow], caplog: pytest.LogCaptureFixture) -> None:
    """Whoever looks for a slow handler finds it."""
    (gone,) = strangers(mount, 1)
    await until(lambda: mount.backend.gate.entered)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    mount.backend.gate.opened.set()
    await until(lambda: "Slow.log_in has ended" in caplog.text)


# --- what must not overlap itself --------------------------------------------------------------


async def give_up(tick: asyncio.Task[Any]) -> None:
    """Do what a host does whose deadline has passed."""
    tick.cancel()
    with pytest.raises(asyncio.CancelledError):
        await tick


async def test_a_task_runs_until_its_thread_has_ended(
    mount: Mount[Slow], caplog: pytest.LogCaptureFixture
) -> None:
    """The host's deadline passes, the thread goes on: no second run starts, and the log says why, once."""
    clock: Any = mount.clock  # type: ignore[attr-defined]
    first = asyncio.create_task(mount.tick())
    await until(lambda: mount.backend.gate.entered == 1)
    await give_up(first)
    for _ in range(3):
        clock.tick(timedelta(minutes=2))
        await asyncio.wait_for(mount.tick(), SECONDS)
    assert mount.backend.tasks == 1
    said = [record.getMessage() for record in caplog.records if "skipped" in record.getMessage()]
    assert said == ["periodic task work is skipped: its last run has not ended yet"]
    mount.backend.gate.opened.set()
    await until(lambda: "Slow.work has ended" in caplog.text)
    clock.tick(timedelta(minutes=2))
    await mount.tick()
    assert mount.backend.tasks == 2


async def test_a_rollback_runs_until_its_thread_has_ended(caplog: pytest.LogCaptureFixture) -> None:
    """No entry is undone twice at a time."""

    class Undoing(Backend, name="undoing"):
        """Only a rollback."""

        gate = Gate()
        undone = 0

        @rollback("thing", min_age="0s")
        def undo(self, entry: WALEntry) -> None:
            """Wait."""
            self.undone += 1
            self.gate.wait()

    backend = Undoing(mount_config())
    await backend.wal.put("thing", {})
    request = Request(operation=Operation.ROLLBACK)
    first = asyncio.create_task(backend.handle_request(request))
    await until(lambda: backend.gate.entered == 1)
    await give_up(first)
    for _ in range(3):
        await asyncio.wait_for(backend.handle_request(request), SECONDS)
    assert backend.undone == 1
    said = [record.getMessage() for record in caplog.records if "skipped" in record.getMessage()]
    assert said == ["rolling back is skipped: its last run has not ended yet"]
    backend.gate.opened.set()
    await until(lambda: "undo has ended" in caplog.text)
    await backend.handle_request(request)
    assert backend.undone == 2
    assert await backend.wal.list() == []


async def test_a_mount_that_is_set_up_anew_does_not_overlap_its_former_self() -> None:
    """A reload in the same process: what the mount has left behind is still under way."""
    former, other = Slow(mount_config("same")), Slow(mount_config("other"))
    gate, tick = former.gate, Request(operation=Operation.ROLLBACK)
    first = asyncio.create_task(former.handle_request(tick))
    await until(lambda: gate.entered == 1)
    await give_up(first)
    await former.cleanup()
    del former, first
    anew = Slow(mount_config("same"))
    for each in (anew, other):
        each.gate.opened.set()
        await asyncio.wait_for(each.handle_request(tick), SECONDS)
    assert (anew.tasks, other.tasks) == (0, 1)
    gate.opened.set()
    await until(lambda: anew._scheduler._runs["work"].may_begin())
    await asyncio.wait_for(anew.handle_request(tick), SECONDS)
    assert anew.tasks == 1


async def test_a_stuck_task_holds_up_no_login(mount: Mount[Slow]) -> None:
    """Nor any other handler."""
    tick = asyncio.create_task(mount.tick())
    await until(lambda: mount.backend.gate.entered == 1)
    assert (await ask(mount, "quick")).data
    logins = strangers(mount, module.MAX_AT_ONCE)
    await until(lambda: mount.backend.gate.entered == 1 + module.MAX_AT_ONCE)
    mount.backend.gate.opened.set()
    await asyncio.gather(tick, *logins)
