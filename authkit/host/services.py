"""What a host serves to one mount: storage, the system view, events (`pb.Storage`, `pb.SystemView`...).

The methods of one `BackendConfig`, by path; who serves them on what is decided elsewhere. A failure
has the form that a server in Go gives it (Vault SDK 0.21, plugin/grpc_storage.go, grpc_system.go,
grpc_events.go): text in the reply where it has a place for it, a gRPC status otherwise.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from google.protobuf.message import DecodeError, Message

from authkit.errors import RPCError, StatusCode, StorageError, SystemViewError, UnsupportedByHostError
from authkit.logical import BackendConfig, EventSender, Storage, SystemView
from authkit.rpc.cancellation import is_cancellation
from authkit.rpc.seam import Call, Method, UnaryMethod
from authkit.wire.jsontext import decode_object
from authkit.wire.messages import (
    decode_duration,
    decode_event,
    decode_observation,
    decode_rotation_job,
    decode_seconds,
    decode_storage_entry,
    encode_entity,
    encode_group,
    encode_identity_token,
    encode_plugin_environment,
    encode_positive_duration,
    encode_rotation_info,
    encode_storage_entry,
    encode_wrap_info,
)
from authkit.wire.pb import backend_pb2 as pb

__all__ = ["host_services", "services_of_a_probe"]

logger = logging.getLogger("authkit.host")

_NEUTRAL = "internal error"
"""What a plugin reads of a fault of ours. The cause is in the log."""

_EMPTY = pb.Empty()

_A = TypeVar("_A", bound=Message)

_Handler = Callable[[Any], Awaitable[Message]]


class _Failure(Protocol):
    """Turns an error into the reply that carries it, or raises the status for it."""

    def __call__(self, error: Exception) -> Message: ...


def host_services(config: BackendConfig) -> list[Method]:
    """Return the methods that serve `config` to its backend.

    Transactions of OpenBao are left out: their methods are answered `UNIMPLEMENTED`, as by Vault.
    """
    return [*_storage(config.storage), *_system(config.system), *_events(config.events)]


def services_of_a_probe() -> list[Method]:
    """Return the methods that a plugin finds while it is registered: there is nothing to be had.

    Texts of Vault SDK 0.21, plugin/grpc_storage.go and grpc_system.go; events are taken and dropped.
    """
    when = "this method should not be called during plugin Setup, but only during and after Initialize"

    def missing(what: str) -> Callable[[bytes, Call], bytes]:
        def refuse(message: bytes, call: Call) -> bytes:
            raise RPCError(StatusCode.UNKNOWN, f"missing {what} implementation: {when}")

        return refuse

    paths = [method.path for method in host_services(BackendConfig(**_NOBODY))]
    refused = {"/pb.Storage/": missing("storage"), "/pb.SystemView/": missing("system view")}
    return [
        UnaryMethod(path, refused.get(path[: path.rindex("/") + 1], lambda message, call: b""))
        for path in paths
    ]


_NOBODY: dict[str, Any] = {"storage": None, "system": None, "events": None}


# --- storage -----------------------------------------------------------------------------------


def _storage(storage: Storage) -> list[Method]:
    async def list_(args: pb.StorageListArgs) -> Message:
        return pb.StorageListReply(keys=await storage.list(args.prefix))

    async def list_page(args: pb.StorageListPageArgs) -> Message:
        names = sorted(await storage.list(args.prefix))
        rest = names[bisect_right(names, args.after) :] if args.after else names
        return pb.StorageListReply(keys=rest[: args.limit] if args.limit > 0 else rest)

    async def get(args: pb.StorageGetArgs) -> Message:
        entry = await storage.get(args.key)
        return pb.StorageGetReply(entry=None if entry is None else encode_storage_entry(entry))

    async def put(args: pb.StoragePutArgs) -> Message:
        if not args.HasField("entry"):
            raise StorageError("cannot write nil entry")
        await storage.put(decode_storage_entry(args.entry))
        return pb.StoragePutReply()

    async def delete(args: pb.StorageDeleteArgs) -> Message:
        await storage.delete(args.key)
        return pb.StorageDeleteReply()

    def method(name: str, args: type[Message], handler: _Handler, reply: type[Message]) -> Method:
        return _method(f"/pb.Storage/{name}", args, handler, _as_text(reply, StorageError))

    return [
        method("List", pb.StorageListArgs, list_, pb.StorageListReply),
        method("ListPage", pb.StorageListPageArgs, list_page, pb.StorageListReply),
        method("Get", pb.StorageGetArgs, get, pb.StorageGetReply),
        method("Put", pb.StoragePutArgs, put, pb.StoragePutReply),
        method("Delete", pb.StorageDeleteArgs, delete, pb.StorageDeleteReply),
    ]


# --- system view -------------------------------------------------------------------------------


def _system(system: SystemView) -> list[Method]:
    return [*_mount_facts(system), *_identity(system), *_secrets(system), *_rotation(system)]


def _mount_facts(system: SystemView) -> list[Method]:
    async def default_ttl(_: pb.Empty) -> Message:
        return pb.TTLReply(TTL=encode_positive_duration(await system.default_lease_ttl(), "a TTL"))

    async def max_ttl(_: pb.Empty) -> Message:
        return pb.TTLReply(TTL=encode_positive_duration(await system.max_lease_ttl(), "a TTL"))

    async def tainted(_: pb.Empty) -> Message:
        return pb.TaintedReply(tainted=await system.tainted())

    async def caching_disabled(_: pb.Empty) -> Message:
        return pb.CachingDisabledReply(disabled=await system.caching_disabled())

    async def replication_state(_: pb.Empty) -> Message:
        return pb.ReplicationStateReply(state=int(await system.replication_state()))

    async def mlock_enabled(_: pb.Empty) -> Message:
        return pb.MlockEnabledReply(enabled=await system.mlock_enabled())

    async def local_mount(_: pb.Empty) -> Message:
        return pb.LocalMountReply(local=await system.local_mount())

    async def plugin_env(_: pb.Empty) -> Message:
        return pb.PluginEnvReply(plugin_environment=encode_plugin_environment(await system.plugin_env()))

    async def cluster_info(_: pb.Empty) -> Message:
        cluster = await system.cluster_info()
        return pb.ClusterInfoReply(cluster_name=cluster.cluster_name, cluster_id=cluster.cluster_id)

    facts = {
        "DefaultLeaseTTL": default_ttl,
        "MaxLeaseTTL": max_ttl,
        "Tainted": tainted,
        "CachingDisabled": caching_disabled,
        "ReplicationState": replication_state,
        "MlockEnabled": mlock_enabled,
        "LocalMount": local_mount,
    }
    return [
        *(
            _question(name, pb.Empty, handler, _as_status(StatusCode.UNKNOWN))
            for name, handler in facts.items()
        ),
        _question("PluginEnv", pb.Empty, plugin_env, _as_text(pb.PluginEnvReply, SystemViewError)),
        _question(
            "ClusterInfo",
            pb.Empty,
            cluster_info,
            _as_status(StatusCode.INTERNAL, "failed to fetch cluster id"),
        ),
    ]


def _identity(system: SystemView) -> list[Method]:
    async def entity_info(args: pb.EntityInfoArgs) -> Message:
        entity = await system.entity_info(args.entity_id)
        return pb.EntityInfoReply(entity=None if entity is None else encode_entity(entity))

    async def groups_for_entity(args: pb.EntityInfoArgs) -> Message:
        groups = await system.groups_for_entity(args.entity_id)
        return pb.GroupsForEntityReply(groups=[encode_group(group) for group in groups])

    return [
        _question(
            "EntityInfo", pb.EntityInfoArgs, entity_info, _as_text(pb.EntityInfoReply, SystemViewError)
        ),
        _question(
            "GroupsForEntity",
            pb.EntityInfoArgs,
            groups_for_entity,
            _as_text(pb.GroupsForEntityReply, SystemViewError),
        ),
    ]


def _secrets(system: SystemView) -> list[Method]:
    async def generate_password(args: pb.GeneratePasswordFromPolicyRequest) -> Message:
        if not args.policy_name:
            raise RPCError(StatusCode.INVALID_ARGUMENT, "no password policy specified")
        password = await system.generate_password(args.policy_name)
        return pb.GeneratePasswordFromPolicyReply(password=password.reveal())

    async def response_wrap_data(args: pb.ResponseWrapDataArgs) -> Message:
        # The flag for a JWT is not looked at: plugins get none (SDK 0.21, grpc_system.go).
        data = decode_object(args.data) or {}
        info = await system.wrap_response(data, decode_duration(args.TTL))
        return pb.ResponseWrapDataReply(wrap_info=encode_wrap_info(info))

    async def generate_identity_token(args: pb.GenerateIdentityTokenRequest) -> Message:
        token = await system.generate_identity_token(args.audience, decode_seconds(args.ttl))
        return encode_identity_token(token)

    return [
        _question(
            "GeneratePasswordFromPolicy",
            pb.GeneratePasswordFromPolicyRequest,
            generate_password,
            _as_status(StatusCode.INTERNAL, "failed to generate password"),
        ),
        _question(
            "ResponseWrapData",
            pb.ResponseWrapDataArgs,
            response_wrap_data,
            _as_text(pb.ResponseWrapDataReply, SystemViewError),
        ),
        _question(
            "GenerateIdentityToken",
            pb.GenerateIdentityTokenRequest,
            generate_identity_token,
            _as_status(StatusCode.INTERNAL),
        ),
    ]


def _rotation(system: SystemView) -> list[Method]:
    async def register(args: pb.RegisterRotationJobRequest) -> Message:
        job = decode_rotation_job(_required(args, "job"))
        return pb.RegisterRotationJobResponse(rotation_id=await system.register_rotation_job(job))

    async def deregister(args: pb.DeregisterRotationJobRequest) -> Message:
        job = _required(args, "req")
        await system.deregister_rotation_job(job.mount_point, job.req_path)
        return _EMPTY

    async def information(args: pb.RotationInfoRequest) -> Message:
        return encode_rotation_info(await system.rotation_info(args.mount_path))

    failed = _as_status(StatusCode.INTERNAL)
    return [
        _question("RegisterRotationJob", pb.RegisterRotationJobRequest, register, failed),
        _question("DeregisterRotationJob", pb.DeregisterRotationJobRequest, deregister, failed),
        _question("GetRotationInformation", pb.RotationInfoRequest, information, failed),
    ]


# --- events ------------------------------------------------------------------------------------


def _events(events: EventSender) -> list[Method]:
    async def send_event(args: pb.SendEventRequest) -> Message:
        _required(args, "event")
        event = decode_event(args)
        await events.send_event(
            event.type, metadata=event.metadata, entity_ids=event.entity_ids, note=event.note
        )
        return _EMPTY

    async def record_observation(args: pb.RecordObservationRequest) -> Message:
        observation = decode_observation(args)
        await events.record_observation(observation.type, observation.data)
        return _EMPTY

    failed = _as_status(StatusCode.UNKNOWN)
    return [
        _method("/pb.Events/SendEvent", pb.SendEventRequest, send_event, failed),
        _method(
            "/pb.Observations/RecordObservation", pb.RecordObservationRequest, record_observation, failed
        ),
    ]


# --- calls and their failures ------------------------------------------------------------------


def _question(name: str, args: type[Message], handler: _Handler, failed: _Failure) -> Method:
    return _method(f"/pb.SystemView/{name}", args, handler, failed)


def _method(
    path: str, args: type[_A], handler: Callable[[_A], Awaitable[Message]], failed: _Failure
) -> Method:
    async def serve(data: bytes, call: Call) -> bytes:
        try:
            message = args.FromString(data)
        except DecodeError:
            raise RPCError(StatusCode.INVALID_ARGUMENT, "the message cannot be read") from None
        try:
            reply = await handler(message)
        except RPCError:
            raise
        except UnsupportedByHostError as error:
            # The host in Go that lacks a call does not have its method at all.
            raise RPCError(StatusCode.UNIMPLEMENTED, str(error)) from error
        except Exception as error:
            if is_cancellation(error):
                raise
            reply = failed(error)
        return bytes(reply.SerializeToString())

    return UnaryMethod(path, serve)


def _required(args: Message, name: str) -> Any:
    """Return an inner message. A Vault server dies of its absence (1.21.1); this one refuses."""
    if not args.HasField(name):
        raise RPCError(StatusCode.INVALID_ARGUMENT, f"{name} is missing")
    return getattr(args, name)


def _as_text(reply: type[Message], expected: type[Exception]) -> _Failure:
    """Return the error as the reply's text."""

    def fail(error: Exception) -> Message:
        return reply(err=_text(error, expected))

    return fail


def _as_status(code: StatusCode, text: str = "") -> _Failure:
    """Raise the error as a status with its own text, or with a fixed one."""

    def fail(error: Exception) -> Message:
        own = _text(error, SystemViewError)
        raise RPCError(code, text or own) from error

    return fail


def _text(error: Exception, expected: type[Exception]) -> str:
    """Return what the plugin reads of an error: its text where it was raised on purpose."""
    if isinstance(error, expected):
        return str(error) or type(error).__name__
    logger.error("serving a plugin failed", exc_info=error)
    return _NEUTRAL
