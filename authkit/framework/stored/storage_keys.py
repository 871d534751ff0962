"""Which storage keys belong to which declaration: no two may share one.

Otherwise what an operator writes as one thing is read as another: a configuration at `role/config` is
the role `config` as well. Objects under these keys are `authkit.framework.stored.store`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Final

from authkit.framework.fields.types import is_name
from authkit.framework.replication import PROBE_KEY
from authkit.values import Value

if TYPE_CHECKING:
    from authkit.framework.routing.routes import Declaration

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


def verify_disjoint(declared: Iterable[Declaration]) -> None:
    """Return if no storage key belongs to two declarations, or to one and the library.

    Raises:
        TypeError: one may.
    """
    taken = list(RESERVED.items())
    for each in declared:
        own = tuple(each.stored_keys())
        for keys in own:
            owner = next((name for name, known in taken if keys.meets(known)), None)
            if owner is not None:
                raise TypeError(
                    f"{each.attribute!r} and {owner} would share the storage key {keys.start!r}: what is "
                    "written as one would be read as the other; choose another path"
                )
        taken += [(repr(each.attribute), keys) for keys in own]
