"""The settings of a mount that an operator writes when enabling or tuning it: parsed and checked.

The order of the checks and their texts are those of Vault 1.21 (vault/logical_system.go).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from authkit.errors import InternalError, UserError
from authkit.framework import (
    KV,
    Bool,
    CommaList,
    FieldData,
    Map,
    Model,
    Str,
    field,
)
from authkit.host.mounts.entries import SYSTEM_MAX_TTL, Mount, MountConfig, UserLockout
from authkit.host.store.times import read_duration, whole_seconds
from authkit.values import replace

__all__ = ["TuningFields", "new_config", "tuned"]

_TOKEN_TYPES: Final = ("default-service", "default-batch", "service", "batch")
_VISIBILITIES: Final = ("", "hidden", "unauth")
_PLAIN: Final = (
    "audit_non_hmac_request_keys",
    "audit_non_hmac_response_keys",
    "passthrough_request_headers",
    "allowed_response_headers",
    "listing_visibility",
    "trim_request_trailing_slashes",
)
"""Fields that are stored as written."""


class TuningFields(Model):
    """What can be tuned. Durations are texts to Vault's schema as well."""

    path: Str = field(default="", help="Where the mount lies; of an auth method, below `auth/`.")
    default_lease_ttl: Str = field(default="", help="The TTL of its tokens; `system` for the host's.")
    max_lease_ttl: Str = field(default="", help="The longest TTL of its tokens; `system` for the host's.")
    force_no_cache: Bool = field(default=False, help="Whether caches are off. Only when it is made.")
    description: Str = field(default="", help="A description, shown in lists.")
    listing_visibility: Str = field(default="", help="`unauth` lists it without a token.")
    token_type: Str = field(default="", help="What its tokens are, or are by default.")
    options: KV = field(default={}, help="Handed to the plugin.")
    plugin_version: Str = field(default="", help="A registered version, from the next reload on.")
    user_lockout_config: Map = field(default={}, help="When users are locked out.")
    trim_request_trailing_slashes: Bool = field(default=False, help="Whether writes lose trailing slashes.")
    identity_token_key: Str = field(default="", help="Unused.")
    audit_non_hmac_request_keys: CommaList = field(default=(), help="Fields that audit logs show.")
    audit_non_hmac_response_keys: CommaList = field(default=(), help="Fields that audit logs show.")
    passthrough_request_headers: CommaList = field(default=(), help="Headers that reach the plugin.")
    allowed_response_headers: CommaList = field(default=(), help="Headers that the plugin may set.")


class LockoutFields(Model):
    """When users are locked out."""

    lockout_threshold: Str = field(default="", help="After so many failures.")
    lockout_duration: Str = field(default="", help="For so long.")
    lockout_counter_reset_duration: Str = field(default="", help="Failures are forgotten after so long.")
    lockout_disable: Bool = field(default=False, help="Whether no user is locked out.")


def new_config(given: Mapping[str, Any]) -> MountConfig:
    """Return the configuration of a new mount.

    Raises:
        UserError: a field is invalid.
    """
    data = FieldData.read(TuningFields.schema, given, {}).values
    default = _ttl(data, "default_lease_ttl", "unable to parse default TTL of {}: {}") or timedelta(0)
    longest = _ttl(data, "max_lease_ttl", "unable to parse max TTL of {}: {}") or timedelta(0)
    if longest and default > longest:
        raise UserError("given default lease TTL greater than given max lease TTL")
    if default > SYSTEM_MAX_TTL and not longest:
        limit = whole_seconds(SYSTEM_MAX_TTL)
        raise UserError(f"given default lease TTL greater than system max lease TTL of {limit}")
    return MountConfig(
        default_lease_ttl=default,
        max_lease_ttl=longest,
        force_no_cache=data.get("force_no_cache", False),
        token_type=_token_type(data) or "default-service",
        **_plain(data),
    )


def tuned(entry: Mount, data: Mapping[str, Any]) -> Mount:
    """Return the mount with what `data`, the fields of a request, changes.

    Raises:
        UserError, InternalError: a field is invalid.
    """
    config = entry.config
    default = _ttl(data, "default_lease_ttl", "{1}")
    longest = _ttl(data, "max_lease_ttl", "{1}")
    default = config.default_lease_ttl if default is None else default
    longest = config.max_lease_ttl if longest is None else longest
    if default and longest and longest < default:
        below, above = whole_seconds(longest), whole_seconds(default)
        raise UserError(
            f"backend max lease TTL of {below} would be less than backend default lease TTL of {above}"
        )
    plain = _plain(data)
    if "token_type" in data and not entry.prefix:
        raise UserError("'token_type' can only be modified on auth mounts")
    config = replace(
        config,
        default_lease_ttl=default,
        max_lease_ttl=longest,
        token_type=_token_type(data) or config.token_type,
        user_lockout=_lockout(entry, data),
        **plain,
    )
    return replace(
        entry,
        config=config,
        description=data.get("description", entry.description),
        options=dict(data["options"]) if data.get("options") else entry.options,
    )


def _plain(data: Mapping[str, Any]) -> dict[str, Any]:
    visibility = data.get("listing_visibility", "")
    if visibility not in _VISIBILITIES:
        raise UserError(f"invalid listing_visibility {visibility}")
    return {name: data[name] for name in _PLAIN if name in data}


def _ttl(data: Mapping[str, Any], name: str, text: str) -> timedelta | None:
    """Return a TTL in whole seconds; zero for `system`, `None` when none is given."""
    given = data.get(name, "")
    if not given:
        return None
    if given == "system":
        return timedelta(0)
    try:
        return read_duration(given)
    except ValueError as error:
        raise UserError(text.format(given, error)) from error


def _token_type(data: Mapping[str, Any]) -> str:
    kind: str = data.get("token_type", "")
    if kind and kind not in _TOKEN_TYPES:
        raise UserError("invalid value for 'token_type'")
    return kind


def _lockout(entry: Mount, data: Mapping[str, Any]) -> UserLockout | None:
    if not data.get("user_lockout_config"):
        return entry.config.user_lockout
    if entry.type.lower() not in ("ldap", "approle", "userpass"):
        raise UserError(f'tuning of user lockout configuration for auth type "{entry.type}" not allowed')
    given = FieldData.read(LockoutFields.schema, data["user_lockout_config"], {}).values
    known = entry.config.user_lockout or UserLockout()
    duration = _ttl(given, "lockout_duration", "{1}")
    reset = _ttl(given, "lockout_counter_reset_duration", "{1}")
    threshold = given.get("lockout_threshold", "")
    if threshold and not (threshold.isascii() and threshold.isdigit()):
        raise InternalError("unable to parse user lockout threshold: invalid syntax")
    return UserLockout(
        lockout_threshold=int(threshold) if threshold else known.lockout_threshold,
        lockout_duration=known.lockout_duration if duration is None else duration,
        lockout_counter_reset=known.lockout_counter_reset if reset is None else reset,
        lockout_disable=given.get("lockout_disable", known.lockout_disable),
    )
