"""Rotation: static roles by period, schedule and hand; the engine's own password; what breaks off between."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from engines import Config, Engine, EngineMount, StaticRole
from factories import Mount

from authkit import Call, Model, Secret, Singleton, Str, field, meter
from authkit.errors import (
    FieldError,
    InternalError,
    NotConfiguredError,
    NotFoundError,
    StorageError,
    TooManyRequestsError,
    UserError,
)
from authkit.logical import BackendConfig, Operation, StorageEntry
from authkit.meter import Meter
from authkit.secrets import RotateCall, SecretsEngine, root_rotation, rotated

PENDING = "rotated/static-creds/app"


@pytest.fixture
async def mount() -> EngineMount:
    """One mount with a static role of an hour."""
    made = EngineMount()
    await made.write("static-roles/app", username="app", rotation_period="1h")
    return made


async def password_of(mount: EngineMount, role: str = "app") -> str:
    """Return what clients read."""
    shown = await mount.read(f"static-creds/{role}")
    assert shown is not None
    password: str = shown["password"]
    return password


async def test_the_first_write_sets_a_password(mount: EngineMount) -> None:
    """And clients read it, with what they need to plan."""
    shown = await mount.read("static-creds/app")
    assert shown == {
        "username": "app",
        "password": mount.service.passwords["app"],
        "rotation_period": 3600,
        "last_vault_rotation": mount.clock.now(),
        "ttl": timedelta(hours=1),
    }
    assert len(mount.service.passwords["app"]) == 20
    role = await mount.read("static-roles/app")
    assert role is not None
    assert "password" not in role


async def test_a_role_whose_password_cannot_be_set_is_not_written(mount: EngineMount) -> None:
    """The operator sees it at once."""
    mount.fail("before")
    with pytest.raises(UserError, match="the service is down"):
        await mount.write("static-roles/other", username="other", rotation_period="1h")
    assert await mount.read("static-roles/other") is None
    with pytest.raises(UserError, match="unknown role: other"):
        await mount.read("static-creds/other")


async def test_a_password_is_changed_when_it_is_due(mount: EngineMount) -> None:
    """By the ticks, once."""
    first = await password_of(mount)
    mount.clock.tick("59m")
    await mount.tick()
    assert await password_of(mount) == first
    mount.clock.tick("1m")
    await mount.tick()
    second = await password_of(mount)
    assert second != first
    assert second == mount.service.passwords["app"]
    await mount.tick()
    assert await password_of(mount) == second


async def test_a_password_is_changed_by_hand(mount: EngineMount) -> None:
    """And its time begins anew."""
    first = await password_of(mount)
    mount.clock.tick("30m")
    await mount.request(Operation.UPDATE, "rotate-role/app")
    assert await password_of(mount) != first
    mount.clock.tick("59m")
    await mount.tick()
    assert len(mount.service.set) == 2


async def test_times_change_without_a_new_password(mount: EngineMount) -> None:
    """Another account does not."""
    first = await password_of(mount)
    await mount.write("static-roles/app", rotation_period="2h")
    assert await password_of(mount) == first
    await mount.write("static-roles/app", username="renamed")
    assert await password_of(mount) == mount.service.passwords["renamed"] != first


async def test_an_unclear_change_is_finished_with_the_same_password(mount: EngineMount) -> None:
    """It was made, and nobody was told: the next one who asks gets what is valid."""
    mount.fail("after")
    with pytest.raises(UserError):
        await mount.request(Operation.UPDATE, "rotate-role/app")
    in_doubt = mount.service.passwords["app"]
    mount.fail()
    assert await password_of(mount) == in_doubt
    assert mount.service.set[-1] == ("app", in_doubt, True)


async def test_while_it_is_unclear_clients_are_warned(mount: EngineMount) -> None:
    """They get what was valid last."""
    first = await password_of(mount)
    mount.fail("before")
    with pytest.raises(UserError):
        await mount.request(Operation.UPDATE, "rotate-role/app")
    response = await mount.request(Operation.READ, "static-creds/app")
    assert response is not None
    assert response.data is not None
    assert response.data["password"] == first
    assert list(response.warnings) == [
        "a new password could not be set yet; this one may not be valid any more",
    ]


async def test_clients_do_not_wait_long_for_an_unclear_change(
    mount: EngineMount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one is at it, the others get what was valid last, with the warning."""
    monkeypatch.setattr("authkit.secrets.rotation_flow.FINISH_SECONDS", 0.05)
    mount.fail("after")
    with pytest.raises(UserError):
        await mount.request(Operation.UPDATE, "rotate-role/app")
    tries = len(mount.service.set)
    async with mount.backend.objects.lock("static-roles/app"):
        response = await mount.request(Operation.READ, "static-creds/app")
    assert response is not None
    assert len(response.warnings) == 1
    assert len(mount.service.set) == tries


