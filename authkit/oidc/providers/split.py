"""SecureAuth and IBM Security Access Manager: groups in one string."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from authkit.oidc.providers.base import NO_FIELDS, Lookup
from authkit.oidc.tokens.claims import get_claim

if TYPE_CHECKING:
    import httpx

__all__ = ["IBMISAMProvider", "SecureAuthProvider"]


class _SplitProvider:
    """Splits a string of groups. The parts are not trimmed, as in vault-plugin-auth-jwt 0.26."""

    separator: ClassVar[str]

    def __init__(
        self,
        settings: Mapping[str, Any],
        *,
        fields: Mapping[str, Any] = NO_FIELDS,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        pass

    async def fetch_groups(self, lookup: Lookup) -> Any:
        """Return the parts of a string, and any other value as it is."""
        value = get_claim(lookup.claims, lookup.groups_claim)
        return value.split(self.separator) if isinstance(value, str) else value


class SecureAuthProvider(_SplitProvider):
    """Groups with commas between them. It has no settings."""

    separator = ","


class IBMISAMProvider(_SplitProvider):
    """Groups with single spaces between them. It has no settings."""

    separator = " "
