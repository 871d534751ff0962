"""The log of a command: lines on standard error, with the key and value pairs that authkit logs.

As a server writes it: control characters are escaped, and each line of a value with several is marked.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from authkit.printable import to_printable, to_printable_lines

__all__ = ["show_logs"]

MARK = "  | "
"""Marks further lines of a record, so that logged text can't forge a record."""

ANEW_SECONDS = 5.0
"""After that a failure of a plugin is shown again: it has been started anew."""


class _Lines(logging.Formatter):
    """Level, module, message, pairs."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the name that logging calls)
        """Return the line, with the lines of its values."""
        line = _marked(super().formatMessage(record))
        pairs = getattr(record, "kv", None)
        if not isinstance(pairs, dict):
            return line
        if "hint" in pairs:  # says the same in fewer lines; clients are answered with all of them
            line = line.partition("\n")[0].rstrip(":")
        return f"{line}: " + " ".join(f"{to_printable(str(key))}={_marked(pairs[key])}" for key in pairs)

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """Return the traceback, each line marked."""
        return _marked(super().formatException(ei), always=True)

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        """Return the stack, each line marked."""
        return _marked(stack_info, always=True)


class _Once(logging.Filter):
    """Leaves out what a plugin has just logged with the same traceback.

    A host starts a plugin several times, to find out what it is: each start fails alike.
    """

    def __init__(self) -> None:
        super().__init__()
        self._shown: tuple[object, float] = (None, 0.0)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to show the record."""
        pairs = getattr(record, "kv", None)
        if not isinstance(pairs, dict) or "traceback" not in pairs:
            return True
        failure = (record.name, record.getMessage(), pairs.get("plugin"), pairs["traceback"])
        before, when = self._shown
        self._shown = (failure, record.created)
        return failure != before or record.created - when > ANEW_SECONDS


def _marked(value: object, *, always: bool = False) -> str:
    first, *others = to_printable_lines(str(value)).split("\n")
    return "\n".join([f"{MARK}{first}" if always else first, *(MARK + line for line in others)])


def show_logs(level: int = logging.INFO) -> None:
    """Show authkit's log from `level` on, and that of its libraries from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_Once())
    handler.setFormatter(_Lines("%(asctime)s [%(levelname)s] %(name)s: %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("authkit").setLevel(level)