async def test_readers_do_not_repeat_what_has_just_failed(mount: EngineMount) -> None:
    """Each try may set another password, and loads a service that is in trouble."""
    await mount.write("static-roles/app", username="app", rotation_period="1h")
    mount.fail("after")
    with pytest.raises(UserError):
        await mount.write("rotate-role/app")
    tried = len(mount.service.set)
    for _ in range(2):
        await asyncio.gather(*(mount.read("static-creds/app") for _ in range(20)))
        tried += 1
        assert len(mount.service.set) == tried
        mount.clock.tick("10s")
    mount.fail()
    found = await mount.read("static-creds/app")
    assert found is not None
    assert found["password"] == mount.service.passwords["app"]


async def test_a_password_that_is_refused_twice_is_given_up(mount: EngineMount) -> None:
    """The service may not like it."""
    mount.fail("before")
    for _ in range(4):
        with pytest.raises(UserError):
            await mount.request(Operation.UPDATE, "rotate-role/app")
    tried = [(password, is_retry) for _, password, is_retry in mount.service.set[1:]]
    assert [is_retry for _, is_retry in tried] == [False, True, False, True]
    assert tried[0][0] == tried[1][0] != tried[2][0] == tried[3][0]


async def test_one_service_that_is_down_stops_no_other(mount: EngineMount) -> None:
    """And the tick says that something failed."""
    await mount.write("static-roles/second", username="second", rotation_period="1h")
    before = dict(mount.service.passwords)

    def fault(deed: str) -> None:
        if mount.service.set[-1][0] == "app":
            raise UserError("down")

    mount.service.fault = fault
    mount.clock.tick("1h")
    with pytest.raises(InternalError, match="periodic tasks failed"):
        await mount.tick()
    assert mount.service.passwords["app"] == before["app"]
    assert mount.service.passwords["second"] != before["second"]


async def test_a_tick_that_was_ended_goes_on_at_the_next_role_of_its_mount(mount: EngineMount) -> None:
    """And another mount of the same class begins with its own first role."""
    other = EngineMount()
    for each in (mount, other):
        for name in ("b", "c"):
            await each.write(f"static-roles/{name}", username=name, rotation_period="1h")
        each.clock.tick("1h")
    await other.write("static-roles/app", username="app", rotation_period="1h")
    other.clock.tick("1h")

    def end_tick(deed: str) -> None:
        if mount.service.set[-1][0] == "b":
            raise asyncio.CancelledError

    mount.service.fault = end_tick
    with pytest.raises(asyncio.CancelledError):
        await mount.tick()
    mount.fail()
    mount.clock.tick("1m")
    for each in (mount, other):
        each.service.set.clear()
        await each.tick()
    assert [name for name, _, _ in mount.service.set] == ["c", "b"]
    assert [name for name, _, _ in other.service.set] == ["app", "b", "c"]


async def test_the_password_of_a_deleted_role_is_forgotten(mount: EngineMount) -> None:
    """By the next tick; a new role of the name has one of its own."""
    first = await password_of(mount)
    await mount.delete("static-roles/app")
    mount.clock.tick("1m")
    await mount.tick()
    assert await mount.storage.get(PENDING) is None
    await mount.write("static-roles/app", username="app", rotation_period="1h")
    assert await password_of(mount) != first


