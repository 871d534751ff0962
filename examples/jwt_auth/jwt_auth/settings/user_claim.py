"""The user's name: one claim, or several claims combined by a template.

`sub` is one claim, `{repository}:{ref}` two. Two different users never get the same name, nor names that
differ in case only: a value that holds the text which separates it from the next one is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from authkit import TokenError, UserError, fold_name
from authkit.oidc import ISSUER_SEPARATOR, Claims, user_name

__all__ = ["begins_with_issuer", "compose_user_name", "names_in", "verify_user_claim"]

MAX_KEPT_TEMPLATES: Final = 256
"""Templates that are not taken apart again at each login."""

_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")


def verify_user_claim(user_claim: str) -> None:
    """Check that it is a claim, or a template whose names cannot be confused.

    Raises:
        UserError: it is empty, its braces do not match, or two claims follow each other directly.
    """
    if not user_claim:
        raise UserError("a user claim must be defined on the role")
    texts, names = _take_apart(user_claim)
    if any("{" in text or "}" in text for text in texts):
        raise UserError(
            "invalid 'user_claim': write a template as {claim}:{claim}, with braces around claims only"
        )
    if names and not all(texts[1:-1]):
        raise UserError("invalid 'user_claim': in a template some text has to stand between two claims")


def begins_with_issuer(user_claim: str, json_pointer: bool) -> bool:
    """Whether names begin with the `iss` of the token and a separator that cannot be in it."""
    texts, names = _take_apart(user_claim)
    is_issuer = bool(names) and names[0] in (("iss", "/iss") if json_pointer else ("iss",))
    return is_issuer and not texts[0] and texts[1].startswith(ISSUER_SEPARATOR)


def compose_user_name(claims: Claims, user_claim: str, json_pointer: bool) -> str:
    """Return who the token names. Claims of the template are named as `user_claim` itself would be.

    Raises:
        TokenError: a claim is missing, is not a text, or holds the text that separates it from the next one.
    """
    texts, names = _take_apart(user_claim)
    if not names:
        return user_name(claims, user_claim, json_pointer)
    composed = texts[0]
    for name, separator in zip(names, texts[1:], strict=True):
        value = user_name(claims, name, json_pointer)
        if not value or (separator and fold_name(value + separator).find(fold_name(separator)) != len(value)):
            raise TokenError(f'claim "{name}" is empty, or holds the text that follows it in the user claim')
        composed += value + separator
    return composed


def names_in(user_claim: str) -> Sequence[str]:
    """Return the claims that a user's name consists of."""
    return _take_apart(user_claim)[1] or (user_claim,)


@lru_cache(MAX_KEPT_TEMPLATES)
def _take_apart(user_claim: str) -> tuple[Sequence[str], Sequence[str]]:
    """Return the texts around the claims of a template, and the claims."""
    parts = _PLACEHOLDER.split(user_claim)
    return tuple(parts[::2]), tuple(parts[1::2])
