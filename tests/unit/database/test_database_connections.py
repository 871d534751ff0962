"""Connections of one instance: opened when needed, checked before use, few at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from database_fakes import Connection, Host, Shelf, ShelfDatabase, ShelfError, refused

from authkit.database import UserDeletion
from authkit.database.connections import Connections, Driver
from authkit.errors import UserError
from authkit.wire.pb import database_pb2 as pb


class Opened(Connections[Connection]):
    """Connections to a shelf that remember which there were."""

    def __init__(
        self,
        shelf: Shelf,
        *,
        limit: int = 4,
        lifetime: timedelta = timedelta(0),
        wait: timedelta = timedelta(seconds=10),
    ) -> None:
        self.all: list[Connection] = []
        self.connecting, self.may_connect = asyncio.Event(), asyncio.Event()
        self.may_connect.set()

        async def connect() -> Connection:
            self.connecting.set()
            await self.may_connect.wait()
            shelf.opened += 1
            self.all.append(Connection())
            return self.all[-1]

        async def ping(connection: Connection) -> None:
            if connection.is_broken:
                raise ShelfError("broken")

        async def disconnect(connection: Connection) -> None:
            shelf.closed += 1

        super().__init__(
            Driver(connect, ping, disconnect), limit=limit, lifetime=lifetime, wait=wait, name="a"
        )


async def test_one_connection_serves_one_call_after_the_other() -> None:
    """It is opened by the first."""
    shelf = Shelf()
    connections = Opened(shelf)
    for _ in range(3):
        async with connections.lend():
            pass
    assert (shelf.opened, shelf.closed) == (1, 0)


async def test_calls_at_once_have_connections_of_their_own_and_wait_beyond_the_limit() -> None:
    """Nothing of one call gets into the transaction of another."""
    connections = Opened(Shelf(), limit=2)
    async with connections.lend() as first, connections.lend() as second:
        assert first is not second
        third = asyncio.ensure_future(connections.lend().__aenter__())
        await asyncio.sleep(0)
        assert not third.done()
    assert await third in (first, second)


async def test_a_call_that_waits_too_long_is_refused() -> None:
    """Before it has begun anything; one that is begun late would be broken off."""
    connections = Opened(Shelf(), limit=1, wait=timedelta(0))
    async with connections.lend():
        with pytest.raises(UserError, match=r"in use \(1\)"):
            async with connections.lend():
                pass
    async with connections.lend():
        pass


async def test_requests_for_users_hold_up_no_deletion() -> None:
    """Nor a new password. A revocation that fails often is given up by the server."""
    host = Host()
    await host.initialize(max_open_connections=1)
    host.shelf.hold = asyncio.Event()
    creating = asyncio.ensure_future(host.new_user())
    async with asyncio.timeout(5):
        while not host.shelf.done:
            await asyncio.sleep(0)
    change = pb.UpdateUserRequest(username="y", password=pb.ChangePassword(new_password="n"))
    async with asyncio.timeout(5):
        await host.call("DeleteUser", pb.DeleteUserRequest(username="x"))
        changing = asyncio.ensure_future(host.call("UpdateUser", change))
        while "password y" not in host.shelf.done:
            await asyncio.sleep(0)
    host.shelf.hold.set()
    await asyncio.gather(creating, changing)


async def test_who_asks_and_leaves_at_once_holds_up_no_end_of_one() -> None:
    """No more creations are begun than deletions of those that broke off get on."""
    may_delete = asyncio.Event()

    class Slow(ShelfDatabase, name="slow", version="1.2.3"):
        async def delete_user(self, connection: Connection, user: UserDeletion) -> None:
            await may_delete.wait()
            await super().delete_user(connection, user)

    host = Host(Slow)
    await host.initialize(max_open_connections=1)
    host.shelf.hold = asyncio.Event()
    leaving = asyncio.ensure_future(host.new_user())
    async with asyncio.timeout(5):
        while not host.shelf.done:
            await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait({leaving})
    host.shelf.hold.set()
    following = asyncio.ensure_future(host.new_user())
    for _ in range(20):
        await asyncio.sleep(0)
    assert host.shelf.done == ["create app"]
    may_delete.set()
    await following
    assert host.shelf.done == ["create app", "delete", "create app"]


async def test_what_broke_off_is_deleted_however_many_deletions_are_before_it() -> None:
    """A server repeats those that are refused; nobody would repeat this one."""

    class Busy(ShelfDatabase, name="busy", version="1.2.3"):
        time_limit = timedelta(seconds=0.3)

        async def delete_user(self, connection: Connection, user: UserDeletion) -> None:
            if user.username == "slow":
                await asyncio.Event().wait()
            await super().delete_user(connection, user)

    host = Host(Busy)
    await host.initialize(max_open_connections=1)
    slow = asyncio.ensure_future(refused(host.call("DeleteUser", pb.DeleteUserRequest(username="slow"))))
    await asyncio.sleep(0)
    host.shelf.fail = ShelfError("half-way")
    assert "half-way" in (await refused(host.new_user())).message
    assert "within 0.3 s" in (await slow).message
    assert host.shelf.users == {}


async def test_a_creation_does_not_wait_for_ever_for_deletions(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would begin too late to end."""
    host = Host()
    await host.initialize(max_open_connections=1)
    host.shelf.fail = ShelfError("half-way")
    may_delete = asyncio.Event()
    monkeypatch.setattr(ShelfDatabase, "delete_user", lambda self, connection, user: may_delete.wait())
    failing = asyncio.ensure_future(host.new_user())
    async with asyncio.timeout(5):
        while not host.shelf.done:
            await asyncio.sleep(0)
        monkeypatch.setattr("authkit.database.instance.WAIT_SHARE", 0.0001)
        assert "still being deleted" in (await refused(host.new_user())).message
    may_delete.set()
    assert "half-way" in (await refused(failing)).message


