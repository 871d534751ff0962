"""The lines of a server's log as records."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

__all__ = ["LogRecord", "parse_record"]


@dataclass(frozen=True)
class LogRecord:
    """One line of the server's log."""

    level: str
    module: str
    message: str
    fields: dict[str, Any]

    def __str__(self) -> str:
        pairs = " ".join(f"{key}={value}" for key, value in self.fields.items())
        return f"[{self.level.upper()}] {self.module}: {self.message} {pairs}"


def parse_record(line: str) -> LogRecord | None:
    """Return one line of a JSON log as a record, `None` when it is something else."""
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    if not isinstance(fields, dict) or "@message" not in fields:
        return None
    level, module, message = (fields.pop(f"@{key}", "") for key in ("level", "module", "message"))
    return LogRecord(level, module, message, fields)
