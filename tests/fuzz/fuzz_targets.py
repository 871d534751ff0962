"""Every fuzz target by its name."""

from __future__ import annotations

import fuzz_database
import fuzz_http2
import fuzz_oidc
import fuzz_wire
from fuzz_target import Target

__all__ = ["MODULES", "TARGETS"]

_ALL = (fuzz_wire, fuzz_oidc, fuzz_http2, fuzz_database)

TARGETS: dict[str, Target] = {target.name: target for module in _ALL for target in module.TARGETS}

MODULES = {target.name: module for module in _ALL for target in module.TARGETS}
"""Where each target is: a process that runs one needs nothing of the others."""
