"""Lookups at the provider of the issuer that has signed a token; see `jwt_auth.providers`."""

from __future__ import annotations

from authkit import LoginError, Secret, Value
from authkit.oidc import Claims, Lookup, UserDirectory, add_claims, set_claim
from jwt_auth.settings.role import JWTRole

__all__ = ["Lookups"]


class Lookups(Value, frozen=True):
    """What a provider knows of one user. Without a provider it is what the token says."""

    provider: UserDirectory | None
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
        return add_claims(claims, await self.provider.fetch_user_info(self._lookup(claims)))

    async def set_groups(self, claims: Claims) -> Claims:
        """Return the claims with the user's groups in the role's `groups_claim`.

        Raises:
            LoginError: they cannot be had.
        """
        if self.provider is None or not self.role.groups_claim:
            return claims
        try:
            groups = await self.provider.fetch_groups(self._lookup(claims))
        except LoginError as error:
            raise LoginError(f"failed to fetch groups: {error.public}", error.detail) from error
        return set_claim(claims, self.role.groups_claim, groups)

    def _lookup(self, claims: Claims) -> Lookup:
        return Lookup(
            claims=claims,
            user_claim=self.role.user_claim,
            groups_claim=self.role.groups_claim,
            access_token=self.access_token,
        )
