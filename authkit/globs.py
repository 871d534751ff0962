"""Patterns in which `*` matches any text.

Other wildcards have modules of their own: `+` and a final `*` of paths in `authkit.framework.routing`, the
regular expressions of an operator where they are used.
"""

from __future__ import annotations

__all__ = ["matches_glob"]


def matches_glob(pattern: str, text: str) -> bool:
    """Return whether `text` matches `pattern`, in which `*` matches any text, also an empty one.

    The time is bounded by the product of both lengths: no pattern makes it worse.
    """
    first, *rest = pattern.split("*")
    if not rest:
        return text == pattern
    *middle, last = rest
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    position, end = len(first), len(text) - len(last)
    for part in middle:
        position = text.find(part, position, end)
        if position < 0:
            return False
        position += len(part)
    return True
