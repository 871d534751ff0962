"""What the calls to a backend mean for its host, whatever the backend answers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from authkit.errors import (
    AuthKitError,
    CodedError,
    InternalError,
    LogicalError,
    PermissionDeniedError,
    PluginSetupError,
    RPCError,
    StatusCode,
    UserError,
)
from authkit.host.store.plugin_errors import status_text
from authkit.host.supervisor.backend_client import BackendClient, is_multiplexed
from authkit.host.supervisor.in_process.channel import InProcessChannel
from authkit.logical import Auth, BackendType, Operation, Request, Response, SpecialPaths
from authkit.rpc.interface import CallContext, UnaryMethod
from authkit.wire.messages import MountSetup, encode_auth
from authkit.wire.pb import backend_pb2 as pb
from authkit.wire.pb.logical_version_pb2 import VersionReply
from authkit.wire.pb.multiplexing_pb2 import MultiplexingSupportResponse

READ = Request(operation=Operation.READ, path="config")

Reply = Any


def plugin(**replies: Reply) -> tuple[BackendClient, list[CallContext]]:
    """A client to a plugin that answers each method so: with a message, or with an error."""
    calls: list[CallContext] = []

    def handler(reply: Reply) -> Callable[[bytes, CallContext], bytes]:
        def answer(message: bytes, call: CallContext) -> bytes:
            calls.append(call)
            if isinstance(reply, Exception):
                raise reply
            return reply if isinstance(reply, bytes) else reply.SerializeToString()

        return answer

    paths = {"Version": "/logical.PluginVersion/Version"}
    methods = [
        UnaryMethod(paths.get(name, f"/pb.Backend/{name}"), handler(reply)) for name, reply in replies.items()
    ]
    return BackendClient(InProcessChannel(methods), "m1"), calls


def refusal(**error: Any) -> pb.HandleRequestReply:
    """A reply that is an error."""
    return pb.HandleRequestReply(err=pb.ProtoError(**error))


async def test_every_call_names_its_mount() -> None:
    """In the metadata, exactly once; setup and its like have a time limit, requests have none."""
    client, calls = plugin(
        Setup=pb.SetupReply(),
        Initialize=pb.InitializeReply(),
        Type=pb.TypeReply(type=2),
        Version=VersionReply(plugin_version="v1.2.3"),
        SpecialPaths=pb.SpecialPathsReply(paths=pb.Paths(unauthenticated=["login"])),
        HandleRequest=pb.HandleRequestReply(response=pb.Response(data='{"a": 1}')),
        HandleExistenceCheck=pb.HandleExistenceCheckReply(check_found=True, exists=True),
        InvalidateKey=pb.Empty(),
        Cleanup=pb.Empty(),
    )
    await client.set_up(MountSetup(broker_id=1))
    await client.initialize()
    assert await client.backend_type() is BackendType.CREDENTIAL
    assert await client.version() == "v1.2.3"
    assert await client.special_paths() == SpecialPaths(unauthenticated=("login",))
    assert await client.handle_request(READ) == Response(data={"a": 1})
    assert await client.handle_existence_check(READ) is True
    await client.invalidate_key("config")
    await client.cleanup()
    assert len(calls) == 9
    assert {tuple(call.metadata["multiplex_id"]) for call in calls} == {("m1",)}
    assert {call.path for call in calls if call.deadline is None} == {
        "/pb.Backend/HandleRequest",
        "/pb.Backend/HandleExistenceCheck",
    }


async def test_a_refused_setup_is_told_in_the_plugin_s_words() -> None:
    """The text of the reply is the error's."""
    client, _ = plugin(Setup=pb.SetupReply(err="no mount today"))
    with pytest.raises(PluginSetupError, match=r"^no mount today$"):
        await client.set_up(MountSetup(broker_id=1))


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        ({"err_type": 0, "err_msg": "plain"}, LogicalError, "plain"),
        ({"err_type": 1, "err_msg": "yours"}, UserError, "yours"),
        ({"err_type": 3, "err_msg": "slow down", "err_code": 429}, CodedError, "slow down"),
        ({"err_type": 8, "err_msg": "dropped"}, PermissionDeniedError, "permission denied"),
        ({"err_type": 11, "err_msg": "?"}, InternalError, "unknown kind 11"),
        ({}, LogicalError, "LogicalError"),
    ],
)
async def test_a_reported_error_is_raised(error: dict[str, Any], kind: type[Exception], text: str) -> None:
    """As its kind; a kind that nobody knows is a fault, never a success as on a Vault server."""
    client, _ = plugin(
        HandleRequest=refusal(**error),
        HandleExistenceCheck=pb.HandleExistenceCheckReply(err=pb.ProtoError(**error)),
        Initialize=pb.InitializeReply(err=pb.ProtoError(**error)),
    )
    for call in (client.handle_request(READ), client.handle_existence_check(READ), client.initialize()):
        with pytest.raises(kind, match=text) as caught:
            await call
        assert isinstance(caught.value, LogicalError)
        assert caught.value.response_data is None


