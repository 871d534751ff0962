"""A database plugin on the simulator: its users, their leases, rotations, and what goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest
from database_fakes import ROOT_PASSWORD, Connection, Shelf, ShelfDatabase, ShelfError

from authkit.testing import RefusedError, Simulator


class GuardedShelf(ShelfDatabase, name="guarded", version="1.2.3"):
    """A shelf that lets in who knows a user's password."""

    held_up: ClassVar[dict[str, asyncio.Event]] = {}
    """What connections wait for, by their host."""

    async def connect(self) -> Connection:
        """Log in."""
        if self.settings.host in self.held_up:
            await self.held_up[self.settings.host].wait()
        if self.shelf.users.get(self.settings.username) != self.settings.password.reveal():
            raise ShelfError("wrong password")
        return await super().connect()


@pytest.fixture
def shelf() -> Shelf:
    """The database, with its administrator and a user that was there before."""
    GuardedShelf.shelf = shelf = Shelf()
    shelf.users |= {"root": ROOT_PASSWORD, "batch": "before"}
    return shelf


@pytest.fixture
async def host(shelf: Shelf) -> AsyncIterator[Simulator]:
    """A simulator with a connection and a role."""
    async with Simulator(GuardedShelf) as host:
        await connect(host)
        await host.write("roles/app", db_name="main", default_ttl="1h", max_ttl="2h")
        yield host


async def connect(host: Simulator, **settings: Any) -> None:
    """Write the connection."""
    own = {"plugin_name": host.name, "allowed_roles": "*", "host": "h"}
    root = {"username": "root", "password": ROOT_PASSWORD}
    await host.write("config/main", own | root | settings)


def made(shelf: Shelf) -> list[str]:
    """Return the users that roles have made."""
    return [name for name in shelf.users if name.startswith("v-")]


async def test_a_user_lives_as_long_as_its_lease(host: Simulator, shelf: Shelf) -> None:
    """It is renewed, and deleted when the lease is revoked or ends."""
    user = await host.issue("creds/app")
    assert shelf.users[user.data["username"]] == user.data["password"]
    assert (await user.renew("30m")).ttl.total_seconds() == 1800
    assert shelf.done[-1].startswith(f"expiration {user.data['username']}")
    await user.revoke()
    assert made(shelf) == []
    await host.issue("creds/app")
    await host.tick("59m")
    assert made(shelf)
    await host.tick("2m")
    assert made(shelf) == []


async def test_a_revocation_that_fails_is_tried_again(host: Simulator, shelf: Shelf) -> None:
    """The database is down meanwhile."""
    user = await host.issue("creds/app")
    shelf.is_down = True
    await user.revoke(sync=False)
    await host.tick()
    assert made(shelf)
    shelf.is_down = False
    await host.tick("1m")
    assert made(shelf) == []


async def test_a_user_without_a_lease_is_deleted(host: Simulator, shelf: Shelf) -> None:
    """Nothing can be stored of it."""
    host.fail_storage(puts=True)
    with pytest.raises(RefusedError):
        await host.issue("creds/app")
    assert "create app" in shelf.done
    assert made(shelf) == []


async def test_an_error_tells_no_password(host: Simulator, shelf: Shelf) -> None:
    """Nor does a connection that is read."""
    shelf.fail = ShelfError(f"who is {ROOT_PASSWORD}?")
    with pytest.raises(RefusedError, match=r"unable to create new user: .*who is \[password\]") as refused:
        await host.issue("creds/app")
    assert ROOT_PASSWORD not in str(refused.value)
    assert ROOT_PASSWORD not in str(await host.read("config/main"))
    assert made(shelf) == []


async def test_a_plugin_that_crashes_is_started_again(host: Simulator, shelf: Shelf) -> None:
    """The next request opens the connection in the new run."""
    await host.issue("creds/app")
    await host.crash()
    await host.issue("creds/app")
    assert len(made(shelf)) == 2


