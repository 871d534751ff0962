"""What a host serves to a mount, seen by the mount's own clients of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from factories import CountingStorage, FakeEvents, FakeSystem

from authkit.errors import (
    ReadOnlyError,
    RPCError,
    StatusCode,
    StorageError,
    SystemViewError,
    UnsupportedByHostError,
)
from authkit.host.supervisor.in_process.channel import InProcessChannel
from authkit.host.supervisor.services.mount import host_services, services_of_a_probe
from authkit.logical import (
    Alias,
    BackendConfig,
    ClusterInfo,
    Entity,
    Group,
    IdentityToken,
    PluginEnvironment,
    ReplicationState,
    RotationInfo,
    RotationJob,
    StorageEntry,
    WrapInfo,
)
from authkit.masking import Secret
from authkit.wire.host_services import HostEvents, HostStorage, HostSystemView
from authkit.wire.pb import backend_pb2 as pb

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ALIAS = Alias(name="bob", metadata={"a": "b"}, mount_type="jwt", mount_accessor="auth_jwt_1", id="a-1")
ENTITY = Entity(id="e-1", name="entity", aliases=(ALIAS,), metadata={"k": "v"}, disabled=True)
GROUPS = [Group(id="g-1", name="admins", metadata={"k": "v"}), Group(id="g-2")]


class Answers(FakeSystem):
    """A system view in which every answer differs from the empty one."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Any] = []

    async def tainted(self) -> bool:
        return True

    async def caching_disabled(self) -> bool:
        return True

    async def local_mount(self) -> bool:
        return True

    async def mlock_enabled(self) -> bool:
        return True

    async def entity_info(self, entity_id: str) -> Entity | None:
        return ENTITY if entity_id == ENTITY.id else None

    async def groups_for_entity(self, entity_id: str) -> list[Group]:
        return GROUPS if entity_id == ENTITY.id else []

    async def plugin_env(self) -> PluginEnvironment:
        return PluginEnvironment(
            vault_version="1.21.1",
            vault_version_prerelease="dev1",
            vault_version_metadata="ent",
            vault_build_date=WHEN,
        )

    async def cluster_info(self) -> ClusterInfo:
        return ClusterInfo(cluster_id="c-1", cluster_name="cluster")

    async def wrap_response(self, data: Any, ttl: timedelta) -> WrapInfo:
        self.asked.append((data, ttl))
        return WrapInfo(ttl=ttl, token="hvs.wrapped", accessor="acc", creation_time=WHEN)

    async def generate_identity_token(self, audience: str, ttl: timedelta) -> IdentityToken:
        self.asked.append((audience, ttl))
        return IdentityToken(token=Secret("identity-token"), ttl=ttl)

    async def register_rotation_job(self, job: RotationJob) -> str:
        self.asked.append(job)
        return "job-1"

    async def deregister_rotation_job(self, mount_point: str, path: str) -> None:
        self.asked.append((mount_point, path))

    async def rotation_info(self, path: str) -> RotationInfo:
        self.asked.append(path)
        return RotationInfo(issue_time=WHEN, expire_time=None, ttl=timedelta(hours=1))