async def test_a_role_without_a_password_says_so(mount: EngineMount) -> None:
    """Such as after a restored backup of half the storage."""
    await mount.storage.delete(PENDING)
    await mount.backend.invalidate_key(PENDING)
    with pytest.raises(NotFoundError, match="the role has no password yet"):
        await mount.read("static-creds/app")
    mount.clock.tick("1m")
    await mount.tick()
    assert await password_of(mount) == mount.service.passwords["app"]


async def test_a_policy_of_the_host_makes_the_password(mount: EngineMount) -> None:
    """That of the configuration, if the handler takes one."""
    await mount.write("config", username="root", password_policy="strict")
    await mount.request(Operation.UPDATE, "config/rotate-root")
    assert mount.service.passwords["root"] == "password-for-tests"


# --- times -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "needs rotation_period or rotation_schedule, and not both"),
        ({"rotation_period": "1h", "rotation_schedule": "0 0 * * *"}, "and not both"),
        ({"rotation_period": "59s"}, "rotation_period must be one minute or more"),
        ({"rotation_period": "1h", "rotation_window": "1h"}, "needs a rotation_schedule"),
        (
            {"rotation_schedule": "0 0 * * *", "rotation_window": "59m"},
            "rotation_window must be one hour or more",
        ),
        ({"rotation_schedule": "every day"}, "must be five fields"),
        ({"rotation_schedule": "0 0 * * * *"}, "must be five fields"),
        ({"rotation_schedule": "0 0 31 2 *"}, "a time that comes"),
        ({"rotation_schedule": "61 * * * *"}, "minute 0-59"),
    ],
)
async def test_impossible_times_are_refused(mount: EngineMount, fields: dict[str, Any], text: str) -> None:
    """Before a password is set."""
    with pytest.raises(UserError, match=text):
        await mount.write("static-roles/bad", username="bad", **fields)
    assert "bad" not in mount.service.passwords


def at(hour: int, minute: int = 0, day: int = 1) -> datetime:
    """Return a moment of January 2026, whose first day is a Thursday."""
    return datetime(2026, 1, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("window", "last", "now", "due"),
    [
        ("0", at(4), at(2, day=2), False),
        ("0", at(4), at(3, day=2), True),
        ("0", at(4), at(23, day=5), True),
        ("2h", at(4), at(2, 59, day=2), False),
        ("2h", at(4), at(3, day=2), True),
        ("2h", at(4), at(4, 59, day=2), True),
        ("2h", at(4), at(5, day=2), False),
        ("2h", at(4), at(4, day=5), True),
        ("0", at(4, day=9), at(4), True),
        ("0", at(4, 1), at(4), False),
        ("2h", at(4, day=9), at(4), True),
        ("2h", at(4, day=9), at(6), False),
    ],
)
def test_a_schedule_has_windows(window: str, last: datetime, now: datetime, due: bool) -> None:
    """Every day at three; what is past its window waits for the next day, as what a wrong clock has dated."""
    role = StaticRole(username="app", rotation_schedule="0 3 * * *", rotation_window=window)
    assert role.is_due(last, now) is due


def test_years_of_a_schedule_are_not_counted_one_by_one() -> None:
    """A mount that comes back after a decade does not stop its process."""
    role = StaticRole(username="app", rotation_schedule="* * * * *", rotation_window="1h")
    assert role.is_due(at(0) - timedelta(days=3650), at(0))


# --- the engine's own password -----------------------------------------------------------------


@pytest.fixture
async def rooted() -> EngineMount:
    """A mount whose configuration has a valid password."""
    made = EngineMount()
    await made.write("config", username="root", password="first")
    made.service.passwords["root"] = "first"
    return made


async def stored_password(mount: EngineMount) -> str:
    """Return the password of the configuration."""
    return (await mount.backend.config.get()).password.reveal()


