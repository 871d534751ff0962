"""`sys/leases/`: the leases of tokens, listed, looked up and revoked."""

from __future__ import annotations

from typing import Any

from authkit.errors import UserError
from authkit.framework import Bool, Listing, PathTemplate, Str, list_, write
from authkit.host.backends.base import HostBackend
from authkit.host.store.storage import children
from authkit.host.store.times import seconds_left, show_time

__all__ = ["Leases"]


def _named(action: str) -> PathTemplate:
    """Return the path of an action on one lease: also without `leases/`, as before Vault 0.8."""
    return PathTemplate.from_regex(rf"(?:leases/)?{action}(?:/(?P<url_lease_id>.+))?")


def _below(action: str) -> PathTemplate:
    return PathTemplate.from_regex(rf"(?:leases/)?{action}/(?P<prefix>.+)")


class Leases(HostBackend):
    """The leases of a host. Only tokens have any."""

    @list_(PathTemplate.from_regex("leases/lookup/(?P<prefix>.*)"))
    async def list_leases(self, prefix: Str = "") -> Listing:
        """Return the leases and the folders directly below a prefix."""
        prefix = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
        return Listing(children((token.lease_id for token in self.state.tokens), prefix))

    @write("leases/lookup")
    async def look_up_lease(self, lease_id: Str = "") -> dict[str, Any]:
        """Return what is known of a lease."""
        token = self.state.tokens.find_lease(lease_id)
        if token is None:
            raise UserError("invalid lease")
        shown: dict[str, Any] = {
            "expire_time": None,
            "id": token.lease_id,
            "issue_time": show_time(token.created),
            "last_renewal": show_time(token.renewed) if token.renewed else None,
            "renewable": token.renewable,
            "ttl": 0,
        }
        if token.expires is not None:
            left = seconds_left(token.expires, self.state.clock.now())
            shown |= {"expire_time": show_time(token.expires), "ttl": left}
        return shown

    @write(_named("renew"))
    async def renew_lease(self, lease_id: Str = "", url_lease_id: Str = "", increment: Str = "") -> None:
        """Refuse: tokens are renewed elsewhere."""
        if not (lease_id or url_lease_id):
            raise UserError("lease_id must be specified")
        known = self.state.tokens.find_lease(lease_id or url_lease_id) is not None
        raise UserError("tokens cannot be renewed through this endpoint" if known else "lease not found")

    @write(_named("revoke"))
    async def revoke_lease(self, lease_id: Str = "", url_lease_id: Str = "", sync: Bool = True) -> None:
        """Revoke the token of a lease."""
        if not (lease_id or url_lease_id):
            raise UserError("lease_id must be specified")
        token = self.state.tokens.find_lease(lease_id or url_lease_id)
        if token is not None:
            await self.state.tokens.revoke(token.key)

    @write(_below("revoke-prefix"), _below("revoke-force"))
    async def revoke_below(self, prefix: Str, sync: Bool = True) -> None:
        """Revoke all tokens whose leases are below a prefix."""
        prefix = prefix.removesuffix("/")
        exact = self.state.tokens.find_lease(prefix)
        if exact is not None:
            await self.state.tokens.revoke(exact.key)
        await self.state.tokens.revoke_below(f"{prefix}/")
