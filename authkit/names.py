"""Names as a server compares them: without case, and policies without white space around them.

Also the names and versions of plugins, as authors give them.

A server is written in Go, whose rules differ from those of `str.lower` and `str.strip` for a few
characters. What is one name for the server has to be one name here, and only that.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["fold_name", "fold_policy", "plugin_version", "verify_plugin_name"]

_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?")
_VERSION: Final = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?")

_SPACES: Final = (
    "".join(map(chr, (*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B))))
    + "\u2028\u2029\u202f\u205f\u3000"
)
"""What Go's `strings.TrimSpace` removes: Unicode's White_Space. `str.strip` removes U+001C to U+001F too."""


def fold_name(name: str) -> str:
    """Return the form in which two names are equal if, and only if, a server takes them for one.

    Aliases, entities and groups are looked up by Go's `strings.ToLower` (Vault 1.21,
    vault/identity_store_schema.go; go-memdb 1.3.5, index.go, StringFieldIndex; OpenBao likewise). The result
    has as many characters as the name. `str.lower` follows Unicode's full mapping, Go the simple one; the two
    differ for the capital I with a dot, which becomes a plain `i`, and for a capital sigma at the end of a
    word. The Kelvin sign is `k` in both; the long s is not `s` in either.
    """
    return name.replace("\u0130", "i").replace("\u03a3", "\u03c3").lower()


def fold_policy(name: str) -> str:
    """Return the form in which a server keeps and compares the name of a policy.

    Vault SDK 0.21, helper/policyutil/policyutil.go, SanitizePolicies; Vault 1.21, vault/policy_store.go,
    sanitizeName.
    """
    return fold_name(name.strip(_SPACES))


def verify_plugin_name(owner: str, name: str) -> None:
    """Raise TypeError if `name` cannot be the name of a plugin; `owner` is the class that was given it."""
    if _NAME.fullmatch(name) is None:
        raise TypeError(f"{owner}: a name has letters, digits, '-', '_' and '.' inside, unlike {name!r}")


def plugin_version(owner: str, version: str) -> str:
    """Return the version of a plugin as a server wants it, `v1.2.0`; `owner` is the class that was given it.

    Raises:
        TypeError: it is not a semantic version.
    """
    number = version.removeprefix("v")
    if _VERSION.fullmatch(number) is None:
        raise TypeError(f"{owner}: version {version!r} is not like '1.2.0'")
    return f"v{number}"