async def test_the_engine_changes_its_own_password(rooted: EngineMount) -> None:
    """Nobody is told the new one."""
    assert await rooted.request(Operation.UPDATE, "config/rotate-root") is None
    assert await stored_password(rooted) == rooted.service.passwords["root"] != "first"
    shown = await rooted.read("config")
    assert shown is not None
    assert "password" not in shown


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_change_that_broke_off_is_settled(rooted: EngineMount, moment: str) -> None:
    """By asking which password is valid."""
    rooted.fail(moment)
    with pytest.raises(UserError):
        await rooted.request(Operation.UPDATE, "config/rotate-root")
    rooted.fail()
    rooted.clock.tick("1m")
    await rooted.tick()
    assert await stored_password(rooted) == rooted.service.passwords["root"]
    assert (rooted.service.passwords["root"] == "first") is (moment == "before")
    assert await rooted.storage.get("rotating/config/rotate-root") is None


async def test_without_a_configuration_a_client_reads_what_to_write() -> None:
    """By its own path."""
    with pytest.raises(NotConfiguredError, match=r"^the mount has no configuration: write 'config' first$"):
        await EngineMount().request(Operation.UPDATE, "config/rotate-root")


async def test_while_nobody_can_tell_both_are_kept(rooted: EngineMount) -> None:
    """The service is down: the next tick asks again."""
    rooted.fail("after", "check")
    with pytest.raises(UserError):
        await rooted.request(Operation.UPDATE, "config/rotate-root")
    rooted.clock.tick("1m")
    with pytest.raises(InternalError, match="periodic tasks failed"):
        await rooted.tick()
    assert await stored_password(rooted) == "first"
    rooted.fail()
    rooted.clock.tick("1m")
    await rooted.tick()
    assert await stored_password(rooted) == rooted.service.passwords["root"] != "first"


async def test_two_invalid_passwords_are_an_operators_matter(rooted: EngineMount) -> None:
    """Nothing is thrown away until one of them writes a valid one."""
    rooted.fail("after")
    with pytest.raises(UserError):
        await rooted.request(Operation.UPDATE, "config/rotate-root")
    rooted.fail()
    rooted.service.passwords["root"] = "changed by somebody"
    with pytest.raises(InternalError, match="neither the old nor the new password"):
        await rooted.request(Operation.UPDATE, "config/rotate-root")
    await rooted.write("config", password="changed by somebody")
    await rooted.request(Operation.UPDATE, "config/rotate-root")
    assert await stored_password(rooted) == rooted.service.passwords["root"]


async def test_a_storage_that_fails_changes_nothing(rooted: EngineMount) -> None:
    """The new password would be known to nobody."""
    rooted.storage.failure = InternalError("no room")
    with pytest.raises(InternalError):
        await rooted.request(Operation.UPDATE, "config/rotate-root")
    assert rooted.service.passwords["root"] == "first"
    assert isinstance(await rooted.storage.get("config"), StorageEntry)


