"""What a check has found: plain values."""

from __future__ import annotations

from enum import StrEnum

from authkit.values import Value

__all__ = ["Finding", "Verdict", "failed", "passed", "warning"]


class Verdict(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    WARNING = "warning"
    """A server takes it, and somebody will regret it; or a server with stricter settings does not."""
    FAILED = "failed"
    """A server refuses it, or the plugin is not safe to use."""


class Finding(Value, frozen=True, kw_only=True):
    """One check. Set by the inspection."""

    check: str
    """A short name, the same in every run."""
    verdict: Verdict
    seen: str
    """What was there, in one or a few lines; secrets masked."""
    advice: str = ""
    """What to do. Empty when all is well."""


def passed(check: str, seen: str) -> Finding:
    """Return that all is well."""
    return Finding(check=check, verdict=Verdict.PASSED, seen=seen)


def warning(check: str, seen: str, advice: str) -> Finding:
    """Return that something should be changed."""
    return Finding(check=check, verdict=Verdict.WARNING, seen=seen, advice=advice)


def failed(check: str, seen: str, advice: str) -> Finding:
    """Return that something has to be changed."""
    return Finding(check=check, verdict=Verdict.FAILED, seen=seen, advice=advice)
