"""Why a plugin could not be packaged."""

from __future__ import annotations

__all__ = ["PackagingError"]


class PackagingError(Exception):
    """The text says what failed, and what to do."""
