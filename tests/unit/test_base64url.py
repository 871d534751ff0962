"""Base64url: every text has one spelling."""

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
