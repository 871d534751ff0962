"""Names as a host compares them: without case, and policies without blanks around them.

A host is written in Go, whose rules differ from those of `str.lower` and `str.strip` for a few
characters. What is one name for the host has to be one name here, and only that.
"""

from __future__ import annotations

from typing import Final

__all__ = ["fold_name", "fold_policy"]

_SPACES: Final = (
    "".join(map(chr, (*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B))))
    + "\u2028\u2029\u202f\u205f\u3000"
)
"""What Go's `strings.TrimSpace` removes: Unicode's White_Space. `str.strip` removes U+001C to U+001F too."""


def fold_name(name: str) -> str:
    """Return the form in which names of aliases, entities, groups and policies are compared.

    Go's `strings.ToLower` (Vault 1.21, vault/identity_store_schema.go with go-memdb's StringFieldIndex):
    each character for itself. `str.lower` looks at its neighbours (a sigma at the end of a word), and makes
    two characters of the Turkish capital I with a dot, for which Go has a plain i.
    """
    if name.isascii():
        return name.lower()
    return "".join("i" if char == "\u0130" else char.lower() for char in name)


def fold_policy(name: str) -> str:
    """Return the form in which a host keeps and compares the name of a policy.

    Vault SDK 0.21, helper/policyutil/policyutil.go, SanitizePolicies; Vault 1.21, vault/policy_store.go,
    sanitizeName.
    """
    return fold_name(name.strip(_SPACES))
