"""JSON merge patch (RFC 7396): what a PATCH request means for an object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authkit.framework.fields.limits import MAX_DEPTH

__all__ = ["merge_patch"]


def merge_patch(target: object, patch: object, *, depth: int = 0) -> Any:
    """Return what `patch` makes of `target`: members are merged, null removes, anything else replaces.

    Neither argument is changed.

    Raises:
        ValueError: the patch is nested deeper than `MAX_DEPTH`.
    """
    if not isinstance(patch, Mapping):
        return patch
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    merged = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value, depth=depth + 1)
    return merged
