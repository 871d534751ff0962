"""The system view as a host serves it (`pb.SystemView`; Vault SDK 0.21, plugin/grpc_system.go)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from google.protobuf.message import Message

from authkit.errors import RPCError, StatusCode, SystemViewError
from authkit.host.supervisor.services.methods import ErrorReply, Handler, as_status, as_text, method, required
from authkit.logical import SystemView
from authkit.rpc.interface import Method
from authkit.wire.jsontext import decode_object
from authkit.wire.messages import (
    decode_duration,
    decode_rotation_job,
    decode_seconds,
    encode_entity,
    encode_group,
    encode_identity_token,
    encode_plugin_environment,
    encode_positive_duration,
    encode_rotation_info,
    encode_wrap_info,
)
from authkit.wire.pb import backend_pb2 as pb

__all__ = ["system_services"]


def system_services(system: SystemView) -> list[Method]:
    """Return the methods that answer a mount's questions to its host."""
    return [*_mount_facts(system), *_identity(system), *_secrets(system), *_rotation(system)]


def _ttl_reply(ttl: timedelta) -> Message:
    return pb.TTLReply(TTL=encode_positive_duration(ttl, "a TTL"))


_FACTS: Final[Mapping[str, tuple[str, Callable[[Any], Message]]]] = {
    "DefaultLeaseTTL": ("default_lease_ttl", _ttl_reply),
    "MaxLeaseTTL": ("max_lease_ttl", _ttl_reply),
    "Tainted": ("tainted", lambda tainted: pb.TaintedReply(tainted=tainted)),
    "CachingDisabled": ("caching_disabled", lambda disabled: pb.CachingDisabledReply(disabled=disabled)),
    "ReplicationState": ("replication_state", lambda state: pb.ReplicationStateReply(state=int(state))),
    "MlockEnabled": ("mlock_enabled", lambda enabled: pb.MlockEnabledReply(enabled=enabled)),
    "LocalMount": ("local_mount", lambda local: pb.LocalMountReply(local=local)),
}
"""Questions without arguments: the method of the system view, and the reply with its answer."""


def _mount_facts(system: SystemView) -> list[Method]:
    def fact(name: str, attribute: str, reply: Callable[[Any], Message]) -> Method:
        async def answer(_: pb.Empty) -> Message:
            return reply(await getattr(system, attribute)())

        return _question(name, pb.Empty, answer, as_status(StatusCode.UNKNOWN))

    async def plugin_env(_: pb.Empty) -> Message:
        return pb.PluginEnvReply(plugin_environment=encode_plugin_environment(await system.plugin_env()))

    async def cluster_info(_: pb.Empty) -> Message:
        cluster = await system.cluster_info()
        return pb.ClusterInfoReply(cluster_name=cluster.cluster_name, cluster_id=cluster.cluster_id)

    no_cluster = as_status(StatusCode.INTERNAL, "failed to fetch cluster id")
    return [
        *(fact(name, attribute, reply) for name, (attribute, reply) in _FACTS.items()),
        _question("PluginEnv", pb.Empty, plugin_env, as_text(pb.PluginEnvReply, SystemViewError)),
        _question("ClusterInfo", pb.Empty, cluster_info, no_cluster),
    ]


def _identity(system: SystemView) -> list[Method]:
    async def entity_info(args: pb.EntityInfoArgs) -> Message:
        entity = await system.entity_info(args.entity_id)
        return pb.EntityInfoReply(entity=None if entity is None else encode_entity(entity))

    async def groups_for_entity(args: pb.EntityInfoArgs) -> Message:
        groups = await system.groups_for_entity(args.entity_id)
        return pb.GroupsForEntityReply(groups=[encode_group(group) for group in groups])

    return [
        _question("EntityInfo", pb.EntityInfoArgs, entity_info, as_text(pb.EntityInfoReply, SystemViewError)),
        _question(
            "GroupsForEntity",
            pb.EntityInfoArgs,
            groups_for_entity,
            as_text(pb.GroupsForEntityReply, SystemViewError),
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
            as_status(StatusCode.INTERNAL, "failed to generate password"),
        ),
        _question(
            "ResponseWrapData",
            pb.ResponseWrapDataArgs,
            response_wrap_data,
            as_text(pb.ResponseWrapDataReply, SystemViewError),
        ),
        _question(
            "GenerateIdentityToken",
            pb.GenerateIdentityTokenRequest,
            generate_identity_token,
            as_status(StatusCode.INTERNAL),
        ),
    ]


def _rotation(system: SystemView) -> list[Method]:
    async def register(args: pb.RegisterRotationJobRequest) -> Message:
        job = decode_rotation_job(required(args, "job"))
        return pb.RegisterRotationJobResponse(rotation_id=await system.register_rotation_job(job))

    async def deregister(args: pb.DeregisterRotationJobRequest) -> Message:
        job = required(args, "req")
        await system.deregister_rotation_job(job.mount_point, job.req_path)
        return pb.Empty()

    async def information(args: pb.RotationInfoRequest) -> Message:
        return encode_rotation_info(await system.rotation_info(args.mount_path))

    failed = as_status(StatusCode.INTERNAL)
    return [
        _question("RegisterRotationJob", pb.RegisterRotationJobRequest, register, failed),
        _question("DeregisterRotationJob", pb.DeregisterRotationJobRequest, deregister, failed),
        _question("GetRotationInformation", pb.RotationInfoRequest, information, failed),
    ]


def _question(name: str, args: type[Message], handler: Handler, failed: ErrorReply) -> Method:
    return method(f"/pb.SystemView/{name}", args, handler, failed)
