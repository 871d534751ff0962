"""The rings of keys of a mount that seal what others carry: states of logins, and refresh tokens.

They are made where they are first needed, and kept seal-wrapped. The keys that sign for the client are
`jwt_auth.browser.client_keys`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from authkit import KeyRing, LoginError, SealedTextError, Secret, Storage
from jwt_auth.browser.pending import LIFETIME_SECONDS

__all__ = [
    "LOGIN_KEYS_PREFIX",
    "REFRESH_KEYS_PREFIX",
    "RefreshTokens",
    "make_login_keys",
]

LOGIN_KEYS_PREFIX: Final = "oidc/login-keys/"
LOGIN_KEYS_ROTATE: Final = timedelta(days=1)

REFRESH_KEYS_PREFIX: Final = "oidc/refresh-keys/"
REFRESH_KEYS_ROTATE: Final = timedelta(days=30)
REFRESH_KEYS_OPEN: Final = timedelta(days=400)
"""Longer than from one renewal of a token to the next: a server's maximum lease is 32 days by default."""


def make_login_keys(storage: Storage, mount: str, now: Callable[[], float] = time.time) -> KeyRing:
    """Return the ring for what lives as long as a login."""
    return KeyRing(
        storage,
        LOGIN_KEYS_PREFIX,
        mount=mount,
        rotate_every=LOGIN_KEYS_ROTATE,
        open_for=timedelta(seconds=LIFETIME_SECONDS),
        now=now,
    )


class RefreshTokens:
    """Seals the refresh tokens of providers that are kept with our tokens. Each renewal seals anew."""

    def __init__(self, storage: Storage, mount: str, now: Callable[[], float] = time.time) -> None:
        self.keys = KeyRing(
            storage,
            REFRESH_KEYS_PREFIX,
            mount=mount,
            rotate_every=REFRESH_KEYS_ROTATE,
            open_for=REFRESH_KEYS_OPEN,
            now=now,
        )

    async def hide(self, token: Secret, *context: str) -> str:
        """Return a text from which only this mount gets the token back, and with the same context only.

        Raises:
            StorageError: a new key is due and cannot be stored.
        """
        return await self.keys.seal("refresh token", token.reveal().encode(), context=_encode(context))

    async def unhide(self, text: str, *context: str) -> Secret:
        """Return the token that was hidden.

        Raises:
            LoginError: it was not hidden here and with this context, or its key is gone.
        """
        try:
            return Secret((await self.keys.open("refresh token", text, context=_encode(context))).decode())
        except SealedTextError as error:
            raise LoginError(
                "the provider's refresh token cannot be opened any more, log in again", str(error)
            ) from error


def _encode(context: Sequence[str]) -> bytes:
    return json.dumps(context).encode()
