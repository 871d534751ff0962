"""Log lines: what a host can parse, and never a secret."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authkit.masking import MASK, Secret, is_secret_name, mask_logged
from authkit.plugin import logs
from authkit.plugin.logs import MAX_LINE_BYTES, TRACE, HCLogFormatter, HCLogHandler
from authkit.printable import to_printable

JWT = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJib2IifQ.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg"
KEY = (
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEG\nCCqGSM49AwEHBG0wawIBAQQg\n"
    "-----END PRIVATE KEY-----"
)


def record(
    message: object = "text", *args: object, level: int = logging.INFO, **extra: Any
) -> logging.LogRecord:
    """A record as `logging` makes it."""
    made = logging.LogRecord("acme.login", level, __file__, 1, message, args, None)
    vars(made).update(extra)
    return made


def line(made: logging.LogRecord) -> dict[str, Any]:
    """The record as a host reads it."""
    text = HCLogFormatter().format(made)
    assert "\n" not in text
    assert len(text.encode()) <= MAX_LINE_BYTES
    parsed = json.loads(text)
    assert isinstance(parsed, dict)
    for name in ("@message", "@level", "@timestamp", "@module"):
        assert type(parsed[name]) is str
    assert parsed["@level"] in {"trace", "debug", "info", "warn", "error"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", parsed["@timestamp"])
    return parsed


def test_a_record_has_message_level_time_and_module() -> None:
    """The four fields that a host reads, the time with exactly six digits."""
    parsed = line(record("hello %s", "bob", level=logging.WARNING, kv={"mount": "auth/x/", "count": 3}))
    assert parsed["@message"] == "hello bob"
    assert parsed["@level"] == "warn"
    assert parsed["@module"] == "acme.login"
    assert parsed["mount"] == "auth/x/"
    assert parsed["count"] == 3
    assert datetime.fromisoformat(parsed["@timestamp"]).tzinfo is not None


@pytest.mark.parametrize(
    ("level", "name"),
    [
        (TRACE, "trace"),
        (logging.DEBUG, "debug"),
        (logging.INFO, "info"),
        (25, "info"),
        (logging.WARNING, "warn"),
        (logging.ERROR, "error"),
        (logging.CRITICAL, "error"),
        (0, "trace"),
        (99, "error"),
    ],
)
def test_every_level_becomes_one_that_hosts_know(level: int, name: str) -> None:
    """Python's `warning` and `critical` are not among hclog's five names."""
    assert line(record(level=level))["@level"] == name


@given(
    message=st.one_of(st.text(), st.integers(), st.none(), st.dictionaries(st.text(), st.text())),
    pairs=st.dictionaries(
        st.one_of(
            st.sampled_from(["@message", "@level", "@timestamp", "@module", "timestamp", ""]), st.text()
        ),
        st.one_of(
            st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.lists(st.text())
        ),
    ),
)
def test_no_record_can_make_a_line_that_harms_a_host(message: object, pairs: dict[str, object]) -> None:
    """Whatever is logged, the fields that a host casts without looking are strings."""
    line(record(message, kv=pairs))


class Hostile:
    """An object that cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "made",
    [
        record("%s", Hostile()),
        record("text", kv={"x": Hostile()}),
        record("%d", "not a number"),
        record("two %s", "args", "given"),
        record("text", kv=["not", "a", "mapping"]),
        record("text", kv={Hostile(): 1}),
        record("surrogate \ud800"),
        record("\x00\x1b[31m"),
    ],
)
def test_an_author_s_mistake_is_still_a_line(made: logging.LogRecord) -> None:
    """A record that cannot be formatted gives a line that says so, and no exception."""
    assert line(made)["@message"]


def test_a_long_record_is_cut() -> None:
    """A host cuts lines of 64 KiB into pieces without level: ours stay below, and say what is missing."""
    parsed = line(record("x" * 500_000, kv={f"key{n}": "é" * 10_000 for n in range(100)}))
    assert "characters cut" in parsed["@message"]


