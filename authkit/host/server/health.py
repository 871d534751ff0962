"""Endpoints without a token or an envelope: health, seal status, leader."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from authkit.host.messages import HostRequest, HostResponse
from authkit.host.state import HostState
from authkit.host.store.plugins import VAULT_VERSION
from authkit.host.store.times import show_time

__all__ = ["public_answers"]


def public_answers(state: HostState) -> Mapping[str, Callable[[HostRequest], HostResponse]]:
    """Return what answers without a token, by path."""
    return {
        "sys/health": lambda request: _health(state, request),
        "sys/seal-status": lambda request: _read(request, _seal_status(state)),
        "sys/init": lambda request: _read(request, {"initialized": True}),
        "sys/leader": lambda request: _read(request, _leader()),
        "sys/unseal": lambda request: HostResponse(status=200, body=_seal_status(state)),
    }


def _read(request: HostRequest, body: Mapping[str, Any], status: int = 200) -> HostResponse:
    if request.method not in ("GET", "HEAD"):
        return HostResponse(status=405, body={"errors": []})
    return HostResponse(status=status, body=body)


def _health(state: HostState, request: HostRequest) -> HostResponse:
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
        "version": VAULT_VERSION,
        "enterprise": False,
        "cluster_name": state.about.cluster_name,
        "cluster_id": state.about.cluster_id,
        "echo_duration_ms": 0,
        "clock_skew_ms": 0,
        "replication_primary_canary_age_ms": 0,
    }
    return _read(request, body, status)


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
        "version": VAULT_VERSION,
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
