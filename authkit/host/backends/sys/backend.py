"""`sys/`: one backend out of the parts that serve it."""

from __future__ import annotations

from typing import Any

from authkit.framework import Bool, PathTemplate, Str, read, route
from authkit.host.backends.base import OwnCall, OwnResponse
from authkit.host.backends.sys.leases import Leases
from authkit.host.backends.sys.mounts import Mounts
from authkit.host.backends.sys.plugins import Plugins
from authkit.host.backends.sys.policies import Policies
from authkit.host.backends.sys.remounting import Remounting
from authkit.host.backends.sys.wrapping import Wrapping
from authkit.host.store.plugins import VAULT_VERSION
from authkit.logical import Operation, SpecialPaths
from authkit.values import replace

__all__ = ["SystemBackend"]

_ROOT = (
    "auth/*",
    "plugins/catalog/*",
    "plugins/runtimes/catalog/*",
    "revoke-prefix/*",
    "revoke-force/*",
    "leases/revoke-prefix/*",
    "leases/revoke-force/*",
    "leases/lookup/*",
    "leases",
    "audit",
    "audit/*",
    "raw",
    "raw/*",
    "remount",
    "rotate",
    "seal",
    "step-down",
)
"""Paths for callers with `sudo` (Vault 1.21, vault/logical_system.go), whether they are served or not."""

_UNAUTHENTICATED = (
    "wrapping/lookup",
    "internal/specs/openapi",
    "internal/ui/mounts",
    "internal/ui/mounts/*",
    "replication/status",
)


class SystemBackend(Mounts, Remounting, Plugins, Policies, Leases, Wrapping, name="system"):
    """What operators do with the host itself."""

    def special_paths(self) -> SpecialPaths:
        """Return the lists of Vault's own backend, and what handlers declare."""
        declared = super().special_paths()
        return replace(
            declared,
            root=(*_ROOT, *declared.root),
            unauthenticated=(*_UNAUTHENTICATED, *declared.unauthenticated),
        )

    @route("internal/specs/openapi", Operation.READ, Operation.UPDATE)
    async def read_openapi(
        self, call: OwnCall, generic_mount_paths: Bool = False, context: Str = ""
    ) -> OwnResponse:
        """Return the OpenAPI document of all mounts."""
        document = await self.server.describe_mounts(call.request.caller, generic=generic_mount_paths)
        return OwnResponse(bare=document)

    @read("internal/ui/resultant-acl")
    async def read_resultant_acl(self, call: OwnCall) -> dict[str, Any]:
        """Return what the caller may do."""
        return {"chroot_namespace": "", **call.caller.acl.describe()}

    @read("replication/status")
    async def read_replication(self) -> dict[str, Any]:
        """Return that there is no replication."""
        return {"mode": "disabled"}

    @read(PathTemplate.from_regex("audit/?"))
    async def list_audit_devices(self) -> dict[str, Any]:
        """Return that there are none."""
        return {}

    @read("ha-status")
    async def read_nodes(self) -> dict[str, Any]:
        """Return the only node."""
        node = {
            "hostname": "authkit",
            "api_address": "",
            "cluster_address": "",
            "active_node": True,
            "last_echo": None,
            "version": VAULT_VERSION,
            "echo_duration_ms": 0,
            "clock_skew_ms": 0,
            "replication_primary_canary_age_ms": 0,
        }
        return {"nodes": [node]}