class Failing(FakeSystem):
    """A system view in which every call raises."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def __getattribute__(self, name: str) -> Any:
        if name in ("error", "__class__"):
            return super().__getattribute__(name)
        error = self.error

        async def fail(*arguments: Any) -> Any:
            raise error

        return fail


def channel_to(storage: Any = None, system: Any = None, events: Any = None) -> InProcessChannel:
    """Return a channel to the services of a mount."""
    config = BackendConfig(
        storage=CountingStorage() if storage is None else storage,
        system=FakeSystem() if system is None else system,
        events=FakeEvents() if events is None else events,
    )
    return InProcessChannel(host_services(config))


def questions(system: HostSystemView) -> dict[str, Callable[[], Awaitable[Any]]]:
    """Every call of a system view."""
    hour = timedelta(hours=1)
    return {
        "DefaultLeaseTTL": system.default_lease_ttl,
        "MaxLeaseTTL": system.max_lease_ttl,
        "Tainted": system.tainted,
        "CachingDisabled": system.caching_disabled,
        "ReplicationState": system.replication_state,
        "LocalMount": system.local_mount,
        "MlockEnabled": system.mlock_enabled,
        "EntityInfo": lambda: system.entity_info("e-1"),
        "GroupsForEntity": lambda: system.groups_for_entity("e-1"),
        "PluginEnv": system.plugin_env,
        "ClusterInfo": system.cluster_info,
        "GeneratePasswordFromPolicy": lambda: system.generate_password("strong"),
        "ResponseWrapData": lambda: system.wrap_response({"a": [1, "b"]}, hour),
        "GenerateIdentityToken": lambda: system.generate_identity_token("aud", hour),
        "RegisterRotationJob": lambda: system.register_rotation_job(
            RotationJob(name="n", mount_point="auth/x/", path="config", schedule="* * * * *", window=hour)
        ),
        "DeregisterRotationJob": lambda: system.deregister_rotation_job("auth/x/", "config"),
        "GetRotationInformation": lambda: system.rotation_info("config"),
    }


# --- storage -----------------------------------------------------------------------------------


async def test_storage_is_served_whole() -> None:
    """What a mount stores comes back as it was, is listed and can be deleted."""
    storage = HostStorage(channel_to())
    entry = StorageEntry("role/a", b"\x00\xff", seal_wrap=True)
    await storage.put(entry)
    await storage.put(StorageEntry("role/b/c", b""))
    assert await storage.get("role/a") == entry
    assert await storage.get("role/b/c") == StorageEntry("role/b/c", b"")
    assert await storage.get("role/x") is None
    assert await storage.list("role/") == ["a", "b/"]
    await storage.delete("role/a")
    await storage.delete("role/a")
    assert await storage.list("") == ["role/"]


async def test_lists_come_in_pages() -> None:
    """As OpenBao cuts them: after a name, so many, and all for no limit."""
    storage = HostStorage(channel_to())
    for name in "abcde":
        await storage.put(StorageEntry(f"role/{name}", b""))
    assert await storage.list_page("role/", limit=2) == ["a", "b"]
    assert await storage.list_page("role/", after="b", limit=2) == ["c", "d"]
    assert await storage.list_page("role/", after="bb") == ["c", "d", "e"]
    assert await storage.list_page("role/", after="e", limit=2) == []


@pytest.mark.parametrize(
    ("error", "expected", "text"),
    [
        (StorageError("the disk is full"), StorageError, "the disk is full"),
        (ReadOnlyError(ReadOnlyError.TEXT), ReadOnlyError, ReadOnlyError.TEXT),
        (StorageError("cannot write to storage during setup"), StorageError, "during setup"),
        (RuntimeError("hvs.secret"), StorageError, "internal error"),
    ],
)
async def test_a_storage_that_fails_says_so_in_the_reply(
    error: Exception, expected: type[Exception], text: str
) -> None:
    """Its own text arrives; that of a fault of the host's does not."""
    storage = CountingStorage()
    storage.failure = error
    with pytest.raises(expected, match=text) as caught:
        await HostStorage(channel_to(storage)).put(StorageEntry("a", b""))
    assert "hvs." not in str(caught.value)
    reply = await channel_to(storage).call(
        "/pb.Storage/Put", pb.StoragePutArgs(entry=pb.StorageEntry(key="a")).SerializeToString()
    )
    assert text in pb.StoragePutReply.FromString(reply).err


async def test_odd_storage_calls_are_refused_as_by_vault() -> None:
    """No entry, a relative path: errors in the reply with Vault's texts."""
    channel = channel_to()
    reply = pb.StoragePutReply.FromString(await channel.call("/pb.Storage/Put", b""))
    assert reply.err == "cannot write nil entry"
    args = pb.StorageGetArgs(key="../other")
    got = pb.StorageGetReply.FromString(await channel.call("/pb.Storage/Get", args.SerializeToString()))
    assert got.err == "relative paths not supported"
    with pytest.raises(RPCError) as caught:
        await channel.call("/pb.Storage/Get", b"\xff")
    assert caught.value.code is StatusCode.INVALID_ARGUMENT
    with pytest.raises(RPCError) as caught:
        await channel.call("/pb.Storage/BeginTx", b"")
    assert caught.value.code is StatusCode.UNIMPLEMENTED


# --- system view -------------------------------------------------------------------------------


