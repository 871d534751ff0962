"""What a provider has a browser bring in a form, until the client that waits for it comes.

A form tells nobody who sends it, and a stranger may have begun the login that it ends. So what it brings is
released only to whoever got the answer to it: the page in the browser carries a fresh text in place of the
code. The official plugin releases it to anybody who knows the state.
"""

from __future__ import annotations

import secrets
from typing import Final

from authkit import KeyRing, LoginError, SealedTextError, Secret
from jwt_auth.browser.outcomes import PostedTokens
from jwt_auth.browser.pending import Pending

__all__ = ["MAX_CODE", "Posted"]

MAX_CODE: Final = 4096
"""Characters of a provider's code in a form: with the state it has to fit into a URL, of which common proxies
take 8 KiB. Known providers send up to 2,000."""

SECRET_BYTES: Final = 32
"""Of the text that releases an ID token."""

CODE_PREFIX: Final = "posted_code_"
TOKEN_PREFIX: Final = "posted_token_"  # noqa: S105
PURPOSE: Final = "posted code"


class Posted:
    """What forms have brought to one mount.

    Args:
        keys: that seal codes.
        tokens: where verified ID tokens are kept.
    """

    def __init__(self, keys: KeyRing, tokens: PostedTokens) -> None:
        self._keys = keys
        self._tokens = tokens

    async def seal_code(self, pending: Pending, code: Secret) -> str:
        """Return the text that releases a code. Nothing is stored, and nothing is known of the code yet.

        Raises:
            LoginError: it is too long.
            StorageError: a new key is due and cannot be stored.
        """
        if len(code.reveal()) > MAX_CODE:
            raise LoginError("The provider's code is too long.", f"it has more than {MAX_CODE} characters")
        sealed = await self._keys.seal(PURPOSE, code.reveal().encode(), context=pending.id)
        return CODE_PREFIX + sealed

    async def keep_token(self, pending: Pending, token: Secret) -> str:
        """Keep a verified ID token; return the text that releases it, once.

        Raises:
            StorageError: it cannot be stored.
        """
        text = TOKEN_PREFIX + secrets.token_urlsafe(SECRET_BYTES)
        await self._tokens.put(pending, text, token)
        return text

    async def keep_token_for(self, pending: Pending, token: Secret, client_nonce: str) -> None:
        """Keep a verified ID token for the client that has posted it with its nonce.

        Raises:
            StorageError: it cannot be stored.
        """
        await self._tokens.put(pending, _proof_of(client_nonce), token)

    async def open_code(self, pending: Pending, text: str) -> Secret:
        """Return the code that a text releases, empty when it releases none for this login.

        Raises:
            StorageError: the keys cannot be read.
        """
        if not text.startswith(CODE_PREFIX):
            return Secret("")
        try:
            sealed = text.removeprefix(CODE_PREFIX)
            return Secret((await self._keys.open(PURPOSE, sealed, context=pending.id)).decode())
        except SealedTextError:
            return Secret("")

    async def take_token(self, pending: Pending, text: str, client_nonce: str) -> Secret:
        """Return the ID token that a text releases, empty when it releases none.

        An empty text is for the client that has posted the token itself.

        Raises:
            StorageError: it cannot be read.
        """
        if text.startswith(TOKEN_PREFIX):
            return await self._tokens.take(pending, text)
        if not text and pending.client_nonce:
            return await self._tokens.take(pending, _proof_of(client_nonce))
        return Secret("")


def _proof_of(client_nonce: str) -> str:
    return f"nonce {client_nonce}"
