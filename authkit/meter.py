"""Where modules report their work, so that `authkit.metrics` can count it if an operator asks for metrics.

There is one meter in a process, as there is one log. Nothing here is called for a login that needs no
provider: requests of the host are measured where they come in (`authkit.metrics.backend`).
"""

from __future__ import annotations

__all__ = ["Meter", "current", "use"]


class Meter:
    """What modules report to. This one ignores it. Methods may be called from any thread."""

    def provider_answered(self, outcome: str, seconds: float) -> None:
        """Count a request to an identity provider: `ok`, `refused`, `failed`, `timeout` or `cancelled`."""

    def document_fetched(self, *, ok: bool) -> None:
        """Count a fetch of a key set or of a provider's metadata."""

    def password_set(self, *, ok: bool) -> None:
        """Count a rotation of the password of a static role or of the engine itself, also one that failed."""


_current = Meter()


def current() -> Meter:
    """Return the meter of this process."""
    return _current


def use(meter: Meter) -> None:
    """Replace the meter of this process."""
    global _current
    _current = meter
