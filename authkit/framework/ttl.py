"""How long a token or a lease lives: the arithmetic of a Vault server, on plain values."""

from __future__ import annotations

from datetime import datetime, timedelta

from authkit.framework.fields.durations import format_duration
from authkit.logical import Auth, LeasedSecret
from authkit.values import Value

__all__ = ["Lifetimes", "MountLimits", "PastMaxTTLError", "calculate_ttl", "human_duration"]

_ZERO = timedelta(0)


class PastMaxTTLError(Exception):
    """It has lived as long as it may."""

    TEXT = "past the max TTL, cannot renew"

    def __init__(self) -> None:
        super().__init__(self.TEXT)


class MountLimits(Value, frozen=True):
    """What a mount grants at most, and where nothing else is said. Set by the operator."""

    default_ttl: timedelta
    max_ttl: timedelta


class Lifetimes(Value, frozen=True, kw_only=True):
    """What was asked for. Zero: nothing. Set by the backend, `increment` by the client at a renewal."""

    increment: timedelta = _ZERO
    ttl: timedelta = _ZERO
    period: timedelta = _ZERO
    max_ttl: timedelta = _ZERO
    explicit_max_ttl: timedelta = _ZERO

    @classmethod
    def of(cls, auth: Auth, increment: timedelta = _ZERO) -> Lifetimes:
        """Return the lifetimes that a grant asks for."""
        return cls(
            increment=increment,
            ttl=auth.lease.ttl,
            period=auth.period,
            max_ttl=auth.lease.max_ttl,
            explicit_max_ttl=auth.explicit_max_ttl,
        )

    @classmethod
    def of_secret(cls, secret: LeasedSecret, increment: timedelta = _ZERO) -> Lifetimes:
        """Return the lifetimes that a leased secret asks for."""
        return cls(increment=increment, ttl=secret.lease.ttl, max_ttl=secret.lease.max_ttl)


def calculate_ttl(
    limits: MountLimits, asked: Lifetimes, *, now: datetime, issued: datetime | None = None
) -> tuple[timedelta, tuple[str, ...]]:
    """Return the TTL that is granted, and the warnings for the client.

    The rules, in whole seconds, are those of Vault SDK 0.20 (framework/lease.go, CalculateTTL). `max_ttl`
    caps a period as well, and so does the mount; only `explicit_max_ttl` limits a period's total.

    Raises:
        PastMaxTTLError: nothing is left.
    """
    now = now.replace(microsecond=0)
    start = issued.replace(microsecond=0) if issued else now
    warnings = []
    longest = limits.max_ttl
    for bound in (asked.max_ttl, asked.explicit_max_ttl):
        if bound > _ZERO:
            longest = min(longest, bound)
    if asked.period > _ZERO:
        ttl = min(asked.period, longest)
        if asked.period > longest:
            warnings.append(
                f'period of "{human_duration(asked.period)}" exceeded the effective max_ttl of '
                f'"{human_duration(longest)}"; period value is capped accordingly'
            )
        end = start + asked.explicit_max_ttl if asked.explicit_max_ttl > _ZERO else None
    else:
        ttl = next((each for each in (asked.increment, asked.ttl) if each > _ZERO), limits.default_ttl)
        end = start + longest
    if end is not None:
        left = end - now
        if left <= _ZERO:
            raise PastMaxTTLError
        if ttl > left:
            warnings.append(
                f'TTL of "{human_duration(ttl)}" exceeded the effective max_ttl of '
                f'"{human_duration(left)}"; TTL value is capped accordingly'
            )
            ttl = left
    return ttl, tuple(warnings)


def human_duration(duration: timedelta) -> str:
    """Return the duration as the warnings word it: `768h`, `1h30m`, `1h5s`."""
    text = format_duration(duration)
    if text.endswith("m0s"):
        text = text[:-2]
    hours, found, rest = text.partition("h0m")
    return f"{hours}h{rest}" if found else text
