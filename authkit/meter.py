"""What a process counts beside its requests: named here, counted by `authkit.metrics` where an operator asks.

Like the log, the metrics are those of the process. Nothing here is called for a login that needs no provider:
requests are measured where they come in, by what replaces a function there (`authkit.metrics`).
"""

from __future__ import annotations

__all__ = ["Meter", "current", "use"]


class Meter:
    """Told what happened. This one ignores it. Methods may be called from any thread."""

    def provider_answered(self, outcome: str, seconds: float) -> None:
        """Count a request to an identity provider: `ok`, `refused`, `failed` or `timeout`."""

    def document_fetched(self, *, ok: bool) -> None:
        """Count a fetch of a key set or of a provider's metadata."""

    def password_set(self, *, ok: bool) -> None:
        """Count a rotation: a new password, of a static role or of the engine itself, was to be set."""


_current = Meter()


def current() -> Meter:
    """Return what is told."""
    return _current


def use(meter: Meter) -> None:
    """Have another one told from now on."""
    global _current
    _current = meter
