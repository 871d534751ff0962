"""Values that must not be seen: the `Secret` type and the masking of text.

Every place that turns something into text for a person (log lines, error texts, representations)
goes through here. Which lines are written, and where, is left to `authkit.plugin.logs`.
"""

from __future__ import annotations

import re
import threading
from weakref import WeakValueDictionary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NoReturn

__all__ = ["MASK", "Secret", "is_secret_name", "mask_text"]

MASK = "[masked]"

MIN_VERBATIM_LENGTH = 4
"""A shorter secret is not searched for in text: masking every `7` would leave no log to read."""


class Secret:
    """A text that is shown nowhere.

    `str()`, `repr()`, formatting and JSON give a mask or fail; comparison takes constant time;
    pickling is refused. `reveal()` gives the text itself. As long as the object lives, `mask_text`
    also removes its value from any text, so that a careless log line stays harmless.
    """

    __slots__ = ("__weakref__", "_value")

    def __init__(self, value: str) -> None:
        if not isinstance(value, str):
            raise TypeError("a Secret holds text")
        self._value = value
        if len(value) >= MIN_VERBATIM_LENGTH:
            with _live_lock:
                _live[id(self)] = self

    def reveal(self) -> str:
        """Return the text. The caller answers for where it goes."""
        return self._value

    def __str__(self) -> str:
        return MASK

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __format__(self, spec: str) -> str:
        return MASK

    def __bool__(self) -> bool:
        return bool(self._value)

    def __len__(self) -> int:
        return len(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        from hmac import compare_digest

        return compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled")


# By identity, not by value: two equal secrets are two entries, and each ends with its own object.
_live: WeakValueDictionary[int, Secret] = WeakValueDictionary()
_live_lock = threading.Lock()

_SECRET_NAMES = re.compile(
    r"""(?ix)
    ^(?:.*[_.-])? (?:
        jwt | assertion | (?:id|access|refresh|client|unwrap|vault|bearer)?_?token | authorization | cookie
      | password | passwd | passphrase | pin | secret | (?:client|shared)_?secret | secret_id
      | credentials? | api_?key | (?:private|secret|signing|session)_?key | code_verifier | otp
    )$
    """
)

# What a secret looks like when nobody said that it is one.
_SECRET_SHAPES = re.compile(
    r"""(?xs)
      -----BEGIN[ ](?P<kind>[A-Z0-9 ]*PRIVATE[ ]KEY)-----.*?(?:-----END[ ](?P=kind)-----|\Z)
    | \bey[JKI][A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*){0,3}   # compact JWS and JWE
    | \b(?:hv[sbr]|[sbr])\.[A-Za-z0-9_-]{20,}                # Vault and OpenBao tokens
    | (?i:\b(?:bearer|basic)[ ]+)[A-Za-z0-9._~+/=-]{8,}      # Authorization values
    """
)


def is_secret_name(name: str) -> bool:
    """Whether a value under this name is taken for a secret (`jwt`, `client_secret`, `X-Vault-Token`)."""
    return _SECRET_NAMES.match(name) is not None


def mask_text(text: str) -> str:
    """Return `text` without anything that is, or looks like, a secret."""
    for value in _live_values():
        if value in text:
            text = text.replace(value, MASK)
    return _SECRET_SHAPES.sub(MASK, text)


def _live_values() -> Iterator[str]:
    with _live_lock:
        values = {secret.reveal() for secret in _live.values()}
    # Longest first, so that a secret which contains another one disappears whole.
    return iter(sorted(values, key=len, reverse=True))
