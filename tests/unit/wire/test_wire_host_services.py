"""Storage, system view and events over a channel to the host."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from wire_fakes import FakeChannel

from authkit.errors import (
    HostGoneError,
    InternalError,
    ReadOnlyError,
    RPCError,
    StatusCode,
    StorageError,
    SystemViewError,
    UnsupportedByHostError,
)
from authkit.logical import (
    Alias,
    BackendConfig,
    ClusterInfo,
    Entity,
    EventSender,
    Group,
    PluginEnvironment,
    ReplicationState,
    RotationInfo,
    RotationJob,
    Storage,
    StorageEntry,
    SystemView,
    WrapInfo,
)
from authkit.wire.host_services import HOST_CALL_TIMEOUT, HostEvents, HostStorage, HostSystemView
from authkit.wire.messages import encode_entity, encode_group, encode_wrap_info
from authkit.wire.pb import backend_pb2 as pb
from authkit.wire.pb import logical_plugin_pb2

READ_ONLY = "cannot write to readonly storage"
BROKEN = RPCError(StatusCode.UNKNOWN, "missing storage implementation")


def test_they_are_what_a_backend_is_given() -> None:
    """The three satisfy the Protocols of the vocabulary."""
    channel = FakeChannel()
    storage: Storage = HostStorage(channel)
    system: SystemView = HostSystemView(channel)
    events: EventSender = HostEvents(channel)
    assert BackendConfig(storage=storage, system=system, events=events).storage is storage
    assert isinstance(storage, Storage)
    assert isinstance(system, SystemView)


# --- storage -----------------------------------------------------------------------------------


async def test_storage_calls() -> None:
    """Each call goes to its method with its arguments and the time limit."""
    entry = StorageEntry("role/a", b"\x00v", True)
    channel = FakeChannel(
        List=pb.StorageListReply(keys=["b", "a/", "a"]),
        Get=pb.StorageGetReply(entry=pb.StorageEntry(key="role/a", value=b"\x00v", seal_wrap=True)),
        Put=pb.StoragePutReply(),
        Delete=pb.StorageDeleteReply(),
    )
    storage = HostStorage(channel)
    assert await storage.list("role/") == ["a", "a/", "b"]
    assert await storage.get("role/a") == entry
    await storage.put(entry)
    await storage.delete("role/a")
    assert [path for path, _ in channel.calls] == [
        f"/pb.Storage/{name}" for name in ("List", "Get", "Put", "Delete")
    ]
    assert pb.StorageListArgs.FromString(channel.calls[0][1]).prefix == "role/"
    assert pb.StorageGetArgs.FromString(channel.calls[1][1]).key == "role/a"
    assert pb.StoragePutArgs.FromString(channel.calls[2][1]).entry.value == b"\x00v"
    assert pb.StorageDeleteArgs.FromString(channel.calls[3][1]).key == "role/a"
    assert set(channel.timeouts) == {HOST_CALL_TIMEOUT}


async def test_absent_and_empty_are_told_apart() -> None:
    """No entry is None, an empty value is an entry."""
    assert await HostStorage(FakeChannel(Get=pb.StorageGetReply())).get("a") is None
    empty = FakeChannel(Get=pb.StorageGetReply(entry=pb.StorageEntry(key="a")))
    assert await HostStorage(empty).get("a") == StorageEntry("a", b"")


async def _each_storage_call(storage: HostStorage) -> list[Callable[[], Awaitable[Any]]]:
    return [
        storage.list,
        storage.list_page,
        lambda: storage.get("a"),
        lambda: storage.put(StorageEntry("a", b"")),
        lambda: storage.delete("a"),
    ]


@pytest.mark.parametrize(
    ("reply", "kind", "text"),
    [
        (b"\x12\x04oops", StorageError, "oops"),
        (b"\x12\x20" + READ_ONLY.encode(), ReadOnlyError, READ_ONLY),
        (BROKEN, StorageError, "missing storage implementation"),
        (RPCError(StatusCode.UNKNOWN, READ_ONLY), ReadOnlyError, READ_ONLY),
        (RPCError(StatusCode.DEADLINE_EXCEEDED), StorageError, "DEADLINE_EXCEEDED"),
        (HostGoneError("gone"), StorageError, "gone"),
        (b"\xff", StorageError, "cannot be read"),
    ],
)
async def test_a_refused_storage_call_raises(reply: Any, kind: type[Exception], text: str) -> None:
    """A text in the reply, a status and a lost connection are all storage errors, read-only is told apart."""
    one = reply if isinstance(reply, Exception) or reply == b"\xff" else b"\x0a" + reply[1:]
    channel = FakeChannel(List=reply, ListPage=reply, Get=reply, Put=one, Delete=one)
    for call in await _each_storage_call(HostStorage(channel)):
        with pytest.raises(kind) as caught:
            await call()
        assert type(caught.value) is kind
        assert text in str(caught.value)


async def test_unusable_keys_do_not_reach_the_host() -> None:
    """A key that would be stored where nobody finds it is refused here."""
    channel = FakeChannel()
    storage = HostStorage(channel)
    for key in ("", "/a", "a/", "a/../b"):
        for call in (storage.get(key), storage.delete(key), storage.put(StorageEntry(key, b""))):
            with pytest.raises(StorageError):
                await call
    for prefix in ("a", "/", "../"):
        for call in (storage.list(prefix), storage.list_page(prefix)):
            with pytest.raises(StorageError):
                await call
    assert channel.calls == []


async def test_pages_where_the_host_has_them() -> None:
    """OpenBao cuts the list itself."""
    channel = FakeChannel(ListPage=pb.StorageListReply(keys=["c", "b"]))
    assert await HostStorage(channel).list_page("p/", after="a", limit=2**40) == ["b", "c"]
    args = pb.StorageListPageArgs.FromString(channel.calls[0][1])
    assert (args.prefix, args.after, args.limit) == ("p/", "a", 2**31 - 1)


async def test_pages_where_the_host_has_none() -> None:
    """On Vault the list is cut here, and the missing method is asked for once."""
    channel = FakeChannel(List=pb.StorageListReply(keys=["c", "a", "b", "d"]))
    storage = HostStorage(channel)
    assert await storage.list_page(after="a", limit=2) == ["b", "c"]
    assert await storage.list_page(after="c") == ["d"]
    assert await storage.list_page() == ["a", "b", "c", "d"]
    assert [path.rpartition("/")[2] for path, _ in channel.calls] == ["ListPage", "List", "List", "List"]
    with pytest.raises(StorageError):
        await storage.list_page(limit=-1)


# --- system view -------------------------------------------------------------------------------

ENTITY = Entity(id="e", name="bob", aliases=(Alias(name="b"),), metadata={"a": "b"})
GROUP = Group(id="g", name="dev")
WRAP = WrapInfo(token="t", ttl=timedelta(minutes=1))
WHEN = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ask", "method", "reply", "expected"),
    [
        (lambda s: s.default_lease_ttl(), "DefaultLeaseTTL", pb.TTLReply(TTL=10**9), timedelta(seconds=1)),
        (lambda s: s.max_lease_ttl(), "MaxLeaseTTL", pb.TTLReply(TTL=2 * 10**9), timedelta(seconds=2)),
        (lambda s: s.tainted(), "Tainted", pb.TaintedReply(tainted=True), True),
        (lambda s: s.caching_disabled(), "CachingDisabled", pb.CachingDisabledReply(disabled=True), True),
        (lambda s: s.local_mount(), "LocalMount", pb.LocalMountReply(local=True), True),
        (lambda s: s.mlock_enabled(), "MlockEnabled", pb.MlockEnabledReply(enabled=True), True),
        (
            lambda s: s.replication_state(),
            "ReplicationState",
            pb.ReplicationStateReply(state=12288),
            ReplicationState.DR_DISABLED | ReplicationState.PERFORMANCE_DISABLED,
        ),
        (
            lambda s: s.entity_info("e"),
            "EntityInfo",
            pb.EntityInfoReply(entity=encode_entity(ENTITY)),
            ENTITY,
        ),
        (lambda s: s.entity_info("e"), "EntityInfo", pb.EntityInfoReply(), None),
        (
            lambda s: s.groups_for_entity("e"),
            "GroupsForEntity",
            pb.GroupsForEntityReply(groups=[encode_group(GROUP)]),
            [GROUP],
        ),
        (
            lambda s: s.plugin_env(),
            "PluginEnv",
            pb.PluginEnvReply(plugin_environment=logical_plugin_pb2.PluginEnvironment(vault_version="1.21")),
            PluginEnvironment(vault_version="1.21"),
        ),
        (
            lambda s: s.cluster_info(),
            "ClusterInfo",
            pb.ClusterInfoReply(cluster_id="c"),
            ClusterInfo(cluster_id="c"),
        ),
        (
            lambda s: s.wrap_response({"a": 1}, timedelta(1)),
            "ResponseWrapData",
            pb.ResponseWrapDataReply(wrap_info=encode_wrap_info(WRAP)),
            WRAP,
        ),
        (
            lambda s: s.rotation_info("p"),
            "GetRotationInformation",
            pb.RotationInfoReply(issue_time=int(WHEN.timestamp()), ttl=60),
            RotationInfo(issue_time=WHEN, expire_time=None, ttl=timedelta(minutes=1)),
        ),
        (
            lambda s: s.register_rotation_job(RotationJob(name="n", mount_point="m", path="p")),
            "RegisterRotationJob",
            pb.RegisterRotationJobResponse(rotation_id="r"),
            "r",
        ),
        (lambda s: s.deregister_rotation_job("m", "p"), "DeregisterRotationJob", pb.Empty(), None),
    ],
)
async def test_answers_of_the_system_view(ask: Any, method: str, reply: Any, expected: Any) -> None:
    """Each question has its method, its answer, and its failure; none is answered with a zero value."""
    channel = FakeChannel(**{method: reply})
    assert await ask(HostSystemView(channel)) == expected
    assert channel.calls[0][0] == f"/pb.SystemView/{method}"
    assert channel.timeouts == [HOST_CALL_TIMEOUT]
    with pytest.raises(UnsupportedByHostError, match=method):
        await ask(HostSystemView(FakeChannel()))
    for failure in (BROKEN, HostGoneError("gone"), b"\xff"):
        with pytest.raises(SystemViewError) as caught:
            await ask(HostSystemView(FakeChannel(**{method: failure})))
        assert not isinstance(caught.value, UnsupportedByHostError)


async def test_secrets_of_the_system_view_are_secrets() -> None:
    """Passwords and identity tokens come masked; an empty one is a failure."""
    channel = FakeChannel(
        GeneratePasswordFromPolicy=pb.GeneratePasswordFromPolicyReply(password="pass-word"),
        GenerateIdentityToken=pb.GenerateIdentityTokenResponse(token="token-text", ttl=60),
    )
    system = HostSystemView(channel)
    password = await system.generate_password("policy")
    token = await system.generate_identity_token("aud", timedelta(minutes=2))
    assert (password.reveal(), token.token.reveal(), token.ttl) == (
        "pass-word",
        "token-text",
        timedelta(minutes=1),
    )
    assert "pass-word" not in repr(password)
    assert "token-text" not in repr(token)
    assert pb.GenerateIdentityTokenRequest.FromString(channel.calls[1][1]).ttl == 120
    silent = HostSystemView(FakeChannel(GeneratePasswordFromPolicy=b"", GenerateIdentityToken=b""))
    with pytest.raises(SystemViewError):
        await silent.generate_password("policy")
    with pytest.raises(SystemViewError):
        await silent.generate_identity_token("aud", timedelta(1))


@pytest.mark.parametrize(
    ("ask", "method"),
    [
        (lambda s: s.entity_info("e"), "EntityInfo"),
        (lambda s: s.groups_for_entity("e"), "GroupsForEntity"),
        (lambda s: s.plugin_env(), "PluginEnv"),
        (lambda s: s.wrap_response({}, timedelta(1)), "ResponseWrapData"),
        (
            lambda s: s.register_rotation_job(RotationJob(name="n", mount_point="m", path="p")),
            "RegisterRotationJob",
        ),
    ],
)
async def test_an_error_text_of_the_system_view_raises(ask: Any, method: str) -> None:
    """A text in the reply is the error."""
    with pytest.raises(SystemViewError, match="no namespace"):
        await ask(HostSystemView(FakeChannel(**{method: b"\x12\x0cno namespace"})))


async def test_missing_answers_are_failures() -> None:
    """An empty reply where an answer belongs is not a zero value."""
    system = HostSystemView(FakeChannel(PluginEnv=b"", ResponseWrapData=b""))
    with pytest.raises(SystemViewError):
        await system.plugin_env()
    with pytest.raises(SystemViewError):
        await system.wrap_response({}, timedelta(1))


async def test_an_empty_entity_id_needs_no_question() -> None:
    """Nobody is known under it."""
    channel = FakeChannel()
    assert await HostSystemView(channel).entity_info("") is None
    assert await HostSystemView(channel).groups_for_entity("") == []
    assert channel.calls == []


async def test_rotation_requests_always_have_their_inner_message() -> None:
    """A host dies without it, even when all its fields are empty."""
    channel = FakeChannel(RegisterRotationJob=b"", DeregisterRotationJob=b"")
    system = HostSystemView(channel)
    await system.register_rotation_job(RotationJob(name="", mount_point="", path=""))
    await system.deregister_rotation_job("", "")
    job = RotationJob(
        name="n",
        mount_point="m",
        path="p",
        schedule="@daily",
        window=timedelta(hours=1),
        period=timedelta.max,
    )
    await system.register_rotation_job(job)
    assert pb.RegisterRotationJobRequest.FromString(channel.calls[0][1]).HasField("job")
    assert pb.DeregisterRotationJobRequest.FromString(channel.calls[1][1]).HasField("req")
    sent = pb.RegisterRotationJobRequest.FromString(channel.calls[2][1]).job
    assert (sent.rotation_schedule, sent.rotation_window, sent.rotation_period > 0) == ("@daily", 3600, True)


async def test_times_out_of_range_are_failures() -> None:
    """A host's nonsense raises what the Protocol promises."""
    reply = pb.RotationInfoReply(issue_time=2**62)
    with pytest.raises(SystemViewError):
        await HostSystemView(FakeChannel(GetRotationInformation=reply)).rotation_info("p")
    reply = pb.RotationInfoReply(ttl=2**62)
    with pytest.raises(SystemViewError):
        await HostSystemView(FakeChannel(GetRotationInformation=reply)).rotation_info("p")


