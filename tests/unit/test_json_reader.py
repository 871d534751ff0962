"""The JSON reader: each limit by itself, and the strict choice of them that tokens are read with."""

from __future__ import annotations

import json
import traceback

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authkit.json_reader import JSONError, LenientReader, StrictReader, TooDeepError, TooManyValuesError
from authkit.logical import JSONNumber
from authkit.oidc.tokens.jws import MAX_DEPTH, MAX_INTEGER_DIGITS, STRICT_READER
from authkit.printable import quote

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**100), 10**100)
    | st.floats(allow_nan=False, allow_infinity=False)
    # Lone surrogates are no text; `st.text()` leaves them out.
    | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=8,
)


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(st.text(), JSON))
def test_every_object_comes_back_as_it_was(value):
    """An object that Python writes, escaped or not, is read back equal."""
    assert STRICT_READER.read_object(json.dumps(value).encode()) == value
    assert STRICT_READER.read_object(json.dumps(value, ensure_ascii=False).encode()) == value


def test_integers_are_exact():
    """An integer beyond 2**53 keeps every digit."""
    assert STRICT_READER.read_object(b'{"id": 12345678901234567890123}') == {"id": 12345678901234567890123}
    assert type(STRICT_READER.read_object(b'{"id": 1}')["id"]) is int


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "not valid JSON"),
        (b"[]", "not a JSON object"),
        (b'"x"', "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"{} {}", "not valid JSON"),
        (b"{'a': 1}", "not valid JSON"),
        (b'{"a": 1,}', "not valid JSON"),
        (b'{"a": "\n"}', "not valid JSON"),
        (b'\xef\xbb\xbf{"a": 1}', "not valid JSON"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
        ('{"a": 1}'.encode("utf-32-le"), "not valid JSON"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b'{"a": "\xed\xa0\x80"}', "not UTF-8"),
        (b'{"a": 1, "a": 1}', "a member name occurs twice"),
        (b'{"a": 1, "\\u0061": 2}', "a member name occurs twice"),
        (b'{"b": [{"a": 1, "a": 2}]}', "a member name occurs twice"),
        (b'{"a": NaN}', "NaN is not valid JSON"),
        (b'{"a": Infinity}', "Infinity is not valid JSON"),
        (b'{"a": -Infinity}', "-Infinity is not valid JSON"),
        (b'{"a": 1e400}', "a number is too large"),
        (b'{"a": ' + b"9" * 400 + b".5}", "a number is too large"),
        (b'{"a": ' + b"9" * (MAX_INTEGER_DIGITS + 1) + b"}", "a number is too long"),
        (b'{"a": ' + b"9" * 60_000 + b"}", "a number is too long"),
        ('{"a": ٣}'.encode(), "not valid JSON"),
        (b'{"a": ' + b"[" * 30_000 + b"]" * 30_000 + b"}", "nested too deeply"),
        (b'{"a": ' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}", "nested too deeply"),
        (b'{"a": "\\ud800"}', "not Unicode text"),
        (b'{"\\uDFFF": 1}', "not Unicode text"),
        (b'{"a": ["\\udc00\\ud800"]}', "not Unicode text"),
    ],
)
def test_bad_text_is_refused(raw, reason):
    """What is no strict JSON object is refused with a reason."""
    with pytest.raises(ValueError) as caught:
        STRICT_READER.read_object(raw)
    assert str(caught.value) == reason


def test_limits_themselves_are_allowed():
    """The deepest and the longest that the limits name are read."""
    depth = MAX_DEPTH - 1
    assert STRICT_READER.read_object(b'{"a": ' + b"[" * depth + b"]" * depth + b"}")
    assert STRICT_READER.read_object(b'{"a": ' + b"9" * MAX_INTEGER_DIGITS + b"}")
    assert (
        len(
            STRICT_READER.read_object(json.dumps({"groups": [{"n": n} for n in range(500)]}).encode())[
                "groups"
            ]
        )
        == 500
    )
    assert STRICT_READER.read_object(b'{"a": "\\ud83d\\ude00"}') == {"a": "\U0001f600"}


