"""The Redis example as a database plugin of a real server, from registration to rotation and crashes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis
from database_servers import OPERATOR, ROOT_PASSWORD, ROOT_USER, Redis, run_redis, why_no_redis
from livebed.client import ServerError
from livebed.database import DatabaseMount, database_plugin, mount_database
from livebed.processes import wait_for_exit, wait_until
from livebed.server import Server

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "redis_acl"
RULES = '["~app:*", "+get", "+set"]'


@pytest.fixture(scope="module")
def database() -> Iterator[Redis]:
    """A Redis server."""
    if why_no_redis():
        pytest.skip(why_no_redis())
    with run_redis() as running:
        yield running


@pytest.fixture
def mount(server: Server, database: Redis) -> Iterator[DatabaseMount]:
    """The engine with the connection `cache` and the role `app`."""
    plugin = database_plugin(server, "redis-acl", "redis_acl:RedisACL", EXAMPLE)
    with mount_database(server, plugin, "databases") as mounted:
        mounted.configure("cache", **database.settings)
        mounted.role("app", "cache", RULES)
        yield mounted
    set_root_password(database, ROOT_PASSWORD)


def set_root_password(database: Redis, password: str) -> None:
    """Undo a rotation: the server under test is dropped, the database stays."""
    admin(database).execute_command("ACL", "SETUSER", ROOT_USER, "resetpass", f">{password}")


def admin(database: Redis) -> redis.Redis:
    """Log in as a second administrator, whose password nobody rotates."""
    return redis.Redis(port=database.port, username=OPERATOR, password=ROOT_PASSWORD)


def may_log_in(database: Redis, username: str, password: str) -> bool:
    """Whether the database lets a user in."""
    try:
        with redis.Redis(port=database.port, username=username, password=password) as user:
            user.get("app:key")
    except redis.AuthenticationError:
        return False
    return True


def users(database: Redis) -> list[str]:
    """Return the users that roles have made."""
    return [name for name in admin(database).acl_users() if name.startswith("v-")]


def test_a_lease_from_beginning_to_end(mount: DatabaseMount, database: Redis) -> None:
    """Credentials log in to the database, are renewed, and end with their lease."""
    made = mount.creds("app")
    assert made.username.startswith("v-token-app-")
    assert may_log_in(database, made.username, made.password)
    renewed = mount.client.call("PUT", "sys/leases/renew", {"lease_id": made.lease_id, "increment": 100})
    assert renewed["lease_duration"] in (99, 100)
    mount.revoke(made.lease_id)
    assert not may_log_in(database, made.username, made.password)
    mount.revoke(made.lease_id)


def test_revocation_of_what_is_gone_is_success(mount: DatabaseMount, database: Redis) -> None:
    """The user was deleted by hand; or the role is gone, whose statements were kept in the lease."""
    first, second = mount.creds("app"), mount.creds("app")
    admin(database).acl_deluser(first.username)
    mount.revoke(first.lease_id)
    mount.client.delete(f"{mount.path}/roles/app")
    mount.revoke(second.lease_id)
    assert users(database) == []


def test_what_is_read_of_a_connection(mount: DatabaseMount, database: Redis) -> None:
    """The version that runs, the number as it was written, and no secret."""
    data = mount.client.read(f"{mount.path}/config/cache")
    assert data["connection_details"] == {"host": "127.0.0.1", "port": database.port, "username": ROOT_USER}
    assert data["plugin_version"] == "v0.1.0"


def test_a_write_changes_only_what_it_has(mount: DatabaseMount) -> None:
    """The server merges it with what it stored, which is what the plugin echoed."""
    mount.client.write(f"{mount.path}/config/cache", max_open_connections=2, verify_connection=True)
    details = mount.client.read(f"{mount.path}/config/cache")["connection_details"]
    assert (details["max_open_connections"], details["host"]) == (2, "127.0.0.1")
    mount.creds("app")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"password": "n0t-the-passw0rd-of-it"},
            "error verifying connection: invalid username-password pair",
        ),
        ({"port": 1}, "error verifying connection: Error 111 connecting to 127.0.0.1:1"),
        ({"port": "many"}, "port"),
        ({"host": ""}, "missing host"),
        ({"username_template": "{{.Nobody}}"}, "username template"),
    ],
)
def test_a_wrong_connection_is_refused_with_the_reason(
    mount: DatabaseMount, database: Redis, fields: dict[str, object], said: str
) -> None:
    """An operator reads it in the answer to the write."""
    with pytest.raises(ServerError) as refused:
        mount.configure("wrong", **database.settings | fields)
    assert refused.value.status == 400
    assert said in refused.value.text
    assert "n0t-the-passw0rd" not in refused.value.text


def test_without_verification_nothing_connects(mount: DatabaseMount, database: Redis) -> None:
    """A database that is down can be configured; the first use says what is wrong."""
    mount.configure("down", **database.settings | {"port": 1}, verify_connection=False)
    if mount.server.program.is_bao:
        pytest.skip("OpenBao verifies whenever it opens a connection again")
    mount.role("down", "down", RULES)
    with pytest.raises(ServerError, match=r"unable to create new user: .*Error 111 connecting"):
        mount.creds("down")


def test_static_roles(mount: DatabaseMount, database: Redis) -> None:
    """A user that was there gets passwords of the server's, and new ones on demand."""
    admin(database).execute_command("ACL", "SETUSER", "batch", "on", ">before", "~app:*", "+get")
    mount.client.write(
        f"{mount.path}/static-roles/batch", db_name="cache", username="batch", rotation_period="1h"
    )
    username, first = mount.static_creds("batch")
    assert username == "batch"
    assert may_log_in(database, "batch", first)
    assert not may_log_in(database, "batch", "before")
    mount.client.write(f"{mount.path}/rotate-role/batch")
    _, second = mount.static_creds("batch")
    assert second != first
    assert [may_log_in(database, "batch", each) for each in (first, second)] == [False, True]
    with pytest.raises(ServerError, match="there is no such user"):
        mount.client.write(
            f"{mount.path}/static-roles/nobody", db_name="cache", username="nobody", rotation_period="1h"
        )


