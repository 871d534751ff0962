"""Mounts as the operator made and tuned them: plain values, their checks, and how they are shown.

What runs behind a mount: `authkit.host.mounts.table`.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from authkit.framework.ttl import MountLimits
from authkit.host.store.catalog import AUTH, SECRET
from authkit.host.store.times import whole_seconds
from authkit.values import Value, field

__all__ = [
    "AUTH_PREFIX",
    "SYSTEM_MAX_TTL",
    "Mount",
    "MountConfig",
    "UserLockout",
    "make_accessor",
    "show_config",
    "show_mount",
]

SYSTEM_MAX_TTL = timedelta(hours=768)
"""Where an operator has set nothing (Vault 1.21, vault/core.go, defaultLeaseTTL and maxLeaseTTL)."""

DEFAULT_SERVICE = "default-service"

AUTH_PREFIX = "auth/"
"""Before the path of every auth method."""

_ZERO = timedelta(0)


class UserLockout(Value, frozen=True, kw_only=True):
    """How a mount locks users out. Set by the operator and shown; no plugin's failures are counted."""

    lockout_threshold: int = 0
    lockout_duration: timedelta = _ZERO
    lockout_counter_reset: timedelta = _ZERO
    lockout_disable: bool = False


class MountConfig(Value, frozen=True, kw_only=True):
    """What an operator tunes. Zero and empty: as the host has it."""

    default_lease_ttl: timedelta = _ZERO
    max_lease_ttl: timedelta = _ZERO
    force_no_cache: bool = False
    listing_visibility: str = ""
    passthrough_request_headers: tuple[str, ...] = ()
    allowed_response_headers: tuple[str, ...] = ()
    audit_non_hmac_request_keys: tuple[str, ...] = ()
    audit_non_hmac_response_keys: tuple[str, ...] = ()
    token_type: str = DEFAULT_SERVICE
    trim_request_trailing_slashes: bool = False
    user_lockout: UserLockout | None = None


class Mount(Value, frozen=True, kw_only=True):
    """One mount. Set by the operator, the ids by the host."""

    path: str
    """Without `auth/`, with a trailing slash."""
    prefix: str = AUTH_PREFIX
    """Empty for a mount that is no auth method."""
    type: str
    """The catalog name of the plugin."""
    accessor: str
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    backend_uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    description: str = ""
    options: Mapping[str, str] | None = None
    local: bool = False
    seal_wrap: bool = False
    external_entropy_access: bool = False
    plugin_version: str = ""
    """The version that the operator chose, empty: whichever the catalog gives."""
    running_version: str = ""
    running_sha256: str = ""
    config: MountConfig = field(default_factory=MountConfig)

    @property
    def route(self) -> str:
        """Where its requests begin, such as `auth/jwt/`."""
        return f"{self.prefix}{self.path}"

    @property
    def plugin_type(self) -> str:
        """The type of its plugin in the catalog."""
        return AUTH if self.prefix else SECRET

    @property
    def limits(self) -> MountLimits:
        """The TTLs that it grants."""
        return MountLimits(
            self.config.default_lease_ttl or SYSTEM_MAX_TTL, self.config.max_lease_ttl or SYSTEM_MAX_TTL
        )


def make_accessor(type: str, *, prefix: str = AUTH_PREFIX) -> str:
    """Return a new accessor for a mount: `auth_jwt_1a2b3c4d`, `accounts_1a2b3c4d` for a secrets engine."""
    return f"{prefix.replace('/', '_')}{type}_{secrets.token_hex(4)}"


# --- as the API shows them ---------------------------------------------------------------------


def show_mount(mount: Mount, *, effective: bool = False) -> dict[str, Any]:
    """Return what lists of mounts say; with `effective`, TTLs include the host's defaults."""
    config, limits = mount.config, mount.limits
    shown: dict[str, Any] = {
        "default_lease_ttl": whole_seconds(limits.default_ttl if effective else config.default_lease_ttl),
        "force_no_cache": config.force_no_cache,
        "max_lease_ttl": whole_seconds(limits.max_ttl if effective else config.max_lease_ttl),
    } | _show_optional(config)
    if mount.prefix:
        shown["token_type"] = config.token_type
    if config.user_lockout is not None:
        shown["user_lockout_config"] = _show_lockout(config.user_lockout)
    return {
        "accessor": mount.accessor,
        "config": shown,
        "description": mount.description,
        "external_entropy_access": mount.external_entropy_access,
        "local": mount.local,
        "options": dict(mount.options) if mount.options is not None else None,
        "plugin_version": mount.plugin_version,
        "running_plugin_version": mount.running_version,
        "running_sha256": mount.running_sha256,
        "seal_wrap": mount.seal_wrap,
        "type": mount.type,
        "uuid": mount.uuid,
    }


def show_config(mount: Mount) -> dict[str, Any]:
    """Return what a read of a mount's tuning says."""
    config, limits = mount.config, mount.limits
    shown: dict[str, Any] = {
        "default_lease_ttl": whole_seconds(limits.default_ttl),
        "description": mount.description,
        "force_no_cache": config.force_no_cache,
        "max_lease_ttl": whole_seconds(limits.max_ttl),
    } | _show_optional(config)
    if mount.prefix:
        shown["token_type"] = config.token_type
    if mount.options:
        shown["options"] = dict(mount.options)
    if mount.plugin_version:
        shown["plugin_version"] = mount.plugin_version
    if config.user_lockout is not None:
        shown |= _show_lockout(config.user_lockout)
    return shown


def _show_optional(config: MountConfig) -> dict[str, Any]:
    """Return the settings that are shown only if set."""
    values = {
        "allowed_response_headers": list(config.allowed_response_headers),
        "audit_non_hmac_request_keys": list(config.audit_non_hmac_request_keys),
        "audit_non_hmac_response_keys": list(config.audit_non_hmac_response_keys),
        "listing_visibility": config.listing_visibility,
        "passthrough_request_headers": list(config.passthrough_request_headers),
        "trim_request_trailing_slashes": config.trim_request_trailing_slashes,
    }
    return {name: value for name, value in values.items() if value}


def _show_lockout(lockout: UserLockout) -> dict[str, Any]:
    return {
        "user_lockout_counter_reset_duration": whole_seconds(lockout.lockout_counter_reset),
        "user_lockout_disable": lockout.lockout_disable,
        "user_lockout_duration": whole_seconds(lockout.lockout_duration),
        "user_lockout_threshold": lockout.lockout_threshold,
    }
