"""Everything that one run has measured, and on what."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from livebed.bench.curves import Curve
from livebed.bench.rounds import Runs

__all__ = ["Results", "describe_machine", "describe_python", "describe_run"]

PEER_MODULE = Path(__file__).resolve().parents[2] / "go" / "peer" / "go.mod"


@dataclass
class Results:
    """Figures by what was measured, then by contender."""

    about: dict[str, str]
    """Machine, versions and command."""
    labels: Sequence[str]
    """The contenders with a JWT plugin, the one to compare with at the end."""
    logins: dict[int, Runs] = field(default_factory=dict)
    """By the number of clients."""
    scenarios: dict[str, Runs] = field(default_factory=dict)
    """By their names."""
    single: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    """Memory and times of starts: by name, then by contender."""
    curves: list[Curve] = field(default_factory=list)
    """Growth."""

    def as_json(self) -> dict[str, Any]:
        """Return everything."""
        return {
            "about": self.about,
            "logins": self.logins,
            "scenarios": self.scenarios,
            "single": self.single,
            "curves": [curve.as_json() for curve in self.curves],
        }


def describe_run(arguments: Sequence[str], server: str) -> dict[str, str]:
    """Return machine, versions and command, as they stand beside the figures."""
    peer = re.search(r"vault-plugin-auth-jwt (v\S+)", PEER_MODULE.read_text())
    return {
        "machine": describe_machine(),
        "python": describe_python(),
        "server": f"Vault {server}",
        "go plugin": f"vault-plugin-auth-jwt {peer[1] if peer else 'of unknown version'}",
        "command": " ".join([Path(sys.argv[0]).name, *arguments]),
    }


def describe_machine() -> str:
    """Return cores and processor."""
    processor = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return f"{os.cpu_count()} cores, {processor[1] if processor else platform.machine()}"


def describe_python() -> str:
    """Return the interpreter's version, and what compiled it."""
    return f"{platform.python_version()}, {platform.python_compiler()}"