async def test_broken_ones_are_replaced() -> None:
    """All idle ones at once: the others are as dead as the first."""
    shelf = Shelf()
    connections = Opened(shelf)
    async with connections.lend() as first, connections.lend() as second:
        pass
    first.is_broken = second.is_broken = True
    async with connections.lend() as third:
        assert third not in (first, second)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (shelf.opened, shelf.open) == (3, 1)


async def test_a_connection_whose_call_failed_is_closed() -> None:
    """Nobody knows in which state it is."""
    shelf = Shelf()
    connections = Opened(shelf)
    with pytest.raises(ShelfError):
        async with connections.lend():
            raise ShelfError("half a transaction")
    async with connections.lend():
        pass
    assert shelf.opened == 2


async def test_a_connection_whose_caller_has_gone_is_lent_to_the_next() -> None:
    """A driver that is cancelled may forget one that is open; and there are never more than the limit."""
    shelf = Shelf()
    connections = Opened(shelf, limit=1)
    connections.may_connect.clear()
    left = asyncio.ensure_future(connections.lend().__aenter__())
    await connections.connecting.wait()
    left.cancel()
    connections.connecting.clear()
    following = asyncio.ensure_future(connections.lend().__aenter__())
    await asyncio.sleep(0)
    assert not connections.connecting.is_set()
    connections.may_connect.set()
    with pytest.raises(asyncio.CancelledError):
        await left
    await following
    assert (shelf.opened, shelf.closed) == (1, 0)


async def test_who_leaves_while_connecting_waits_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that does not answer gives the place back; one that is closed meanwhile keeps nothing."""
    shelf = Shelf()
    connections = Opened(shelf, limit=1)
    connections.may_connect.clear()
    for seconds, is_connected in ((0, False), (5, True)):
        monkeypatch.setattr("authkit.database.connections.CONNECT_TIMEOUT", timedelta(seconds=seconds))
        connections.connecting.clear()
        left = asyncio.ensure_future(connections.lend().__aenter__())
        await connections.connecting.wait()
        left.cancel()
        if is_connected:
            await connections.close()
            connections.may_connect.set()
        with pytest.raises(asyncio.CancelledError):
            await left
    await asyncio.sleep(0)
    assert (shelf.opened, shelf.closed) == (1, 1)


async def test_who_is_cancelled_twice_while_connecting_leaves_no_connection_open() -> None:
    """A time limit passes, then the host gives up: the place is free, so the connection is not kept."""
    shelf = Shelf()
    connections = Opened(shelf, limit=1)
    connections.may_connect.clear()
    left = asyncio.ensure_future(connections.lend().__aenter__())
    await connections.connecting.wait()
    for _ in range(2):
        left.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await left
    connections.may_connect.set()
    async with asyncio.timeout(5), connections.lend():
        while shelf.opened < 2 or not shelf.closed:
            await asyncio.sleep(0)
        assert shelf.open == 1


async def test_old_ones_are_replaced() -> None:
    """Beyond `max_connection_lifetime`."""
    shelf = Shelf()
    connections = Opened(shelf, lifetime=timedelta(microseconds=1))
    for _ in range(2):
        async with connections.lend():
            pass
    assert shelf.opened == 2


async def test_one_that_is_lent_while_closing_is_closed_afterwards() -> None:
    """The call may go on."""
    shelf = Shelf()
    connections = Opened(shelf)
    async with connections.lend():
        await connections.close()
        assert shelf.open == 1
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert shelf.open == 0


async def test_a_server_that_restarts_is_found_again() -> None:
    """The plugin's own matter: a host drops no connection for it."""
    host = Host()
    await host.initialize()
    await host.new_user()
    host.shelf.is_down = True
    assert "no answer" in (await refused(host.new_user())).message
    host.shelf.is_down = False
    await host.new_user()


async def test_the_operator_s_limit_counts() -> None:
    """`max_open_connections`; zero is the default."""
    host = Host()
    await host.initialize(max_open_connections=1)
    host.shelf.hold = asyncio.Event()
    calls = [asyncio.ensure_future(host.new_user()) for _ in range(3)]
    async with asyncio.timeout(5):
        while not host.shelf.done:
            await asyncio.sleep(0)
    assert host.shelf.opened == 1
    host.shelf.hold.set()
    await asyncio.gather(*calls)
    assert host.shelf.opened == 1
    await host.call("Close", pb.Empty())
    assert host.shelf.open == 0
