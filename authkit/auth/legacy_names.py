"""The names that token parameters had before they began with `token_`.

For methods that take the place of an older plugin: its clients still send `policies` and `ttl`.
"""

from __future__ import annotations

from typing import Annotated, Any

from authkit.auth.policies import sanitize_policies
from authkit.auth.token_parameters import Role
from authkit.framework import Cidrs, Int, Seconds, field
from authkit.framework.fields.containers import CommaListType

__all__ = ["LegacyTokenNames"]


class _OldPoliciesType(CommaListType):
    """Policies by their old name, cleaned on the way in (Vault SDK 0.21, helper/tokenutil, UpgradeValue)."""

    def parse(self, name: str, raw: Any) -> tuple[str, ...]:
        """Return the names as a host keeps them."""
        return sanitize_policies(super().parse(name, raw))


def _older_name_of(name: str) -> Any:
    text = f'Use "{name}" instead. If this and "{name}" are both specified, only "{name}" will be used.'
    return field(alias_of=name, deprecated=True, help=text)


class LegacyTokenNames(Role):
    """A role whose token parameters may also be written by their older names.

    Derive from it in place of `Role`. Where a write has both names the new one wins. An older name
    is shown as long as it is in use, as the official methods do it; see `field(alias_of=...)`.
    """

    policies: Annotated[tuple[str, ...], _OldPoliciesType()] = _older_name_of("token_policies")
    bound_cidrs: Cidrs = _older_name_of("token_bound_cidrs")
    ttl: Seconds = _older_name_of("token_ttl")
    max_ttl: Seconds = _older_name_of("token_max_ttl")
    period: Seconds = _older_name_of("token_period")
    num_uses: Int = _older_name_of("token_num_uses")
