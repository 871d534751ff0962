"""Bodies of requests: what is read, and what is refused with which status and text."""

from __future__ import annotations

import json

import pytest

from authkit.host.http.bodies import Limits, check_limits, read_object
from authkit.host.messages import Failure
from authkit.logical import JSONNumber

FORM = "application/x-www-form-urlencoded"
PARSE = "error parsing JSON: failed to parse JSON input: "


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
    ("body", "status", "text"),
    [
        ("bad", 400, PARSE + "invalid character 'b' looking for beginning of value"),
        ("ttl=1h", 400, PARSE + "invalid character 't' in literal true (expecting 'r')"),
        ("t", 400, PARSE + "unexpected EOF"),
        ("[1]", 400, PARSE + "json: cannot unmarshal array into Go value of type map[string]interface {}"),
        ("true", 400, PARSE + "json: cannot unmarshal bool into Go value of type map[string]interface {}"),
        ("12", 400, PARSE + "json: cannot unmarshal number into Go value of type map[string]interface {}"),
        ('"x"', 400, PARSE + "json: cannot unmarshal string into Go value of type map[string]interface {}"),
        ("{bad", 500, "invalid character 'b' looking for beginning of value"),
        ("{'a':1}", 500, "invalid character ''' looking for beginning of value"),
        ('{"a" 1}', 400, PARSE + "invalid character '1' after object key"),
        ('{"a":tru}', 400, PARSE + "invalid character '}' in literal true (expecting 'e')"),
        ('{"a":1,}', 500, "invalid character '}' after object key-value pair"),
        ("[1,]", 500, "invalid character ']' after array element"),
        ('{"a":01}', 500, "invalid character '1' after top-level value"),
        ("{} x", 500, "invalid character 'x' after top-level value"),
        ('{"a":', 500, "malformed JSON, unclosed containers"),
        ('{"a":"x', 500, "malformed JSON, unclosed string"),
        ('{"a":"\\x"}', 500, "invalid character 'x' in string escape code"),
        ('{"a":"\x01"}', 400, PARSE + "invalid character '\\x01' in string literal"),
        ('{"a":"\\ud800"}', 500, "malformed JSON, unterminated surrogate pair in string"),
        ('{"a":NaN}', 500, "invalid character 'N' looking for beginning of value"),
        ('{"a":1e400}', 500, "malformed JSON, invalid number syntax for '1e400'"),
        ('{"a":1,"a":2}', 500, "duplicate key 'a' in object"),
        ('{"a":[{"b":1,"b":2}]}', 500, "duplicate key 'b' in object"),
    ],
)
def test_broken_json_is_refused_as_by_vault(body: str, status: int, text: str) -> None:
    """The statuses and texts of Vault 1.21.1, which tests/live asks for the same bodies."""
    assert refused(body) == (status, text)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("[" * 301 + "]" * 301, "JSON input exceeds allowed nesting depth"),
        ("[" * 100_000 + "]" * 100_000, "JSON input exceeds allowed nesting depth"),
        (json.dumps("x" * 1_048_577).join(("[", "]")), "JSON string value exceeds allowed length"),
        (json.dumps("é" * 524_289).join(("[", "]")), "JSON string value exceeds allowed length"),
        (json.dumps([1] * 10_001), "JSON array exceeds allowed element count"),
        (json.dumps({str(i): 1 for i in range(10_001)}), "JSON object exceeds allowed entry count"),
        (json.dumps([[1] * 9000] * 30), "JSON payload exceeds allowed token count"),
    ],
)
def test_too_much_json_is_refused(body: str, text: str) -> None:
    """Depth, lengths and counts have the limits of a Vault 1.21 listener."""
    assert refused(body) == (500, text)


def test_the_limits_themselves_are_allowed() -> None:
    """The last allowed depth, length and count pass."""
    check_limits(("[" * 300 + "]" * 300).encode())
    check_limits(json.dumps(["x" * 1_048_576, [1] * 9_998]).encode())
    check_limits(b'[[1,2],{"a":1}]', Limits(depth=2, object_entries=1, array_elements=2, tokens=13))


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
