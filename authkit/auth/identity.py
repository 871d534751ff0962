"""Who somebody is, as an auth method found out: what a login handler returns.

Checked when it is made, so that a mistake shows at the plugin and not in the host's words. What the
token gets of it: `authkit.auth.grants`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from authkit.auth.alias_metadata import find_metadata_fault
from authkit.auth.policies import verify_policies
from authkit.auth.token_parameters import TokenSettings
from authkit.errors import LoginError
from authkit.values import Value, field, verify_collections

__all__ = ["Identity"]

_TEXT: Final = frozenset({str})


class Identity(Value, frozen=True, kw_only=True):
    """Who has logged in, and what the login adds to the token.

    Raises:
        TypeError: a text was given where a collection is meant, or something else in the place of a text.
            The error names the field and the key, and does not show the value.
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
        texts = (
            self.name,
            self.display_name,
            *self.groups,
            *self.policies,
            *self.warnings,
            *self.metadata,
            *self.metadata.values(),
            *self.alias_metadata,
            *self.alias_metadata.values(),
        )
        if not _TEXT.issuperset(map(type, texts)):
            _verify_texts(self)
        if not self.name and not self.anonymous:
            raise LoginError("missing name in alias")
        if not all(self.groups):
            raise LoginError("a group has no name")
        fault = find_metadata_fault(self.alias_metadata)
        if fault is not None:
            raise LoginError(fault)
        verify_policies(self.policies)


def _verify_texts(identity: Identity) -> None:
    """Raise TypeError for the first that is not a text. Its value may be a secret, and is not shown."""
    for name in ("name", "display_name"):
        _verify_text(name, getattr(identity, name))
    for name in ("groups", "policies", "warnings"):
        for place, value in enumerate(getattr(identity, name)):
            _verify_text(f"{name}[{place}]", value)
    for name in ("metadata", "alias_metadata"):
        for key, value in getattr(identity, name).items():
            _verify_text(f"the key {key!r} of {name}", key)
            _verify_text(f"{name}[{key!r}]", value)


def _verify_text(where: str, value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{where} is of type {type(value).__name__}, and has to be a text (str)")