async def test_a_connection_that_is_refused_is_not_stored(host: Simulator, shelf: Shelf) -> None:
    """The one before goes on."""
    with pytest.raises(RefusedError, match="error verifying connection: wrong password"):
        await connect(host, password="n0t-the-passw0rd")
    await host.issue("creds/app")
    assert shelf.open == 1


async def test_rotate_root_changes_the_password_of_the_connection(host: Simulator, shelf: Shelf) -> None:
    """The connection goes on with the new one, after a crash too."""
    await host.write("rotate-root/main")
    assert shelf.users["root"] != ROOT_PASSWORD
    await host.crash()
    await host.issue("creds/app")


@pytest.mark.parametrize("was_set", [True, False])
async def test_a_root_rotation_that_breaks_off_is_finished(
    host: Simulator, shelf: Shelf, was_set: bool
) -> None:
    """Whichever password is valid then is the connection's; nobody is locked out."""
    if was_set:
        shelf.fail = ShelfError("broken")
    else:
        shelf.is_down = True
    with pytest.raises(RefusedError, match="failed to update user"):
        await host.write("rotate-root/main")
    assert (shelf.users["root"] != ROOT_PASSWORD) is was_set
    shelf.fail, shelf.is_down = None, False
    await host.tick("1m")
    assert await host.storage.list("rotating-root/") == []
    await host.issue("creds/app")


async def test_a_static_role_changes_a_password_from_time_to_time(host: Simulator, shelf: Shelf) -> None:
    """At once, by hand, and each hour."""
    await host.write("static-roles/batch", db_name="main", username="batch", rotation_period="1h")
    passwords = ["before", shelf.users["batch"]]
    assert (await host.read("static-creds/batch"))["password"] == passwords[-1]
    await host.write("rotate-role/batch")
    passwords.append(shelf.users["batch"])
    await host.tick("61m")
    passwords.append(shelf.users["batch"])
    assert len(set(passwords)) == 4
    assert (await host.read("static-creds/batch"))["password"] == passwords[-1]


async def test_a_static_role_may_go_from_a_period_to_a_schedule(host: Simulator) -> None:
    """And back: naming one is giving up the other."""
    role = {"db_name": "main", "username": "batch"}
    await host.write("static-roles/batch", role, rotation_period="1h")
    await host.write("static-roles/batch", rotation_schedule="0 3 * * SAT", rotation_window="2h")
    assert (await host.read("static-roles/batch")).keys() & {"rotation_period", "rotation_window"} == {
        "rotation_window"
    }
    await host.write("static-roles/batch", rotation_period="2h")
    assert "rotation_schedule" not in await host.read("static-roles/batch")


async def test_a_reload_resets_the_connections_of_every_mount(host: Simulator, shelf: Shelf) -> None:
    """By the path of the host's catalog."""
    await host.issue("creds/app")
    opened = shelf.opened
    (await host.call("POST", f"sys/plugins/reload/database/{host.name}")).verified()
    await host.issue("creds/app")
    assert shelf.opened > opened


async def test_unmounting_deletes_users_and_connections(host: Simulator, shelf: Shelf) -> None:
    """Nothing is left but who was there before."""
    await host.issue("creds/app")
    await host.disable()
    assert list(shelf.users) == ["root", "batch"]
    assert shelf.open == 0


async def test_a_connection_that_is_being_opened_holds_up_no_other(
    host: Simulator, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a database that does not answer, for example."""
    go_on = asyncio.Event()
    go_on.set()
    monkeypatch.setitem(GuardedShelf.held_up, "slow", go_on)
    own = {"plugin_name": host.name, "host": "slow", "username": "root", "password": ROOT_PASSWORD}
    await host.write("config/slow", own)
    go_on.clear()
    opening = asyncio.create_task(host.write("reset/slow"))
    await host.write("reset/main")
    await host.issue("creds/app")
    assert not opening.done()
    go_on.set()
    await opening
