"""What the handlers of credentials and of rotations are called with."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar, Final

from authkit.clock import Clock
from authkit.errors import InternalError, UserError
from authkit.framework import Call, Model
from authkit.framework.ttl import Lifetimes, MountLimits, PastMaxTTLError, calculate_ttl
from authkit.logical import LeasedSecret, SystemView
from authkit.secrets.issuing import Issue

__all__ = ["SLACK", "CredsCall", "RenewCall", "RevokeCall", "RotateCall"]

SLACK: Final = timedelta(seconds=5)
"""By which a credential outlives its lease where it is made: the host then revokes it, and nothing else."""

_ZERO: Final = timedelta(0)


class _LeasedCall(Call, frozen=True, kw_only=True):
    """What all of them know."""

    role_name: str = ""
    """Under which the role is stored; empty without one."""
    system: SystemView
    clock: Clock

    unshown: ClassVar[tuple[str, ...]] = ("system", "clock")

    async def _expires_at(
        self, ttl: timedelta, max_ttl: timedelta, increment: timedelta, issued: datetime | None
    ) -> datetime:
        limits = MountLimits(await self.system.default_lease_ttl(), await self.system.max_lease_ttl())
        now = self.clock.now()
        asked = Lifetimes(increment=increment, ttl=ttl, max_ttl=max_ttl)
        try:
            granted, _ = calculate_ttl(limits, asked, now=now, issued=issued)
        except PastMaxTTLError as error:
            raise UserError(str(error)) from error
        return now + granted + SLACK


class CredsCall(_LeasedCall, frozen=True, kw_only=True):
    """One request for a credential."""

    issue: Issue
    """Where `keep` writes."""

    unshown: ClassVar[tuple[str, ...]] = ("system", "clock", "issue")

    @property
    def display_name(self) -> str:
        """Return the name of the caller's token, such as `userpass-bob`: chosen by others, so only text."""
        return self.request.display_name

    async def keep(self, kept: Model) -> None:
        """Store what revoking the credential will need, before it is made.

        From then on nothing is lost: if the process ends, the caller goes away or the handler raises, the
        handler of `revoke` is called with the same values. A second call replaces the first: for what is
        known only when the credential is made.

        Raises:
            StorageError: the host refused the write; then make nothing.
            TypeError: the handler of `revoke` takes another model.
        """
        await self.issue.keep(kept)

    async def expires_at(self, *, ttl: timedelta = _ZERO, max_ttl: timedelta = _ZERO) -> datetime:
        """Return when the credential may end where it is made: the end of its lease and `SLACK`, in UTC.

        Give the lifetimes of the `Lease`. Asks the host twice.

        Raises:
            SystemViewError: the host does not say.
        """
        return await self._expires_at(ttl, max_ttl, _ZERO, None)


class RenewCall(_LeasedCall, frozen=True, kw_only=True):
    """One renewal of a lease. A host tells nothing about who asks."""

    secret: LeasedSecret
    """The lease as the host has kept it."""

    @property
    def increment(self) -> timedelta:
        """Return the lifetime that the client asks for, zero if it does not say."""
        return self.secret.lease.increment

    @property
    def issued_at(self) -> datetime:
        """Return when the credential was made.

        Raises:
            InternalError: the host does not say.
        """
        issued = self.secret.lease.issue_time
        if issued is None:
            raise InternalError("the host does not say when the lease was issued")
        return issued

    async def expires_at(self, *, ttl: timedelta = _ZERO, max_ttl: timedelta = _ZERO) -> datetime:
        """Return until when to extend the credential: the end of its lease as renewed and `SLACK`, in UTC.

        Give the lifetimes of the `Renewal`. Asks the host twice.

        Raises:
            SystemViewError: the host does not say.
            UserError: it has lived as long as it may.
        """
        return await self._expires_at(ttl, max_ttl, self.increment, self.issued_at)


class RevokeCall(_LeasedCall, frozen=True, kw_only=True):
    """The end of a credential: its lease ends, or it was made and never got one.

    It may come twice, and after half of it was done: what is gone counts as revoked.
    """

    is_rollback: bool = False
    """Whether there never was a lease: the handler failed, or the process ended before it could answer."""


class RotateCall(Call, frozen=True, kw_only=True):
    """One change of a credential: by a client, at the first write of a role, or because it is due."""

    role_name: str
    """Under which the role is stored."""
    is_retry: bool = False
    """Whether this password may have been set before."""
