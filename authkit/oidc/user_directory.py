"""Sources of groups and user information that a token does not hold: `UserDirectory`, and what it is asked.

Requests are made with `HTTPClient`. When a directory is asked, and what its answer means, is up to the auth
method.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from authkit.errors import LoginError
from authkit.masking import Secret
from authkit.oidc.http.urls import path_segment
from authkit.oidc.tokens.claims import get_claim
from authkit.oidc.tokens.registered_claims import Claims
from authkit.printable import quote
from authkit.values import Value, verify_collections

__all__ = ["Lookup", "UserDirectory"]


class Lookup(Value, frozen=True):
    """The user whom a directory is asked about. Set by the login."""

    claims: Claims
    """Those of the verified token."""
    user_claim: str
    """The role's: which claim names the user, a pointer if it begins with `/`."""
    groups_claim: str = ""
    """The role's: which claim holds groups."""
    access_token: Secret | None = None
    """What the caller brought to ask the provider with; `None` or empty without one."""
    is_same_user: bool = False
    """Whether that token is known to be the user's own, as when both came from one code exchange."""

    @property
    def claimed_groups(self) -> Any:
        """The value of the groups claim in the token; `None` without one."""
        return get_claim(self.claims, self.groups_claim)

    def user_key(self, reserved: Collection[str] = ()) -> str:
        """Return the user's name for the provider's API. It cannot be read as more than a name.

        Args:
            reserved: words with another meaning at the provider, see `path_segment`.

        Raises:
            TypeError: `reserved` is one text.
            LoginError: the claim is missing, no string, or not usable as a name.
        """
        verify_collections(reserved=reserved)
        value = get_claim(self.claims, self.user_claim)
        if value is None:
            raise LoginError(f"unable to locate {quote(self.user_claim)} in claims")
        if not isinstance(value, str):
            raise LoginError(f"claim {quote(self.user_claim)} could not be converted to string")
        try:
            path_segment(value, reserved=reserved)
        except ValueError as error:
            raise LoginError(f"claim {quote(self.user_claim)} cannot name a user: {error}") from error
        return value


class UserDirectory:
    """Looks up users who have been verified. Override what the directory knows."""

    async def fetch_groups(self, lookup: Lookup) -> Any:
        """Return the value of the groups claim, `None` for no value. By default it is the token's.

        Raises:
            LoginError: the groups cannot be fetched.
        """
        return lookup.claimed_groups

    async def fetch_user_info(self, lookup: Lookup) -> Mapping[str, Any]:
        """Return claims to add to those of the token. By default there are none.

        Raises:
            LoginError: they cannot be fetched.
        """
        return {}
