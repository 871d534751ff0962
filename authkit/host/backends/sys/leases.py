"""`sys/leases/`: the leases of tokens and secrets, listed, looked up, renewed and revoked.

The checks and their texts are those of Vault 1.21 (vault/logical_system.go, vault/expiration.go).
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any, Final

from authkit.errors import InternalError, UserError
from authkit.framework import Bool, Listing, PathTemplate, Seconds, Str, list_, read, write
from authkit.host.backends.base import HostBackend, OwnResponse
from authkit.host.store.leases import Lease, RevocationError
from authkit.host.store.storage import children
from authkit.host.store.times import seconds_left, show_time
from authkit.logical import RawBody, Response

__all__ = ["Leases"]

MAX_IRREVOCABLE: Final = 10_000
"""Leases that are listed unless more are asked for."""

_TOO_MANY: Final = (
    "Command halted because many irrevocable leases were found. To emit the entire list, re-run the command "
    "with force set true."
)
_TIDYING: Final = (
    "Tidy operation successfully started. Any information from the operation will be printed to Vault's "
    "server logs."
)
_ACCEPTED: Final = RawBody(status=202, content_type="application/json")


def _named(action: str) -> PathTemplate:
    """Return the path of an action on one lease: also without `leases/`, as before Vault 0.8."""
    return PathTemplate.from_regex(rf"(?:leases/)?{action}(?:/(?P<url_lease_id>.+))?")


def _below(action: str) -> PathTemplate:
    return PathTemplate.from_regex(rf"(?:leases/)?{action}/(?P<prefix>.+)")


class Leases(HostBackend):
    """The leases of a host: those of its tokens, and those of secrets."""

    @list_(PathTemplate.from_regex("leases/lookup/(?P<prefix>.*)"))
    async def list_leases(self, prefix: Str = "") -> Listing:
        """Return the leases and the folders directly below a prefix."""
        prefix = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
        ids = [token.lease_id for token in self.state.tokens] + [lease.id for lease in self.state.leases]
        return Listing(children(ids, prefix))

    @write("leases/lookup")
    async def look_up_lease(self, lease_id: Str = "") -> dict[str, Any]:
        """Return what is known of a lease."""
        if not lease_id:
            raise UserError("lease_id must be specified")
        lease = self.state.leases.find(lease_id)
        if lease is not None:
            shown = self._show(lease_id, lease.issued, lease.expires, lease.renewed)
            return shown | {"renewable": self._is_renewable(lease)}
        token = self.state.tokens.find_lease(lease_id)
        if token is None:
            raise UserError("invalid lease")
        shown = self._show(lease_id, token.created, token.expires, token.renewed)
        return shown | {"renewable": token.renewable}

    def _show(
        self, lease_id: str, issued: datetime, expires: datetime | None, renewed: datetime | None
    ) -> dict[str, Any]:
        return {
            "id": lease_id,
            "issue_time": show_time(issued),
            "expire_time": show_time(expires) if expires else None,
            "last_renewal": show_time(renewed) if renewed else None,
            "ttl": seconds_left(expires, self.state.clock.now()) if expires else 0,
        }

    def _is_renewable(self, lease: Lease) -> bool:
        is_over = lease.error or lease.expires < self.state.clock.now()
        return lease.secret.lease.renewable and not is_over

    @write(_named("renew"))
    async def renew_lease(
        self, lease_id: Str = "", url_lease_id: Str = "", increment: Seconds = timedelta(0)
    ) -> Response | None:
        """Renew the secret of a lease. Tokens are renewed elsewhere."""
        named = lease_id or url_lease_id
        if not named:
            raise UserError("lease_id must be specified")
        if self.state.tokens.find_lease(named) is not None:
            raise UserError("tokens cannot be renewed through this endpoint")
        return await self.server.leases.renew(named, increment)

    @write(_named("revoke"))
    async def revoke_lease(
        self, lease_id: Str = "", url_lease_id: Str = "", sync: Bool = True
    ) -> Response | None:
        """Revoke the secret or the token of a lease."""
        named = lease_id or url_lease_id
        if not named:
            raise UserError("lease_id must be specified")
        token = self.state.tokens.find_lease(named)
        if token is not None:
            await self.state.tokens.revoke(token.key)
        try:
            await self.server.leases.revoke(named, is_queued=not sync)
        except RevocationError as error:
            raise UserError(str(error)) from error
        return None if sync else Response(raw=_ACCEPTED)

    @write(_below("revoke-prefix"))
    async def revoke_below(self, prefix: Str, sync: Bool = True) -> Response | None:
        """Revoke everything whose lease is below a prefix."""
        await self._revoke_below(prefix, force=False, is_queued=not sync)
        return None if sync else Response(raw=_ACCEPTED)

    @write(_below("revoke-force"))
    async def revoke_by_force(self, prefix: Str) -> None:
        """Forget everything whose lease is below a prefix, whatever the backends say."""
        await self._revoke_below(prefix, force=True, is_queued=False)

    async def _revoke_below(self, prefix: str, *, force: bool, is_queued: bool) -> None:
        name = prefix.removesuffix("/")
        exact = self.state.tokens.find_lease(name)
        if exact is not None:
            await self.state.tokens.revoke(exact.key)
        await self.state.tokens.revoke_below(f"{name}/")
        try:
            await self.server.leases.revoke_below(prefix, force=force, is_queued=is_queued)
        except RevocationError as error:
            raise UserError(str(error)) from error

    @write("leases/tidy")
    async def tidy(self) -> OwnResponse:
        """Revoke leases whose token is gone."""
        await self.server.leases.tidy()
        return OwnResponse(warnings=(_TIDYING,), status=202)

    # --- what could not be revoked -------------------------------------------------------------

    @read("leases/count")
    async def count_leases(self, type: Str = "", include_child_namespaces: Bool = False) -> Any:
        """Return how many leases of a type there are: `irrevocable` is the only one."""
        if type.lower() != "irrevocable":
            return None
        counts = Counter(self._accessor_of(lease) for lease in self._irrevocable())
        return {"lease_count": counts.total(), "counts": dict(counts)}

    @read("leases")
    async def list_of_type(
        self, type: Str = "", include_child_namespaces: Bool = False, limit: Str = ""
    ) -> Response | None:
        """Return the leases of a type, and why they could not be revoked: `irrevocable` is the only one."""
        if type.lower() != "irrevocable":
            return None
        found, most = self._irrevocable(), _read_limit(limit)
        shown = found if most is None else found[:most]
        leases = [
            {"lease_id": each.id, "mount_id": self._accessor_of(each), "error": each.error} for each in shown
        ]
        warnings = (_TOO_MANY,) if len(shown) < len(found) else ()
        return Response(data={"lease_count": len(leases), "leases": leases}, warnings=warnings)

    def _irrevocable(self) -> list[Lease]:
        found = [lease for lease in self.state.leases if lease.error]
        return sorted(found, key=lambda lease: (lease.expires, lease.id))

    def _accessor_of(self, lease: Lease) -> str:
        mount = self.state.mounts.match(lease.path)
        return mount.entry.accessor if mount else "mount-accessor-not-found"


def _read_limit(text: str) -> int | None:
    """Return how many leases are listed, `None` for all.

    Raises:
        InternalError: it is neither a positive number nor `none`.
    """
    if not text:
        return MAX_IRREVOCABLE
    if text.lower() == "none":
        return None
    if not (text.isascii() and text.isdigit()):
        raise InternalError(f"invalid 'limit' provided: strconv.Atoi: parsing \"{text}\": invalid syntax")
    if int(text) < 1:
        raise InternalError("limit must be 'none' or a positive integer")
    return int(text)
