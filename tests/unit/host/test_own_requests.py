"""Requests to the host's own backends."""

from __future__ import annotations

from authkit.host.authorization import Caller
from authkit.host.backends.base import OwnRequest
from authkit.host.store.policies import ACL
from authkit.host.store.tokens import Token
from authkit.logical import Operation, Request
from authkit.testing.clock import MovableClock


def test_the_text_of_a_token_is_never_shown() -> None:
    """Neither as it was sent, nor as the caller's."""
    token = Token(key="k", path="auth/token/create", policies=(), created=MovableClock().now())
    caller = Caller(text="hvs.secret", token=token, entity=None, acl=ACL([]))
    request = OwnRequest.of(Request(operation=Operation.READ), caller, "hvs.secret")
    assert "hvs.secret" not in repr(request)
