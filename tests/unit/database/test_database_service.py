"""A database plugin as its host sees it: instances, users, failures."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

import pytest
from database_fakes import PASSWORD, ROOT_PASSWORD, Connection, Host, ShelfDatabase, ShelfError, refused

from authkit.database import CredentialType, UserDeletion
from authkit.database.messages import CREDENTIAL_TYPES
from authkit.errors import RPCError, StatusCode, UserError
from authkit.rpc import RevocableReply
from authkit.wire.pb import database_pb2 as pb
from authkit.wire.pb.logical_version_pb2 import VersionReply
from authkit.wire.pb.multiplexing_pb2 import MultiplexingSupportResponse


async def wait_until_done(host: Host, what: str) -> None:
    """Return when something was done to the database."""
    async with asyncio.timeout(5):
        while not any(each.startswith(what) for each in host.shelf.done):
            await asyncio.sleep(0)


# --- instances ---------------------------------------------------------------------------------


async def test_a_plugin_describes_itself_without_an_instance() -> None:
    """A server asks for the version and for multiplexing before there is any connection."""
    host = Host(metadata_mode=True)
    version = await host.call_path("/logical.PluginVersion/Version", b"", None)
    assert VersionReply.FromString(version).plugin_version == "v1.2.3"
    many = await host.call_path("/pluginutil.multiplexing.PluginMultiplexing/MultiplexingSupport", b"", None)
    assert MultiplexingSupportResponse.FromString(many).supported
    error = await refused(host.initialize())
    assert error.code is StatusCode.FAILED_PRECONDITION


async def test_the_type_is_told_at_once_and_opens_nothing() -> None:
    """A server gives it a second."""
    host = Host()
    reply = await host.call("Type", pb.Empty())
    assert pb.TypeResponse.FromString(reply).Type == "shelf"
    assert host.shelf.opened == 0


async def test_each_id_is_a_connection_of_its_own() -> None:
    """Also when both are the same database; a call for another id is refused."""
    host = Host()
    await host.initialize("a", verify=True)
    await host.initialize("b", verify=True)
    await host.call("Close", pb.Empty(), "a")
    assert host.shelf.open == 1
    await host.new_user("b")
    for key in ("a", "c", None):
        error = await refused(host.call("NewUser", pb.NewUserRequest(), key))
        assert error.message == "connection has not been initialized"


async def test_without_multiplexing_there_is_one_instance() -> None:
    """Protocol version 5 sends no id."""
    host = Host()
    await host.call("Type", pb.Empty(), None)
    request = pb.InitializeRequest()
    request.config_data.update({"host": "shelf"})
    await host.call("Initialize", request, None)
    user = pb.NewUserRequest(username_config=pb.UsernameConfig(role_name="app"), password=PASSWORD)
    reply = await host.call("NewUser", user, None)
    assert pb.NewUserResponse.FromString(reply).username


async def test_closing_what_is_unknown_is_success() -> None:
    """A server closes after a failed initialization too."""
    assert await Host().call("Close", pb.Empty()) == b""


async def test_an_instance_that_cannot_be_closed_stays() -> None:
    """The server may use it, or close it once more."""
    host = Host()
    await host.initialize(verify=True)

    async def fail() -> None:
        raise ShelfError("still in use")

    host.shelf.on_disconnect = fail
    error = await refused(host.call("Close", pb.Empty()))
    assert error.message == "unable to close database plugin: still in use"
    host.shelf.on_disconnect = None
    await host.new_user()
    await host.call("Close", pb.Empty())
    assert (await refused(host.new_user())).code is StatusCode.FAILED_PRECONDITION


async def test_a_close_that_hangs_is_left_behind(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A server waits for a second, then goes on."""
    host = Host()
    await host.initialize(verify=True)
    monkeypatch.setattr("authkit.database.service.CLOSE_TIMEOUT", timedelta(0))

    released = asyncio.Event()

    async def hang() -> None:
        await released.wait()

    host.shelf.on_disconnect = hang
    await host.call("Close", pb.Empty())
    assert "closing takes too long" in caplog.text
    assert (await refused(host.new_user())).code is StatusCode.FAILED_PRECONDITION
    released.set()


async def test_a_second_initialization_closes_the_first() -> None:
    """Hosts send one for each id; whatever another sends leaves no connection open."""
    host = Host()
    await host.initialize(verify=True)
    await host.initialize(verify=True)
    assert host.shelf.open == 1


async def test_who_leaves_while_a_connection_is_verified_leaves_none_open() -> None:
    """A driver connects to the end; nobody would ever close it."""
    connecting, may_connect = asyncio.Event(), asyncio.Event()

    class Slow(ShelfDatabase, name="slow", version="1.2.3"):
        async def connect(self) -> Connection:
            connecting.set()
            await may_connect.wait()
            return await super().connect()

    host = Host(Slow)
    leaving = asyncio.ensure_future(host.initialize(verify=True))
    await connecting.wait()
    leaving.cancel()
    may_connect.set()
    await asyncio.wait({leaving})
    assert (host.shelf.opened, host.shelf.open) == (1, 0)


