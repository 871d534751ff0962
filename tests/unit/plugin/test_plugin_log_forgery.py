"""Attacks on logs and terminals: lines and commands that a stranger's text must not become."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authkit.masking import Secret
from authkit.plugin.logs import HCLogFormatter
from authkit.plugin.streams import MAX_KEPT_LINE, MAX_KEY_LINES, _Lines
from authkit.printable import to_printable, to_printable_lines

FORGED = "\n2026-01-01T00:00:00.000Z [INFO]  core: vault is sealed"
HOSTILE = [
    FORGED,
    "\r" + FORGED[1:],
    "\x1b[2J\x1b[31m",
    "\x9b31m",
    "\x7f\x08\x08\x07",
    "\u2028",
    "\u2029",
    "\x85",
    "\x0b\x0c",
    "\u202eelor",
    "\u2066\u2067\u2068\u2069\u200e\u200f\u061c",
    "\ufeff\u200b\U000e0041",
    "\ud800",
]


def decoded(text: str, kv: dict[Any, Any] | None = None, error: Exception | None = None) -> dict[str, Any]:
    """What a server reads of a record, before it writes it as it is."""
    made = logging.LogRecord(f"acme{text}", logging.INFO, "", 1, "refused %s", (text,), None)
    made.kv = kv or {}
    if error is not None:
        made.exc_info = (type(error), error, None)
    line = json.loads(HCLogFormatter().format(made))
    assert isinstance(line, dict)
    return line


@pytest.mark.parametrize("text", HOSTILE)
def test_no_part_of_a_record_can_begin_a_line_or_command_a_terminal(text: str) -> None:
    """A server writes message, module and keys raw (go-hclog 1.6.3, intlogger.go, logPlain)."""
    line = decoded(text, {f"key{text}": text, "list": [text], "token": text}, ValueError(text))
    trace = line.pop("traceback")
    for key, value in line.items():
        assert key.isprintable()
        assert str(value).isprintable()
    # The one value with lines: a server marks each of them with `  | `.
    assert trace.replace("\n", "").isprintable()


@given(st.text())
def test_any_text_becomes_printable(text: str) -> None:
    """In one line, without a change to what is printable already."""
    shown = to_printable(text)
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1
    assert to_printable(shown) == shown
    assert all(line.isprintable() for line in to_printable_lines(text).split("\n"))
    if text.isprintable():
        assert shown == text


@pytest.mark.parametrize("text", HOSTILE)
def test_printed_text_is_as_harmless(text: str) -> None:
    """It comes from the author's code and its libraries, which print what strangers send."""
    printed = f"before {text} after\n".encode(errors="surrogatepass")
    assert all(line.isprintable() for line in _Lines().feed(printed))


def test_a_private_key_that_does_not_end_hides_no_more_than_a_key() -> None:
    """Who can have a line printed must not be able to silence all that is printed afterwards."""
    lines = _Lines()
    assert list(lines.feed(b"-----BEGIN PRIVATE KEY-----\n")) == ["[masked]"]
    assert not list(lines.feed(b"MIGHAgEAMBMGByqGSM49\n" * (MAX_KEY_LINES - 1)))
    assert list(lines.feed(b"MIGHAgEAMBMGByqGSM49\nan alarm\n"))[-1] == "an alarm"


def test_a_traceback_stays_readable() -> None:
    """With its lines, which a server marks, and the text of the exception in one of them."""
    try:
        raise ValueError(FORGED)
    except ValueError:
        made = logging.LogRecord("acme", logging.ERROR, "", 1, "failed", (), sys.exc_info())
    trace = json.loads(HCLogFormatter().format(made))["traceback"]
    assert trace.startswith("Traceback (most recent call last):\n  File ")
    assert "\n    raise ValueError(FORGED)\n" in trace


@pytest.mark.parametrize("pieces", [1000, 4096, 16 * 1024])
def test_a_secret_at_a_seam_of_a_long_line_is_masked(pieces: int) -> None:
    """Whoever decides how long a printed line is cannot have a secret in it cut in two."""
    secret = Secret("swordfish-" + "0123456789abcdef" * 4)
    for before in range(8 * 1024 - 100, 8 * 1024 + 20, 7):
        printed = f"login of {'x' * before} {secret.reveal()} and {'y' * 20_000}\n".encode()
        lines = _Lines()
        shown = [
            line for at in range(0, len(printed), pieces) for line in lines.feed(printed[at : at + pieces])
        ]
        assert "0123456789" not in "".join(shown)
        assert "[masked]" in "".join(shown)


def show(printed: bytes, pieces: int = 16 * 1024) -> list[str]:
    """Return the lines that come of what was printed, read in pieces."""
    lines = _Lines()
    parts = [printed[at : at + pieces] for at in range(0, len(printed), pieces)]
    return [line for part in [*parts, b""] for line in lines.feed(part)]


@pytest.mark.parametrize("length", [16 * 1024, MAX_KEPT_LINE, 2 * MAX_KEPT_LINE])
@pytest.mark.parametrize("cut", [-3, 1, 7, 11, 15, 19, 26, 31])
def test_a_secret_with_blanks_is_masked_at_a_seam(length: int, cut: int) -> None:
    """The blanks in a private key's first line, an Authorization value or a passphrase are no seams."""
    passphrase = Secret("correct horse battery staple")
    before = ("x " * length)[: length - cut - 1] + " "
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIBKEYBODY\n-----END RSA PRIVATE KEY-----"
    for secret, part in (
        (key, "KEYBODY"),
        ("Bearer opaque+token/", "opaque"),
        (passphrase.reveal(), "staple"),
    ):
        shown = "\n".join(show(f"{before}{secret} tail\nnext\n".encode()))
        assert part not in shown
        assert shown.endswith("next")


def test_a_line_without_end_is_not_shown() -> None:
    """What cannot be kept until its end has come is left out, and what follows is shown again."""
    secret = Secret("x" * 40 + "0123456789abcdef")
    printed = f"begin {'x' * 2 * MAX_KEPT_LINE}{secret.reveal()} end\nnext\n".encode()
    for pieces in (4096, len(printed)):
        assert show(printed, pieces) == ["[a line that is too long to be shown]", "next"]
    assert show(b"x" * 2 * MAX_KEPT_LINE) == ["[a line that is too long to be shown]"]
