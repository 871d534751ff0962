"""SecureAuth and IBM Security Access Manager: groups in one string."""

from __future__ import annotations

from typing import Any, ClassVar

from authkit.oidc import Lookup
from jwt_auth.providers.configured import ConfiguredProvider, NoSettings

__all__ = ["IBMISAMProvider", "SecureAuthProvider"]


class _SplitProvider(ConfiguredProvider[NoSettings]):
    """Splits a string of groups. The parts are not trimmed, as in vault-plugin-auth-jwt 0.26."""

    separator: ClassVar[str]

    async def fetch_groups(self, lookup: Lookup) -> Any:
        """Return the parts of a string, and any other value as it is."""
        value = lookup.claimed_groups
        return value.split(self.separator) if isinstance(value, str) else value


class SecureAuthProvider(_SplitProvider):
    """Groups with commas between them. It has no settings."""

    separator = ","


class IBMISAMProvider(_SplitProvider):
    """Groups with single spaces between them. It has no settings."""

    separator = " "