async def test_a_response_beside_an_error_grants_nothing() -> None:
    """Its data is kept with the error, for the status and the text that a server shows."""
    reply = refusal(err_type=8)
    reply.response.CopyFrom(pb.Response(data='{"error": "not you"}', auth=encode_auth(Auth())))
    reply.response.ClearField("auth")
    client, _ = plugin(HandleRequest=reply)
    with pytest.raises(PermissionDeniedError) as caught:
        await client.handle_request(READ)
    assert caught.value.response_data == {"error": "not you"}

    reply.response.CopyFrom(pb.Response(data="null", auth=encode_auth(Auth())))
    client, _ = plugin(HandleRequest=reply)
    with pytest.raises(PermissionDeniedError) as caught:
        await client.handle_request(READ)
    assert caught.value.response_data == {}


@pytest.mark.parametrize(
    "reply",
    [
        pb.HandleRequestReply(response=pb.Response(data="")),
        pb.HandleRequestReply(response=pb.Response(data="[]")),
        pb.HandleRequestReply(response=pb.Response(data="null", auth=pb.Auth())),
    ],
)
async def test_a_response_that_cannot_be_read_is_a_fault(reply: pb.HandleRequestReply) -> None:
    """An empty text is no JSON, in the data and in a grant's internal data."""
    client, _ = plugin(HandleRequest=reply)
    with pytest.raises(InternalError):
        await client.handle_request(READ)


async def test_an_empty_answer_and_an_absent_check_are_none() -> None:
    """Neither is an error."""
    client, _ = plugin(
        HandleRequest=pb.HandleRequestReply(),
        HandleExistenceCheck=pb.HandleExistenceCheckReply(exists=True),
    )
    assert await client.handle_request(READ) is None
    assert await client.handle_existence_check(READ) is None


async def test_a_plugin_without_the_optional_calls_is_hosted_all_the_same() -> None:
    """No version, nothing to initialize, no paths open without a token, type unknown."""
    client, _ = plugin()
    await client.initialize()
    assert await client.version() == ""
    assert await client.special_paths() == SpecialPaths()
    assert await client.backend_type() is BackendType.UNKNOWN
    await client.invalidate_key("a")
    await client.cleanup()


async def test_statuses_of_the_other_calls_are_raised() -> None:
    """A failing call is the host's to judge; bytes that are no message are a status too."""
    broken = RPCError(StatusCode.UNAVAILABLE, "gone")
    client, _ = plugin(Setup=broken, Initialize=broken, HandleRequest=b"\xff", Version=broken, Type=b"\xff")
    for call in (
        client.set_up(MountSetup(broker_id=1)),
        client.initialize(),
        client.handle_request(READ),
        client.version(),
    ):
        assert inspect.isawaitable(call)
        with pytest.raises(RPCError):
            await call
    assert await client.backend_type() is BackendType.UNKNOWN


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (MultiplexingSupportResponse(supported=True), True),
        (MultiplexingSupportResponse(), False),
        (None, False),
    ],
)
async def test_whether_a_plugin_serves_many_mounts(reply: Any, expected: bool) -> None:
    """It says so; one without the call does not."""
    path = "/pluginutil.multiplexing.PluginMultiplexing/MultiplexingSupport"
    methods = [] if reply is None else [UnaryMethod(path, lambda m, c: reply.SerializeToString())]
    assert await is_multiplexed(InProcessChannel(methods)) is expected


def test_statuses_are_worded_as_by_a_server_in_go() -> None:
    """Clients of a Vault server know these texts."""
    assert status_text(RPCError(StatusCode.UNAVAILABLE, "error reading from server: EOF")) == (
        "rpc error: code = Unavailable desc = error reading from server: EOF"
    )
    assert status_text(RPCError(StatusCode.CANCELLED, "x")).startswith("rpc error: code = Canceled desc")
    assert "DeadlineExceeded" in status_text(RPCError(StatusCode.DEADLINE_EXCEEDED))


def test_the_errors_of_hosting_carry_a_hint() -> None:
    """Beside the text, which is the one that clients read."""
    error = PluginSetupError("text", hint="do this")
    assert (str(error), error.hint) == ("text", "do this")
    assert isinstance(error, AuthKitError)
