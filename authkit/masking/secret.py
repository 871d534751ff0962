"""A text that is shown nowhere, and that the log does not show either as long as it is known."""

from __future__ import annotations

from collections.abc import Iterable

from authkit.masking.live_values import LiveValues

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

__all__ = ["LIVE", "MASK", "Secret"]

MASK = "[masked]"

LIVE = LiveValues()
"""The values of all secrets of the process."""


class Secret:
    """A text that is shown nowhere.

    `str()`, `repr()`, formatting and JSON give a mask or fail; comparison takes constant time;
    pickling is refused. `reveal()` gives the text itself. As long as the object lives, its value, if it
    is not short (`authkit.masking.live_values.WINDOW`), is also removed from log lines, so that a careless
    one stays harmless.
    """

    __slots__ = ("__weakref__", "_numbers", "_value")

    def __init__(self, value: str) -> None:
        if not isinstance(value, str):
            raise TypeError("a Secret holds text")
        self._value = value
        self._numbers = [LIVE.add(form) for form in _forms_in_logs(value)]

    def __del__(self, live: LiveValues = LIVE) -> None:
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
