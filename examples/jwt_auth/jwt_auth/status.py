"""The status of a mount: the keys of each issuer, and counts of logins since the process started."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from authkit.oidc import Check, KeyStatus, RemoteStatus, TokenVerifier

__all__ = ["LoginCounts", "show_issuer"]

_NAME_IN_CHECK = re.compile(r"^(bound claim) .*", re.DOTALL)


class LoginCounts:
    """How many logins were allowed, and for which reasons the others were denied."""

    def __init__(self) -> None:
        self.allowed = 0
        self.denied: Counter[str] = Counter()

    def deny(self, checks: Sequence[Check]) -> None:
        """Count a denied login by the check that failed."""
        failed = next((check.name for check in reversed(checks) if not check.passed), "other")
        self.denied[_NAME_IN_CHECK.sub(r"\1", failed)] += 1

    def show(self) -> dict[str, Any]:
        """Return the numbers as a read shows them."""
        return {"allowed": self.allowed, "denied": dict(sorted(self.denied.items()))}


def show_issuer(verifier: TokenVerifier) -> dict[str, Any]:
    """Return the status of an issuer. Holds no secret."""
    return {"iss": verifier.issuer, "keys": [_show_source(source) for source in verifier.keys.status()]}


def _show_source(status: KeyStatus) -> dict[str, Any]:
    shown: dict[str, Any] = {"source": status.source, "keys": status.keys}
    if status.remote is not None:
        shown |= {**_show_remote(status.remote), "unknown_kids": status.unknown_kids}
    if status.metadata is not None:
        shown["metadata"] = _show_remote(status.metadata)
    return shown


def _show_remote(remote: RemoteStatus) -> dict[str, Any]:
    return {
        "fetched_at": _show_time(remote.fetched_at),
        "next_fetch_at": _show_time(remote.next_fetch_at),
        "usable_until": _show_time(remote.usable_until),
        "last_error": remote.last_error,
        "failed_at": _show_time(remote.failed_at),
        "fetches": remote.fetches,
        "failures": remote.failures,
    }


def _show_time(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"
