"""Names as a server compares them: without regard to case.

Vault 1.21 looks up aliases, entities and groups by `strings.ToLower` of their names
(vault/identity_store_schema.go; go-memdb 1.3.5, index.go, StringFieldIndex), and OpenBao does the same.
"""

from __future__ import annotations

__all__ = ["fold_name"]


def fold_name(name: str) -> str:
    """Return the form in which two names are equal if, and only if, a server takes them for one.

    It has as many characters as the name. `str.lower` follows Unicode's full mapping, Go's `strings.ToLower`
    the simple one; the two differ for the capital I with a dot, which becomes a plain `i`, and for a capital
    sigma at the end of a word. The Kelvin sign is `k` in both; the long s is no `s` in either.
    """
    return name.replace("\u0130", "i").replace("\u03a3", "\u03c3").lower()
