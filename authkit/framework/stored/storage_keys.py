"""Which storage keys belong to which declaration: no two may share one.

Otherwise what an operator writes as one thing is read as another: a configuration at `role/config` is
the role `config` as well. Objects under these keys are `authkit.framework.stored.store`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Final

from authkit.framework.fields.types import is_name
from authkit.framework.replication import PROBE_KEY
from authkit.values import Value

__all__ = ["WAL_PREFIX", "KeyRange", "Span", "verify_disjoint"]

WAL_PREFIX: Final = "wal/"
"""Of the write-ahead log, as the SDK has it (Vault SDK 0.21, framework/wal.go)."""


class Span(Enum):
    """What follows the beginning of a key."""

    NOTHING = "nothing"
    NAME = "a name"
    ANYTHING = "anything"


class KeyRange(Value, frozen=True):
    """Storage keys that belong together."""

    start: str
    """The key, or what keys begin with: then it ends with `/`."""
    span: Span = Span.NOTHING

    def meets(self, other: KeyRange) -> bool:
        """Whether a key may be in both. Case does not count: names are folded in more than one place."""
        one, two = (self, other) if len(self.start) <= len(other.start) else (other, self)
        if not two.start.lower().startswith(one.start.lower()):
            return False
        rest = two.start[len(one.start) :]
        if not rest:
            return (one.span is Span.NOTHING) is (two.span is Span.NOTHING)
        if one.span is Span.NAME:
            return two.span is Span.NOTHING and is_name(rest)
        return one.span is Span.ANYTHING


RESERVED: Final[Mapping[str, KeyRange]] = {
    "the write-ahead log": KeyRange(WAL_PREFIX, Span.ANYTHING),
    "the key that asks whether a node may write": KeyRange(PROBE_KEY),
}
"""The library's own keys, by what they are for. Taken in every class: a subclass may add what needs them."""


def verify_disjoint(owned: Mapping[str, Iterable[KeyRange]]) -> None:
    """Raise TypeError if two owners, or one and the library, may use the same storage key.

    Args:
        owned: the keys of each declaration, by its name.
    """
    taken = list(RESERVED.items())
    for name, ranges in owned.items():
        own = tuple(ranges)
        for keys in own:
            other = next((known for known, theirs in taken if keys.meets(theirs)), None)
            if other is not None:
                raise TypeError(
                    f"{name!r} and {other} would share the storage key {keys.start!r}: what is "
                    "written as one would be read as the other; choose another path"
                )
        taken += [(repr(name), keys) for keys in own]