async def test_the_end_of_the_process_closes_everything() -> None:
    """Every instance, those without settings too."""
    host = Host()
    await host.initialize(verify=True)
    await host.call("Type", pb.Empty(), "b")
    await host.service.close()
    assert host.shelf.open == 0


# --- settings ----------------------------------------------------------------------------------


async def test_what_was_sent_is_what_is_stored() -> None:
    """Unknown keys, nulls and numbers come back as they were: the server stores the answer."""
    sent = {"port": 5432, "extra": [1.5, {"x": None}], "none": None, "username": "root"}
    answer = await Host().initialize(**sent)
    request = pb.InitializeRequest()
    request.config_data.update({"host": "shelf", "password": ROOT_PASSWORD, **sent})
    assert answer.config_data == request.config_data


@pytest.mark.parametrize("port", [5432, 5432.0, "5432"])
async def test_numbers_and_texts_are_read_weakly(port: object) -> None:
    """A number comes as a double, and the command line sends texts."""
    seen: list[int] = []

    class Seeing(ShelfDatabase, name="seeing"):
        async def connect(self) -> object:  # type: ignore[override]
            seen.append(self.settings.port)
            return await super().connect()

    host = Host(Seeing)
    await host.initialize(verify=True, port=port)
    assert seen == [5432]


async def test_a_connection_is_verified_only_when_the_host_asks() -> None:
    """Reading a configuration makes a server open it without: a database that is down must not matter."""
    host = Host()
    host.shelf.is_down = True
    await host.initialize(verify=False)
    error = await refused(host.initialize("b", verify=True))
    assert error.message == (
        "failed to initialize: error verifying connection: no answer from shelf, password [password]"
    )
    assert (await refused(host.new_user("b"))).code is StatusCode.FAILED_PRECONDITION


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"host": ""}, "missing host"),
        ({"port": "x"}, "port"),
        ({"username_template": "{{"}, "unable to initialize username template"),
        ({"username_template": "{{.Nobody}}"}, "username template"),
    ],
)
async def test_wrong_settings_are_refused_with_their_name(settings: dict[str, object], text: str) -> None:
    """While the operator writes them, connected or not."""
    error = await refused(Host().initialize(**settings))
    assert error.message.startswith("failed to initialize: ")
    assert text in error.message


async def test_further_credential_types_are_announced() -> None:
    """Without them a server takes a plugin for one that knows passwords alone."""

    class Keys(ShelfDatabase, name="keys"):
        credential_types = ("password", "rsa_private_key")

    answer = await Host(Keys).initialize()
    types = answer.config_data["supported_credential_types"]
    assert [each.string_value for each in types.values] == ["password", "rsa_private_key"]
    # An earlier version of the plugin may have known more.
    answer = await Host().initialize(supported_credential_types=["password", "rsa_private_key"])
    assert "supported_credential_types" not in answer.config_data.fields


# --- users -------------------------------------------------------------------------------------


async def test_a_user_from_beginning_to_end() -> None:
    """Its name is made of the template; what was asked for arrives."""
    host = Host()
    await host.initialize()
    name = await host.new_user()
    assert name.startswith("v-token-app-")
    assert host.shelf.users == {name: PASSWORD}
    expiration = pb.ChangeExpiration()
    expiration.new_expiration.seconds = 1_795_898_828
    await host.call("UpdateUser", pb.UpdateUserRequest(username=name, expiration=expiration))
    change = pb.ChangePassword(new_password="another-password")
    await host.call("UpdateUser", pb.UpdateUserRequest(username=name, password=change))
    assert host.shelf.users == {name: "another-password"}
    for _ in range(2):  # a server repeats what it does not know to be done
        await host.call("DeleteUser", pb.DeleteUserRequest(username=name))
    assert host.shelf.users == {}
    assert host.shelf.done[:3] == [
        "create app",
        f"expiration {name} 2026-11-28 20:47:08+0000",
        f"password {name}",
    ]


async def test_the_operator_s_template_makes_the_names() -> None:
    """And a display name that would end quotes in a statement is cleaned before."""
    host = Host()
    await host.initialize(username_template="{{.DisplayName}}_{{random 8}}")
    config = pb.UsernameConfig(display_name="o'brien\"; --", role_name="app")
    assert (await host.new_user(username_config=config)).startswith("o_brien_;_--_")


