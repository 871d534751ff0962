"""What a packed plugin's kind decides: the cookie that its launcher takes, and what it is served by."""

from __future__ import annotations

from typing import Final

from authkit.database import cookie as database_cookie
from authkit.plugin.handshake import ENABLING
from authkit.values import Value
from authkit.wire.cookie import COOKIE_KEY, COOKIE_VALUE

__all__ = ["KINDS", "Kind"]


class Kind(Value, frozen=True, kw_only=True):
    """One kind of plugin, as catalogs call it."""

    cookie_key: str = COOKIE_KEY
    cookie_value: str = COOKIE_VALUE
    enabling: str = ENABLING
    """What an operator does with a registered plugin."""
    served_by: str = "authkit"
    """The module that has its `serve`."""


KINDS: Final = {
    "auth": Kind(),
    "secret": Kind(),
    "database": Kind(
        cookie_key=database_cookie.COOKIE_KEY,
        cookie_value=database_cookie.COOKIE_VALUE,
        enabling=database_cookie.ENABLING,
        served_by="authkit.database",
    ),
}
