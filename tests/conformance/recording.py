"""The answers that a real server gave to the cases: one JSON file, written by tests/live on request."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["RECORDED_FROM", "recorded", "write"]

FILE = Path(__file__).with_name("recorded.json")
RECORDED_FROM = "Vault 1.21.1"

Step = dict[str, Any]


def recorded() -> dict[str, list[Step]]:
    """Return the steps by the name of their case."""
    steps: dict[str, list[Step]] = json.loads(FILE.read_text())
    return steps


def write(name: str, steps: Sequence[Step]) -> None:
    """Record a case anew."""
    known = recorded() if FILE.exists() else {}
    known[name] = list(steps)
    lines = [f"{json.dumps(each)}: [\n{_lines(known[each])}\n]" for each in sorted(known)]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def _lines(steps: Sequence[Step]) -> str:
    """One step a line: a change of one answer is a change of one line."""
    return ",\n".join(f"  {json.dumps(step, sort_keys=True, ensure_ascii=False)}" for step in steps)