@pytest.mark.parametrize(
    ("name", "request_", "text"),
    [
        ("NewUser", pb.NewUserRequest(), "missing username config"),
        ("UpdateUser", pb.UpdateUserRequest(), "no username provided"),
        ("UpdateUser", pb.UpdateUserRequest(username="x"), "update user request has no changes"),
        ("DeleteUser", pb.DeleteUserRequest(), "no username provided"),
    ],
)
async def test_incomplete_requests_are_refused_as_by_the_sdk(name: str, request_: object, text: str) -> None:
    """With its code and its words."""
    host = Host()
    await host.initialize()
    error = await refused(host.call(name, request_))
    assert (error.code, error.message) == (StatusCode.INVALID_ARGUMENT, text)


@pytest.mark.parametrize("kind", CREDENTIAL_TYPES)
async def test_no_user_is_made_without_its_credential(kind: CredentialType) -> None:
    """To some databases it would be a user that needs none."""
    host = Host()
    await host.initialize()
    request = pb.NewUserRequest(
        username_config=pb.UsernameConfig(role_name="app"), credential_type=CREDENTIAL_TYPES.index(kind)
    )
    error = await refused(host.call("NewUser", request))
    assert (error.code, error.message) == (StatusCode.INVALID_ARGUMENT, f"missing {kind.value} of the user")
    assert host.shelf.done == []


async def test_an_empty_credential_is_no_change_of_a_user() -> None:
    """As for plugins in Go (dbplugin/v5, getUpdateUserRequest): nobody's password becomes empty."""
    host = Host()
    await host.initialize()
    name = await host.new_user()
    request = pb.UpdateUserRequest(
        username=name, password=pb.ChangePassword(), public_key=pb.ChangePublicKey()
    )
    error = await refused(host.call("UpdateUser", request))
    assert error.message == "update user request has no changes"
    assert host.shelf.users[name] == PASSWORD


async def test_other_credentials_than_the_plugin_s_are_refused() -> None:
    """Keys where there are passwords alone, types that nobody knows, a user's own change of its password."""
    host = Host()
    await host.initialize()
    config = pb.UsernameConfig(role_name="app")
    for kind, text in (
        (1, "unsupported credential type 'rsa_private_key'"),
        (7, "unknown credential type 7"),
    ):
        request = pb.NewUserRequest(username_config=config, credential_type=kind, public_key=b"PEM")
        assert (await refused(host.call("NewUser", request))).message == f"unable to create new user: {text}"
    key = pb.UpdateUserRequest(username="x", public_key=pb.ChangePublicKey(new_public_key=b"PEM"))
    assert "cannot change public keys" in (await refused(host.call("UpdateUser", key))).message
    own = pb.UpdateUserRequest(
        username="x",
        password=pb.ChangePassword(new_password="new-9876543210"),
        self_managed_password="old-9876543210",
    )
    assert "self_managed_password" in (await refused(host.call("UpdateUser", own))).message
    assert host.shelf.done == []


# --- failures ----------------------------------------------------------------------------------


async def test_a_driver_s_error_is_told_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    """In one line; the log says the same."""
    host = Host()
    await host.initialize()
    host.shelf.fail = ShelfError(f"syntax error near '{PASSWORD}'\nLINE 1: {ROOT_PASSWORD} {PASSWORD[:-8]}")
    error = await refused(host.new_user())
    assert error.code is StatusCode.INTERNAL
    assert error.message == (
        "unable to create new user: syntax error near '[password]' LINE 1: [password] [password]"
    )
    assert ROOT_PASSWORD not in caplog.text
    assert PASSWORD not in caplog.text


async def test_an_unforeseen_error_is_neutral_and_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Its text may be anything; the reference leads to it."""
    host = Host()
    await host.initialize()
    host.shelf.fail = RuntimeError("a detail of the inside")
    error = await refused(host.new_user())
    reference = error.message.removeprefix("unable to create new user: internal error (request ")
    assert reference[:-1] in [
        record.kv["request_id"] for record in caplog.records if "request_id" in record.kv
    ]
    assert "a detail of the inside" in caplog.text


@pytest.mark.parametrize("error", [ShelfError("half-way"), UserError("refused"), RuntimeError("fault")])
async def test_a_user_made_half_way_is_deleted(error: Exception) -> None:
    """With the operator's rollback statements, before the failure is told."""
    host = Host()
    await host.initialize()
    host.shelf.fail = error
    await refused(host.new_user(rollback_statements=pb.Statements(Commands=["DROP it"])))
    assert host.shelf.users == {}
    assert host.shelf.done == ["create app", "delete DROP it"]


async def test_a_user_whose_client_has_gone_is_deleted() -> None:
    """The server cancels the call, forgets it, and never asks for the deletion."""
    host = Host()
    await host.initialize()
    host.shelf.hold = asyncio.Event()
    creating = asyncio.ensure_future(host.new_user())
    await wait_until_done(host, "create")
    creating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await creating
    await host.service.close()  # the end of the process waits for it
    assert host.shelf.users == {}
    assert host.shelf.done == ["create app", "delete"]