def test_what_is_cut_is_not_escaped_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Escaping costs a call for each character, of which a stranger may have sent many."""
    escaped: list[str] = []
    monkeypatch.setattr(logs, "to_printable", lambda text: escaped.append(text) or to_printable(text))
    parsed = line(record("\u200b" * 500_000, kv={"key": "\u200b" * 500_000}))
    assert parsed["@message"].endswith(" characters cut]")
    assert parsed["key"].endswith(" characters cut]")
    assert sum(map(len, escaped)) < 100_000


def test_an_exception_carries_its_traceback_in_the_line() -> None:
    """A bare traceback would arrive as DEBUG lines that nobody sees."""
    try:
        raise ValueError("the cause")
    except ValueError:
        made = record("failed", level=logging.ERROR, exc_info=sys.exc_info())
    parsed = line(made)
    assert parsed["error"] == "ValueError: the cause"
    assert "test_an_exception_carries" in parsed["traceback"]


SECRETS = {
    "jwt": JWT,
    "client token": "hvs.CAESIJ3kYxZ0123456789abcdefghij",
    "legacy token": "s.abcdefghijklmnopqrstuvwx",
    "private key": KEY,
    "bearer": "Bearer abcdefghijklmnop",
}


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())
def test_what_looks_like_a_secret_is_masked_anywhere(secret: str) -> None:
    """In the message, its arguments, a value, a key, and an exception's text."""
    try:
        raise ValueError(f"refused {secret}")
    except ValueError:
        error = sys.exc_info()
    text = HCLogFormatter().format(
        record(
            f"got {secret} and %s",
            secret,
            kv={"value": f"a{secret and ' '}{secret}", f"k {secret}": 1},
            exc_info=error,
        )
    )
    for piece in secret.split("\n"):
        if "-----" not in piece:
            assert piece.split(" ")[-1] not in text
    assert MASK in text


@pytest.mark.parametrize(
    "name",
    ["jwt", "token", "client_token", "X-Vault-Token", "oidc_client_secret", "private_key", "Authorization",
     "api_key", "password", "id_token", "secret_id", "refresh_token", "code_verifier", "bind.password"],
)  # fmt: skip
def test_a_value_under_a_secret_s_name_is_masked(name: str) -> None:
    """Whatever it looks like."""
    assert is_secret_name(name)
    assert line(record(kv={name: "correct horse"}))[name] == MASK


@pytest.mark.parametrize(
    "name", ["role", "mount", "token_ttl", "token_policies", "key", "pinned", "secretary", "kid"]
)
def test_ordinary_names_are_not_masked(name: str) -> None:
    """A log in which everything is masked helps nobody."""
    assert not is_secret_name(name)
    assert line(record(kv={name: "correct horse"}))[name] == "correct horse"


def test_a_living_secret_is_masked_verbatim() -> None:
    """A client secret looks like nothing in particular; it is known all the same."""
    secret = Secret("correct horse battery")
    assert mask_logged(f"he said {secret.reveal()}!") == f"he said {MASK}!"
    for text in (str(secret), repr(secret), f"{secret}", f"{secret:>20}", f"{[secret]}"):
        assert "horse" not in text
    assert line(record("%s", secret, kv={"x": secret}))["x"] == MASK


def test_a_secret_cannot_be_pickled() -> None:
    """Neither copying to another process nor storing it by accident works."""
    import pickle

    with pytest.raises(TypeError):
        pickle.dumps(Secret("correct horse"))


def test_a_host_that_is_gone_does_not_end_the_logger() -> None:
    """Writing to a closed pipe is swallowed."""
    reader, writer = os.pipe()
    os.close(reader)
    HCLogHandler(writer).emit(record())
    os.close(writer)


def test_each_record_is_one_write() -> None:
    """Lines of several threads must not mix."""
    reader, writer = os.pipe()
    handler = HCLogHandler(writer)
    handler.emit(record("one"))
    handler.emit(record("two"))
    os.close(writer)
    with open(reader, "rb") as lines:
        assert [json.loads(text)["@message"] for text in lines] == ["one", "two"]


@pytest.mark.parametrize(
    "failure",
    [ValueError, KeyError, lambda text: ExceptionGroup("several", [ValueError(text)])],
    ids=["as it is", "its repr", "indented"],
)
def test_a_secret_of_several_lines_is_masked_in_tracebacks(failure: Any) -> None:
    """Also where a traceback quotes it or puts something before each of its lines."""
    secret = Secret("first-line-of-secret-1234\nsecond-line-of-secret-5678")
    try:
        raise failure(secret.reveal())
    except Exception:
        made = record("failed", level=logging.ERROR, exc_info=sys.exc_info())
    text = HCLogFormatter().format(made)
    assert "first-line" not in text
    assert "second-line" not in text
