"""Statements of operators: how they are split, and what may be put into them."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authkit.credentials import (
    fill_placeholders,
    fill_url,
    format_expiration,
    is_safe,
    make_password,
    make_rsa_key,
    replace_unsafe,
    split_statements,
    verify_placeholders,
)
from authkit.errors import InternalError, UserError
from authkit.masking import Secret


def b64(text: str) -> str:
    """Return text in base64."""
    return base64.b64encode(text.encode()).decode()


DO_BLOCK = "DO $$\nBEGIN\n  CREATE ROLE x;\nEND\n$$;"


@pytest.mark.parametrize(
    ("items", "statements"),
    [
        ([], []),
        (["", " ; ;"], []),
        (["a; b ;c"], ["a", "b", "c"]),
        (["a", "b;"], ["a", "b"]),
        ([DO_BLOCK], [DO_BLOCK]),
        ([f" {DO_BLOCK} ", "a;b"], [DO_BLOCK, "a", "b"]),
        (["SELECT 'THE END'; b"], ["SELECT 'THE END'", "b"]),
        (['SELECT "END"; b'], ['SELECT "END"', "b"]),
        (["APPEND a; WEEKEND b; end c"], ["APPEND a", "WEEKEND b", "end c"]),
        (["SELECT 'END'; SELECT 'b'"], ["SELECT 'END'; SELECT 'b'"]),
        (['["a; b", " c ", "", null]'], ["a; b", "c"]),
        (["null"], []),
        (["[1];b"], ["[1]", "b"]),
        (["[1, 2]"], ["[1, 2]"]),
        ([b64("a; b")], ["a", "b"]),
        ([b64('["a; b"]')], ["a; b"]),
        ([b64("a; b")[:4] + "\n" + b64("a; b")[4:]], ["a", "b"]),
        (["DROP"], ["DROP"]),
        (['["~*", "+@read"]'], ["~*", "+@read"]),
    ],
)
def test_statements_are_split_as_the_official_plugin_does(items: list[str], statements: list[str]) -> None:
    """Separated, base64, JSON, both; bodies with the word END are left whole."""
    assert split_statements(items) == statements


@pytest.mark.parametrize("item", ["a\0", DO_BLOCK + "\0", b64("a\0"), json.dumps(["a\0"])])
def test_a_nul_is_refused(item: str) -> None:
    """A database would cut the statement there, or refuse it without saying where."""
    with pytest.raises(UserError, match="NUL"):
        split_statements([item])


@given(st.lists(st.text(max_size=60), max_size=4))
def test_splitting_never_fails_otherwise(items: list[str]) -> None:
    """Whatever an operator writes; what comes out has no white space around it and is not empty."""
    items = [item.replace("\0", "") for item in items]
    for statement in split_statements(items):
        assert statement
        assert statement == statement.strip()


@given(st.lists(st.text("abc {}'\"", min_size=1).map(str.strip).filter(bool), min_size=1, max_size=4))
def test_a_json_list_is_taken_as_it_is(statements: list[str]) -> None:
    """Also in base64."""
    assert split_statements([json.dumps(statements)]) == statements
    assert split_statements([b64(json.dumps(statements))]) == statements


def test_placeholders_are_replaced_in_one_pass() -> None:
    """A value that looks like a placeholder stays: on a server it depends on the order of a map."""
    text = "CREATE ROLE \"{{name}}\" PASSWORD '{{password}}' -- {{other}}"
    values = {"name": "{{password}}", "password": Secret("{{name}}")}
    assert fill_placeholders(text, values) == (
        "CREATE ROLE \"{{password}}\" PASSWORD '{{name}}' -- {{other}}"
    )


UNSAFE = [*"'\"`\\]\0\n\x1b\x7f\u2028\u2019\u02bc\uff07\ud800\u202e", "$$", "$tag$"]


@pytest.mark.parametrize("value", [f"strange{part}name" for part in UNSAFE])
def test_unsafe_values_are_refused_without_being_shown(value: str) -> None:
    """A value that ends the operator's quotes is read as a statement."""
    assert not is_safe(value)
    assert is_safe(replace_unsafe(value))
    with pytest.raises(InternalError, match="the name has a character") as caught:
        fill_placeholders('"{{name}}"', {"name": value})
    assert value not in str(caught.value)


