"""Log lines as a go-plugin host parses them: hclog's JSON, one object a line, secrets masked.

Authors use the standard `logging`. Which stream the lines go to is decided by
`authkit.plugin.streams`. The format is that of go-plugin 1.8 (client.go, logStderr; log_entry.go):

- `@message`, `@level` and `@timestamp` are strings, always: a host takes anything else for a reason
  to panic, and the whole server dies with it (observed on Vault 1.21.1).
- `@timestamp` has exactly six fractional digits; with three the line loses its level.
- A line is shorter than 64 KiB, or the host cuts it into pieces without level.
- The host writes message, module and keys as they are, newlines and escape sequences included. Of values it
  escapes what is not printable, and marks each line of one with several by `  | ` (go-hclog 1.6.3,
  intlogger.go, logPlain). So all is escaped here, and only a traceback has lines.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from authkit.masking import MASK, Secret, is_secret_name, mask_logged
from authkit.printable import to_printable, to_printable_lines

__all__ = ["MAX_LINE_BYTES", "TRACE", "HCLogFormatter", "HCLogHandler", "install", "send_all"]

TRACE = 5
"""hclog's lowest level, below `logging.DEBUG`."""

MAX_LINE_BYTES = 60 * 1024
"""Kept below the host's 64 KiB buffer, newline and all."""

_MAX_MESSAGE = 16 * 1024
_MAX_VALUE = 4 * 1024
_MAX_TRACEBACK = 24 * 1024
_MAX_PAIRS = 32
# 16 + 24 + 32 * 4 KiB is above the limit of a line; a line that is still too long loses its pairs.

_RESERVED = frozenset({"@message", "@level", "@timestamp", "@module", "timestamp"})


class HCLogFormatter(logging.Formatter):
    """Turns a record into one hclog object.

    `extra={"kv": {...}}` becomes key/value pairs. Values of keys that name a secret are masked, and
    whatever looks like a secret in any text is as well. Control characters are escaped. Never raises.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without newline."""
        try:
            line = self._line(record, with_pairs=True)
            if len(line) > MAX_LINE_BYTES:
                line = self._line(record, with_pairs=False)
        except Exception as error:  # an author's __str__ or __repr__ may raise anything
            line = _encode("error", f"a log record could not be formatted: {type(error).__name__}", record)
        return line

    def _line(self, record: logging.LogRecord, *, with_pairs: bool) -> str:
        pairs: dict[str, str | int | float | bool | None] = {}
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            pairs["error"] = f"{type(error).__name__}: {_shown(error, _MAX_VALUE)}"
            pairs["traceback"] = _cut_front(_traceback(error), _MAX_TRACEBACK)
        given = getattr(record, "kv", None)
        if with_pairs and isinstance(given, Mapping):
            for key, value in list(given.items())[:_MAX_PAIRS]:
                pairs[_key(key)] = _value(str(key), value)
        message = _shown(record.getMessage(), _MAX_MESSAGE)
        return _encode(level_name(record.levelno), message, record, **pairs)


def level_name(level: int) -> str:
    """Return hclog's name for a level; hosts know these five."""
    if level < logging.DEBUG:
        return "trace"
    if level < logging.INFO:
        return "debug"
    if level < logging.WARNING:
        return "info"
    if level < logging.ERROR:
        return "warn"
    return "error"


def _encode(level: str, message: str, record: logging.LogRecord, **pairs: Any) -> str:
    moment = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    line = {
        "@level": level,
        "@message": message,
        "@timestamp": moment,
        "@module": _shown(record.name, _MAX_VALUE),
        **pairs,
    }
    # ASCII only: what cannot be encoded (a lone surrogate) is escaped instead of raising later.
    return json.dumps(line, ensure_ascii=True, allow_nan=False)


def _key(key: object) -> str:
    text = _shown(key, 128)
    # Go's logger and its readers use keys as names; and the reserved ones are ours alone.
    return f"_{text}" if text in _RESERVED or text.startswith("@") or not text else text


def _value(key: str, value: object) -> str | int | bool | None:
    if isinstance(value, Secret) or (is_secret_name(key) and value not in (None, "")):
        return MASK
    if value is None or isinstance(value, bool) or (type(value) is int and abs(value) < 2**53):
        return value
    return _shown(value, _MAX_VALUE)


def _shown(value: object, limit: int) -> str:
    """Return the text of anything in one line, secrets masked, and cut.

    It is cut before it is escaped, which costs a call for each character: a stranger may have sent it.
    """
    masked = mask_logged(str(value))
    shown = to_printable(masked[:limit])
    cut = max(0, len(masked) - limit) + max(0, len(shown) - limit)
    return f"{shown[:limit]} [{cut} characters cut]" if cut else shown


def _traceback(error: BaseException) -> str:
    # Source lines and messages, no values of local variables.
    return to_printable_lines(mask_logged("".join(traceback.format_exception(error))))


def _cut_front(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"[{len(text) - limit} characters cut] {text[-limit:]}"


class HCLogHandler(logging.Handler):
    """Writes each record with one system call, so that lines of several threads never mix."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(level=logging.NOTSET)
        self._descriptor = descriptor
        self.setFormatter(HCLogFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record. A host that is gone must not raise an error here."""
        data = self.format(record).encode() + b"\n"
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            return


def install(descriptor: int) -> HCLogHandler:
    """Send what is logged, warned about or uncaught to `descriptor`.

    Loggers begin at INFO: the debug lines of a library may quote what it handles. `send_all` opens
    those whose authors know that a server reads them.
    """
    handler = HCLogHandler(descriptor)
    logging.addLevelName(TRACE, "TRACE")
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    send_all("authkit")
    # It tells of every request at INFO, with its whole URL.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.captureWarnings(True)
    logging.raiseExceptions = False
    import sys

    sys.excepthook = _log_uncaught
    sys.unraisablehook = lambda args: _log_uncaught(args.exc_type, args.exc_value, args.exc_traceback)
    threading.excepthook = lambda args: _log_uncaught(args.exc_type, args.exc_value, args.exc_traceback)
    return handler


def send_all(name: str) -> None:
    """Send every level of this logger and those below it: the host filters by its own level."""
    logging.getLogger(name).setLevel(TRACE)


def _log_uncaught(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    logging.getLogger("authkit").error(
        "uncaught exception", exc_info=(kind, error, trace) if error is not None else None
    )
