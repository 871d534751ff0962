"""What the host says about itself (`pb.SystemView`; Vault SDK 0.21, plugin/grpc_system.go)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from google.protobuf.message import Message

from authkit.errors import InternalError, SystemViewError
from authkit.logical import (
    ClusterInfo,
    Entity,
    Group,
    IdentityToken,
    PluginEnvironment,
    ReplicationState,
    RotationInfo,
    RotationJob,
    WrapInfo,
)
from authkit.masking import Secret
from authkit.rpc.interface import Channel
from authkit.wire.host_services._call import CALL_FAILURES, call_host, raise_system_error
from authkit.wire.jsontext import encode_object
from authkit.wire.messages import (
    decode_duration,
    decode_entity,
    decode_group,
    decode_identity_token,
    decode_plugin_environment,
    decode_rotation_info,
    decode_wrap_info,
    encode_positive_duration,
    encode_rotation_job,
    encode_seconds,
)
from authkit.wire.pb import backend_pb2 as pb

__all__ = ["HostSystemView"]

_R = TypeVar("_R", bound=Message)
_V = TypeVar("_V")

_EMPTY = pb.Empty()


class HostSystemView:
    """What the host says about itself. See `authkit.logical.SystemView`."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def default_lease_ttl(self) -> timedelta:
        """Return the mount's default TTL."""
        return decode_duration((await self._ask("DefaultLeaseTTL", pb.TTLReply)).TTL)

    async def max_lease_ttl(self) -> timedelta:
        """Return the mount's maximum TTL."""
        return decode_duration((await self._ask("MaxLeaseTTL", pb.TTLReply)).TTL)

    async def tainted(self) -> bool:
        """Return whether the mount is being removed."""
        return (await self._ask("Tainted", pb.TaintedReply)).tainted

    async def caching_disabled(self) -> bool:
        """Return whether the operator switched caches off."""
        return (await self._ask("CachingDisabled", pb.CachingDisabledReply)).disabled

    async def replication_state(self) -> ReplicationState:
        """Return the node's part in replication."""
        return ReplicationState((await self._ask("ReplicationState", pb.ReplicationStateReply)).state)

    async def local_mount(self) -> bool:
        """Return whether the mount is local to its cluster."""
        return (await self._ask("LocalMount", pb.LocalMountReply)).local

    async def mlock_enabled(self) -> bool:
        """Return whether the host locks its memory."""
        return (await self._ask("MlockEnabled", pb.MlockEnabledReply)).enabled

    async def entity_info(self, entity_id: str) -> Entity | None:
        """Return the entity, or `None` for an unknown or empty id."""
        if not entity_id:
            return None
        args = pb.EntityInfoArgs(entity_id=entity_id)
        reply = await self._ask("EntityInfo", pb.EntityInfoReply, args)
        return decode_entity(reply.entity) if reply.HasField("entity") else None

    async def groups_for_entity(self, entity_id: str) -> list[Group]:
        """Return the groups of the entity, inherited ones included; none for an empty id."""
        if not entity_id:
            return []
        args = pb.EntityInfoArgs(entity_id=entity_id)
        reply = await self._ask("GroupsForEntity", pb.GroupsForEntityReply, args)
        return [decode_group(group) for group in reply.groups]

    async def plugin_env(self) -> PluginEnvironment:
        """Return the host's version."""
        reply = await self._ask("PluginEnv", pb.PluginEnvReply)
        if not reply.HasField("plugin_environment"):
            raise SystemViewError("the host did not say its version")
        return decode_plugin_environment(reply.plugin_environment)

    async def cluster_info(self) -> ClusterInfo:
        """Return the cluster's identity."""
        reply = await self._ask("ClusterInfo", pb.ClusterInfoReply)
        return ClusterInfo(cluster_name=reply.cluster_name, cluster_id=reply.cluster_id)

    async def generate_password(self, policy_name: str) -> Secret:
        """Return a password made by the host's password policy."""
        args = pb.GeneratePasswordFromPolicyRequest(policy_name=policy_name)
        reply = await self._ask("GeneratePasswordFromPolicy", pb.GeneratePasswordFromPolicyReply, args)
        if not reply.password:
            raise SystemViewError("the host returned an empty password")
        return Secret(reply.password)

    async def wrap_response(self, data: Mapping[str, Any], ttl: timedelta) -> WrapInfo:
        """Put `data` into a wrapping token.

        Raises:
            InternalError: `data` cannot be sent, or `ttl` is negative.
        """
        args = pb.ResponseWrapDataArgs(data=encode_object(data), TTL=encode_positive_duration(ttl, "ttl"))
        reply = await self._ask("ResponseWrapData", pb.ResponseWrapDataReply, args)
        if not reply.HasField("wrap_info"):
            raise SystemViewError("the host returned no wrapping token")
        return decode_wrap_info(reply.wrap_info)

    async def generate_identity_token(self, audience: str, ttl: timedelta) -> IdentityToken:
        """Return an identity token for this plugin (Vault Enterprise)."""
        args = pb.GenerateIdentityTokenRequest(audience=audience, ttl=encode_seconds(ttl))
        reply = await self._ask("GenerateIdentityToken", pb.GenerateIdentityTokenResponse, args)
        if not reply.token:
            raise SystemViewError("the host returned an empty identity token")
        return _read(decode_identity_token, reply)

    async def register_rotation_job(self, job: RotationJob) -> str:
        """Register the job and return its id (Vault Enterprise)."""
        # The inner message is always there: without it a host dies (Vault 1.21.1).
        args = pb.RegisterRotationJobRequest(job=encode_rotation_job(job))
        reply = await self._ask("RegisterRotationJob", pb.RegisterRotationJobResponse, args)
        return reply.rotation_id

    async def deregister_rotation_job(self, mount_point: str, path: str) -> None:
        """Forget the job of `path` (Vault Enterprise)."""
        # The inner message is always there: without it a host dies (Vault 1.21.1).
        message = pb.DeregisterRotationRequestInput(mount_point=mount_point, req_path=path)
        args = pb.DeregisterRotationJobRequest(req=message)
        await self._ask("DeregisterRotationJob", pb.Empty, args)

    async def rotation_info(self, path: str) -> RotationInfo:
        """Return when the credential of `path` rotates (Vault Enterprise)."""
        args = pb.RotationInfoRequest(mount_path=path)
        reply = await self._ask("GetRotationInformation", pb.RotationInfoReply, args)
        return _read(decode_rotation_info, reply)

    async def _ask(self, method: str, kind: type[_R], args: Message = _EMPTY) -> _R:
        try:
            reply = await call_host(self._channel, f"/pb.SystemView/{method}", args, kind)
        except CALL_FAILURES as exc:
            raise_system_error(method, exc)
        text = getattr(reply, "err", "")
        if text:
            raise SystemViewError(text)
        return reply


def _read(decode: Callable[[_R], _V], reply: _R) -> _V:
    try:
        return decode(reply)
    except InternalError as exc:
        raise SystemViewError(f"the host's reply cannot be read: {exc}") from exc