def test_the_root_s_password_is_rotated(mount: DatabaseMount, database: Redis) -> None:
    """The old one is worthless; the connection goes on with the new one."""
    before = mount.creds("app")
    mount.client.write(f"{mount.path}/rotate-root/cache")
    assert not may_log_in(database, ROOT_USER, ROOT_PASSWORD)
    after = mount.creds("app")
    assert may_log_in(database, after.username, after.password)
    mount.revoke(before.lease_id)


def test_two_connections_share_a_process(mount: DatabaseMount, database: Redis) -> None:
    """Each with a state of its own, which a reset makes anew."""
    mount.configure("second", **database.settings, username_template="second-{{random 20}}")
    mount.role("second", "second", RULES)
    assert len(mount.pids()) == 1
    assert mount.creds("second").username.startswith("second-")
    assert mount.creds("app").username.startswith("v-token-app-")
    mount.client.write(f"{mount.path}/reset/second")
    assert mount.creds("second").username.startswith("second-")
    if not mount.server.program.is_bao:
        mount.client.write(f"{mount.path}/reload/{mount.plugin.name}")
        assert mount.creds("app").username.startswith("v-token-app-")
    assert len(mount.pids()) == 1
    mount.client.delete(f"{mount.path}/config/second")
    assert mount.creds("app").username.startswith("v-token-app-")


def test_a_killed_process_is_started_again(mount: DatabaseMount) -> None:
    """The server tells each connection of it, mostly once, and asks the new process from then on."""
    mount.creds("app")
    (pid,) = mount.pids()
    os.kill(pid, signal.SIGKILL)
    wait_for_exit(pid, 10)
    with pytest.raises(ServerError, match="plugin shutdown"):
        mount.creds("app")

    def is_served() -> bool:
        try:
            return bool(mount.creds("app"))
        except ServerError as error:
            assert "plugin shutdown" in error.text  # noqa: PT017
            return False

    wait_until(is_served, "the new process", timeout=10)
    (again,) = mount.pids()
    assert again != pid


def test_a_database_that_restarts_is_found_again(server: Server) -> None:
    """While it is down the reason is told, and a revocation is tried again by the server."""
    if why_no_redis():
        pytest.skip(why_no_redis())
    plugin = database_plugin(server, "redis-acl-2", "redis_acl:RedisACL", EXAMPLE)
    with mount_database(server, plugin, "restarting") as mount:
        with run_redis() as first:
            mount.configure("cache", **first.settings)
            mount.role("app", "cache", RULES)
            made = mount.creds("app")
            mount.creds("app")
        with pytest.raises(ServerError, match=r"unable to create new user: .*Error 111 connecting"):
            mount.creds("app")
        with pytest.raises(ServerError, match=r"unable to delete user: .*Error 111 connecting"):
            mount.revoke(made.lease_id)
        with run_redis(first.port) as second:
            again = mount.creds("app")
            assert may_log_in(second, again.username, again.password)
            mount.revoke(made.lease_id)


def test_a_client_that_leaves_gets_no_user(mount: DatabaseMount, database: Redis) -> None:
    """The server forgets the user that was just made, and the plugin deletes it."""
    admin(database).execute_command("CLIENT", "PAUSE", "1500", "ALL")
    with pytest.raises(httpx.TimeoutException):
        mount.client.raw("GET", f"{mount.path}/creds/app", timeout=0.5)
    made = mount.creds("app")
    wait_until(lambda: users(database) == [made.username], "the other user to be deleted", timeout=10)


def test_unmounting_revokes(server: Server, database: Redis) -> None:
    """All users go with the mount, and the process with its last connection."""
    plugin = database_plugin(server, "redis-acl-3", "redis_acl:RedisACL", EXAMPLE)
    with mount_database(server, plugin, "short") as mount:
        mount.configure("cache", **database.settings)
        mount.role("app", "cache", RULES)
        made = mount.creds("app")
        (pid,) = mount.pids()
        server.client.delete("sys/mounts/short")
        assert not may_log_in(database, made.username, made.password)
        wait_for_exit(pid, 10)
        server.client.write("sys/mounts/short", type="database")


def test_a_plugin_that_does_not_load_says_why_in_the_log(server: Server) -> None:
    """When a connection is written; of a registration servers keep nothing."""
    plugin = database_plugin(server, "broken", "no_such_module:Nothing")
    mark = server.log_mark()
    with mount_database(server, plugin, "broken") as mount, pytest.raises(ServerError):
        mount.configure("any", host="h")
    server.wait_for_log("No module named 'no_such_module'", since=mark)
