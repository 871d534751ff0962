"""Why a login was denied: kept in memory for a while, for operators who are given a reference.

Nothing is stored, and nothing holds a token. What is checked is left to `jwt_auth.login`.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from cachetools import TTLCache

from authkit.oidc import Check

__all__ = ["Denial", "Denials", "show_checks"]

MAX_DENIALS = 1000
"""Denied logins that can be explained; then the oldest is forgotten. Anybody can cause them."""

KEPT_SECONDS = 600.0
"""For how long they can be."""

MAX_CHECKS = 50
"""Checks shown of one login. The last ones say why it was denied."""

ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
"""Nothing that is mistaken for something else when it is read out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """One denied login."""

    role: str
    """The name of the role."""
    error: str
    """What the caller was told."""
    detail: str
    """What only the log was told."""
    remote_addr: str
    """Where the login came from, empty when the host does not say."""
    checks: Sequence[Check]
    """Everything that was looked at, in order."""


class Denials:
    """The latest denied logins of one mount."""

    def __init__(self) -> None:
        self._kept: TTLCache[str, tuple[datetime, Denial]] = TTLCache(MAX_DENIALS, KEPT_SECONDS)

    def add(self, denial: Denial) -> str:
        """Keep a denial; return the reference under which it is found."""
        reference = "".join(secrets.choice(ALPHABET) for _ in range(8))
        self._kept[reference] = datetime.now(UTC), denial
        return reference

    def show(self, reference: str) -> dict[str, Any] | None:
        """Return the denial as a read shows it, `None` when it is too old or there is none."""
        time, denial = self._kept.get(reference, (None, None))
        if time is None or denial is None:
            return None
        return {
            "time": f"{time:%Y-%m-%dT%H:%M:%SZ}",
            "role": denial.role,
            "error": denial.error,
            "detail": denial.detail,
            "remote_addr": denial.remote_addr,
            "checks": show_checks(denial.checks),
        }


def show_checks(checks: Sequence[Check]) -> list[dict[str, Any]]:
    """Return checks as JSON: name, passed, what was expected, what the token had, the error."""
    return [asdict(check) for check in checks[-MAX_CHECKS:]]
