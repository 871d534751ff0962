"""Who somebody is, as an auth method found out: what a login handler returns.

Checked when it is made, so that a mistake shows at the plugin and not in the host's words. What the
token gets of it: `authkit.auth.grants`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from authkit.auth.alias_metadata import find_metadata_fault
from authkit.auth.policies import verify_policies
from authkit.auth.token_parameters import TokenSettings
from authkit.errors import LoginError
from authkit.values import Value, field, verify_collections

__all__ = ["Identity"]


class Identity(Value, frozen=True, kw_only=True):
    """Who has logged in, and what the login adds to the token.

    Raises:
        TypeError: a text was given where a collection is meant, or metadata that are not texts.
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
        verify_collections(
            groups=self.groups,
            alias_metadata=self.alias_metadata,
            metadata=self.metadata,
            policies=self.policies,
            state=self.state,
            warnings=self.warnings,
        )
        for key, value in (*self.metadata.items(), *self.alias_metadata.items()):
            if not isinstance(value, str):
                raise TypeError(f"metadata have texts as values: {key!r} has a {type(value).__name__}")
        if not self.name and not self.anonymous:
            raise LoginError("missing name in alias")
        if not all(self.groups):
            raise LoginError("a group has no name")
        fault = find_metadata_fault(self.alias_metadata)
        if fault is not None:
            raise LoginError(fault)
        verify_policies(self.policies)
