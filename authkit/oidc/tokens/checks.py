"""The checks of a verification, recorded by the code that decides.

The checks are in the modules that make them. A login passes no `Checks`, or a
`Record` to be able to tell afterwards why it was refused; an explanation passes an `Explanation`.
No check holds a token, and only the claims that a rule is about.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from authkit.errors import LoginError, TokenError
from authkit.printable import to_printable
from authkit.values import Value

__all__ = ["NO_RECORD", "Check", "Checks", "Explanation", "Record", "show_date"]

MAX_SHOWN_CHARACTERS = 200
"""How much of a value a check shows."""


NO_FACTS: Mapping[str, Any] = MappingProxyType({})


class Check(Value, frozen=True):
    """One check and its result."""

    name: str
    """What it was: `signature`, `exp`, `bound claim groups`."""
    passed: bool
    """Whether it was as it should."""
    expected: str
    """What was asked for, in words or as JSON."""
    had: str
    """The value that was compared, in words or as JSON; cut when long, `nothing` if there was none."""
    error: str = ""
    """What a login is refused with; empty if it passed."""
    detail: str = ""
    """What else is known of that refusal; only for operators, as in the log."""
    code: str = ""
    """The code of that refusal, see `LoginError`."""
    facts: Mapping[str, Any] = NO_FACTS
    """The facts of that refusal."""


class Checks:
    """Decides, and remembers nothing.

    Values to show are given raw, and made into text only if somebody reads them. A tuple is words
    to show, with arguments for the `{}` in them (`{:date}` for seconds since 1970); a function is
    called for its value; anything else is shown as JSON.
    """

    __slots__ = ()

    def require(
        self,
        name: str,
        passed: bool,
        text: str,
        *,
        code: str = "",
        facts: Mapping[str, Any] = NO_FACTS,
        expected: Any = None,
        had: Any = None,
        detail: str = "",
        is_last: bool = False,
    ) -> None:
        """Refuse the token unless the check passed. With `is_last` no later check makes sense if it failed.

        Raises:
            TokenError: it did not; `text`, `code` and `facts` are for the caller, `detail` for the log.
        """
        if not passed:
            raise TokenError(text, detail, code=code, facts=facts)

    def step(self, name: str, expected: Any, had: Callable[[], Any]) -> AbstractContextManager[None]:
        """Return a context for code that raises a `LoginError` if the check of this name fails.

        `had` returns the value that the code compares. It is called only if somebody reads the check.
        """
        return _NOTHING


_NOTHING: AbstractContextManager[None] = nullcontext()

NO_RECORD = Checks()
"""Decides without a record."""


class Record(Checks):
    """Remembers the checks up to the one that failed.

    Keep its `checks`, not the record itself: that holds claims as they came.
    """

    __slots__ = ("_checks",)
    _goes_on = False

    def __init__(self) -> None:
        self._checks: list[tuple[str, LoginError | None, Any, Any]] = []

    @property
    def checks(self) -> Sequence[Check]:
        """Everything looked at so far, in order."""
        return [
            Check(name, True, _show(expected), _show(had))
            if error is None
            else Check(
                name,
                False,
                _show(expected),
                _show(had),
                error.public,
                to_printable(_cut(error.detail)),
                error.code,
                error.facts,
            )
            for name, error, expected, had in self._checks
        ]

    @property
    def refusal(self) -> str:
        """What a login is refused with: the text of the first check that failed; empty if none did."""
        return next((error.public for _, error, _, _ in self._checks if error is not None), "")

    def require(
        self,
        name: str,
        passed: bool,
        text: str,
        *,
        code: str = "",
        facts: Mapping[str, Any] = NO_FACTS,
        expected: Any = None,
        had: Any = None,
        detail: str = "",
        is_last: bool = False,
    ) -> None:
        """Remember the check, and return if it passed. Raises what `Checks.require` raises."""
        if passed:
            self._checks.append((name, None, expected, had))
            return
        error = TokenError(text, detail, code=code, facts=facts)
        self.note(name, error, expected, had)
        if is_last or not self._goes_on:
            raise error

    def step(self, name: str, expected: Any, had: Callable[[], Any]) -> AbstractContextManager[None]:
        """Return a context that remembers how the code in it fared."""
        return _Step(self, name, expected, had)

    def note(self, name: str, error: LoginError | None, expected: Any, had: Any) -> None:
        """Remember a check that was made elsewhere, with values as for `require`; no error if it passed."""
        self._checks.append((name, error, expected, had))


class _Step(Value, frozen=True):
    """The context of one step."""

    record: Record
    name: str
    expected: Any
    had: Callable[[], Any]

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if error is None:
            self.record._checks.append((self.name, None, self.expected, self.had))
        elif isinstance(error, LoginError):
            self.record.note(self.name, error, self.expected, self.had)


class Explanation(Record):
    """Goes on after a check that failed wherever the next ones still make sense.

    For the eyes of an operator only: with it a verification returns although the token is not
    acceptable. Nobody may be let in on its result.
    """

    __slots__ = ()
    _goes_on = True


def _show(value: Any) -> str:
    if callable(value):
        value = value()
    if value is None:
        return "nothing"
    words, *arguments = value if isinstance(value, tuple) else ("{}", value)
    text: str = words.format(*map(_Shown, arguments)) if arguments else words
    # Claims of unsigned tokens are shown on terminals too.
    return to_printable(_cut(text))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN_CHARACTERS else text[:MAX_SHOWN_CHARACTERS] + "..."


class _Shown:
    """A value with the ways to show it."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __format__(self, spec: str) -> str:
        if self.value is None:
            return "nothing"
        if spec == "date":
            return show_date(self.value)
        return json.dumps(self.value, ensure_ascii=False, default=sorted)


def show_date(seconds: float) -> str:
    """Return seconds since 1970 as a date for people."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return f"{seconds} s after 1970"
