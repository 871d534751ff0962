"""`sys/`: one table out of the parts that serve it, and what a host says about itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from authkit.host.backends.router import Call, Routes
from authkit.host.backends.sys.leases import add_lease_routes
from authkit.host.backends.sys.mounts import add_mount_routes
from authkit.host.backends.sys.plugins import add_plugin_routes
from authkit.host.backends.sys.policies import add_policy_routes
from authkit.host.backends.sys.wrapping import add_wrapping_routes
from authkit.host.messages import Answer, HostRequest, HostResponse
from authkit.host.state import HostState
from authkit.host.store.times import show_time

__all__ = ["public_answers", "system_routes"]

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
"""Paths for callers with `sudo` (Vault 1.21, vault/logical_system.go)."""

_UNAUTHENTICATED = (
    "wrapping/lookup",
    "internal/specs/openapi",
    "internal/ui/mounts",
    "internal/ui/mounts/*",
    "replication/status",
)


def system_routes(state: HostState) -> Routes:
    """Return the table of `sys/`."""
    routes = Routes(root=_ROOT, unauthenticated=_UNAUTHENTICATED)
    add_mount_routes(routes, state)
    add_plugin_routes(routes, state)
    add_policy_routes(routes, state)
    add_lease_routes(routes, state)
    add_wrapping_routes(routes, state)

    async def resultant_acl(call: Call) -> Answer:
        acl = call.known_caller.acl
        return Answer(data={"chroot_namespace": "", **acl.describe()})

    async def ha_status(call: Call) -> Answer:
        return Answer(data={"nodes": [_node(state)]})

    async def replication(call: Call) -> Answer:
        return Answer(data={"mode": "disabled"})

    async def audit(call: Call) -> Answer:
        return Answer(data={})

    routes.add("internal/ui/resultant-acl", read=resultant_acl)
    routes.add("ha-status", lifted=True, read=ha_status)
    routes.add("replication/status", read=replication)
    routes.add("audit/?", lifted=True, read=audit)
    return routes


def _node(state: HostState) -> dict[str, Any]:
    return {
        "hostname": "authkit",
        "api_address": "",
        "cluster_address": "",
        "active_node": True,
        "last_echo": None,
        "version": state.about.version,
        "echo_duration_ms": 0,
        "clock_skew_ms": 0,
        "replication_primary_canary_age_ms": 0,
    }


# --- without a token, and outside the envelope -------------------------------------------------


def public_answers(state: HostState) -> Mapping[str, Callable[[HostRequest], HostResponse]]:
    """Return what answers for everybody, by path: health, seal status, leader."""
    return {
        "sys/health": lambda request: _health(state, request),
        "sys/seal-status": lambda request: _ok(request, _seal_status(state)),
        "sys/init": lambda request: _ok(request, {"initialized": True}),
        "sys/leader": lambda request: _ok(request, _leader()),
        "sys/unseal": lambda request: HostResponse(status=200, body=_seal_status(state)),
    }


def _ok(request: HostRequest, body: Mapping[str, Any]) -> HostResponse:
    if request.method not in ("GET", "HEAD"):
        return HostResponse(status=405, body={"errors": []})
    return HostResponse(status=200, body=body)


def _health(state: HostState, request: HostRequest) -> HostResponse:
    if request.method not in ("GET", "HEAD"):
        return HostResponse(status=405, body={"errors": []})
    is_standby = state.gate.read_only
    status = _number(request.query, "activecode", 200)
    if is_standby and "standbyok" not in request.query:
        status = _number(request.query, "standbycode", 429)
    body = {
        "initialized": True,
        "sealed": False,
        "standby": is_standby,
        "performance_standby": False,
        "replication_performance_mode": "disabled",
        "replication_dr_mode": "disabled",
        "server_time_utc": int(state.clock.now().timestamp()),
        "version": state.about.version,
        "enterprise": False,
        "cluster_name": state.about.cluster_name,
        "cluster_id": state.about.cluster_id,
        "echo_duration_ms": 0,
        "clock_skew_ms": 0,
        "replication_primary_canary_age_ms": 0,
    }
    return HostResponse(status=status, body=body)


def _number(query: Mapping[str, Sequence[str]], name: str, default: int) -> int:
    (text,) = query.get(name, ())[:1] or ("",)
    return int(text) if text.isascii() and text.isdigit() and 200 <= int(text) <= 599 else default


def _seal_status(state: HostState) -> dict[str, Any]:
    return {
        "type": "shamir",
        "initialized": True,
        "sealed": False,
        "t": 1,
        "n": 1,
        "progress": 0,
        "nonce": "",
        "version": state.about.version,
        "build_date": show_time(state.about.started),
        "migration": False,
        "cluster_name": state.about.cluster_name,
        "cluster_id": state.about.cluster_id,
        "recovery_seal": False,
        "storage_type": state.about.storage_type,
    }


def _leader() -> dict[str, Any]:
    return {
        "ha_enabled": False,
        "is_self": False,
        "active_time": "0001-01-01T00:00:00Z",
        "leader_address": "",
        "leader_cluster_address": "",
        "performance_standby": False,
        "performance_standby_last_remote_wal": 0,
    }
