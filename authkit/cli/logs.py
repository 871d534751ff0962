"""The log of a command: lines on standard error, with the key and value pairs that authkit logs."""

from __future__ import annotations

import logging
import sys

__all__ = ["show_logs"]


class _Lines(logging.Formatter):
    """Level, module, message, pairs."""

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        pairs = getattr(record, "kv", None)
        if not isinstance(pairs, dict):
            return line
        return f"{line}: " + " ".join(f"{key}={value}" for key, value in pairs.items())


def show_logs(level: int = logging.INFO) -> None:
    """Show authkit's log from `level` on, and that of its libraries from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines("%(asctime)s [%(levelname)s] %(name)s: %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("authkit").setLevel(level)
