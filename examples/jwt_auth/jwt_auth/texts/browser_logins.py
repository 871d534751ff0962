"""Why a login in a browser is refused, in the words that the command lines of the servers look for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from authkit import LoginError
from jwt_auth.texts.words import say

__all__ = ["FAILED", "exchange_failed", "login_failed", "refused_by_provider", "verification_failed"]

FAILED: Final = f"{'OpenBao' if 'BAO_VERSION' in os.environ else 'Vault'} login failed."
"""The prefix of texts that the server's own command line parses (vault-plugin-auth-jwt 0.26, cli.go, and
OpenBao's). OpenBao's servers alone set that variable."""


@contextmanager
def login_failed() -> Iterator[None]:
    """Let the texts of refusals begin as the command line wants them."""
    try:
        yield
    except LoginError as error:
        raise LoginError(f"{FAILED} {say(error).public}", error.detail) from error


def exchange_failed(error: LoginError) -> LoginError:
    """Return the refusal of a code by the provider, or of the ID token that it was exchanged for."""
    quoted = error.public.replace("\\", "\\\\").replace('"', '\\"')
    text = f'{FAILED} Error exchanging oidc code: "Provider.Exchange: {quoted}".'
    return LoginError(text, error.detail)


def verification_failed(error: LoginError) -> LoginError:
    """Return the refusal of an ID token that came in a form."""
    return LoginError(f"Token verification failed. {error.public}", error.detail)


def refused_by_provider(error: str, description: str) -> LoginError:
    """Return what a client is told when the provider sent an error. Its words are for the log alone."""
    from authkit.oidc import known_code

    code = known_code(error)
    detail = f"the provider said {error[:100]!r}: {description[:500]!r}"
    if code != "unknown_error":
        return LoginError(f"{FAILED} {code}", detail)
    text = "An unknown error occurred during OIDC authentication. Check server logs for details"
    return LoginError(f"{FAILED} {text}", detail)
