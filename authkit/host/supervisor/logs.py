"""A plugin's lines on standard error as log records: hclog's JSON, prefixes, crash traces, anything.

The rules are those of go-plugin (1.8, client.go, logStderr; log_entry.go), with two differences: a
traceback or a panic is one record at error, and a line that crashes a Vault server is reported as a
fault. See `authkit.host.supervisor.plugin_process` for where the records go.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

from authkit.masking import MASK, is_secret_name, mask_logged
from authkit.plugin.logs import TRACE
from authkit.printable import to_printable, to_printable_lines
from authkit.values import Value, field

__all__ = ["LogReader", "PluginLog", "parse_line"]

MAX_TRACE_LINES = 400
"""Longest crash trace kept in one record."""

_LEVELS = {
    "trace": TRACE,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}
_PREFIX = re.compile(r"\[(TRACE|DEBUG|INFO|WARN|ERROR)\]")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(?:Z|[+-]\d\d:\d\d)")
_TRACE_BEGINS = re.compile(r"Traceback \(most recent call last\):|panic: |fatal error: ")
_TEXTS = ("@message", "@level", "@timestamp")


class PluginLog(Value, frozen=True, kw_only=True):
    """One record of a plugin's, secrets masked and control characters escaped. Set by the reader."""

    level: int
    """As `logging` counts; hclog's trace is 5."""
    message: str
    module: str = ""
    pairs: Mapping[str, Any] = field(default_factory=dict)
    """Every other key of a structured line."""
    timestamp: str = ""
    """As the plugin wrote it."""
    fault: str = ""
    """How a Vault server would misread the line; empty if it would not."""


class LogReader:
    """Turns lines into records. No I/O.

    Calls `on_record` with each. A crash trace is held until it is complete, another record begins, or
    `finish` is called.
    """

    def __init__(self, on_record: Callable[[PluginLog], None]) -> None:
        self._on_record = on_record
        self._trace: list[str] = []

    def feed(self, line: bytes, is_piece: bool) -> None:
        """Take a line, or a piece of an overlong one."""
        text = line.decode(errors="replace")
        if self._trace:
            if self._goes_on(text):
                self._trace.append(text)
                if self._is_last(text):
                    self.finish()
                return
            self.finish()
        if is_piece:
            fault = "longer than 64 KiB: a server cuts it into pieces at debug"
            self._on_record(PluginLog(level=logging.DEBUG, message=_shown(text), fault=fault))
        elif _TRACE_BEGINS.match(text):
            self._trace.append(text)
        else:
            self._on_record(parse_line(text))

    def finish(self) -> None:
        """Emit a trace that was held."""
        if self._trace:
            lines, self._trace = self._trace, []
            text = to_printable_lines(mask_logged("\n".join(lines)))
            self._on_record(PluginLog(level=logging.ERROR, message=text))

    def _goes_on(self, text: str) -> bool:
        # A panic's trace has lines of every form, but none is an object; it ends with the process.
        return len(self._trace) < MAX_TRACE_LINES and not text.startswith("{")

    def _is_last(self, text: str) -> bool:
        """A Python traceback ends with the first line that is not indented."""
        return self._trace[0].startswith("Traceback") and bool(text) and not text[0].isspace()


def parse_line(text: str) -> PluginLog:
    """Return the record of a complete line."""
    entry = _entry(text)
    if entry is None:
        prefix = _PREFIX.match(text)
        level = _LEVELS[prefix[1].lower()] if prefix else logging.DEBUG
        return PluginLog(level=level, message=_shown(text))
    fault = _fault(entry)
    if fault:
        return PluginLog(level=logging.DEBUG, message=_shown(text), fault=fault)
    others = {key: value for key, value in entry.items() if key not in (*_TEXTS, "@module")}
    return PluginLog(
        level=_LEVELS[entry["@level"].lower()],
        message=_shown(entry.get("@message", "")),
        module=_shown(str(entry.get("@module", ""))),
        pairs={_shown(key): _masked(key, value) for key, value in others.items()},
        timestamp=entry.get("@timestamp", ""),
    )


def _entry(text: str) -> dict[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def _fault(entry: Mapping[str, Any]) -> str:
    """Return why a Vault server would misread a structured line; empty if it would not."""
    for name in _TEXTS:
        if name in entry and not isinstance(entry[name], str):
            return f"{name} is not text: a Vault server dies of this line"
    if entry.get("@level", "").lower() not in _LEVELS:
        return "no level that hclog knows: a server logs the whole line at debug"
    if "@timestamp" in entry and not _TIMESTAMP.fullmatch(entry["@timestamp"]):
        return "a timestamp without exactly six digits after the second: a server logs the line at debug"
    return ""


def _masked(key: str, value: Any) -> Any:
    if is_secret_name(key) and value not in (None, ""):
        return MASK
    if isinstance(value, bool | int | float) or value is None:
        return value
    # With its lines, such as a traceback's: a server marks each of them.
    return to_printable_lines(mask_logged(value if isinstance(value, str) else json.dumps(value)))


def _shown(text: str) -> str:
    return to_printable(mask_logged(text))
