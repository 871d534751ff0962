"""Lines of standard error as records, by go-plugin's rules."""

from __future__ import annotations

import json
import logging

import pytest

from authkit.host.supervisor.child import MAX_LINE_BYTES, LineCutter
from authkit.host.supervisor.logs import MAX_TRACE_LINES, LogReader, PluginLog, parse_line
from authkit.plugin.logs import TRACE
from authkit.printable import to_printable

WHEN = "2026-01-02T03:04:05.123456Z"


def line(**entry: object) -> str:
    """One structured line."""
    full = {"@level": "info", "@message": "text", "@timestamp": WHEN, "@module": "m"}
    return json.dumps(
        full | {f"@{key}" if key in ("level", "message") else key: v for key, v in entry.items()}
    )


def read(*lines: str, is_piece: bool = False) -> list[PluginLog]:
    """What a reader makes of lines, and of the end."""
    records: list[PluginLog] = []
    reader = LogReader(records.append)
    for text in lines:
        reader.feed(text.encode(), is_piece)
    reader.finish()
    return records


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("trace", TRACE),
        ("debug", logging.DEBUG),
        ("INFO", logging.INFO),
        ("Warn", logging.WARNING),
        ("error", logging.ERROR),
    ],
)
def test_a_structured_line_has_its_level(level: str, expected: int) -> None:
    """With module, time and pairs."""
    record = parse_line(line(level=level, message="hello", colour="blue", n=5, deep={"a": [1]}))
    assert record == PluginLog(
        level=expected,
        message="hello",
        module="m",
        pairs={"colour": "blue", "n": 5, "deep": '{"a": [1]}'},
        timestamp=WHEN,
    )


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("hello", logging.DEBUG),
        ("[WARN] watch out", logging.WARNING),
        ("[ERROR] no", logging.ERROR),
        ("[ERR] no", logging.DEBUG),
        (" [ERROR] not in the first column", logging.DEBUG),
        ("null", logging.DEBUG),
        ("[1, 2]", logging.DEBUG),
        ("{not json", logging.DEBUG),
        ("", logging.DEBUG),
        ("\ufffd\x00", logging.DEBUG),
        ("{" * 5000, logging.DEBUG),
    ],
)
def test_other_lines_are_debug_or_what_their_prefix_says(text: str, level: int) -> None:
    """The whole line is the message."""
    assert parse_line(text) == PluginLog(level=level, message=to_printable(text))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{"@message": 5, "@level": "info"}', "dies of this line"),
        ('{"@message": "x", "@level": null}', "dies of this line"),
        ('{"@message": "x", "@level": "info", "@timestamp": 1}', "dies of this line"),
        (line(level="warning"), "no level that hclog knows"),
        ('{"@message": "x"}', "no level that hclog knows"),
        (line(**{"@timestamp": "2026-01-02T03:04:05.123Z"}), "exactly six digits"),
    ],
)
def test_what_a_server_would_not_take_is_noted(text: str, fault: str) -> None:
    """It becomes a line at debug, as far as the server survives it."""
    record = parse_line(text)
    assert (record.level, record.message) == (logging.DEBUG, text)
    assert fault in record.fault


def test_secrets_are_masked_everywhere() -> None:
    """By their shape in texts, by their name in pairs; also where the plugin did not."""
    token = "hvs.CAESIJaaaaaaaaaaaaaaaaaaaaaaaa"
    texts = [
        line(message=f"got {token}", password="open sesame", note=token),
        f"printed {token}",
        "Traceback (most recent call last):",
        f"ValueError: {token}",
    ]
    records = read(*texts)
    assert len(records) == 3
    assert token not in repr(records)
    assert "open sesame" not in repr(records)


TRACEBACK = [
    "Traceback (most recent call last):",
    '  File "x.py", line 1, in f',
    "    g()",
    "",
    "ValueError: no",
]


def test_a_traceback_is_one_record_at_error() -> None:
    """It ends with the first line that is not indented; what follows is a line of its own."""
    records = read("before", *TRACEBACK, "after")
    assert [(record.level, record.message) for record in records] == [
        (logging.DEBUG, "before"),
        (logging.ERROR, "\n".join(TRACEBACK)),
        (logging.DEBUG, "after"),
    ]


def test_a_panic_is_one_record_until_the_end() -> None:
    """Its trace has lines of every form; a structured line or the end of the process completes it."""
    panic = ["panic: runtime error", "", "goroutine 1 [running]:", "main.main()", "\t/x.go:5"]
    assert [record.message for record in read(*panic)] == ["\n".join(panic).expandtabs(4)]
    first, second = read(*panic, line(message="next"))
    assert (first.level, second.message) == (logging.ERROR, "next")


def test_a_trace_without_end_is_cut() -> None:
    """The memory of a host is not the plugin's to fill."""
    records = read("panic: x", *["line"] * (MAX_TRACE_LINES * 2))
    assert len(records[0].message.splitlines()) == MAX_TRACE_LINES


def test_pieces_of_a_long_line_are_debug() -> None:
    """Whatever they look like, with a note."""
    (record,) = read("[ERROR] x", is_piece=True)
    assert record.level == logging.DEBUG
    assert "64 KiB" in record.fault


def cut(*chunks: bytes) -> list[tuple[bytes, bool]]:
    """What a cutter makes of chunks, and of the end."""
    lines: list[tuple[bytes, bool]] = []
    cutter = LineCutter(lambda text, is_piece: lines.append((text, is_piece)))
    for chunk in chunks:
        cutter.feed(chunk)
    cutter.finish()
    return lines


def test_chunks_are_cut_into_lines() -> None:
    """Wherever the pipe cuts them; the last needs no end."""
    assert cut(b"a\nb", b"c\r\n", b"\n", b"d") == [(b"a", False), (b"bc", False), (b"", False), (b"d", False)]


@pytest.mark.parametrize("size", [1, 1000, 70_000, 500_000])
def test_long_lines_come_in_pieces(size: int) -> None:
    """Each is told apart from whole lines, and none is longer than the limit."""
    data = b"x" * 150_000 + b"\nshort\n"
    lines = cut(*(data[start : start + size] for start in range(0, len(data), size)))
    assert b"".join(text for text, _ in lines[:-1]) == b"x" * 150_000
    assert all(is_piece and len(text) <= MAX_LINE_BYTES for text, is_piece in lines[:-1])
    assert lines[-1] == (b"short", False)
