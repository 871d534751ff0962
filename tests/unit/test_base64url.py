"""Base64url: every text has one spelling."""

from contextlib import suppress
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authkit.base64url import decode_base64url, encode_base64url


@settings(deadline=None)
@given(st.binary())
def test_base64url_comes_back_as_it_was(raw):
    """Any bytes survive, unpadded."""
    assert decode_base64url(encode_base64url(raw)) == raw


@pytest.mark.parametrize(
    "text",
    [
        b"A",
        b"AAAAA",
        b"AA==",
        b"AA=",
        b"A+AA",
        b"A/AA",
        b"A AA",
        b"AA\n",
        b"AB",
        b"AAB",
        b"A.AA",
        b"\xffAAA",
        b"=",
        "caf\u00e9",
        "\ud800AAA",
    ],
)
def test_other_encodings_are_refused(text):
    """Padding, the other alphabet, stray characters, impossible lengths and stray bits are refused."""
    with pytest.raises(ValueError):
        decode_base64url(text)


def test_what_is_decoded_is_encoded_the_same():
    """Of all texts of two and three bytes, the last two any, those are read that come back as they were."""
    for first in (b"", b"A"):
        for last in product(range(256), repeat=2):
            text = first + bytes(last)
            with suppress(ValueError):
                assert encode_base64url(decode_base64url(text)).encode() == text
    read = {encode_base64url(bytes([byte])) for byte in range(256)}
    assert all(len(decode_base64url(text)) == 1 for text in read)
