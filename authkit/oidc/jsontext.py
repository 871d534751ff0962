"""JSON from strangers: one strict parser for token headers and claims, and quoting for messages.

What the members mean is left to `authkit.oidc.tokens.jws` and `authkit.oidc.tokens.verifier`.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from authkit.printable import to_printable

__all__ = ["MAX_DEPTH", "MAX_INTEGER_DIGITS", "parse_object", "quote"]

MAX_DEPTH = 64
"""Levels of lists and objects; later code may walk claims recursively without counting."""

MAX_INTEGER_DIGITS = 128
"""Digits of an integer: room for any identifier, and converting them stays cheap."""

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


def parse_object(raw: bytes) -> dict[str, Any]:
    """Return the JSON object that `raw` holds.

    Integers are exact, other numbers are finite floats. Refused are: any encoding but UTF-8, member
    names that occur twice, `NaN` and `Infinity`, numbers beyond a float, integers of more than
    `MAX_INTEGER_DIGITS`, nesting beyond `MAX_DEPTH`, and strings that are no Unicode text.

    Raises:
        ValueError: it is no such object. Neither the text nor the cause repeats any of it.
    """
    try:
        text = raw.decode()
        value = _DECODER.decode(text)
    # Without their causes: those keep the whole document.
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    except json.JSONDecodeError:
        raise ValueError("not valid JSON") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    # The count of brackets bounds the depth and costs nothing; only odd documents are walked.
    if text.count("{") + text.count("[") > MAX_DEPTH and _is_too_deep(value):
        raise ValueError("nested too deeply")
    if _SURROGATE_ESCAPE.search(text) and not _is_unicode(value):
        raise ValueError("not Unicode text")
    return value


def quote(text: str) -> str:
    """Return `text` in double quotes, as Go's `%q` prints it as long as it is printable."""
    return to_printable(json.dumps(text, ensure_ascii=False))


def _unique_members(members: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(members)
    if len(value) != len(members):
        raise ValueError("a member name occurs twice")
    return value


def _parse_integer(literal: str) -> int:
    if len(literal) > MAX_INTEGER_DIGITS:
        raise ValueError("a number is too long")
    return int(literal)


def _parse_float(literal: str) -> float:
    value = float(literal)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value


def _refuse_constant(literal: str) -> None:
    raise ValueError(f"{literal} is not valid JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique_members,
    parse_int=_parse_integer,
    parse_float=_parse_float,
    parse_constant=_refuse_constant,
)


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in _children(node)]
        if not level:
            return False
    return True


def _children(node: Any) -> list[Any]:
    children = node.values() if isinstance(node, dict) else node
    return [child for child in children if isinstance(child, dict | list)]


def _is_unicode(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
