"""Each field type beside the SDK's: accepted values, null, the empty value, refused values.

The rows are those of Vault SDK 0.21, framework/field_data.go, getPrimitive, as a builtin method of
Vault 1.21 behaves. Where ours differs the row says `DIFFERS`, and why.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from ipaddress import ip_interface
from typing import Any, Literal

import pytest

from authkit.errors import FieldError, UserError
from authkit.framework import (
    KV,
    UNSET,
    Bool,
    Cidrs,
    CommaInts,
    CommaList,
    FieldData,
    Float,
    Headers,
    Int,
    List,
    LowerStr,
    Map,
    Model,
    Name,
    Seconds,
    SignedSeconds,
    Str,
    StrList,
    Timestamp,
    field,
    parse_duration,
)
from authkit.framework.fields.frozen import FrozenDict
from authkit.framework.fields.limits import MAX_DEPTH, MAX_FIELD_SIZE, MAX_ITEMS
from authkit.framework.fields.schema import build_schema
from authkit.logical import JSONNumber
from authkit.masking import Secret

REFUSED = object()
YEAR_1 = datetime.min.replace(tzinfo=UTC)
HEADERS_JSON = '{"content-type": "text/json", "accept": ["a", "b"]}'
HEADERS = {"Content-Type": ("text/json",), "Accept": ("a", "b")}


class Color(StrEnum):
    """Two colors."""

    RED = "red"
    BLUE = "blue"


TABLE: dict[str, tuple[Any, Any, Any, list[tuple[Any, Any]]]] = {
    # name: annotation, what null is, the empty value, and (raw, value or REFUSED)
    "String": (Str, "", "", [
        (" a ", " a "), (7, "7"), (JSONNumber("1.50"), "1.50"), (True, "1"), (False, "0"),
        ([], REFUSED), (["a", "b"], REFUSED), ({"a": 1}, REFUSED),
        # Exact digits, as a builtin method has them; an external one in Go gets 9007199254740992.
        (9007199254740993, "9007199254740993"),
    ]),
    "LowerCaseString": (LowerStr, "", "", [
        ("AbC", "abc"), (7, "7"), (True, "1"), ([], REFUSED), ({}, REFUSED),
    ]),
    "NameString": (Name, REFUSED, "", [
        ("a", "a"), ("a-b.c_9", "a-b.c_9"), (7, "7"), (True, "1"),
        ("", REFUSED), ("-a", REFUSED), ("a-", REFUSED), (".a", REFUSED), ("a b", REFUSED), ("a/b", REFUSED),
        ("ä", REFUSED), ("a\n", REFUSED), ([], REFUSED), ({}, REFUSED),
    ]),
    "Int": (Int, 0, 0, [
        (5, 5), (-5, -5), (True, 1), (False, 0), ("5", 5), ("+5", 5), ("0x10", 16), ("010", 8), ("0o10", 8),
        ("0b11", 3), ("1_000", 1000), ("", 0), (9007199254740993, 9007199254740993),
        (JSONNumber("1.9"), REFUSED), (JSONNumber("1e30"), REFUSED), ("1.9", REFUSED), ("x", REFUSED),
        ("08", REFUSED), ("_1", REFUSED), (2**63, REFUSED), ([], REFUSED), ({}, REFUSED),
        # DIFFERS: an integer is an integer however it is written; Go refuses the text "1.0" of a number.
        (JSONNumber("1.0"), 1), (JSONNumber("1e3"), 1000),
    ]),
    "Bool": (Bool, False, False, [
        (True, True), (False, False), (1, True), (0, False),
        *((text, True) for text in ("1", "t", "T", "TRUE", "true", "True")),
        *((text, False) for text in ("0", "f", "F", "FALSE", "false", "False", "")),
        ("yes", REFUSED), ("tRUE", REFUSED), (2, REFUSED), (-1, REFUSED), ([], REFUSED), ({}, REFUSED),
    ]),
    "Float": (Float, 0.0, 0.0, [
        (1, 1.0), (JSONNumber("1.9"), 1.9), (True, 1.0), (False, 0.0), ("1.9", 1.9), ("1_000", 1000.0),
        ("", 0.0), ("1e3", 1000.0),
        ("0x10", REFUSED), ("x", REFUSED), ([], REFUSED), ({}, REFUSED),
        # DIFFERS: what is not finite cannot be stored or shown as JSON.
        ("inf", REFUSED), ("nan", REFUSED), (JSONNumber("1e400"), REFUSED),
    ]),
    "DurationSecond": (Seconds, UNSET, timedelta(0), [
        (90, timedelta(seconds=90)), ("90", timedelta(seconds=90)), ("1h", timedelta(hours=1)),
        ("500ms", timedelta(0)), ("1500ms", timedelta(seconds=1)), ("", timedelta(0)),
        (-5, REFUSED), ("-5s", REFUSED), (JSONNumber("1.9"), REFUSED),
        (True, REFUSED), ([], REFUSED), ({}, REFUSED),
    ]),
    "SignedDurationSecond": (SignedSeconds, UNSET, timedelta(0), [
        (-5, timedelta(seconds=-5)), ("-1h", timedelta(hours=-1)),
        ("2d", timedelta(days=2)), ("", timedelta(0)),
        ("x", REFUSED), (False, REFUSED), ([], REFUSED),
    ]),
    "Time": (Timestamp, UNSET, YEAR_1, [
        ("2024-01-02T03:04:05Z", datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2024-01-02T03:04:05.25+02:00", datetime(2024, 1, 2, 1, 4, 5, 250000, tzinfo=UTC)),
        ("1700000000", datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        (1700000000, datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        (JSONNumber("1.5"), REFUSED), ("2024-01-02", REFUSED), ("2024-01-02T03:04:05", REFUSED),
        ("x", REFUSED),
        ("2024-13-02T03:04:05Z", REFUSED), (True, REFUSED), ([], REFUSED), ({}, REFUSED),
    ]),
    "Map": (Map, {}, {}, [
        ({"a": [1]}, {"a": (1,)}), ([{"a": 1, "b": 1}, {"b": 2}], {"a": 1, "b": 2}), ([], {}), ([None], {}),
        ("", REFUSED), ("{}", REFUSED), (1, REFUSED), (True, REFUSED), (["a"], REFUSED), ([{}, 1], REFUSED),
    ]),
    "KVPairs": (KV, {}, {}, [
        ({"a": "b", "c": 1, "d": True, "e": None}, {"a": "b", "c": "1", "d": "1", "e": ""}),
        (["a=b", "c=d=e"], {"a": "b", "c": "d=e"}), ("a=b", {"a": "b"}), ("a=b,c=d", {"a": "b,c=d"}),
        ([{"a": 1}, {"b": 2}], {"a": "1", "b": "2"}), ([], {}), ({}, {}),
        ("x", REFUSED), (["x"], REFUSED), ({"a": []}, REFUSED), ({"a": {}}, REFUSED), (1, REFUSED),
    ]),
    "Slice": (List, (), (), [
        ([1, "a", None], (1, "a", None)), ("a,b", ("a,b",)), (5, (5,)), ({"a": 1}, ({"a": 1},)),
        ({}, ()), ([], ()),
    ]),
    "StringSlice": (StrList, (), (), [
        ([" a ", 1, True, "", "a"], ("a", "1", "1", "", "a")), ("a,b", ("a,b",)), (5, ("5",)),
        ("", ()), ({}, ()), ([["a"]], REFUSED), ([{"a": 1}], REFUSED), ({"a": 1}, REFUSED),
    ]),
    "CommaStringSlice": (CommaList, (), (), [
        (" a , b,,c ", ("a", "b", "", "c")), ("a,a", ("a", "a")), (["a,b", "c"], ("a,b", "c")), (5, ("5",)),
        ("", ()), ({}, ()), ([], ()),
        ([["a"]], REFUSED), ({"a": 1}, REFUSED),
    ]),
    "CommaIntSlice": (CommaInts, (), (), [
        ([1, "2"], (1, 2)), (3, (3,)), ("1,2", (1, 2)), ("", ()), ({}, ()), ([], ()),
        ("1, 2", REFUSED), (["a"], REFUSED), ([JSONNumber("1.5")], REFUSED), ({"a": 1}, REFUSED),
    ]),
    "Header": (Headers, {}, {}, [
        ({"content-type": "text/json", "ACCEPT": ["a", "b"]}, HEADERS),
        (HEADERS_JSON, HEADERS), (base64.b64encode(HEADERS_JSON.encode()).decode(), HEADERS),
        (["content-type:text/json", "accept:a", "Accept:b"], HEADERS),
        (["a:b:c", "x: y"], {"A": ("b:c",), "X": (" y",)}),
        ({"a": 1}, {"A": ("1",)}), ([{"a": "b"}], {"A": ("b",)}), ([], {}), ({}, {}),
        ({"a": True}, REFUSED), ({"a": [True]}, REFUSED), ({"a": {}}, REFUSED), ({"a": [["b"]]}, REFUSED),
        # Base64 is tried first: "abcd" is base64, and then no JSON.
        ("abcd", REFUSED), ("a:b", REFUSED), ("", REFUSED), ("[]", REFUSED), ("[" * 5000, REFUSED),
        (5, REFUSED),
        (["a"], REFUSED), ([":b"], REFUSED), ([5], REFUSED),
        # DIFFERS: what could end another header, or is no name of one, does not get in.
        ({"a": "b\r\nc: d"}, REFUSED), ({"a b": "c"}, REFUSED), ({"a\n": "c"}, REFUSED),
        ({"ä": "c"}, REFUSED),
        # DIFFERS: a null member is how a patch removes a header; Go refuses it.
        ({"a": None, "b": "c"}, {"B": ("c",)}),
    ]),
    # Types that the SDK does not have.
    "choice": (Literal["a", "b"], UNSET, "a", [("b", "b"), ("c", REFUSED), ("", REFUSED), ([], REFUSED)]),
    "enumeration": (Color, UNSET, Color.RED, [("blue", Color.BLUE), ("BLUE", REFUSED), (1, REFUSED)]),
    "optional": (Int | None, None, None, [(0, 0), ("", 0), (7, 7), ("x", REFUSED)]),
    "optional choice": (Literal["a", "b"] | None, None, None, [("a", "a"), ("c", REFUSED)]),
    "secret": (Secret, Secret(""), Secret(""), [("ab", Secret("ab")), (1, Secret("1")), ([], REFUSED)]),
    "addresses": (Cidrs, (), (), [
        ("10.0.0.1, 10.0.0.0/8", (ip_interface("10.0.0.1"), ip_interface("10.0.0.0/8"))),
        (["2001:db8::/32"], (ip_interface("2001:db8::/32"),)), ("", ()), ([], ()),
        (["x"], REFUSED), (5, REFUSED),
    ]),
}  # fmt: skip

ROWS = [(kind, raw, value) for kind, row in TABLE.items() for raw, value in row[3]]


@pytest.mark.parametrize(("kind", "raw", "expected"), ROWS)
def test_values(kind: str, raw: Any, expected: Any) -> None:
    """Each value is taken for what the table says, or refused by an error that names the field alone."""
    schema = build_schema("x", TABLE[kind][0])
    if expected is REFUSED:
        with pytest.raises((FieldError, UserError)):
            schema.convert(raw)
        return
    found = schema.convert(raw)
    assert found == expected
    assert type(found) is (FrozenDict if isinstance(expected, dict) else type(expected))
    assert schema.convert(schema.type.dump(found)) == found


@pytest.mark.parametrize("kind", TABLE)
def test_null_and_absent(kind: str) -> None:
    """Null is what the table says and is told from absent, which is what nobody sets."""
    annotation, null, zero, _ = TABLE[kind]
    schema = build_schema("x", annotation)
    assert schema.type.zero == zero
    assert schema.default_or_zero() == zero
    assert "x" not in FieldData.read({"x": schema}, {}, {}).values
    if null is REFUSED:
        with pytest.raises(FieldError, match="field does not match the formatting rules"):
            FieldData.read({"x": schema}, {"x": None}, {})
        return
    data = FieldData.read({"x": schema}, {"x": None}, {})
    assert data.nulls == {"x"}
    assert data.values == ({} if null is UNSET else {"x": null})


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("", 0), ("0", 0), ("90", 90 * 10**6), ("+90", 90 * 10**6), ("-5", -5 * 10**6),
        ("2d", 172800 * 10**6),
        ("-2d", -172800 * 10**6), ("1h30m", 5400 * 10**6), ("1.5h", 5400 * 10**6), (".5h", 1800 * 10**6),
        ("1.h", 3600 * 10**6), ("500ms", 500_000), ("7us", 7), ("7µs", 7), ("7μs", 7),
        ("7000ns", 7), ("999ns", 0),
        ("-1h30m", -5400 * 10**6), ("1m1m", 120 * 10**6), ("106751d", 106751 * 86400 * 10**6),
    ],
)  # fmt: skip
def test_duration_texts(text: str, microseconds: int) -> None:
    """Digits are seconds, `d` is days, the rest is Go's; finer than a microsecond is cut."""
    assert parse_duration(text) == timedelta(microseconds=microseconds)


