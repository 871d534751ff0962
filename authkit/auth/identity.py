"""Who somebody is, as an auth method found out: what a login handler returns.

Checked when it is made, so that a mistake shows at the plugin and not in the host's words. What the
host makes of it is left to `authkit.auth.tokens`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from authkit.auth.policies import find_refused_policy
from authkit.errors import LoginError
from authkit.values import Value, field

if TYPE_CHECKING:
    from authkit.auth.tokens import TokenSettings

__all__ = ["Identity", "find_metadata_fault", "split_alias_metadata", "verify_policies"]

MAX_METADATA_PAIRS: Final = 64
MAX_METADATA_KEY: Final = 128
MAX_METADATA_VALUE: Final = 512
"""Limits of a host when it makes an entity, the last two in bytes (Vault 1.21, vault/identity_store.go,
CreateOrFetchEntity)."""

_METADATA_KEY: Final = re.compile(r"[A-Za-z0-9=/+_-]+")


class Identity(Value, frozen=True, kw_only=True):
    """Who has logged in, and what the login adds to the token.

    Raises:
        LoginError: a host would refuse it.
    """

    name: str = ""
    """Stable and never given to somebody else: the host keeps an entity under it, and ignores case."""
    groups: Sequence[str] = ()
    """Names that external groups of this mount may have as alias."""
    alias_metadata: Mapping[str, str] = field(default_factory=dict)
    """Kept with the entity. Nothing that varies from login to login: each change is a write."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """On the token and in the audit log."""
    policies: Sequence[str] = ()
    """Added to those of the role."""
    display_name: str = ""
    """By default the name."""
    state: Mapping[str, Any] = field(default_factory=dict)
    """Kept with the token and given back at renewal; JSON. Never shown."""
    token: TokenSettings | None = None
    """What this login decides in place of the role; the rest is as the role has it."""
    warnings: Sequence[str] = ()
    """For the client."""
    anonymous: bool = False
    """The token gets no entity; only then may the name be empty."""

    unshown: ClassVar = ("state",)

    def __post_init__(self) -> None:
        if not self.name and not self.anonymous:
            raise LoginError("missing name in alias")
        if not all(self.groups):
            raise LoginError("a group has no name")
        fault = find_metadata_fault(self.alias_metadata)
        if fault is not None:
            raise LoginError(fault)
        verify_policies(self.policies)


def verify_policies(policies: Iterable[str]) -> None:
    """Return if a login may ask for these policies.

    Raises:
        LoginError: one of them is the host's own. It compares without case and outer blanks.
    """
    refusal = find_refused_policy(policies)
    if refusal is not None:
        raise LoginError(refusal)


def find_metadata_fault(metadata: Mapping[str, str]) -> str | None:
    """Return why a host would not keep this metadata with an alias, `None` when it would."""
    if len(metadata) > MAX_METADATA_PAIRS:
        return f"invalid alias metadata: more than {MAX_METADATA_PAIRS} pairs"
    return next((fault for fault in map(_find_pair_fault, metadata.items()) if fault is not None), None)


def split_alias_metadata(metadata: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return what a host keeps with an alias, and the keys of all that it would refuse the login for.

    For metadata that somebody else decides on, such as the claims of a token: one value that is too
    long must not keep its owner out.
    """
    fitting = [pair for pair in metadata.items() if _find_pair_fault(pair) is None]
    kept = dict(fitting[:MAX_METADATA_PAIRS])
    return kept, tuple(key for key in metadata if key not in kept)


def _find_pair_fault(pair: tuple[str, str]) -> str | None:
    key, value = pair
    if len(key) > MAX_METADATA_KEY or _METADATA_KEY.fullmatch(key) is None:
        return "invalid alias metadata: a key is too long or has characters other than A-Za-z0-9=/+_-"
    if key.startswith("vault-"):
        return 'invalid alias metadata: a key begins with "vault-"'
    # A host counts the bytes (Go's len).
    if len(value.encode()) > MAX_METADATA_VALUE:
        return f"invalid alias metadata: a value is longer than {MAX_METADATA_VALUE} bytes"
    return None
