"""The system view: what a mount can ask its host about the host."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import IntFlag
from typing import Any, Protocol, runtime_checkable

from authkit.logical.auth import Alias
from authkit.logical.response import WrapInfo
from authkit.masking import Secret
from authkit.values import Value, field

__all__ = [
    "ClusterInfo",
    "Entity",
    "Group",
    "IdentityToken",
    "PluginEnvironment",
    "ReplicationState",
    "RotationInfo",
    "RotationJob",
    "SystemView",
]


class ReplicationState(IntFlag):
    """The node's part in replication (Vault SDK 0.21, helper/consts/replication.go)."""

    PERFORMANCE_PRIMARY = 32
    PERFORMANCE_SECONDARY = 64
    DR_PRIMARY = 256
    DR_SECONDARY = 512
    PERFORMANCE_BOOTSTRAPPING = 1024
    DR_BOOTSTRAPPING = 2048
    PERFORMANCE_DISABLED = 4096
    DR_DISABLED = 8192
    PERFORMANCE_STANDBY = 16384


class Entity(Value, frozen=True, kw_only=True):
    """Somebody, as the host knows them. Set by the host."""

    id: str
    name: str = ""
    aliases: tuple[Alias, ...] = ()
    """Those of the mount's namespace."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    disabled: bool = False
    namespace_id: str = ""


class Group(Value, frozen=True, kw_only=True):
    """A group of entities. Set by the host."""

    id: str
    name: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    namespace_id: str = ""


class PluginEnvironment(Value, frozen=True, kw_only=True):
    """The host's version. Set by the host."""

    vault_version: str = ""
    vault_version_prerelease: str = ""
    vault_version_metadata: str = ""
    vault_build_date: datetime | None = None


class ClusterInfo(Value, frozen=True, kw_only=True):
    """The cluster. Hosts fill the id only (Vault 1.21)."""

    cluster_name: str = ""
    cluster_id: str = ""


class IdentityToken(Value, frozen=True, kw_only=True):
    """A token that names this plugin to others (Vault Enterprise)."""

    token: Secret
    ttl: timedelta


class RotationInfo(Value, frozen=True, kw_only=True):
    """When a credential was and will be rotated (Vault Enterprise)."""

    issue_time: datetime | None
    expire_time: datetime | None
    ttl: timedelta


class RotationJob(Value, frozen=True, kw_only=True):
    """A request for automated rotation (Vault Enterprise)."""

    name: str
    mount_point: str
    path: str
    schedule: str = ""
    window: timedelta = timedelta(0)
    period: timedelta = timedelta(0)


@runtime_checkable
class SystemView(Protocol):
    """Questions to the host, one round trip each.

    Every call raises `SystemViewError` when the host cannot answer and `UnsupportedByHostError`
    when it does not have the call. No call returns a zero value in place of a failure.
    """

    async def default_lease_ttl(self) -> timedelta:
        """Return the mount's default TTL."""
        ...

    async def max_lease_ttl(self) -> timedelta:
        """Return the mount's maximum TTL."""
        ...

    async def tainted(self) -> bool:
        """Return whether the mount is being removed."""
        ...

    async def caching_disabled(self) -> bool:
        """Return whether the operator switched caches off."""
        ...

    async def replication_state(self) -> ReplicationState:
        """Return the node's part in replication. OpenBao's read standbys do not show here."""
        ...

    async def local_mount(self) -> bool:
        """Return whether the mount is local to its cluster."""
        ...

    async def mlock_enabled(self) -> bool:
        """Return whether the host locks its memory."""
        ...

    async def entity_info(self, entity_id: str) -> Entity | None:
        """Return the entity, or `None` for an unknown or empty id."""
        ...

    async def groups_for_entity(self, entity_id: str) -> list[Group]:
        """Return the groups of the entity, inherited ones included."""
        ...

    async def plugin_env(self) -> PluginEnvironment:
        """Return the host's version."""
        ...

    async def cluster_info(self) -> ClusterInfo:
        """Return the cluster's identity."""
        ...

    async def generate_password(self, policy_name: str) -> Secret:
        """Return a password made by the host's password policy."""
        ...

    async def wrap_response(self, data: Mapping[str, Any], ttl: timedelta) -> WrapInfo:
        """Put `data` into a wrapping token. Vault Community refuses this to plugins."""
        ...

    async def generate_identity_token(self, audience: str, ttl: timedelta) -> IdentityToken:
        """Return an identity token for this plugin (Vault Enterprise)."""
        ...

    async def register_rotation_job(self, job: RotationJob) -> str:
        """Register the job and return its id (Vault Enterprise)."""
        ...

    async def deregister_rotation_job(self, mount_point: str, path: str) -> None:
        """Forget the job of `path` (Vault Enterprise)."""

    async def rotation_info(self, path: str) -> RotationInfo:
        """Return when the credential of `path` rotates (Vault Enterprise)."""
        ...
