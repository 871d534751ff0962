"""Attacks on the operator's terminal: what plugins, servers and tokens say commands nothing there."""

from __future__ import annotations

import io
import logging
from typing import Any

import pytest
from rich.console import Console

from authkit.cli import console as console_module
from authkit.cli import doctor as doctor_module
from authkit.cli import explain as explain_module
from authkit.cli.console import CommandError, console
from authkit.cli.logs import ANEW_SECONDS, _Lines, _Once
from authkit.doctor import Finding, Verdict
from authkit.host.supervisor.logs import LogReader, PluginLog

HOSTILE = "x\x1b]0;owned\x07\x1b[2J\r\n12:00:00 [INFO] authkit: all is well\u202e\x9b31m\u2028"
ESCAPED = (
    "x\\u001b]0;owned\\u0007\\u001b[2J\\r\\n12:00:00 [INFO] authkit: all is well\\u202e\\u009b31m\\u2028"
)


def output_of(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> tuple[Console, io.StringIO]:
    """A console without colours, and what it has written."""
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr("sys.stdout", stream)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    out = console()
    out.width = 500
    return out, stream


def verify_harmless(text: str) -> None:
    """Nothing but printable characters and the newlines of our own."""
    assert all(line.isprintable() for line in text.split("\n"))
    assert not any(line.startswith("12:00:00 [INFO]") for line in text.split("\n"))


@pytest.mark.parametrize("terminal", [True, False])
def test_the_doctor_shows_what_a_plugin_says(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a table, and as lines."""
    out, stream = output_of(terminal, monkeypatch)
    finding = Finding(check=f"a{HOSTILE}", verdict=Verdict.FAILED, seen=HOSTILE, advice=HOSTILE)
    monkeypatch.setattr(doctor_module, "console", lambda: out)
    doctor_module._show([finding])
    text = stream.getvalue()
    assert all(line.isprintable() for line in text.split("\n"))
    assert "owned" in text


@pytest.mark.parametrize("terminal", [True, False])
def test_explain_shows_what_a_token_says(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The claims of a stranger's token."""
    out, stream = output_of(terminal, monkeypatch)
    check = {"name": "exp", "passed": False, "expected": "later", "had": HOSTILE}
    explain_module._print({"error": HOSTILE, "role": HOSTILE, "checks": [check]}, out)
    text = stream.getvalue()
    assert all(line.isprintable() for line in text.split("\n"))
    assert f"error: {ESCAPED}\n" in text


@pytest.mark.parametrize("terminal", [True, False])
def test_the_dev_server_says_what_a_plugin_says(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """One text is one line: none can print what looks like the server's own, such as another token."""
    out, stream = output_of(terminal, monkeypatch)
    out.print(f"acme: not enabled: {HOSTILE}")
    assert stream.getvalue() == f"acme: not enabled: {ESCAPED}\n"


def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Also one with a server's text in it."""
    CommandError(f"HTTP 400: {HOSTILE}").show()
    with pytest.raises(SystemExit):
        console_module.fail(ValueError(HOSTILE))
    text = capsys.readouterr().err
    verify_harmless(text)
    assert len(text.splitlines()) == 2


def shown(message: str, kv: dict[Any, Any] | None = None, error: Exception | None = None) -> str:
    """A record as the dev server's log shows it."""
    made = logging.LogRecord("authkit.host", logging.INFO, "", 1, "%s", (message,), None)
    made.kv = kv
    if error is not None:
        made.exc_info = (type(error), error, None)
    return _Lines("%(asctime)s [%(levelname)s] %(name)s: %(message)s", "%H:%M:%S").format(made)


def test_the_log_has_one_line_for_a_record() -> None:
    """Message, keys and values are escaped; further lines, such as a traceback's, are marked."""
    text = shown(HOSTILE, {f"key{HOSTILE}": HOSTILE, "list": [HOSTILE]}, ValueError(HOSTILE))
    assert all(line.isprintable() for line in text.split("\n"))
    assert all(line.startswith("  | ") for line in text.split("\n")[1:])


@pytest.mark.parametrize(
    "line",
    [
        b"plain\x1b[2J\r\x9b\xc2\x9b31m",
        b"[ERROR] \x1b[2J",
        b'{"@level": "info", "@message": "a\\n12:00:00 [INFO] b\\u001b", "@module": "m\\n"}',
        b'{"@level": "info", "@message": "a", "k\\n": "v\\r\\n\\u202e"}',
        b'{"@level": 1, "@message": "\x1b"}',
        b"Traceback (most recent call last):\r",
    ],
)
def test_a_foreign_plugin_s_lines_are_as_harmless(line: bytes) -> None:
    """Whatever it writes to standard error, escaped by its own logger or not."""
    records: list[PluginLog] = []
    reader = LogReader(records.append)
    reader.feed(line, False)
    reader.finish()
    for record in records:
        text = shown(record.message, {"module": record.module, **record.pairs})
        assert all(part.isprintable() for part in text.split("\n"))
        assert all(part.startswith("  | ") for part in text.split("\n")[1:])


def failure_of(plugin: str, traceback: str, created: float) -> logging.LogRecord:
    """What a host logs of a plugin that does not load."""
    record = logging.makeLogRecord(
        {"name": "authkit.host.plugin", "msg": "the plugin could not be served", "levelno": logging.ERROR}
    )
    record.kv = {"plugin": plugin, "error": "SyntaxError", "traceback": traceback}
    record.created = created
    return record


def test_a_failure_of_several_starts_is_shown_once() -> None:
    """Another one is shown, that of another plugin too, and the same again after a while."""
    once = _Once()
    assert once.filter(failure_of("a", "line 1", 100.0))
    assert not once.filter(failure_of("a", "line 1", 100.5))
    assert once.filter(failure_of("b", "line 1", 101.0))
    assert once.filter(failure_of("a", "line 2", 101.5))
    assert once.filter(failure_of("a", "line 2", 102.0 + ANEW_SECONDS))
    assert all(once.filter(logging.makeLogRecord({"msg": "x"})) for _ in range(2))


def test_a_hint_stands_for_the_lines_of_an_error() -> None:
    """A server's own text of a failed start has thirty of them."""
    record = logging.makeLogRecord({"msg": "2 errors occurred:\n\t* one\n\t* two", "kv": {"hint": "do this"}})
    assert _Lines("%(message)s").format(record) == "2 errors occurred: hint=do this"