@pytest.mark.parametrize("raw", [b'{"sesame": }', b'{"sesame": "\xff"}', b'{"sesame": 1, "sesame": 2}'])
def test_failures_keep_nothing_of_the_document(raw):
    """Neither text nor cause of a failure holds the document."""
    with pytest.raises(ValueError) as caught:
        STRICT_READER.read_object(raw)
    assert caught.value.__cause__ is None
    assert "sesame" not in str(caught.value)
    assert "sesame" not in "".join(traceback.format_exception_only(caught.value))


LENIENT = LenientReader()
STRICT = StrictReader()


@settings(deadline=None, max_examples=50)
@given(JSON)
def test_both_readers_read_the_same(value):
    """Which one reads a text that both take shows in its speed alone."""
    text = json.dumps(value)
    assert LENIENT.read(text) == STRICT.read(text) == LENIENT.read(text.encode()) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1, "a": 2}', {"a": 2}),
        (r'"\ud800"', "\ufffd"),
        (r'"\ud83d\ude00\udc00"', "\U0001f600\ufffd"),
        (r'"\\ud800"', r"\ud800"),
    ],
)
def test_the_lenient_reader_reads_as_go_does(text, value):
    """The last of several members of a name counts, and half a surrogate pair is replaced."""
    assert LENIENT.read(text) == value


@pytest.mark.parametrize("reader", [LENIENT, STRICT])
def test_half_a_pair_does_not_hide_deep_nesting(reader):
    """A text that is parsed a second time is refused as any other."""
    with pytest.raises(TooDeepError):
        reader.read(r'["\ud800",' + "[" * 100_000 + "]" * 100_000 + "]")


@pytest.mark.parametrize("reader", [LENIENT, STRICT])
@pytest.mark.parametrize("text", ["", "NaN", "[-Infinity]", "1e999", "01", "{'a': 1}", "[1,]", "\ufeff1"])
def test_no_reader_takes_what_is_not_json(reader, text):
    """Leniency is about duplicates and surrogates alone."""
    with pytest.raises(JSONError):
        reader.read(text)


def test_each_limit_holds_by_itself():
    """A limit that is named holds at its edge, whichever reader has it."""
    with pytest.raises(TooManyValuesError):
        LenientReader(max_values=3).read("[1, 2, 3, 4]")
    assert LenientReader(max_values=3).read("[1, 2, 3]") == [1, 2, 3]
    for reader in (LenientReader(max_depth=2), StrictReader(max_depth=2)):
        with pytest.raises(TooDeepError):
            reader.read("[[[]]]")
        assert reader.read("[[], []]") == [[], []]
    with pytest.raises(JSONError, match="a number is too long"):
        StrictReader(max_integer_digits=2).read("123")
    assert StrictReader(max_integer_digits=3).read("123") == 123


def test_numbers_are_made_by_the_caller():
    """What makes a number gets its literal; integers stay integers."""
    found = LenientReader(number=JSONNumber).read("[1.50, 2, 1e2]")
    assert [number.literal for number in found[::2]] == ["1.50", "1e2"]
    assert found[1] == 2


def test_quote_prints_as_go_does():
    """Quotes and backslashes are escaped, other scripts are not."""
    assert quote('a"b\\c\n') == '"a\\"b\\\\c\\n"'
    assert quote("gruppe-ü") == '"gruppe-ü"'


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("a b", '"a b"'),
        ('a"b\\', '"a\\"b\\\\"'),
        ("ä", '"ä"'),
        ("\n\0", '"\\n\\u0000"'),
        ("\x9b\x7f\u202e\u2028", '"\\u009b\\u007f\\u202e\\u2028"'),
        ("\U000e0001", '"\\udb40\\udc01"'),
    ],
)
def test_quoted_text_is_printable(text, quoted):
    """What a terminal would obey, or show as something else, is escaped."""
    assert quote(text) == quoted
    assert quote(text).isprintable()
