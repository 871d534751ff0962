"""Bodies of requests: what is read, and what is refused with which status and text."""

from __future__ import annotations

import json

import pytest

from authkit.host.http.bodies import read_object
from authkit.host.messages import Failure
from authkit.logical import JSONNumber

FORM = "application/x-www-form-urlencoded"


def refused(body: str | bytes, content_type: str = "") -> tuple[int, str]:
    """Return the status and text with which a body is refused."""
    with pytest.raises(Failure) as caught:
        read_object(body if isinstance(body, bytes) else body.encode(), content_type)
    return caught.value.status, caught.value.errors[0]


@pytest.mark.parametrize("body", ["", " \r\n\t", "null", "\ufeff"])
def test_nothing_is_written(body: str) -> None:
    """An empty body and a literal null are no body at all."""
    assert read_object(body.encode(), "application/json") is None


def test_an_object_is_read_whatever_the_type_says() -> None:
    """The server looks at the body, not at the Content-Type, to see JSON."""
    for kind in ("", "application/json", "text/plain", FORM, "nonsense;;"):
        assert read_object(b' \n{"ttl":"1h"}', kind) == {"ttl": "1h"}


def test_numbers_keep_their_digits() -> None:
    """Integers are exact; other numbers know their literal."""
    read = read_object(b'{"i": 12345678901234567890, "f": 5.0}', "")
    assert read is not None
    assert read["i"] == 12345678901234567890
    assert isinstance(read["f"], JSONNumber)
    assert read["f"].literal == "5.0"


def test_bytes_that_are_no_text_are_replaced() -> None:
    """As in Go, invalid UTF-8 and half surrogate pairs become U+FFFD instead of an error."""
    assert read_object(b'{"a":"\xff","b":"\\udc00x"}', "") == {"a": "\ufffd", "b": "\ufffdx"}


@pytest.mark.parametrize(
    "body",
    [
        *("bad", "ttl=1h", "{bad", "{'a':1}", '{"a" 1}', '{"a":1,}', "[1,]", '{"a":01}', "{} x", '{"a":'),
        *('{"a":"x', '{"a":"\\x"}', '{"a":"\x01"}', '{"a":NaN}', '{"a":1e400}'),
    ],
)
def test_broken_json_is_refused(body: str) -> None:
    """A plain text says what it is; it repeats nothing of the body."""
    assert refused(body) == (400, "error parsing JSON: not valid JSON")


@pytest.mark.parametrize(
    "body",
    ['{"a":1,"a":1}', '{"b":[{"a":1,"c":[],"\\u0061":{}}]}', '{"a":1,"b":0.5,"a":' + "9" * 50 + "}"],
)
def test_a_name_that_occurs_twice_is_refused(body: str) -> None:
    """At any depth: two readers of such an object may see two different ones."""
    assert refused(body) == (500, "duplicate key 'a' in object")
    assert read_object(b'{"a":1,"A":2,"b":{"a":3}}', "") == {"a": 1, "A": 2, "b": {"a": 3}}


@pytest.mark.parametrize("body", ["[1]", "true", "12", '"x"'])
def test_other_json_is_refused(body: str) -> None:
    """A body is an object."""
    assert refused(body) == (400, "error parsing JSON: not a JSON object")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ('{"a":' * 301 + "1" + "}" * 301, "nested too deeply"),
        ('{"a":' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
        (json.dumps({"a": [1] * 250_001}), "too many values"),
    ],
)
def test_too_much_json_is_refused(body: str, text: str) -> None:
    """Depth and number of values are those that a plugin takes."""
    assert refused(body) == (400, f"error parsing JSON: {text}")


def test_a_form_is_read_when_its_type_says_so() -> None:
    """Several values of one name are joined; plus and escapes are decoded."""
    body = b"state=a%20b&code=c+d&x=1&x=2&&flag"
    assert read_object(body, "Application/X-WWW-Form-Urlencoded; charset=utf-8") == {
        "state": "a b",
        "code": "c d",
        "x": "1,2",
        "flag": "",
    }


@pytest.mark.parametrize("body", ["a=%zz", "a=1;b=2", "a=" + "x" * (10 * 1024 * 1024)])
def test_a_broken_form_is_refused(body: str) -> None:
    """A broken escape, a semicolon and more than 10 MiB: 400, as Vault."""
    assert refused(body, FORM) == (400, "error parsing form data")
