"""What a host tells the plugins of its mounts about itself, as Vault Community does."""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from authkit.errors import SystemViewError
from authkit.host.mounts.entries import Mount
from authkit.host.store.identity import EntityRecord, IdentityStore
from authkit.host.store.plugins import VAULT_VERSION
from authkit.logical import (
    Alias,
    ClusterInfo,
    Entity,
    Group,
    IdentityToken,
    PluginEnvironment,
    ReplicationState,
    RotationInfo,
    RotationJob,
    SystemView,
    WrapInfo,
)
from authkit.masking import Secret

__all__ = ["MountEvents", "MountSystemView", "SystemViews", "as_logical"]


class SystemViews:
    """Makes the system views of a host's mounts."""

    def __init__(self, identity: IdentityStore, cluster: ClusterInfo) -> None:
        self.identity = identity
        self.cluster = cluster
        self.password_policies: dict[str, int] = {}
        """Length of a generated password by the policy's name. Set by the operator, or a test."""

    def of(self, mount: Callable[[], Mount], is_tainted: Callable[[], bool]) -> SystemView:
        """Return the view of one mount. The functions return its current state."""
        return MountSystemView(self, mount, is_tainted)


class MountSystemView:
    """The system view of one mount (`logical.SystemView`)."""

    def __init__(
        self, views: SystemViews, mount: Callable[[], Mount], is_tainted: Callable[[], bool]
    ) -> None:
        self._views = views
        self._mount = mount
        self._is_tainted = is_tainted

    async def default_lease_ttl(self) -> timedelta:
        """Return the mount's default TTL."""
        return self._mount().limits.default_ttl

    async def max_lease_ttl(self) -> timedelta:
        """Return the mount's maximum TTL."""
        return self._mount().limits.max_ttl

    async def tainted(self) -> bool:
        """Return whether the mount is being removed."""
        return self._is_tainted()

    async def caching_disabled(self) -> bool:
        """Return that caches are allowed."""
        return False

    async def replication_state(self) -> ReplicationState:
        """Return the state of a server without replication."""
        return ReplicationState.PERFORMANCE_DISABLED | ReplicationState.DR_DISABLED

    async def local_mount(self) -> bool:
        """Return whether the mount is local to its cluster."""
        return self._mount().local

    async def mlock_enabled(self) -> bool:
        """Return that memory is not locked."""
        return False

    async def entity_info(self, entity_id: str) -> Entity | None:
        """Return the entity, `None` for an unknown or empty id."""
        entity = self._views.identity.entities.get(entity_id)
        return None if entity is None else as_logical(entity)

    async def groups_for_entity(self, entity_id: str) -> list[Group]:
        """Return the groups of the entity, inherited ones included."""
        return [
            Group(id=each.id, name=each.name, metadata=each.metadata, namespace_id="root")
            for each in self._views.identity.groups_of(entity_id)
        ]

    async def plugin_env(self) -> PluginEnvironment:
        """Return the version of the server whose behaviour this host has."""
        return PluginEnvironment(vault_version=VAULT_VERSION)

    async def cluster_info(self) -> ClusterInfo:
        """Return the cluster's id."""
        return self._views.cluster

    async def generate_password(self, policy_name: str) -> Secret:
        """Return a random password of the length that the policy sets."""
        if not policy_name:
            raise SystemViewError("no password policy specified")
        length = self._views.password_policies.get(policy_name)
        if length is None:
            raise SystemViewError("failed to generate password")
        alphabet = string.ascii_letters + string.digits + "-"
        return Secret("".join(secrets.choice(alphabet) for _ in range(length)))

    async def wrap_response(self, data: Mapping[str, Any], ttl: timedelta) -> WrapInfo:
        """Refuse: a Community server has no namespace for it (observed on Vault 1.21.1)."""
        raise SystemViewError("no namespace")

    async def generate_identity_token(self, audience: str, ttl: timedelta) -> IdentityToken:
        """Refuse."""
        raise SystemViewError("plugin workload identity not supported in Vault community edition")

    async def register_rotation_job(self, job: RotationJob) -> str:
        """Refuse."""
        raise SystemViewError("rotation manager capabilities not supported in Vault community edition")

    async def deregister_rotation_job(self, mount_point: str, path: str) -> None:
        """Do nothing."""

    async def rotation_info(self, path: str) -> RotationInfo:
        """Refuse."""
        raise SystemViewError("rotation manager capabilities not supported in Vault community edition")


def as_logical(entity: EntityRecord) -> Entity:
    """Return an entity as plugins see it."""
    aliases = tuple(
        Alias(
            name=each.name,
            metadata=each.metadata,
            custom_metadata=each.custom_metadata,
            mount_type=each.mount_type,
            mount_accessor=each.mount_accessor,
            id=each.id,
            namespace_id="root",
            local=each.local,
        )
        for each in entity.aliases
    )
    return Entity(
        id=entity.id,
        name=entity.name,
        aliases=aliases,
        metadata=entity.metadata,
        disabled=entity.disabled,
        namespace_id="root",
    )


class MountEvents:
    """Drops events and observations (`logical.EventSender`)."""

    async def send_event(
        self,
        event_type: str,
        *,
        metadata: Mapping[str, Any],
        entity_ids: tuple[str, ...] = (),
        note: str = "",
    ) -> None:
        """Do nothing."""

    async def record_observation(self, observation_type: str, data: Mapping[str, Any]) -> None:
        """Do nothing."""
