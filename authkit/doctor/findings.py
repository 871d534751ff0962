"""The result of a check."""

from __future__ import annotations

from enum import StrEnum

from authkit.values import Value

__all__ = ["Finding", "Verdict", "failed", "passed", "warning"]


class Verdict(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    WARNING = "warning"
    """A server accepts it, but it causes problems later or with stricter settings."""
    FAILED = "failed"
    """A server refuses it, or the plugin is not safe to use."""


class Finding(Value, frozen=True, kw_only=True):
    """One check. Set by the inspection."""

    check: str
    """A short name, the same in every run."""
    verdict: Verdict
    seen: str
    """What was found, in a few lines. Secrets are masked."""
    advice: str = ""
    """What to do. Empty for a passed check."""


def passed(check: str, seen: str) -> Finding:
    """Return the finding of a passed check."""
    return Finding(check=check, verdict=Verdict.PASSED, seen=seen)


def warning(check: str, seen: str, advice: str) -> Finding:
    """Return the finding of a check with a warning."""
    return Finding(check=check, verdict=Verdict.WARNING, seen=seen, advice=advice)


def failed(check: str, seen: str, advice: str) -> Finding:
    """Return the finding of a failed check."""
    return Finding(check=check, verdict=Verdict.FAILED, seen=seen, advice=advice)
