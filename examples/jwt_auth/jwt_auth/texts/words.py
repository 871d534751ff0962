"""Why a login is refused, in the words of the official plugin: the way from a refusal to its text.

The texts are in `jwt_auth.texts.tokens`, which is loaded with the first refusal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from authkit import LoginError, TokenError
from authkit.oidc import KeySourceError, OAuthError
from jwt_auth.texts.quoting import quote

__all__ = ["find_text", "in_official_words", "say", "say_of_id_token"]

_HASHES: Final = frozenset({"id_token_at_hash_mismatch", "id_token_c_hash_mismatch"})


def say(error: LoginError, prefix: str = "") -> LoginError:
    """Return the refusal in the official plugin's words, after `prefix`.

    Keys that cannot be set up are no fault of the token: their text has no prefix.
    """
    prefix = "" if isinstance(error, KeySourceError) else prefix
    if isinstance(error, OAuthError):
        from jwt_auth.texts.tokens import describe_grant

        text = f"{describe_grant(error.facts)}oauth2: {quote(error.code)}"
    else:
        text = find_text(error.public, error.code, error.facts)
    return LoginError(prefix + text, error.detail)


def say_of_id_token(error: LoginError, *, is_implicit: bool) -> LoginError:
    """Return the refusal of a browser login's ID token. `is_implicit`: the token came in a form."""
    if not isinstance(error, TokenError) or error.code in ("", *_HASHES):
        return say(error)
    return say(error, f"{'' if is_implicit else 'id_token failed verification: '}Provider.VerifyIDToken: ")


def find_text(text: str, code: str, facts: Mapping[str, Any]) -> str:
    """Return the official text for a code; `text` if there is none."""
    from jwt_auth.texts.tokens import TEXTS

    found = TEXTS.get(code, text)
    return found(facts) if callable(found) else found


class in_official_words:  # noqa: N801 - reads like contextlib's
    """A context that lets refusals of tokens have the official texts, after `prefix`."""

    __slots__ = ("_prefix",)

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, TokenError | KeySourceError):
            raise say(error, self._prefix) from error
