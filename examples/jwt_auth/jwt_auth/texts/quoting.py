"""Values within texts, as Go prints them."""

from __future__ import annotations

import json

__all__ = ["quote"]


def quote(text: str) -> str:
    """Return `text` in double quotes, as Go's `%q` prints it as long as it is printable."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in quoted)