async def test_every_question_is_answered() -> None:
    """Each answer of the host's system view arrives as it was given."""
    answers = Answers()
    system = HostSystemView(channel_to(system=answers))
    got = {name: await ask() for name, ask in questions(system).items()}
    assert got["DefaultLeaseTTL"] == got["MaxLeaseTTL"] == timedelta(hours=768)
    for name in ("Tainted", "CachingDisabled", "LocalMount", "MlockEnabled"):
        assert got[name] is True
    assert got["ReplicationState"] == (ReplicationState.PERFORMANCE_DISABLED | ReplicationState.DR_DISABLED)
    assert got["EntityInfo"] == ENTITY
    assert got["GroupsForEntity"] == GROUPS
    assert got["PluginEnv"] == await answers.plugin_env()
    assert got["ClusterInfo"] == ClusterInfo(cluster_id="c-1", cluster_name="cluster")
    assert got["GeneratePasswordFromPolicy"] == Secret("password-for-tests")
    hour = timedelta(hours=1)
    assert got["ResponseWrapData"] == WrapInfo(
        ttl=hour, token="hvs.wrapped", accessor="acc", creation_time=WHEN
    )
    assert got["GenerateIdentityToken"] == IdentityToken(token=Secret("identity-token"), ttl=hour)
    assert got["RegisterRotationJob"] == "job-1"
    assert got["GetRotationInformation"] == RotationInfo(issue_time=WHEN, expire_time=None, ttl=hour)
    assert answers.asked == [
        ({"a": [1, "b"]}, hour),
        ("aud", hour),
        RotationJob(name="n", mount_point="auth/x/", path="config", schedule="* * * * *", window=hour),
        ("auth/x/", "config"),
        "config",
    ]


async def test_an_unknown_entity_is_no_error() -> None:
    """No entity, no groups."""
    system = HostSystemView(channel_to(system=Answers()))
    assert await system.entity_info("e-2") is None
    assert await system.groups_for_entity("e-2") == []


FIXED = {
    "GeneratePasswordFromPolicy": "failed to generate password",
    "ClusterInfo": "failed to fetch cluster id",
}


async def test_a_refused_question_is_an_error() -> None:
    """With the host's text, or with the one that a Vault server puts in its place."""
    system = HostSystemView(channel_to(system=Failing(SystemViewError("not in this edition"))))
    for name, ask in questions(system).items():
        with pytest.raises(SystemViewError, match=FIXED.get(name, "not in this edition")):
            await ask()


async def test_a_question_that_the_host_does_not_have() -> None:
    """Is unimplemented, as by a host that lacks the method."""
    system = HostSystemView(channel_to(system=Failing(UnsupportedByHostError("none here"))))
    for ask in questions(system).values():
        with pytest.raises(UnsupportedByHostError):
            await ask()


async def test_a_fault_of_the_host_is_neutral() -> None:
    """The plugin does not read what failed inside."""
    system = HostSystemView(channel_to(system=Failing(RuntimeError("hvs.secret"))))
    for name, ask in questions(system).items():
        with pytest.raises(SystemViewError, match=FIXED.get(name, "internal error")) as caught:
            await ask()
        assert "hvs." not in str(caught.value)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("SystemView/RegisterRotationJob", b""),
        ("SystemView/DeregisterRotationJob", b""),
        ("SystemView/GeneratePasswordFromPolicy", b""),
        ("Events/SendEvent", b""),
    ],
)
async def test_messages_that_a_vault_server_dies_of_are_refused(method: str, message: bytes) -> None:
    """An absent inner message, and an empty policy, are invalid arguments."""
    with pytest.raises(RPCError) as caught:
        await channel_to().call(f"/pb.{method}", message)
    assert caught.value.code is StatusCode.INVALID_ARGUMENT


# --- events ------------------------------------------------------------------------------------


async def test_events_and_observations_arrive() -> None:
    """Both with what they carry; one that is refused is an error of the system view."""
    sent: list[Any] = []

    class Bus(FakeEvents):
        async def send_event(self, event_type: str, **rest: Any) -> None:
            sent.append((event_type, rest))

        async def record_observation(self, observation_type: str, data: Any) -> None:
            if observation_type == "refused":
                raise SystemViewError("no such observation")
            sent.append((observation_type, data))

    events = HostEvents(channel_to(events=Bus()))
    await events.send_event("jwt/login", metadata={"path": "login"}, entity_ids=("e-1",), note="n")
    await events.record_observation("seen", {"times": 2})
    assert sent == [
        ("jwt/login", {"metadata": {"path": "login"}, "entity_ids": ("e-1",), "note": "n"}),
        ("seen", {"times": 2.0}),
    ]
    with pytest.raises(SystemViewError, match="no such observation"):
        await events.record_observation("refused", {})


# --- registration ------------------------------------------------------------------------------


async def test_a_probed_plugin_finds_nothing() -> None:
    """Storage and system view are missing, with the words of Vault's SDK; events go nowhere."""
    channel = InProcessChannel(services_of_a_probe())
    with pytest.raises(StorageError, match="missing storage implementation"):
        await HostStorage(channel).get("config")
    for ask in questions(HostSystemView(channel)).values():
        with pytest.raises(SystemViewError, match="missing system view implementation"):
            await ask()
    await HostEvents(channel).send_event("x", metadata={})
    await HostEvents(channel).record_observation("x", {})