@pytest.mark.parametrize("is_closed", [True, False])
async def test_the_end_of_the_process_waits_for_connections_that_were_closed(is_closed: bool) -> None:
    """A server that unmounts, or ends, closes first: users that its clients left behind go all the same."""

    class Slow(ShelfDatabase, name="slow", version="1.2.3"):
        async def delete_user(self, connection: Connection, user: UserDeletion) -> None:
            for _ in range(100):
                await asyncio.sleep(0)
            await super().delete_user(connection, user)

    host = Host(Slow)
    await host.initialize()
    host.shelf.hold = asyncio.Event()
    creating = asyncio.ensure_future(host.new_user())
    await wait_until_done(host, "create")
    creating.cancel()
    await asyncio.wait({creating})
    await (host.call("Close", pb.Empty()) if is_closed else host.initialize())
    await host.service.close()
    assert host.shelf.users == {}


async def test_nothing_is_deleted_that_was_not_made() -> None:
    """The database was down before anything was created."""
    host = Host()
    await host.initialize()
    host.shelf.is_down = True
    await refused(host.new_user())
    assert host.shelf.done == []


async def test_a_name_that_is_not_unique_is_not_deleted(caplog: pytest.LogCaptureFixture) -> None:
    """It may be somebody else's, who was there before."""
    host = Host()
    await host.initialize(username_template="{{.RoleName}}")
    assert "a second user may have the name of the first" in caplog.text
    host.shelf.users["app"] = "of somebody else"
    host.shelf.fail = ShelfError("it exists")
    await refused(host.new_user())
    assert "app" in host.shelf.users
    assert "a user may be left behind: its name is not unique" in caplog.text


async def test_a_name_cut_to_one_that_exists_is_not_deleted() -> None:
    """Who chooses the name of a token must not choose whose user is deleted."""
    host = Host()
    await host.initialize(username_template='{{printf "v-%s-%s" .DisplayName (random 20) | truncate 24}}')
    host.shelf.users["v-jwt-alice-of-example-c"] = "of somebody else"
    host.shelf.fail = ShelfError("it exists")
    config = pb.UsernameConfig(display_name="jwt-alice-of-example-com.evil", role_name="app")
    await refused(host.new_user(username_config=config))
    assert "v-jwt-alice-of-example-c" in host.shelf.users


async def test_a_user_that_cannot_be_deleted_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An operator has to do it: the log names the user."""

    async def fail(self: object, connection: object, user: object) -> None:
        raise ShelfError("no")

    monkeypatch.setattr(ShelfDatabase, "delete_user", fail)
    host = Host()
    await host.initialize()
    host.shelf.fail = ShelfError("half-way")
    await refused(host.new_user())
    (name,) = host.shelf.users
    (record,) = [each for each in caplog.records if "may be left behind" in each.getMessage()]
    assert (record.levelno, record.kv["username"]) == (logging.ERROR, name)


async def test_a_user_whose_name_nobody_took_is_deleted() -> None:
    """The host had given up when the answer left, and keeps no lease."""
    host = Host()
    await host.initialize()
    request = pb.NewUserRequest(username_config=pb.UsernameConfig(role_name="app"), password=PASSWORD)
    reply = await host.call("NewUser", request)
    assert isinstance(reply, RevocableReply)
    assert len(host.shelf.users) == 1
    reply.on_untaken()
    await host.service.close()
    assert host.shelf.users == {}


async def test_a_call_that_takes_too_long_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A revocation that hangs would hold up an unmount: the server sets no deadline there."""
    host = Host()
    await host.initialize()
    monkeypatch.setattr(ShelfDatabase, "time_limit", timedelta(milliseconds=1))
    host.shelf.hold = asyncio.Event()
    error = await refused(host.new_user())
    assert "the database did not answer within 0.001 s" in error.message


async def test_a_cancelled_call_is_no_answer() -> None:
    """It is passed on as what it is."""
    host = Host()
    await host.initialize()
    host.shelf.hold = asyncio.Event()
    change = pb.UpdateUserRequest(username="x", password=pb.ChangePassword(new_password="n"))
    changing = asyncio.ensure_future(host.call("UpdateUser", change))
    await wait_until_done(host, "password")
    changing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await changing
    async with asyncio.timeout(5):
        while host.shelf.open:  # nobody knows in which state the connection is
            await asyncio.sleep(0)


async def test_a_message_that_cannot_be_read_is_refused() -> None:
    """As every service of ours does."""
    host = Host()
    await host.initialize()
    with pytest.raises(RPCError, match="the message cannot be read"):
        await host.call_path("/dbplugin.v5.Database/NewUser", b"\xff\xff", "a")
