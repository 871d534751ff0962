"""What field types accept, and what they make of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authkit.errors import FieldError, UserError
from authkit.framework import (
    KV,
    UNSET,
    Bool,
    Cidrs,
    CommaInts,
    CommaList,
    Float,
    Headers,
    Int,
    List,
    LowerStr,
    Map,
    Name,
    Seconds,
    SignedSeconds,
    Str,
    StrList,
    Timestamp,
    field,
    format_block,
    format_duration,
    parse_duration,
)
from authkit.framework.fields.schema import FieldData, build_schema
from authkit.logical import JSONNumber
from authkit.masking import Secret


def convert(annotation: Any, raw: Any, **options: Any) -> Any:
    """Read one field."""
    return build_schema("x", annotation, field(default=UNSET, **options)).convert(raw)


@pytest.mark.parametrize(
    ("annotation", "raw", "expected"),
    [
        (Str, "a b", "a b"),
        (Str, 5, "5"),
        (Str, JSONNumber("1e3"), "1e3"),
        (Str, True, "1"),
        (Str, None, ""),
        (LowerStr, "ÄbC", "äbc"),
        (Name, "a-b.c_d", "a-b.c_d"),
        (Int, 9007199254740993, 9007199254740993),
        (Int, JSONNumber("1.0"), 1),
        (Int, JSONNumber("1e3"), 1000),
        (Int, JSONNumber("-0.0"), 0),
        (Int, JSONNumber("0e999999999"), 0),
        (Int, True, 1),
        (Int, "", 0),
        (Int, "0x10", 16),
        (Int, "010", 8),
        (Int, "1_000", 1000),
        (Int, "-5", -5),
        (Int, None, 0),
        (Bool, "T", True),
        (Bool, "", False),
        (Bool, JSONNumber("1.0"), True),
        (Bool, 0, False),
        (Bool, None, False),
        (Float, JSONNumber("1.5"), 1.5),
        (Float, "1_000", 1000.0),
        (Float, "", 0.0),
        (Float, True, 1.0),
        (Seconds, 90, timedelta(seconds=90)),
        (Seconds, "1h30m", timedelta(minutes=90)),
        (Seconds, "2d", timedelta(days=2)),
        (Seconds, "1.5h", timedelta(minutes=90)),
        (Seconds, "500ms", timedelta(0)),
        (Seconds, "", timedelta(0)),
        (Seconds, JSONNumber("6e1"), timedelta(minutes=1)),
        (Seconds, None, UNSET),
        (SignedSeconds, -1, timedelta(seconds=-1)),
        (SignedSeconds, "-1m", timedelta(minutes=-1)),
        (SignedSeconds, "-1500ms", timedelta(seconds=-1)),
        (Timestamp, "2024-01-02T03:04:05Z", datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (Timestamp, "2024-01-02T03:04:05.5+01:00", datetime(2024, 1, 2, 2, 4, 5, 500000, tzinfo=UTC)),
        (Timestamp, 0, datetime(1970, 1, 1, tzinfo=UTC)),
        (Timestamp, "1700000000", datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        (Timestamp, None, UNSET),
        (Map, {"a": {"b": 1}}, {"a": {"b": 1}}),
        (Map, [{"a": 1}, {"a": 2, "b": 3}], {"a": 2, "b": 3}),
        (Map, [], {}),
        (Map, [None], {}),
        (Map, None, {}),
        (KV, {"a": 1, "b": None, "c": True}, {"a": "1", "b": "", "c": "1"}),
        (KV, "a=b,c=d", {"a": "b,c=d"}),
        (KV, ["a=1", "b=2=3"], {"a": "1", "b": "2=3"}),
        (KV, [{"a": 1}, "b=2"], {"a": "1", "b": "2"}),
        (List, ["a", 1], ("a", 1)),
        (List, "a,b", ("a,b",)),
        (List, {}, ()),
        (List, {"a": 1}, ({"a": 1},)),
        (StrList, "a,b", ("a,b",)),
        (StrList, [" a ", 1, ""], ("a", "1", "")),
        (StrList, "", ()),
        (CommaList, " a , b,,c ", ("a", "b", "", "c")),
        (CommaList, ["a,b", "c"], ("a,b", "c")),
        (CommaList, "", ()),
        (CommaList, None, ()),
        (CommaInts, "1,2", (1, 2)),
        (CommaInts, [1, "2"], (1, 2)),
        (CommaInts, 3, (3,)),
        (Literal["a", "b"], "b", "b"),
        (Literal["a", "b"], None, UNSET),
        (str, "plain", "plain"),
    ],
)
def test_conversion(annotation: Any, raw: Any, expected: Any) -> None:
    """Each type takes what a builtin method of a host takes."""
    found = convert(annotation, raw)
    assert found == expected
    assert type(found) is type(expected) or isinstance(expected, dict)


@pytest.mark.parametrize(
    ("annotation", "raw"),
    [
        (Str, []),
        (Str, {}),
        (Name, ""),
        (Name, None),
        (Name, "-a"),
        (Name, "a\n"),
        (Name, "ä"),
        (Name, "a/b"),
        (Int, JSONNumber("1.9")),
        (Int, JSONNumber("1e-1")),
        (Int, JSONNumber("1e30")),
        (Int, JSONNumber("1e999999999")),
        (Int, JSONNumber("1e-999999999")),
        (Int, 2**63),
        (Int, "1.0"),
        (Int, " 1"),
        (Int, "\u0661"),
        (Int, "1" * 5000),
        (Int, []),
        (Bool, 2),
        (Bool, JSONNumber("0.5")),
        (Bool, "yes"),
        (Bool, []),
        (Float, "0x10"),
        (Float, "nan"),
        (Float, "inf"),
        (Float, JSONNumber("1e999")),
        (Float, []),
        (Seconds, -5),
        (Seconds, "-1s"),
        (Seconds, JSONNumber("1.9")),
        (Seconds, "1.9"),
        (Seconds, "1.5d"),
        (Seconds, "1d12h"),
        (Seconds, "1w"),
        (Seconds, "1h 30m"),
        (Seconds, "."),
        (Seconds, ".h"),
        (Seconds, "9" * 60),
        (Seconds, "9999999999h"),
        (Seconds, "1" * 100),
        (Seconds, True),
        (Seconds, []),
        (Timestamp, "2024-01-02"),
        (Timestamp, JSONNumber("1.5")),
        (Timestamp, ""),
        (Timestamp, 10**18),
        (Timestamp, True),
        (Map, "{}"),
        (Map, None.__class__),
        (KV, "a"),
        (KV, ["a"]),
        (KV, {"a": []}),
        (StrList, [["a"]]),
        (CommaList, [{}]),
        (CommaInts, "1, 2"),
        (CommaInts, ["a"]),
        (Literal["a", "b"], "c"),
    ],
)
def test_refusal(annotation: Any, raw: Any) -> None:
    """What does not fit is refused with a reason that does not repeat it."""
    with pytest.raises(FieldError) as caught:
        convert(annotation, raw)
    assert caught.value.field == "x"
    if isinstance(raw, str) and len(raw) > 3:
        assert raw not in caught.value.reason


def test_secret_is_wrapped() -> None:
    """A secret field holds its text where nobody sees it."""
    found = convert(Secret, "hunter22")
    assert isinstance(found, Secret)
    assert found.reveal() == "hunter22"


def test_deep_nesting_is_refused() -> None:
    """An object deeper than any honest one does not reach recursive code."""
    raw: Any = {}
    for _ in range(1000):
        raw = {"a": raw}
    with pytest.raises(FieldError, match="nested"):
        convert(Map, raw)


def test_length_is_bounded() -> None:
    """A field with a maximal length counts the characters of everything in it."""
    assert convert(Str, "1234", max_length=4) == "1234"
    for raw in ("12345", JSONNumber("1.000")):
        with pytest.raises(FieldError, match="longer than 4"):
            convert(Str, raw, max_length=4)
    with pytest.raises(FieldError, match="longer than 4"):
        convert(CommaList, ["a", "b", "c", "d"], max_length=4)


def test_nothing_is_looked_at_beyond_a_bound() -> None:
    """What a stranger sends beyond the bound of a field costs nothing, however much it is."""

    class Untouched(list[Any]):
        def __len__(self) -> int:
            raise AssertionError("this was looked at")

    for raw in (["12345", Untouched()], [["1", "2", "3"], Untouched()], {"12345": Untouched()}):
        with pytest.raises(FieldError, match="longer than 4"):
            convert(CommaList, raw, max_length=4)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("10.0.0.1/32", "10.0.0.1"),
        ("10.1.2.3/8", "10.1.2.3/8"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::1/128", "::1"),
    ],
)
def test_blocks_are_kept_as_written(text: str, shown: str) -> None:
    """Host bits stay, a prefix length that covers one address goes."""
    assert [format_block(block) for block in convert(Cidrs, text)] == [shown]


@pytest.mark.parametrize(
    "text",
    ["10.0.0.0/33", "/tmp/x", "./x", "host", "", "10.0.0.0/255.0.0.0", "10.0.0.0/0.0.0.255",
     "fe80::1%eth0", "10.0.0.1:80", "10.0.0.0/", "::ffff:10.0.0.0/104", "010.0.0.1"],
)  # fmt: skip
def test_what_is_no_block_is_refused(text: str) -> None:
    """Nothing becomes a UNIX socket, or a block that matches nobody."""
    with pytest.raises(UserError, match="error parsing address"):
        convert(Cidrs, [text])


def test_absent_null_and_empty_are_three_things() -> None:
    """A request's fields tell what was set, what was null, and nothing of what was absent."""
    schema = {name: build_schema(name, Str) for name in ("a", "b", "c")}
    data = FieldData.read(schema, {"a": None, "b": "", "d": 1}, {})
    assert dict(data.values) == {"a": "", "b": ""}
    assert data.nulls == {"a"}
    assert data.ignored == ("d",)


