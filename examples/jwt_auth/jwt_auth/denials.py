"""Denied logins, kept in memory for a while, so that operators can look up the reason by a reference.

Nothing is stored, and nothing holds a token. What is checked: see `jwt_auth.admission`.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cachetools import TTLCache

from authkit import Value, mask_text
from authkit.oidc import Check
from jwt_auth.texts.words import find_text

__all__ = ["Denial", "Denials", "show_checks"]

MAX_DENIALS = 1000
"""Denied logins that can be explained; then the oldest is forgotten. Anybody can cause them."""

KEPT_SECONDS = 600.0
"""How long they are kept."""

MAX_CHECKS = 50
"""Checks shown of one login. The last ones say why it was denied."""

REFERENCE_LENGTH = 8
"""Characters: enough that nobody guesses one of those that are kept."""

ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
"""Without characters that are easily confused."""


class Denial(Value, frozen=True, kw_only=True):
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
    """All checks, in order."""


class Denials:
    """The latest denied logins of one mount."""

    def __init__(self) -> None:
        self._kept: TTLCache[str, Mapping[str, Any]] = TTLCache(MAX_DENIALS, KEPT_SECONDS)

    def add(self, denial: Denial, own_secrets: Collection[str]) -> str:
        """Keep a denial; return the reference under which it is found.

        `own_secrets`, what the login had in secret fields, are masked, and nothing of other logins is:
        whoever may read explanations must not find out by them what other mounts keep secret.
        """
        reference = _make_reference()
        self._kept[reference] = {
            "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "role": denial.role,
            "error": denial.error,
            "detail": mask_text(denial.detail, own_secrets),
            "remote_addr": denial.remote_addr,
            "checks": show_checks(denial.checks, own_secrets),
        }
        return reference

    def find(self, reference: str) -> Mapping[str, Any] | None:
        """Return the denial as a read shows it, `None` when it is too old or there is none."""
        return self._kept.get(reference)


def _make_reference() -> str:
    number, characters = secrets.randbelow(len(ALPHABET) ** REFERENCE_LENGTH), []
    for _ in range(REFERENCE_LENGTH):
        number, place = divmod(number, len(ALPHABET))
        characters.append(ALPHABET[place])
    return "".join(characters)


def show_checks(checks: Sequence[Check], own_secrets: Collection[str]) -> list[dict[str, Any]]:
    """Return checks as JSON: name, passed, what was expected, what the token had, the error.

    Masked are the request's `own_secrets`, which a provider may have sent back, and what looks like a secret.
    """
    return [
        {
            "name": mask_text(check.name, own_secrets),
            "passed": check.passed,
            "expected": mask_text(check.expected, own_secrets),
            "had": mask_text(check.had, own_secrets),
            "error": mask_text(find_text(check.error, check.code, check.facts), own_secrets),
        }
        for check in checks[-MAX_CHECKS:]
    ]
