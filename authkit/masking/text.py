"""Texts without what must not be seen in them. `authkit.masking` says which of the two ways is for whom."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from authkit.masking.secret import LIVE, MASK

__all__ = ["is_secret_name", "mask_logged", "mask_text"]

MIN_OWN_LENGTH = 4
"""A shorter value of a request's own is not searched for: masking every `7` would leave no text to read."""

_SECRET_NAMES = re.compile(
    r"""(?ix)
    ^(?:.*[_.-])? (?:
        jwt | assertion | (?:id|access|refresh|client|unwrap|vault|bearer)?_?token | authorization | cookie
      | password | passwd | passphrase | pin | secret | (?:client|shared)_?secret | secret_id
      | credentials? | api_?key | (?:private|secret|signing|session)_?key | code_verifier | otp
    )$
    """
)

SHORTEST_SHAPE = 10
"""Characters of the shortest text that looks like a secret below: `eyJ`, six more and a dot."""

# What a secret looks like when nobody said that it is one.
_SECRET_SHAPES = re.compile(
    r"""(?xs)
      -----BEGIN[ ](?P<kind>[A-Z0-9 ]*PRIVATE[ ]KEY)-----.*?(?:-----END[ ](?P=kind)-----|\Z)
    # Compact JWS and JWE. From the first letter of a run on, and atomic: a long run is read once.
    | (?<![A-Za-z0-9_-])(?>[A-Za-z0-9_-]*?(?<![A-Za-z0-9])ey[JKI])[A-Za-z0-9_-]{6,}+
      \.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*){0,3}
    | \b(?:hv[sbr]|[sbr])\.[A-Za-z0-9_-]{20,}                # Vault and OpenBao tokens
    | (?i:\b(?:bearer|basic)[ ]+)[A-Za-z0-9._~+/=-]{8,}      # Authorization values
    """
)


def is_secret_name(name: str) -> bool:
    """Whether a value under this name is taken for a secret (`jwt`, `client_secret`, `X-Vault-Token`)."""
    return _SECRET_NAMES.match(name) is not None


def mask_text(text: str, own: Iterable[str] = ()) -> str:
    """Return a text for a client without what looks like a secret, and without the values `own`.

    `own` is what the client's own request has in secret fields, and nothing else.

    Raises:
        TypeError: `own` is one text.
    """
    if isinstance(own, str | bytes | bytearray):
        raise TypeError("'own' is one text where a collection is meant: write own=[...]")
    if not text:
        return text
    return _cover(text, [*_find_shapes(text), *_find_values(text, own)])


def mask_logged(text: str) -> str:
    """Return a text for the log without what looks like a secret, and without the values of live secrets.

    Never for a client. Its cost depends on the length of the text alone.
    """
    return _cover(text, [*_find_shapes(text), *LIVE.find(text)])


def _find_shapes(text: str) -> Iterable[tuple[int, int]]:
    if len(text) < SHORTEST_SHAPE:
        return ()
    return [match.span() for match in _SECRET_SHAPES.finditer(text)]


def _find_values(text: str, values: Iterable[str]) -> Iterator[tuple[int, int]]:
    for value in values:
        begin = text.find(value) if len(value) >= MIN_OWN_LENGTH else -1
        while begin >= 0:
            yield begin, begin + len(value)
            begin = text.find(value, begin + len(value))


def _cover(text: str, spans: list[tuple[int, int]]) -> str:
    """Return the text with a mask over each span and over all spans that overlap it."""
    if not spans:
        return text
    shown, covered = [], 0
    for begin, end in sorted(spans):
        if begin >= covered:
            shown += [text[covered:begin], MASK]
        covered = max(covered, end)
    return "".join([*shown, text[covered:]])
