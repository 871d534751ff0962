"""Values that must not be seen: the `Secret` type and the masking of text.

There are two ways to mask, and who reads the text decides. What goes to a client is masked by
`mask_text`: only by what the text itself and the client's own request show, because a mask that depends on
secrets of others tells a client whether a guess of one is right. Log lines are masked by `mask_logged`,
which knows every live secret. Which lines are written, and where: `authkit.plugin.logs`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from authkit.live_values import LiveValues

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

__all__ = ["MASK", "Secret", "is_secret_name", "mask_logged", "mask_text"]

MASK = "[masked]"

MIN_OWN_LENGTH = 4
"""A shorter value of a request's own is not searched for: masking every `7` would leave no text to read."""

_live = LiveValues()


class Secret:
    """A text that is shown nowhere.

    `str()`, `repr()`, formatting and JSON give a mask or fail; comparison takes constant time;
    pickling is refused. `reveal()` gives the text itself. As long as the object lives, its value, if it
    is not short (`authkit.live_values.WINDOW`), is also removed from log lines, so that a careless one stays
    harmless.
    """

    __slots__ = ("__weakref__", "_numbers", "_value")

    def __init__(self, value: str) -> None:
        if not isinstance(value, str):
            raise TypeError("a Secret holds text")
        self._value = value
        self._numbers = [_live.add(form) for form in _forms_in_logs(value)]

    def __del__(self, live: LiveValues = _live) -> None:
        # Absent when __init__ has raised.
        for number in getattr(self, "_numbers", ()):
            if number:
                live.end(number)

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


MAX_LINES = 64
"""Lines of one value that are searched for one by one."""


def _forms_in_logs(value: str) -> Iterable[str]:
    """Return what tracebacks make of a value: itself, its `repr`, and its lines, each of them indented."""
    if value.isprintable() and "\\" not in value and "'" not in value:
        return (value,)
    lines = value.splitlines()
    return {value, repr(value)[1:-1], *(lines[:MAX_LINES] if len(lines) > 1 else ())}


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
    return _cover(text, [*_find_shapes(text), *_live.find(text)])


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
