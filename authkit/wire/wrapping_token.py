"""The wrapping token that a host of protocol 4 gives a plugin: where the server is, and when it expires."""

from __future__ import annotations

import json
import re
from typing import ClassVar

import httpx

from authkit.base64url import decode_base64url
from authkit.errors import HandshakeError
from authkit.masking import Secret
from authkit.values import Value

__all__ = ["WrappingToken"]

_TOKEN = re.compile(r"[A-Za-z0-9_.-]+")


class WrappingToken(Value, frozen=True, kw_only=True):
    """A token of one use that a Vault server has made (vault/wrapping.go, format `jwt`)."""

    token: Secret
    address: str
    """The server's `api_addr`."""
    shown_address: str
    """Scheme, host and port of it, for messages."""
    expires: float | None
    """Seconds since 1970; `None` when the token does not say."""

    unshown: ClassVar = ("token", "address")

    @classmethod
    def parse(cls, text: str) -> WrappingToken:
        """Read a token. Its signature is not verified: no key is given to a plugin.

        Raises:
            HandshakeError: it is not such a token, or has no address. The error does not repeat it.
        """
        try:
            claims = json.loads(decode_base64url(text.split(".")[1]))
            address, expires = claims["addr"], claims.get("exp")
        except (AttributeError, IndexError, ValueError, KeyError, TypeError):
            raise HandshakeError("VAULT_UNWRAP_TOKEN is not a wrapping token") from None
        if not _TOKEN.fullmatch(text):  # httpx would quote it as a header that cannot be sent
            raise HandshakeError("VAULT_UNWRAP_TOKEN is not a wrapping token")
        return cls(
            token=Secret(text),
            address=address.rstrip("/") if isinstance(address, str) else "",
            shown_address=_show(address),
            expires=expires if isinstance(expires, int | float) else None,
        )


def _show(address: object) -> str:
    if address == "":
        raise HandshakeError("no vault api_addr found: set api_addr in the server's configuration")
    try:
        url = httpx.URL(address) if isinstance(address, str) else None
    except httpx.InvalidURL:
        url = None
    if url is None or url.scheme not in ("http", "https") or not url.host:
        raise HandshakeError("the server's api_addr is not a URL with http:// or https://: correct it")
    return f"{url.scheme}://{url.netloc.decode()}"
