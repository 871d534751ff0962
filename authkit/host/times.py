"""Times as the API shows them."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["show_time"]


def show_time(moment: datetime) -> str:
    """Return the time as Go writes it (RFC 3339, no trailing zeros in the fraction), in UTC."""
    text = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{moment.microsecond:06}".rstrip("0")
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"
