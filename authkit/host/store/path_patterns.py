"""Patterns of request paths as a Vault server matches them (1.21, vault/acl.go and vault/router.go).

`*` at the end takes any rest, `+` in place of a segment takes any segment, an empty one too.
"""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["path_regex"]


@lru_cache(4096)
def path_regex(pattern: str, *, segments: bool = True) -> re.Pattern[str]:
    """Return a regex for whole paths. Without `segments`, `+` is plain text."""
    body = pattern.removesuffix("*")
    parts = ["[^/]*" if segments and part == "+" else re.escape(part) for part in body.split("/")]
    return re.compile("/".join(parts) + (".*" if pattern.endswith("*") else ""), re.DOTALL)
