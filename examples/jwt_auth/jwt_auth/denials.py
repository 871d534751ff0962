"""Explanations of logins. Those of denied ones are kept in memory for a while, found by a reference.

Nothing is stored, and nothing holds a token. What is checked: see `jwt_auth.admission`.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cachetools import TTLCache

from authkit import Value, mask_text
from authkit.oidc import Check
from jwt_auth.texts.words import find_text

__all__ = ["Denials", "LoginExplanation"]

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


class LoginExplanation(Value, frozen=True, kw_only=True):
    """Why a login was denied, or what one would meet."""

    role: str
    """The name of the role."""
    error: str
    """What the caller is told; empty if the login is allowed."""
    detail: str
    """What only the log is told."""
    remote_addr: str = ""
    """Where the login came from; empty when the host does not say, and without a login."""
    checks: Sequence[Check]
    """All checks, in order."""

    def show(self, own_secrets: Collection[str]) -> dict[str, Any]:
        """Return it as JSON. `own_secrets`, what the request had in secret fields, are masked in it.

        Nothing of other logins is masked: whoever may read explanations must not find out by them what other
        mounts keep secret.
        """
        return {
            "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "allowed": not self.error,
            "role": self.role,
            "error": self.error,
            "detail": mask_text(self.detail, own_secrets),
            "remote_addr": self.remote_addr,
            "checks": [_show_check(check, own_secrets) for check in self.checks[-MAX_CHECKS:]],
        }


class Denials:
    """The latest denied logins of one mount."""

    def __init__(self) -> None:
        self._kept: TTLCache[str, Mapping[str, Any]] = TTLCache(MAX_DENIALS, KEPT_SECONDS, time.monotonic)

    def add(self, denial: LoginExplanation, own_secrets: Collection[str]) -> str:
        """Keep a denial; return the reference under which it is found. `own_secrets`: see `show`."""
        reference = _make_reference()
        self._kept[reference] = denial.show(own_secrets)
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


def _show_check(check: Check, own_secrets: Collection[str]) -> dict[str, Any]:
    texts = {
        "name": check.name,
        "expected": check.expected,
        "had": check.had,
        "error": find_text(check.error, check.code, check.facts),
        "detail": check.detail,
    }
    return {"passed": check.passed} | {name: mask_text(text, own_secrets) for name, text in texts.items()}