@pytest.mark.parametrize(
    "text",
    ["1.9", "1.5d", "d", "1d12h", "12h1d", "1w", "x", "h", ".", ".h", "-", "+", "--1s", "1 h", " 1h", "1h ",
     "1H", "1e3s", "0x1s", "٣s", "106752d", "2562048h", "9223372037"],
)  # fmt: skip
def test_texts_that_are_no_duration(text: str) -> None:
    """Everything else is refused: no unit, weeks, days with something beside them, too long a time."""
    with pytest.raises(ValueError):
        parse_duration(text)


def test_allowed_values() -> None:
    """A value that is not allowed is refused with those that are; null is absent; lists go item by item."""
    schema = build_schema("x", Str, field(default="low", allowed=("low", "high")))
    assert schema.convert("high") == "high"
    assert schema.convert(None) is UNSET
    with pytest.raises(FieldError, match=r'input for field "x": must be one of: low, high$'):
        schema.convert("middle")
    numbers = build_schema("x", CommaInts, field(default=(), allowed=(1, 2)))
    assert numbers.convert("2,1") == (2, 1)
    assert numbers.convert("") == ()
    with pytest.raises(FieldError, match="one of: 1, 2"):
        numbers.convert("1,3")
    assert build_schema("x", Color).allowed == ("red", "blue")
    assert build_schema("x", Literal["a", "b"] | None).allowed == ("a", "b")
    with pytest.raises(TypeError, match="an allowed value does not fit"):
        build_schema("x", Int, field(allowed=("a",)))