def test_unsafe_values_may_be_there_if_they_are_not_used() -> None:
    """A password by a policy does not stop a statement without it."""
    assert fill_placeholders("DROP {{name}}", {"name": "n", "password": "'"}) == "DROP n"


@pytest.mark.parametrize(
    "value", ["v-token-app-x-1", "müller@example.com", "日本", "a b", "p!#$%&()*+,-./:;<=>?@[^_{|}~"]
)
def test_usual_values_are_safe(value: str) -> None:
    """Names of people and passwords of policies without quotes."""
    assert is_safe(value)


def test_generated_values_are_safe() -> None:
    """By construction."""
    assert is_safe(make_password().reveal())
    assert is_safe(format_expiration(datetime.now(UTC)))
    assert is_safe(make_rsa_key().public_key)


@pytest.mark.parametrize(
    "change",
    [
        lambda key: key.replace("PUBLIC KEY", "PUBLIC' KEY"),
        lambda key: key.replace("\n", "\n'; --\n", 1),
        lambda key: key.replace("\n", "\r\n"),
        lambda key: f"{key}; DROP TABLE keys",
        lambda key: f"{key}\n",
        lambda key: f" {key}",
        lambda key: key.replace("END", "end"),
        lambda key: key + key,
    ],
)
def test_what_only_looks_like_a_key_is_unsafe(change: Callable[[str], str]) -> None:
    """Newlines are safe nowhere else."""
    assert not is_safe(change(make_rsa_key().public_key))


@given(value=st.text(max_size=80))
def test_a_safe_value_ends_no_quotes(value: str) -> None:
    """The statement read back has the value, whole, in whatever quotes it was put."""
    if not is_safe(value):
        return
    for begin, end, pattern in [
        ("'", "'", r"'((?:[^'\\]|''|\\.)*)'"),
        ('"', '"', r'"([^"]*)"'),
        ("`", "`", r"`([^`]*)`"),
        ("[", "]", r"\[([^\]]*)\]"),
        ("$t$'", "'$t$", r"\$t\$'(.*?)'\$t\$"),
    ]:
        statement = fill_placeholders(f"{begin}{{{{v}}}}{end}; x", {"v": value})
        match = re.match(pattern, statement, re.DOTALL)
        assert match is not None
        assert match[1] == value


def test_misspelt_placeholders_are_found_when_a_role_is_written() -> None:
    """Else they would become part of a name."""
    known = ("name", "password")
    verify_placeholders(['"{{name}}" {{password}}', "'{{1,2},{3,4}}'"], known)
    for wrong in ("{{nmae}}", "{{ name }}", "{{name }}"):
        with pytest.raises(
            UserError, match=re.escape(f"unknown placeholder {wrong} in a statement: there are {{")
        ):
            verify_placeholders(["ok", f"x {wrong}"], known)


def test_one_text_is_no_list() -> None:
    """Its characters would be taken for statements."""
    with pytest.raises(TypeError, match="items"):
        split_statements("DROP ROLE x")
    with pytest.raises(TypeError, match="statements"):
        verify_placeholders("{{name}}", ["name"])


def test_values_of_a_url_are_encoded() -> None:
    """A password's delimiters do not move the host; placeholders in values stay."""
    url = "postgresql://{{username}}:{{password}}@db:5432/{{other}}"
    values = {"username": "a b@c", "password": Secret("p@ss/w?r:d#é{{username}}")}
    assert fill_url(url, values) == (
        "postgresql://a%20b%40c:p%40ss%2Fw%3Fr%3Ad%23%C3%A9%7B%7Busername%7D%7D@db:5432/{{other}}"
    )


def test_an_expiration_has_the_format_of_the_official_plugin() -> None:
    """In UTC, whole seconds, four digits of the year."""
    east = timezone(timedelta(hours=2))
    assert format_expiration(datetime(2026, 1, 2, 3, 4, 5, 678, east)) == "2026-01-02 01:04:05+0000"
    assert format_expiration(datetime(1, 1, 2, tzinfo=UTC)) == "0001-01-02 00:00:00+0000"
    with pytest.raises(ValueError, match="time zone"):
        format_expiration(datetime(2026, 1, 2))
