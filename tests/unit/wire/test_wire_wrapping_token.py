"""What is no wrapping token is refused before a library can quote it."""

from __future__ import annotations

import base64
import json

import pytest

from authkit.errors import HandshakeError
from authkit.wire.wrapping_token import WrappingToken

CLAIMS = base64.urlsafe_b64encode(json.dumps({"addr": "http://127.0.0.1:1"}).encode()).decode().rstrip("=")


@pytest.mark.parametrize("end", ["\n", "\nX: y", "\0", " ", "€"])
def test_what_no_header_takes_is_refused(end: str) -> None:
    """In the cause of its error the HTTP library would show the token, as a header that it cannot send."""
    assert WrappingToken.parse(f"e30.{CLAIMS}.c2ln").token.reveal() == f"e30.{CLAIMS}.c2ln"
    with pytest.raises(HandshakeError, match=r"VAULT_UNWRAP_TOKEN is not a wrapping token$"):
        WrappingToken.parse(f"e30.{CLAIMS}.c2ln{end}")