async def test_what_cannot_be_wrapped_is_not_sent() -> None:
    """Data without JSON form and a negative lifetime stay here."""
    channel = FakeChannel()
    for data, ttl in (({"a": object()}, timedelta(1)), ({}, timedelta(-1))):
        with pytest.raises(InternalError):
            await HostSystemView(channel).wrap_response(data, ttl)
    assert channel.calls == []


# --- events ------------------------------------------------------------------------------------


async def test_an_event_always_has_its_message_and_an_id() -> None:
    """A host dies without the one, and refuses an event without the other."""
    channel = FakeChannel(SendEvent=pb.Empty(), RecordObservation=pb.Empty())
    events = HostEvents(channel)
    await events.send_event("t", metadata={})
    await events.send_event("t", metadata={"path": "a", "n": 1}, entity_ids=("e",), note="n")
    first, second = (pb.SendEventRequest.FromString(data) for _, data in channel.calls)
    assert first.HasField("event")
    assert UUID(first.event.id) != UUID(second.event.id)
    assert dict(second.event.metadata.fields)["path"].string_value == "a"
    assert (list(second.event.entity_ids), second.event.note, second.event_type) == (["e"], "n", "t")


async def test_an_observation_is_recorded() -> None:
    """It goes to its own service."""
    channel = FakeChannel(RecordObservation=pb.Empty())
    await HostEvents(channel).record_observation("o", {"a": True})
    path, data = channel.calls[0]
    assert path == "/pb.Observations/RecordObservation"
    assert pb.RecordObservationRequest.FromString(data).data.fields["a"].bool_value is True


async def test_a_host_without_events_takes_them() -> None:
    """OpenBao has neither service; nobody needs to know."""
    events = HostEvents(FakeChannel())
    await events.send_event("t", metadata={})
    await events.record_observation("o", {})


async def test_other_failures_of_events_are_raised() -> None:
    """A host that has the service and refuses is heard, and what cannot be sent is not."""
    events = HostEvents(FakeChannel(SendEvent=BROKEN, RecordObservation=HostGoneError("gone")))
    with pytest.raises(SystemViewError):
        await events.send_event("t", metadata={})
    with pytest.raises(SystemViewError):
        await events.record_observation("o", {})
    with pytest.raises(InternalError):
        await events.send_event("t", metadata={"a": object()})