def test_path_wins_over_body() -> None:
    """A captured field replaces the body's value, and that is noted unless the body had null."""
    schema = {"name": build_schema("name", Str)}
    assert FieldData.read(schema, {"name": "body"}, {"name": "path"}).values["name"] == "path"
    assert FieldData.read(schema, {"name": "body"}, {"name": "path"}).replaced == ("name",)
    assert FieldData.read(schema, {"name": None}, {"name": "path"}).replaced == ()


def test_a_default_must_fit() -> None:
    """A default is read like a request, when the class is defined."""
    assert build_schema("x", Seconds, "1h").default == timedelta(hours=1)
    with pytest.raises(TypeError, match="default does not fit"):
        build_schema("x", Seconds, "soon")
    with pytest.raises(TypeError, match="not a field type"):
        build_schema("x", bytes)


def test_options_may_stand_in_the_annotation() -> None:
    """`field()` in `Annotated` describes a parameter that has a default of its own, or none."""
    annotation = Annotated[Str, field(help="Why.")]
    assert build_schema("x", annotation).required
    assert build_schema("x", annotation, "a").default == "a"
    assert build_schema("x", annotation, "a").help == "Why."


@given(st.text(max_size=80))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    """No text makes the parser fail in another way, or return what cannot be sent."""
    try:
        duration = parse_duration(text)
    except ValueError:
        return
    assert abs(duration) < timedelta(days=106752)


@given(st.integers(min_value=-(10**9), max_value=10**9))
def test_durations_are_written_as_go_reads_them(seconds: int) -> None:
    """What `format_duration` writes means the same when it is read."""
    assert parse_duration(format_duration(timedelta(seconds=seconds))) == timedelta(seconds=seconds)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.floats().map(repr),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
        max_leaves=8,
    ),
    st.sampled_from([Str, Name, Int, Bool, Float, Seconds, SignedSeconds, Timestamp, Map, KV, List, StrList,
                     CommaList, CommaInts, Cidrs, Secret, Headers, Int | None, Literal["a", "1"]]),
)  # fmt: skip
def test_any_json_is_converted_or_refused(raw: Any, annotation: Any) -> None:
    """Whatever a client sends, a field converts it, or refuses it by its own error; twice is once."""
    schema = build_schema("x", annotation)
    try:
        value = schema.convert(raw)
    except (FieldError, UserError):
        return
    if value is not UNSET:
        assert schema.convert(value) == value
        assert schema.convert(schema.type.dump(value)) == value
