"""Values that nobody can change: what a request gets from memory is what the next one gets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn, cast

from authkit.masking import Secret

__all__ = ["FrozenDict", "freeze", "is_same", "thaw"]


def _refuse(frozen: FrozenDict, *_: object, **__: object) -> NoReturn:
    raise TypeError("a value of a stored object does not change; work on a copy, and write that")


class FrozenDict(dict[Any, Any]):
    """A dictionary that does not change: for encoders and comparisons it is one like any other."""

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = cast(Any, _refuse)

    def __reduce__(self) -> tuple[type[FrozenDict], tuple[dict[Any, Any]]]:
        """Let it be copied and pickled, which would set one member after the other."""
        return FrozenDict, (dict(self),)


_CHANGELESS: Final = frozenset({str, int, bool, float, type(None), Secret, FrozenDict})
"""Types of most values: each field of each login asks."""


def freeze(value: Any) -> Any:
    """Return the value with tuples for lists, frozen dictionaries for objects and frozen sets for sets.

    At every level; anything else is returned as it is. Fields are at most `MAX_DEPTH` levels deep.
    """
    if type(value) in _CHANGELESS:
        return value
    if isinstance(value, Mapping):
        return FrozenDict({key: freeze(member) for key, member in value.items()})
    if isinstance(value, list) or type(value) is tuple:
        return tuple(map(freeze, value))
    return frozenset(value) if isinstance(value, set) else value


def thaw(value: Any) -> Any:
    """Return a copy of a frozen value, for JSON: objects and lists that are the caller's own."""
    if isinstance(value, Mapping):
        return {key: thaw(member) for key, member in value.items()}
    return list(map(thaw, value)) if isinstance(value, list | tuple) else value


def is_same(one: Any, other: Any) -> bool:
    """Whether two frozen values are the same to JSON as well: Python calls 1 and true equal."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(is_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(is_same, one, other))
    if isinstance(one, frozenset) and isinstance(other, frozenset):
        return {(type(each), each) for each in one} == {(type(each), each) for each in other}
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)
