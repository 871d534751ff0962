"""What a host serves to one mount: storage, the system view, events (`pb.Storage`, `pb.SystemView`...).

The methods of one `BackendConfig`, by path; who serves them on what is decided elsewhere. A failure
has the form that a server in Go gives it (Vault SDK 0.21, plugin/grpc_storage.go, grpc_system.go,
grpc_events.go): text in the reply where it has a place for it, a gRPC status otherwise.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from authkit.errors import RPCError, StatusCode, StorageError
from authkit.host.supervisor.services.methods import Handler, as_status, as_text, method, required
from authkit.host.supervisor.services.system import system_services
from authkit.logical import BackendConfig, EventSender, Storage
from authkit.rpc.interface import CallContext, Method, UnaryMethod
from authkit.wire.messages import decode_event, decode_observation, decode_storage_entry, encode_storage_entry
from authkit.wire.pb import backend_pb2 as pb

__all__ = ["host_services", "services_of_a_probe"]


def host_services(config: BackendConfig) -> list[Method]:
    """Return the methods that serve `config` to its backend.

    Transactions of OpenBao are left out: their methods are answered `UNIMPLEMENTED`, as by Vault.
    """
    return [*_storage(config.storage), *system_services(config.system), *_events(config.events)]


def services_of_a_probe() -> list[Method]:
    """Return the methods that a plugin finds while it is registered: there is nothing to be had.

    Texts of Vault SDK 0.21, plugin/grpc_storage.go and grpc_system.go; events are taken and dropped.
    """
    when = "this method should not be called during plugin Setup, but only during and after Initialize"

    def missing(what: str) -> Callable[[bytes, CallContext], bytes]:
        def refuse(message: bytes, call: CallContext) -> bytes:
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

    def serve(name: str, args: type[Message], handler: Handler, reply: type[Message]) -> Method:
        return method(f"/pb.Storage/{name}", args, handler, as_text(reply, StorageError))

    return [
        serve("List", pb.StorageListArgs, list_, pb.StorageListReply),
        serve("ListPage", pb.StorageListPageArgs, list_page, pb.StorageListReply),
        serve("Get", pb.StorageGetArgs, get, pb.StorageGetReply),
        serve("Put", pb.StoragePutArgs, put, pb.StoragePutReply),
        serve("Delete", pb.StorageDeleteArgs, delete, pb.StorageDeleteReply),
    ]


# --- events ------------------------------------------------------------------------------------


def _events(events: EventSender) -> list[Method]:
    async def send_event(args: pb.SendEventRequest) -> Message:
        required(args, "event")
        event = decode_event(args)
        await events.send_event(
            event.type, metadata=event.metadata, entity_ids=event.entity_ids, note=event.note
        )
        return pb.Empty()

    async def record_observation(args: pb.RecordObservationRequest) -> Message:
        observation = decode_observation(args)
        await events.record_observation(observation.type, observation.data)
        return pb.Empty()

    failed = as_status(StatusCode.UNKNOWN)
    return [
        method("/pb.Events/SendEvent", pb.SendEventRequest, send_event, failed),
        method("/pb.Observations/RecordObservation", pb.RecordObservationRequest, record_observation, failed),
    ]