def test_a_default_outside_the_allowed_values_comes_back() -> None:
    """An object with a field that nobody has set can be stored and loaded."""

    class Mode(Model):
        mode: Str = field(default="", allowed=("a", "b"))
        other: Str = field(required=False, allowed=("a", "b"))

    assert Mode.from_stored(Mode().to_stored()) == Mode()


def test_what_is_not_enforced_is_documentation() -> None:
    """A method with texts of its own can have a required field and allowed values described only."""

    class Loose(Model):
        role: Str = field(required=True, enforced=False)
        kind: Str = field(default="a", allowed=("a", "b"), enforced=False)

    assert Loose(kind="c").role == ""
    assert Loose.schema["role"].required
    assert Loose.schema["kind"].allowed == ("a", "b")


def test_optional_fields_tell_unset_from_zero() -> None:
    """Unset, null and zero stay apart in requests, in storage, and through writes."""

    class Limits(Model):
        size: Int | None = None
        note: Str | None = field(default=None, max_length=5)

    def write(stored: Limits | None, **raw: Any) -> Limits:
        return Limits.overlaid(stored, FieldData.read(Limits.schema, raw, {}).values)

    assert write(None).size is None
    zero = write(None, size=0)
    assert zero.size == 0
    assert Limits.from_stored(zero.to_stored()) == zero
    assert write(zero, note="x").size == 0
    assert write(zero, size=None).size is None
    assert write(None).read_shape() == {"size": None, "note": None}


