"""Lookups at the identity provider of the default issuer, as `provider_config` asks for them.

The providers themselves are left to `authkit.oidc.providers`, which is loaded where one is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from authkit.errors import LoginError
from authkit.masking import Secret
from authkit.oidc import Claims, add_claims, set_claim
from authkit.values import Value
from jwt_auth.role import JWTRole

if TYPE_CHECKING:
    from authkit.oidc.providers import Provider

__all__ = ["KUBERNETES", "Lookups", "make_provider"]

KUBERNETES = "kubernetes"
"""The provider that is a source of keys: those of the cluster that the server runs in."""


class Lookups(Value, frozen=True):
    """What a provider knows of one user. Without a provider it is what the token says."""

    provider: Provider | None
    """That of the issuer that has signed the token."""
    role: JWTRole
    """The role of the login."""
    access_token: Secret
    """What the caller brought to ask the provider with; empty without one."""

    async def add_user_info(self, claims: Claims) -> Claims:
        """Return the claims, and what the provider adds to them.

        Raises:
            LoginError: it cannot be had.
        """
        if self.provider is None:
            return claims
        from authkit.oidc.providers import UserInfoProvider

        if not isinstance(self.provider, UserInfoProvider):
            return claims
        return add_claims(claims, await self.provider.fetch_user_info(self._lookup(claims)))

    async def set_groups(self, claims: Claims) -> Claims:
        """Return the claims with the user's groups in the role's `groups_claim`.

        Raises:
            LoginError: they cannot be had.
        """
        if self.provider is None or not self.role.groups_claim:
            return claims
        from authkit.oidc.providers import GroupsProvider

        if not isinstance(self.provider, GroupsProvider):
            return claims
        try:
            groups = await self.provider.fetch_groups(self._lookup(claims))
        except LoginError as error:
            raise LoginError(f"failed to fetch groups: {error.public}", error.detail) from error
        return set_claim(claims, self.role.groups_claim, groups)

    def _lookup(self, claims: Claims) -> Any:
        from authkit.oidc.providers import Lookup

        return Lookup(
            claims=claims,
            user_claim=self.role.user_claim,
            groups_claim=self.role.groups_claim,
            access_token=self.access_token,
        )


def make_provider(settings: Mapping[str, Any], fields: Mapping[str, Any]) -> Provider | None:
    """Return the provider that these settings name, `None` when there are none.

    Raises:
        ValueError: they name none, or do not fit it and the other fields of the configuration.
    """
    if not settings:
        return None
    from authkit.oidc import providers

    return providers.make_provider(settings, fields)
