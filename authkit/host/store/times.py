"""Times and durations as the API shows them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from authkit.framework.fields.durations import parse_duration

__all__ = ["read_duration", "seconds_left", "show_time", "whole_seconds"]


def read_duration(text: str) -> timedelta:
    """Return a duration in whole seconds; the empty text is none at all.

    Raises:
        ValueError: it is not a duration. The text is Go's.
    """
    try:
        return timedelta(seconds=whole_seconds(parse_duration(text)))
    except ValueError:
        raise ValueError(f'time: invalid duration "{text}"') from None


def show_time(moment: datetime) -> str:
    """Return the time as Go writes it (RFC 3339, no trailing zeros in the fraction), in UTC."""
    text = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{moment.microsecond:06}".rstrip("0")
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"


def whole_seconds(duration: timedelta) -> int:
    """Return the duration in whole seconds, cut off."""
    return int(duration.total_seconds())


def seconds_left(end: datetime, now: datetime) -> int:
    """Return the whole seconds until `end`, as lookups show them (Vault 1.21, vault/expiration.go, ttl).

    They are negative when it is over, as that of a lease whose revocation fails.
    """
    rounded = (now + timedelta(microseconds=500_000)).replace(microsecond=0)
    return whole_seconds(end - rounded)
