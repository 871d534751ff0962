"""What an operator sets on a mount, when it is made and later: parsed, checked, put together.

The order of the checks and their texts are those of Vault 1.21 (vault/logical_system.go).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from authkit.framework.fields.durations import parse_duration
from authkit.host.backends.router import flag_of, list_of, map_of, text_of
from authkit.host.messages import Failure, listed
from authkit.host.mounts.entries import SYSTEM_MAX_TTL, Mount, MountConfig, UserLockout
from authkit.host.store.times import whole_seconds
from authkit.values import replace

__all__ = ["LISTS", "new_config", "tuned"]

TOKEN_TYPES = ("default-service", "default-batch", "service", "batch")
LISTS: Final = (
    "audit_non_hmac_request_keys",
    "audit_non_hmac_response_keys",
    "passthrough_request_headers",
    "allowed_response_headers",
)


def new_config(given: Mapping[str, Any]) -> MountConfig:
    """Return the configuration of a new mount.

    Raises:
        Failure: it makes no sense.
    """
    default = _ttl(given, "default_lease_ttl", "unable to parse default TTL of {}: {}") or timedelta(0)
    longest = _ttl(given, "max_lease_ttl", "unable to parse max TTL of {}: {}") or timedelta(0)
    if longest and default > longest:
        raise Failure(400, "given default lease TTL greater than given max lease TTL")
    if default > SYSTEM_MAX_TTL and not longest:
        limit = int(SYSTEM_MAX_TTL.total_seconds())
        raise Failure(400, f"given default lease TTL greater than system max lease TTL of {limit}")
    lists: dict[str, Any] = {name: list_of(given, name) for name in LISTS}
    return MountConfig(
        default_lease_ttl=default,
        max_lease_ttl=longest,
        force_no_cache=flag_of(given, "force_no_cache"),
        token_type=_token_type(given) or "default-service",
        listing_visibility=_visibility(given),
        trim_request_trailing_slashes=flag_of(given, "trim_request_trailing_slashes"),
        **lists,
    )


def tuned(entry: Mount, data: Mapping[str, Any]) -> Mount:
    """Return the mount with what `data` changes.

    Raises:
        Failure: it makes no sense.
    """
    config = entry.config
    default = _ttl(data, "default_lease_ttl", "{1}")
    longest = _ttl(data, "max_lease_ttl", "{1}")
    default = config.default_lease_ttl if default is None else default
    longest = config.max_lease_ttl if longest is None else longest
    if default and longest and longest < default:
        below, above = whole_seconds(longest), whole_seconds(default)
        raise Failure(
            400, f"backend max lease TTL of {below} would be less than backend default lease TTL of {above}"
        )
    changes: dict[str, Any] = {name: list_of(data, name) for name in LISTS if name in data}
    if "listing_visibility" in data:
        changes["listing_visibility"] = _visibility(data)
    if "trim_request_trailing_slashes" in data:
        changes["trim_request_trailing_slashes"] = flag_of(data, "trim_request_trailing_slashes")
    config = replace(
        config,
        default_lease_ttl=default,
        max_lease_ttl=longest,
        token_type=_token_type(data) or config.token_type,
        user_lockout=_lockout(entry, data),
        **changes,
    )
    options = map_of(data, "options") if data.get("options") else None
    description = text_of(data, "description") if "description" in data else entry.description
    return replace(
        entry, config=config, description=description, options=entry.options if options is None else options
    )


def _ttl(data: Mapping[str, Any], name: str, text: str) -> timedelta | None:
    """Return a TTL in whole seconds; zero for `system`, `None` when none is given."""
    given = text_of(data, name)
    if not given:
        return None
    if given == "system":
        return timedelta(0)
    try:
        return timedelta(seconds=int(parse_duration(given).total_seconds()))
    except ValueError:
        raise Failure(400, text.format(given, f'time: invalid duration "{given}"')) from None


def _token_type(data: Mapping[str, Any]) -> str:
    kind = text_of(data, "token_type")
    if kind and kind not in TOKEN_TYPES:
        raise Failure(400, "invalid value for 'token_type'")
    return kind


def _visibility(data: Mapping[str, Any]) -> str:
    visibility = text_of(data, "listing_visibility")
    if visibility not in ("", "hidden", "unauth"):
        raise Failure(400, f"invalid listing_visibility {visibility}")
    return visibility


def _lockout(entry: Mount, data: Mapping[str, Any]) -> UserLockout | None:
    given = data.get("user_lockout_config")
    if not given:
        return entry.config.user_lockout
    if not isinstance(given, Mapping):
        raise Failure(400, "unable to convert given user lockout config information")
    if entry.type.lower() not in ("ldap", "approle", "userpass"):
        raise Failure(400, f'tuning of user lockout configuration for auth type "{entry.type}" not allowed')
    known = entry.config.user_lockout or UserLockout()
    duration = _ttl(given, "lockout_duration", "{1}")
    reset = _ttl(given, "lockout_counter_reset_duration", "{1}")
    threshold = text_of(given, "lockout_threshold")
    if threshold and not (threshold.isascii() and threshold.isdigit()):
        raise Failure(500, listed("unable to parse user lockout threshold: invalid syntax"))
    return UserLockout(
        lockout_threshold=int(threshold) if threshold else known.lockout_threshold,
        lockout_duration=known.lockout_duration if duration is None else duration,
        lockout_counter_reset=known.lockout_counter_reset if reset is None else reset,
        lockout_disable=flag_of(given, "lockout_disable", known.lockout_disable),
    )
