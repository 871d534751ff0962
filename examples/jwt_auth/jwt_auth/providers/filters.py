"""Which names an operator's regular expression lets through, in bounded time.

vault-plugin-auth-jwt has Go's engine, which takes linear time. Python's `re` does not: a name of sixty
characters can keep it busy for years, and with it the whole process. google-re2 has no wheels for musl, on
which the images of Vault and OpenBao are built. So the pattern is of Go's syntax, and the engine is `regex`,
which gives up in time and lets other threads run meanwhile.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any

__all__ = ["FILTER_SECONDS", "NameFilter"]

FILTER_SECONDS = 0.5
"""Of processor time, for all names of a login. A usual pattern takes some 10 microseconds for a name."""

MAX_PATTERN_CHARACTERS = 1000
"""The longest pattern."""

MAX_NAME_CHARACTERS = 1024
"""The longest name that can pass; Okta's have 255 at most."""

MAX_REPEATS = 1000
"""How often something is repeated by count, nested counts multiplied. The limit is RE2's: memory grows
with it."""

_FLAGS = re.compile(r"\(\?[ims]+\)")
_ESCAPE = r"\\(?:[^A-Za-z0-9]|[dDsSwWnrtfva]|x[0-9A-Fa-f]{2})"

_TOKEN = re.compile(
    rf"""
    (?P<open>\((?!\?) | \(\?(?:P?<[A-Za-z_]\w*>|[ims]*(?:-[ims]+)?:)) (?![*+?{{])
  | (?:
        (?P<close>\))
      | [^\\(\[{{*+?] | {_ESCAPE} | \\[AzbB]                     # one character, or a place
      | \[\^?\]?(?:\[:\^?[a-z]+:\]|{_ESCAPE}|[^\]\\])*\]        # a class of characters
    )
    (?:(?:[*+?]|\{{(?P<least>[0-9]{{1,4}})(?:,(?P<most>[0-9]{{0,4}}))?\}})\??(?![*+?{{]))?
    """,
    re.VERBOSE,
)
"""The part of https://github.com/google/re2/wiki/Syntax that means the same to `regex`."""


class NameFilter:
    r"""A pattern that is found in a name or not.

    Differences from Go: classes such as `\w`, and case under `(?i)`, are those of ASCII; flags stand at the
    beginning or belong to a group; `\Q`, `\p`, `\C` and octal escapes are not taken. A name with a line
    break never passes.

    Raises:
        ValueError: the pattern is not such a regular expression.
    """

    def __init__(self, pattern: str) -> None:
        if len(pattern) > MAX_PATTERN_CHARACTERS:
            raise ValueError(f"longer than {MAX_PATTERN_CHARACTERS} characters")
        _check_syntax(pattern)
        import regex

        try:
            self._pattern: Any = regex.compile(pattern, regex.VERSION0 | regex.ASCII)
        except (regex.error, RecursionError, OverflowError) as error:
            raise ValueError(str(error)) from error

    def select(self, names: Sequence[str]) -> list[str]:
        """Return the names that pass. It blocks: call it in a thread.

        Raises:
            TimeoutError: it takes longer than `FILTER_SECONDS`.
        """
        end = time.thread_time() + FILTER_SECONDS
        return [name for name in names if _is_plain(name) and self._is_found(name, end - time.thread_time())]

    def _is_found(self, name: str, seconds: float) -> bool:
        if seconds <= 0:
            raise TimeoutError
        return bool(self._pattern.search(name, timeout=seconds, concurrent=True))


def _check_syntax(pattern: str) -> None:
    flags = _FLAGS.match(pattern)
    position, repeats = flags.end() if flags else 0, [1]
    while position < len(pattern):
        token = _TOKEN.match(pattern, position)
        if token is None:
            raise ValueError(
                f"not supported at position {position}; the syntax is that of RE2 without \\p, \\Q, \\C, "
                "octal escapes, \\x{..} and flags in the middle"
            )
        position = token.end()
        if token["open"]:
            repeats.append(1)
            continue
        inside = repeats.pop() if token["close"] and len(repeats) > 1 else 1
        inside *= max(int(token["most"] or token["least"] or 1), 1)
        if inside > MAX_REPEATS:
            raise ValueError(f"something is repeated more than {MAX_REPEATS} times")
        repeats[-1] = max(repeats[-1], inside)


def _is_plain(name: str) -> bool:
    # `$` of Python is true before a line break at the end, that of Go is not.
    return len(name) <= MAX_NAME_CHARACTERS and "\n" not in name
