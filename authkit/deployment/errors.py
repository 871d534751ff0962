"""Why a plugin could not be installed."""

from __future__ import annotations

__all__ = ["DeploymentError"]


class DeploymentError(Exception):
    """The text says what failed, and what to do."""