def test_a_schedule_costs_nothing_after_years() -> None:
    """Each tick asks, in the loop that serves all mounts: it does not go through each minute since."""
    role = StaticRole(username="app", rotation_schedule="* * * * *", rotation_window="1h")
    begun = time.perf_counter()
    assert role.is_due(datetime(1990, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
    assert time.perf_counter() - begun < 1


@pytest.mark.parametrize("minutes", [",".join(["0-59"] * 100), "9" * 5000])
async def test_a_schedule_is_short(mount: EngineMount, minutes: str) -> None:
    """It is read again and again."""
    with pytest.raises(FieldError):
        await mount.write("static-roles/app", rotation_period=0, rotation_schedule=f"{minutes} * * * *")


class Slow(Engine, name="slow", version="0.1.0"):
    """A service that takes a moment, or hangs."""

    hanging = ""

    @rotated(creds="static-creds/{name}", rotate="rotate-role/{name}", shows=("username",))
    async def set_password(self, call: RotateCall, role: StaticRole, password: Secret) -> None:
        """Set a password."""
        self.service.set.append((role.username, password.reveal(), call.is_retry))
        await asyncio.sleep(30 if role.username == self.hanging else 0.01)
        self.service.passwords[role.username] = password.reveal()
        self.service.fault("after")


@pytest.fixture
async def slow() -> EngineMount:
    """The same with a service that takes a moment."""
    made = EngineMount(Slow)
    await made.write("static-roles/app", username="app", rotation_period="1h")
    return made


async def test_readers_of_an_unclear_password_get_the_same(slow: EngineMount) -> None:
    """One of them, or the tick, settles it: another change would make theirs invalid at once."""
    slow.fail("after")
    with pytest.raises(UserError):
        await slow.request(Operation.UPDATE, "rotate-role/app")
    slow.fail()
    slow.clock.tick("1m")
    *read, _ = await asyncio.gather(*(password_of(slow) for _ in range(3)), slow.tick())
    assert {*read, await password_of(slow)} == {slow.service.passwords["app"]}


async def test_a_service_that_hangs_holds_up_no_other(slow: EngineMount) -> None:
    """A host ends the tick, and the next one goes on with the role behind."""
    await slow.write("static-roles/aaa", username="aaa", rotation_period="1h")
    slow.backend.hanging = "aaa"  # type: ignore[attr-defined]
    slow.clock.tick("2h")
    del slow.service.set[:]
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(slow.tick(), 0.2)
        slow.clock.tick("1m")
    assert "app" in {username for username, _, _ in slow.service.set}


async def test_a_role_that_was_not_stored_leaves_no_password_of_another_account(mount: EngineMount) -> None:
    """The write had set a password for the new account; clients would have read it as the old one's."""
    put = mount.storage.put

    async def refuse(entry: StorageEntry) -> None:
        if entry.key == "static-roles/app":
            raise StorageError("no room")
        await put(entry)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(mount.storage, "put", refuse)
        with pytest.raises(StorageError):
            await mount.write("static-roles/app", username="another")
    assert await password_of(mount) == mount.service.passwords["app"] != mount.service.passwords["another"]


async def test_a_tick_leaves_the_password_of_a_role_that_is_being_written(mount: EngineMount) -> None:
    """Its password is stored first."""
    put = mount.storage.put
    ticks: list[asyncio.Task[Any]] = []

    async def put_later(entry: StorageEntry) -> None:
        if entry.key == "static-roles/new":
            mount.clock.tick("1m")
            ticks.append(asyncio.ensure_future(mount.tick()))
            await asyncio.sleep(0.05)
        await put(entry)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(mount.storage, "put", put_later)
        await mount.write("static-roles/new", username="new", rotation_period="1h")
    await asyncio.gather(*ticks)
    assert await password_of(mount, "new") == mount.service.passwords["new"]


class Threads(Engine, name="threads", version="0.1.0"):
    """A service whose client blocks."""

    gate = threading.Event()

    @rotated(creds="static-creds/{name}", rotate="rotate-role/{name}", shows=("username",))
    def set_password(self, call: RotateCall, role: StaticRole, password: Secret) -> None:
        """Set a password."""
        self.gate.wait(5)
        self.service.passwords[role.username] = password.reveal()

    @root_rotation("config/rotate-root")
    def rotate_root(self, call: Call, config: Config, password: Secret) -> None:
        """Set the engine's own password."""
        self.gate.wait(5)
        self.service.passwords[config.username] = password.reveal()

    @rotate_root.check
    async def can_log_in(self, config: Config) -> bool:
        """Whether the password is valid."""
        return self.service.passwords.get(config.username) == config.password.reveal()


@pytest.mark.parametrize("path", ["rotate-role/app", "config/rotate-root"])
async def test_a_thread_that_ends_late_leaves_its_password_known(path: str) -> None:
    """Its caller went away: nobody decides about its password, or sets another one, before it has ended."""
    mount = EngineMount(Threads)
    mount.backend.mount_id = "m-1"  # type: ignore[misc]
    mount.backend.gate = threading.Event()  # type: ignore[attr-defined]
    mount.backend.gate.set()  # type: ignore[attr-defined]
    await mount.write("static-roles/app", username="app", rotation_period="1h")
    await mount.write("config", username="root", password="first")
    mount.service.passwords["root"] = "first"
    mount.backend.gate.clear()  # type: ignore[attr-defined]
    for _ in range(3):
        with suppress(TimeoutError, TooManyRequestsError):
            await asyncio.wait_for(mount.request(Operation.UPDATE, path), 0.05)
    mount.clock.tick("2m")
    with suppress(InternalError):
        await mount.tick()
    mount.backend.gate.set()  # type: ignore[attr-defined]
    await asyncio.sleep(0.1)
    mount.clock.tick("2m")
    await mount.tick()
    assert await stored_password(mount) == mount.service.passwords["root"]
    assert await password_of(mount) == mount.service.passwords["app"]


class MovedConfig(Model):
    """How the engine logs in, and where."""

    url: Str = ""
    password: Secret = field(default="", goes_to=["url"])


class Moved(SecretsEngine, name="moved", version="0.1.0"):
    """An engine whose configuration may be moved by who does not know the password."""

    config = Singleton(MovedConfig, "config")

    def __init__(self, config: BackendConfig) -> None:
        super().__init__(config)
        self.valid = "first"
        self.seen: list[tuple[str, str]] = []
        self.during: Callable[[], Awaitable[None]] | None = None

    @root_rotation("config/rotate-root")
    async def rotate_root(self, call: Call, config: MovedConfig, password: Secret) -> None:
        """Set the password."""
        self.valid = password.reveal()
        if self.during is not None:
            await self.during()

    @rotate_root.check
    async def can_log_in(self, config: MovedConfig) -> bool:
        """Send the password."""
        self.seen.append((config.url, config.password.reveal()))
        return config.url == "theirs" or config.password.reveal() == self.valid


@pytest.mark.parametrize("is_lost", [False, True])
async def test_a_new_password_goes_nowhere_else(is_lost: bool) -> None:
    """Who moves the configuration while the password is changed, or unsettled, gets no new one."""
    mount = Mount(Moved)
    await mount.write("config", url="ours", password="first")

    async def move() -> None:
        await mount.write("config", url="theirs", password="x")
        if is_lost:
            raise UserError("the answer was lost")

    mount.backend.during = move
    with pytest.raises((UserError, InternalError)):
        await mount.request(Operation.UPDATE, "config/rotate-root")
    await mount.tick()
    assert (await mount.backend.config.get()).password.reveal() == "x"
    assert ("theirs", mount.backend.valid) not in mount.backend.seen


async def test_a_new_password_waits_for_the_way_back() -> None:
    """An operator has moved the configuration while it was set: it is kept until that is undone."""
    mount = Mount(Moved)
    await mount.write("config", url="ours", password="first")

    async def move() -> None:
        await mount.write("config", url="ours?tls=1", password="first")

    mount.backend.during = move
    with pytest.raises(InternalError, match="'url' was changed"):
        await mount.request(Operation.UPDATE, "config/rotate-root")
    with pytest.raises(InternalError, match="periodic tasks failed"):
        await mount.tick()
    await mount.write("config", url="ours", password="first")
    mount.backend.during = None
    await mount.request(Operation.UPDATE, "config/rotate-root")
    assert (await mount.backend.config.get()).password.reveal() == mount.backend.valid != "first"


@pytest.mark.parametrize("is_later", [False, True])
async def test_a_password_that_is_written_while_another_is_set_is_not_lost(is_later: bool) -> None:
    """It may be that of another user, or have been set later: the next tick finds out which one is valid."""
    mount = Mount(Moved)
    await mount.write("config", url="ours", password="first")

    async def write() -> None:
        await mount.write("config", url="ours", password="second")
        if is_later:
            mount.backend.valid = "second"

    mount.backend.during = write
    with pytest.raises(InternalError, match="'password' was written"):
        await mount.request(Operation.UPDATE, "config/rotate-root")
    await mount.tick()
    assert (await mount.backend.config.get()).password.reveal() == mount.backend.valid


async def test_rotations_are_told(mount: EngineMount, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each password that was to be set, with whether it was."""
    told: list[bool] = []

    class Told(Meter):
        def password_set(self, *, ok: bool) -> None:
            told.append(ok)

    monkeypatch.setattr(meter, "current", Told)
    await mount.request(Operation.UPDATE, "rotate-role/app")
    mount.fail("before")
    with pytest.raises(UserError):
        await mount.request(Operation.UPDATE, "rotate-role/app")
    assert told == [True, False]
