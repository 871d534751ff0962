"""All cases, of auth methods, secrets engines and database plugins."""

from __future__ import annotations

from conformance import cases, database_cases, lease_cases, move_cases
from conformance.session import CASES

__all__ = ["EVERYWHERE", "MODULES"]

MODULES = (cases, lease_cases, database_cases, move_cases)
"""Where the cases are declared."""

EVERYWHERE = [each for each in CASES if not each.moves_clock]
"""The cases that need no clock that moves."""
