"""Values that nobody can change: what a request gets from memory is what the next one gets."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

__all__ = ["freeze", "thaw"]


def freeze(value: Any) -> Any:
    """Return the value with tuples for lists, read-only mappings for objects and frozen sets for sets.

    At every level; anything else is returned as it is. Fields are at most `MAX_DEPTH` levels deep.
    """
    if isinstance(value, Mapping):
        return MappingProxyType({key: freeze(member) for key, member in value.items()})
    if isinstance(value, list) or type(value) is tuple:
        return tuple(map(freeze, value))
    return frozenset(value) if isinstance(value, set) else value


def thaw(value: Any) -> Any:
    """Return a copy of a frozen value, for JSON: objects and lists that are the caller's own."""
    if isinstance(value, Mapping):
        return {key: thaw(member) for key, member in value.items()}
    return list(map(thaw, value)) if isinstance(value, list | tuple) else value