def test_sensitive_fields_are_stored_and_not_shown() -> None:
    """A map may hold secrets: declared sensitive it is in no read and in no representation."""

    class Hidden(Model):
        headers: Headers = field(default={}, sensitive=True)
        url: Str = ""

    hidden = Hidden(headers={"authorization": "top"})
    assert hidden.read_shape() == {"url": ""}
    assert hidden.to_stored()["headers"] == {"Authorization": ["top"]}
    data = FieldData.read(Hidden.schema, {"headers": {"authorization": "top"}}, {})
    assert "top" not in repr(hidden) + repr(data)


@pytest.mark.parametrize(
    ("annotation", "raw"),
    [
        (Str, "x" * (MAX_FIELD_SIZE + 1)),
        (CommaList, "," * MAX_ITEMS),
        (CommaInts, "1," * MAX_ITEMS),
        (List, [1] * (MAX_ITEMS + 1)),
        (Map, {str(number): 1 for number in range(MAX_ITEMS + 1)}),
        (KV, {"a": "x" * MAX_FIELD_SIZE}),
        (Headers, '{"a":' + "[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2) + "}"),
        (Headers, base64.b64encode(b'{"a": [' + b'"",' * MAX_ITEMS + b'""]}').decode()),
    ],
)
def test_what_strangers_send_is_bounded(annotation: Any, raw: Any) -> None:
    """Size, items and nesting have limits on every field, also where a text stands for many items."""
    with pytest.raises(FieldError, match=r"longer than|more than|nested"):
        build_schema("x", annotation).convert(raw)


def test_what_is_stored_is_not_measured() -> None:
    """An operator is not locked out of an object that another plugin stored."""

    class Long(Model):
        items: CommaList = field(default=(), max_length=5)

    assert len(Long.from_stored({"items": ["x"] * (MAX_ITEMS + 1)}).items) == MAX_ITEMS + 1
