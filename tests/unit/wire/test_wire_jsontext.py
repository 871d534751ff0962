"""JSON inside messages: what is read, what is written, what is refused."""

from __future__ import annotations

import json
import math
from collections import OrderedDict, deque
from datetime import UTC, date, datetime, timedelta, timezone
from enum import Enum, IntEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authkit import json_reader
from authkit.errors import BadRequestError, InternalError
from authkit.logical import JSONNumber, Operation
from authkit.masking import Secret
from authkit.wire.jsontext import MAX_DEPTH, MAX_EXACT_INTEGER, decode_object, encode_object

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-MAX_EXACT_INTEGER, MAX_EXACT_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=15
)


@given(st.dictionaries(st.text(), values))
def test_objects_come_back_as_they_went(value: dict[str, Any]) -> None:
    """What can be sent is read again unchanged."""
    assert decode_object(encode_object(value)) == value


@given(st.dictionaries(st.text(), values))
def test_text_is_what_the_standard_encoder_writes(value: dict[str, Any]) -> None:
    """For JSON's own types the text means the same to any other reader."""
    assert json.loads(encode_object(value)) == value


@given(st.text())
def test_no_text_fails_in_an_unforeseen_way(text: str) -> None:
    """Any text is an object, null, or a bad request."""
    try:
        decoded = decode_object(text)
    except BadRequestError:
        return
    assert decoded is None or isinstance(decoded, dict)


def test_null_is_no_object() -> None:
    """The literal null is None, with spaces around it too; None is written as null."""
    assert decode_object("null") is None
    assert decode_object(" null ") is None
    assert encode_object(None) == "null"
    assert encode_object({}) == "{}"


def test_integers_are_exact_and_other_numbers_keep_their_literal() -> None:
    """A number is what the client wrote, all digits of it."""
    data = decode_object(
        '{"i": 1152921504606846976, "n": -0, "f": 5.0, "e": 1e3, "long": 0.12345678901234567890}'
    )
    assert data is not None
    assert data["i"] == 1152921504606846976
    assert type(data["i"]) is int
    assert data["f"] == 5.0
    assert [data[key].literal for key in ("f", "e", "long")] == ["5.0", "1e3", "0.12345678901234567890"]


def test_the_last_of_equal_keys_counts() -> None:
    """A repeated key is read as Go reads it."""
    assert decode_object('{"a": 1, "a": 2}') == {"a": 2}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r'{"a": "\ud800"}', "\ufffd"),
        (r'{"a": "\uDFFFx"}', "\ufffdx"),
        (r'{"a": "\ud83d\ude00"}', "\U0001f600"),
        (r'{"a": "\ud800\ud83d\ude00"}', "\ufffd\U0001f600"),
        (r'{"a": "\\ud800"}', r"\ud800"),
        (r'{"a": "\\\ud800"}', "\\\ufffd"),
        (r'{"a": "\u00e9\n"}', "é\n"),
    ],
)
def test_half_a_surrogate_pair_is_replaced(text: str, expected: str) -> None:
    """Every text that is read can be written again as UTF-8."""
    data = decode_object(text)
    assert data == {"a": expected}
    data["a"].encode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "[]",
        "[1]",
        '"text"',
        "7",
        "true",
        "nul",
        "{",
        '{"a": NaN}',
        '{"a": Infinity}',
        '{"a": -Infinity}',
        '{"a": 1e999}',
        '{"a": 1} {"b": 2}',
        "{'a': 1}",
        '{"a": 01}',
        '{"a": "\n"}',
        '{"a": 1,}',
        "\ufeff{}",
        '{"a": ' + "9" * 5000 + "}",
        '{"a": ' + "[" * 100_000,
        '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"a":' * 500 + "1" + "}" * 500,
        '{"a": ' + "[" * MAX_DEPTH + "]" * MAX_DEPTH + "}",
    ],
    ids=lambda text: ascii(text[:20]),
)
def test_anything_else_is_a_bad_request(text: str) -> None:
    """What is no plain object is refused, and the refusal does not repeat it."""
    with pytest.raises(BadRequestError) as caught:
        decode_object(text)
    assert str(caught.value).startswith("the request's data is n")
    assert caught.value.__cause__ is None


def test_deep_but_bearable_nesting_is_read() -> None:
    """Nesting up to the limit passes, and so do many brackets beside each other."""
    inner = MAX_DEPTH - 1
    assert decode_object('{"a": ' + "[" * inner + "]" * inner + "}") is not None
    assert decode_object('{"a": [' + ",".join(["[]"] * 5000) + "]}") == {"a": [[]] * 5000}


class Color(Enum):
    """An enumeration of texts."""

    RED = "red"


class Level(IntEnum):
    """An enumeration of numbers."""

    HIGH = 3


