"""The plugin on a real server: rules, passwords, deletions, failures. Behind a real Vault: the live tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from database_servers import Redis as RedisServer
from database_servers import run_redis, why_no_redis
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError
from redis_acl import RedisACL
from redis_acl.plugin import Settings

from authkit import Secret, UserError
from authkit.database import NewUser, PasswordChange, UserDeletion
from authkit.database.instance import Instance

RULES = ('["~{{name}}:*", "+get", "+set"]',)
ANN = "v-token-app-ann"


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A Redis server for the tests of this module."""
    if why_no_redis():
        pytest.skip(why_no_redis())
    with run_redis() as running:
        yield running


@pytest.fixture
def plugin(server: RedisServer) -> RedisACL:
    """The plugin, configured for the server."""
    return RedisACL(Settings(**server.settings))


@pytest.fixture
async def connection(plugin: RedisACL) -> AsyncIterator[Redis]:
    """A connection of the plugin's; users of the test before are gone."""
    connection = await plugin.connect()
    await plugin.ping(connection)
    await plugin.delete_user(connection, UserDeletion(username=ANN))
    yield connection
    await plugin.disconnect(connection)


async def log_in(server: RedisServer, password: str) -> Redis:
    """Log in as Ann."""
    user = Redis(port=server.port, username=ANN, password=password, retry=None)
    await user.set(f"{ANN}:greeting", "hello")
    return user


async def test_a_user_may_do_what_the_role_says(
    server: RedisServer, plugin: RedisACL, connection: Redis
) -> None:
    """And nothing else. A rule may name the user."""
    await plugin.create_user(connection, NewUser(username=ANN, password=Secret("one"), commands=RULES))
    user = await log_in(server, "one")
    with pytest.raises(NoPermissionError):
        await user.get("somebody:else")
    with pytest.raises(NoPermissionError):
        await user.acl_users()
    await user.aclose()


async def test_whose_name_has_blanks_gets_a_user(server: RedisServer) -> None:
    """Redis takes none in names."""
    instance = Instance(RedisACL(Settings(**server.settings)), {}, "a")
    user = NewUser(username="", display_name="jwt-Bob Smith", role_name="my app", password=Secret("one"))
    name = (await instance.create_user(user)).username
    assert name.startswith("v-jwt-Bob_-my_app-")
    await instance.delete_user(UserDeletion(username=name))
    await instance.close()


async def test_a_user_that_exists_is_not_created_again(server: RedisServer) -> None:
    """A template may cut the random part off behind a long name of a token, which its owner chooses."""
    template = '{{printf "%s-%s" .DisplayName (random 20) | truncate 63}}'
    instance = Instance(RedisACL(Settings(**server.settings, username_template=template)), {}, "a")
    user = NewUser(username="", display_name="userpass-" + "v" * 40, role_name="app", password=Secret("one"))
    name = (await instance.create_user(user)).username
    stranger = NewUser(username="", display_name=name, role_name="app", password=Secret("two"))
    with pytest.raises(UserError, match="such a user already"):
        await instance.create_user(stranger)
    async with Redis(port=server.port, username=name, password="one", retry=None) as own:
        assert await own.get("anything") is None
    await instance.delete_user(UserDeletion(username=name))
    await instance.close()


async def test_without_rules_a_user_reads(server: RedisServer, plugin: RedisACL, connection: Redis) -> None:
    """All keys."""
    await plugin.create_user(connection, NewUser(username=ANN, password=Secret("one")))
    user = Redis(port=server.port, username=ANN, password="one", retry=None)
    assert await user.get("anything") is None
    with pytest.raises(NoPermissionError):
        await user.set("anything", "x")
    await user.aclose()


async def test_a_password_replaces_the_one_before(
    server: RedisServer, plugin: RedisACL, connection: Redis
) -> None:
    """Whatever is in it; also when the server repeats the request."""
    await plugin.create_user(connection, NewUser(username=ANN, password=Secret("one"), commands=RULES))
    odd = "with 'quotes' \"and\" > spaces \\ \N{SNOWMAN}"
    for _ in range(2):
        await plugin.change_password(connection, PasswordChange(username=ANN, password=Secret(odd)))
    await (await log_in(server, odd)).aclose()
    with pytest.raises(AuthenticationError):
        await log_in(server, "one")


async def test_nobody_gets_a_password_who_is_not_there(plugin: RedisACL, connection: Redis) -> None:
    """Redis would make the user."""
    with pytest.raises(UserError, match="there is no such user"):
        await plugin.change_password(connection, PasswordChange(username="nobody", password=Secret("x")))


async def test_a_deletion_may_be_repeated(server: RedisServer, plugin: RedisACL, connection: Redis) -> None:
    """It ends the connections of the user as well."""
    await plugin.create_user(connection, NewUser(username=ANN, password=Secret("one"), commands=RULES))
    user = await log_in(server, "one")
    for _ in range(2):
        await plugin.delete_user(connection, UserDeletion(username=ANN))
    with pytest.raises(RedisError):
        await user.get(f"{ANN}:greeting")
    await user.aclose()


@pytest.mark.parametrize("rules", ["+no-such-command", "not a rule", '["~a", "@"]'])
async def test_rules_that_redis_does_not_know(plugin: RedisACL, connection: Redis, rules: str) -> None:
    """Its own words reach the operator, and no user is left."""
    with pytest.raises(ResponseError, match="Error in ACL SETUSER modifier"):
        await plugin.create_user(connection, NewUser(username=ANN, password=Secret("one"), commands=(rules,)))
    assert await connection.acl_getuser(ANN) is None


def test_the_settings_need_a_server_and_a_user() -> None:
    """And hide the password."""
    with pytest.raises(UserError, match="missing host"):
        Settings.overlaid(None, {"host": "", "username": "vault", "password": "x"})
    with pytest.raises(UserError, match="missing password"):
        Settings.overlaid(None, {"host": "h", "username": "vault", "password": ""})
    assert "password" not in Settings(host="h", username="vault", password="x").read_shape()