class Text(str):
    """A text of an own class."""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"abcd", '"YWJjZA=="'),
        (bytearray(b"\xff"), '"/w=="'),
        (timedelta(hours=1, milliseconds=900), "3600"),
        (timedelta.max, "86399999999999"),
        (datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC), '"2024-01-02T03:04:05Z"'),
        (
            datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=2))),
            '"2024-01-02T01:04:05.000006Z"',
        ),
        (Color.RED, '"red"'),
        (Level.HIGH, "3"),
        (Operation.READ, '"read"'),
        (Text("x"), '"x"'),
        (JSONNumber("1e3"), "1e3"),
        (JSONNumber("5.0"), "5.0"),
        ((1, (2,)), "[1,[2]]"),
        ({"b", "a"}, '["a","b"]'),
        (frozenset({10, 9}), "[9,10]"),
        (deque([1]), "[1]"),
        (OrderedDict(z=1, a=2), '{"z":1,"a":2}'),
        (MAX_EXACT_INTEGER, "9007199254740992"),
        (MAX_EXACT_INTEGER + 1, '"9007199254740993"'),
        (-MAX_EXACT_INTEGER - 1, '"-9007199254740993"'),
        (True, "true"),
        (None, "null"),
        (0.1, "0.1"),
        ("\ud800", r'"\ud800"'),
    ],
)
def test_values_beyond_json_have_one_form(value: Any, expected: str) -> None:
    """Each Python type that authors use has its documented form."""
    assert encode_object({"v": value}) == '{"v":' + expected + "}"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (math.nan, "not finite"),
        (math.inf, "not finite"),
        (JSONNumber("1e999"), "not finite"),
        (Secret("hunter2-hunter2"), "a Secret is never sent"),
        (object(), "a object has no JSON form"),
        (date(2024, 1, 1), "a date has no JSON form"),
        (lambda: None, "a function has no JSON form"),
        ({1: "x"}, "a key is a int"),
        ({None: "x"}, "a key is a NoneType"),
        ({Secret("hunter2-hunter2"): 1}, "a key is a Secret"),
        ({1, "a"}, "no order"),
        ({Secret("hunter2-hunter2"), Secret("other-secret")}, "no order"),
        (datetime(2024, 1, 1), "without time zone"),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=5))), "out of range"),
        pytest.param(10**5000, "too many digits", id="huge"),
        (iter([1]), "list_iterator has no JSON form"),
    ],
)
def test_what_cannot_be_sent_is_named_but_not_shown(value: Any, reason: str) -> None:
    """The error says where and why, and nothing of the value."""
    with pytest.raises(InternalError) as caught:
        encode_object({"outer": [0, {"inner": value}]}, "internal_data")
    text = str(caught.value)
    assert text.startswith("internal_data.outer[1].inner: ")
    assert reason in text
    assert "hunter2" not in text
    assert caught.value.__suppress_context__


def test_a_value_that_contains_itself_is_refused() -> None:
    """An endless value ends in an error, not in the process's end."""
    value: dict[str, Any] = {}
    value["again"] = value
    with pytest.raises(InternalError, match="contains itself"):
        encode_object(value)


def test_what_would_be_refused_on_its_way_back_is_not_sent() -> None:
    """Internal data comes back at renewal: the limit of depth holds in both directions."""
    value: Any = ()
    for _ in range(MAX_DEPTH - 2):
        value = (value,)
    assert decode_object(encode_object({"a": value})) is not None
    with pytest.raises(InternalError, match="nested too deeply"):
        encode_object({"a": {"b": value}})


@pytest.mark.parametrize("value", [[1], "text", 7])
def test_only_an_object_can_be_sent(value: Any) -> None:
    """Data that is no mapping is an internal error."""
    with pytest.raises(InternalError, match="is not an object"):
        encode_object(value)


def test_a_long_key_is_cut_in_the_error() -> None:
    """A key that a stranger chose does not flood the log."""
    with pytest.raises(InternalError) as caught:
        encode_object({"k" * 10_000: object()})
    assert len(str(caught.value)) < 200


def test_a_request_of_many_values_costs_no_call_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger's request of millions of values holds up nobody else while its depth is looked at."""
    looked_at: list[object] = []
    monkeypatch.setattr(json_reader, "_is_container", lambda value: looked_at.append(value) or True)
    many = '{"a": [' + '[], {}, 0, 1.5, null, true, "x", ' * 1000 + "0]}"
    assert decode_object(many) is not None
    assert len(looked_at) <= 1


def test_whole_escapes_cost_no_call_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a text that cannot be read is looked through for half pairs."""
    monkeypatch.setattr(json_reader, "_whole_character", None)
    assert decode_object('{"a": "' + r"\u003c\\ud800" * 1000 + '"}') == {"a": r"<\ud800" * 1000}


@pytest.mark.parametrize("number", ["1e999", "1" + "0" * 5000])
def test_a_number_out_of_range_costs_no_call_for_each_escape(
    number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strangers send such a number beside megabytes of what a host writes as escapes."""
    monkeypatch.setattr(json_reader, "_ESCAPE", None)
    with pytest.raises(BadRequestError, match="not valid JSON"):
        decode_object(f'{{"a": {number}, "jwt": "\\u003c\\n"}}')


def test_a_forgotten_await_is_named() -> None:
    """A coroutine in an answer is one that nobody has awaited."""

    async def seal() -> str:
        return "x"

    forgotten = seal()
    with pytest.raises(InternalError, match=r"a coroutine has no JSON form: is an 'await' missing"):
        encode_object({"state": forgotten})
    forgotten.close()
