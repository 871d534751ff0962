"""What a backend is asked about the secrets that it has issued: renewals, revocations, a last rollback.

The rules are those of Vault 1.21 (vault/expiration.go). When a lease is due: `.expiration`.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final
from weakref import WeakValueDictionary

from authkit.errors import (
    AuthKitError,
    InvalidRequestError,
    UnrecoverableError,
    UnsupportedOperationError,
    UnsupportedPathError,
    UserError,
)
from authkit.framework.ttl import Lifetimes, PastMaxTTLError, calculate_ttl
from authkit.host.messages import Failure, join_errors
from authkit.host.mounts.entries import Mount
from authkit.host.mounts.table import RunningMount
from authkit.host.server.expiration import Expiration
from authkit.host.server.mount_requests import MountRequest, send_within
from authkit.host.state import HostState
from authkit.host.store.leases import Lease, RevocationError
from authkit.host.store.plugin_errors import in_go_words
from authkit.host.store.tokens import BATCH, random_text
from authkit.logical import LeasedSecret, Operation, Request, Response
from authkit.values import replace

__all__ = ["Leases"]

logger = logging.getLogger("authkit.host")

QUEUED_LIMIT: Final = timedelta(seconds=90)
"""For a revocation that nobody waits for (Vault 1.21, vault/expiration.go, revocationJob.Execute)."""

_NIL: Final = "resp: (*logical.Response)(nil) err: "

_FINAL: Final = (
    Failure,  # nothing is mounted there, or its plugin could not be started
    InvalidRequestError,
    UnrecoverableError,
    UnsupportedOperationError,
    UnsupportedPathError,
)
"""After these a server does not try again (Vault 1.21, vault/expiration.go, errIsUnrecoverable)."""


class Leases:
    """The leases of secrets of a host, and their backends."""

    def __init__(self, state: HostState) -> None:
        self._state = state
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.expiration = Expiration(state, self._revoke_in_queue)
        """Revokes what is due."""

    # --- issued --------------------------------------------------------------------------------

    async def register(self, call: MountRequest, response: Response) -> tuple[LeasedSecret, tuple[str, ...]]:
        """Make the lease of a secret in an answer; return the secret as its client sees it, and warnings.

        Raises:
            Failure: it cannot be kept. What the backend has issued is revoked then.
        """
        assert response.secret is not None
        assert call.caller is not None
        entry, secret, now = call.mount.entry, response.secret, self._state.clock.now()
        if not _has_leases(entry):
            return replace(secret, internal_data={}, lease=replace(secret.lease, renewable=False)), ()
        ttl, warnings = calculate_ttl(entry.limits, Lifetimes.of_secret(secret), now=now)
        secret = replace(secret, lease=replace(secret.lease, ttl=ttl))
        token, path = call.caller.token, call.route + call.path
        is_batch = token.type == BATCH
        key = token.parent if is_batch else token.key
        ends = _earlier(now + ttl, token.expires if is_batch else None)
        lease = Lease(
            id=f"{path.strip('/')}/{random_text()}",
            path=path,
            token=key,
            token_ends=token.expires if is_batch else None,
            data=response.data,
            secret=secret,
            issued=now,
            expires=ends if self._has_token(key) else now,
        )
        self.expiration.watch(lease)  # before anything waits: the client may be gone by then
        try:
            await self._state.leases.add(lease)
        except Exception as error:
            self.expiration.forget(lease.id)
            logger.error("failed to register lease", extra={"kv": {"path": path}}, exc_info=error)
            await self._undo(lease)
            raise Failure(500, join_errors("internal error")) from error
        left = replace(secret.lease, ttl=ends - now)
        return LeasedSecret(lease=left, lease_id=lease.id), warnings

    def _has_token(self, key: str) -> bool:
        """Whether the token that a lease ends with is there; true without one."""
        return not key or self._state.tokens.has(key)

    async def _undo(self, lease: Lease) -> None:
        try:
            await self._ask(lease, Operation.REVOKE, replace(lease.secret, lease_id=""))
        except (AuthKitError, Failure) as error:
            logger.error(
                "the secret could not be revoked", extra={"kv": {"path": lease.path}}, exc_info=error
            )

    # --- renewed -------------------------------------------------------------------------------

    async def renew(self, lease_id: str, increment: timedelta) -> Response | None:
        """Renew a lease; `None` when the backend has nothing to say: a success that changes nothing.

        Raises:
            UserError: it cannot be renewed, or the backend refuses or fails.
        """
        async with self._locked(lease_id):
            lease = self._renewable(self._state.leases.find(lease_id))
            options = replace(lease.secret.lease, increment=increment, issue_time=lease.issued)
            try:
                response = await self._ask(lease, Operation.RENEW, replace(lease.secret, lease=options))
            except (AuthKitError, Failure) as error:
                raise UserError(f"failed to renew entry: {_NIL}{_text_of(error)}") from error
            if response is None or (response.secret is None and not response.is_error):
                return None
            if response.is_error:
                raise UserError(f"failed to renew entry: {_dumped(response)}")
            return await self._extend(lease, response, increment)

    def _renewable(self, lease: Lease | None) -> Lease:
        if lease is None:
            raise UserError("lease not found")
        if lease.error:
            raise UserError("lease is expired and has failed previous revocation attempts")
        if lease.token_ends is not None:
            return lease  # of a batch token: a server looks no further
        if lease.expires < self._state.clock.now():
            raise UserError("lease expired")
        if not lease.secret.lease.renewable:
            raise UserError("lease is not renewable")
        return lease

    async def _extend(self, lease: Lease, response: Response, increment: timedelta) -> Response:
        assert response.secret is not None
        mount, now = self._state.mounts.match(lease.path), self._state.clock.now()
        assert mount is not None
        asked = Lifetimes.of_secret(response.secret, increment)
        try:
            ttl, warnings = calculate_ttl(mount.entry.limits, asked, now=now, issued=lease.issued)
        except PastMaxTTLError as error:
            raise UserError(str(error)) from error
        is_over = lease.token_ends is not None and lease.token_ends <= now
        if is_over or not self._has_token(lease.token):  # it may have ended while the engine was asked
            raise UserError("cannot renew lease, no valid associated token")
        secret = replace(response.secret, lease_id=lease.id, lease=replace(response.secret.lease, ttl=ttl))
        changed = await self._state.leases.change(
            lease.id,
            data=response.data,
            secret=secret,
            expires=_earlier(now + ttl, lease.token_ends),
            renewed=now,
        )
        if changed is None:
            raise UserError("lease not found")
        self.expiration.watch(changed)
        options = replace(secret.lease, ttl=changed.expires - now)
        shown = LeasedSecret(lease=options, lease_id=lease.id)
        return replace(response, secret=shown, warnings=(*response.warnings, *warnings))

    # --- revoked -------------------------------------------------------------------------------

    async def revoke(self, lease_id: str, *, is_queued: bool = False) -> None:
        """Revoke a lease, if there; `is_queued`: soon, and it is tried again if that fails.

        Raises:
            RevocationError: the backend refuses or fails.
        """
        if is_queued:
            async with self._locked(lease_id):
                await self.expiration.expire_now(lease_id)
        else:
            await self._revoke_now(lease_id)

    async def _revoke_now(
        self, lease_id: str, *, force: bool = False, is_due: bool = False, limit: timedelta | None = None
    ) -> None:
        """Revoke a lease, and return once its backend has answered; `force` forgets it whatever it says.

        With `is_due` one that was renewed while this waited is left alone.
        """
        async with self._locked(lease_id):
            lease = self._state.leases.find(lease_id)
            if lease is None:
                return
            if is_due and lease.expires > self._state.clock.now():
                self.expiration.watch(lease)
                return
            try:
                await self._ask_to_revoke(lease, limit)
            except RevocationError as error:
                if not force:
                    raise
                logger.warning(
                    "a forced revocation failed: what the secret opens may still be open",
                    extra={"kv": {"lease_id": lease_id, "error": str(error)}},
                )
            await self._state.leases.remove(lease_id)
            self.expiration.forget(lease_id)

    async def _ask_to_revoke(self, lease: Lease, limit: timedelta | None) -> None:
        options = replace(lease.secret.lease, issue_time=lease.issued)
        try:
            response = await self._ask(lease, Operation.REVOKE, replace(lease.secret, lease=options), limit)
        except (AuthKitError, Failure) as error:
            text = f"failed to revoke entry: {_NIL}{_text_of(error)}"
            raise RevocationError(text, is_final=isinstance(error, _FINAL)) from error
        if response is not None and response.is_error:
            raise RevocationError(f"failed to revoke entry: {_dumped(response)}")

    async def _revoke_in_queue(self, lease_id: str) -> None:
        await self._revoke_now(lease_id, is_due=True, limit=QUEUED_LIMIT)

    async def revoke_below(self, prefix: str, *, force: bool = False, is_queued: bool = False) -> None:
        """Revoke the lease of exactly that id, else all whose path begins so, in the order of their ids.

        Raises:
            RevocationError: one cannot be revoked; those after it are left.
        """
        exact = self._state.leases.find(prefix)
        found = [exact] if exact else self._state.leases.below(f"{prefix.removesuffix('/')}/")
        for number, lease in enumerate(found, 1):
            try:
                if is_queued:
                    await self.revoke(lease.id, is_queued=True)
                else:
                    await self._revoke_now(lease.id, force=force)
            except RevocationError as error:
                place = "" if exact else f" ({number} / {len(found)})"
                text = f'failed to revoke "{lease.id}"{place}: {error}'
                raise RevocationError(text) from error

    async def tidy(self) -> None:
        """Revoke leases whose token is gone, by force. It repairs damage: they are revoked without it."""
        known = {token.key for token in self._state.tokens}
        for lease in self._state.leases:
            if lease.token and lease.token not in known:
                await self._revoke_now(lease.id, force=True)

    async def end(self, mount: RunningMount) -> None:
        """Prepare the end of a mount that is tainted: revoke its leases; before, an engine is rolled back.

        Raises:
            RevocationError: one cannot be revoked. The mount has to stay.
        """
        if mount.backend is None:
            return
        if not mount.entry.prefix:
            await mount.wait_until_idle()  # what is being issued is a lease then
            await self.roll_back(mount)
        await self.revoke_below(mount.entry.route)

    async def roll_back(self, mount: RunningMount, limit: timedelta = QUEUED_LIMIT) -> None:
        """Let a mount do its periodic work now. A failure is logged."""
        entry = mount.entry
        request = Request(operation=Operation.ROLLBACK, mount_point=entry.route, mount_type=entry.type)
        try:
            if mount.backend is not None:
                await send_within(limit, mount, request, entry.route)
        except (AuthKitError, Failure) as error:
            if "unsupported operation" not in str(error) and "readonly storage" not in str(error):
                logger.error("rollback failed", extra={"kv": {"mount": entry.route}}, exc_info=error)

    # -------------------------------------------------------------------------------------------

    async def _ask(
        self, lease: Lease, operation: Operation, secret: LeasedSecret, limit: timedelta | None = None
    ) -> Response | None:
        mount = self._state.mounts.match(lease.path)
        if mount is None:
            raise Failure(404, f'no handler for route "{lease.path}". route entry not found.')
        entry = mount.entry
        request = Request(
            operation=operation,
            path=lease.path.removeprefix(entry.route),
            data=lease.data or {},
            has_data=lease.data is not None,
            secret=secret if operation is Operation.REVOKE else replace(secret, lease_id=""),
            mount_point=entry.route,
            mount_type=entry.type,
        )
        return await send_within(limit, mount, request, lease.path)

    @asynccontextmanager
    async def _locked(self, lease_id: str) -> AsyncIterator[None]:
        """Let nothing else happen to a lease meanwhile."""
        lock = self._locks.setdefault(lease_id, asyncio.Lock())
        async with lock:
            yield


def _has_leases(entry: Mount) -> bool:
    """Whether its secrets have leases: those of key-value stores have not, unless the operator says so."""
    return entry.type not in ("kv", "generic") or (entry.options or {}).get("leased_passthrough") == "true"


def _earlier(end: datetime, other: datetime | None) -> datetime:
    return end if other is None else min(end, other)


def _text_of(error: AuthKitError | Failure) -> str:
    return "; ".join(error.errors) if isinstance(error, Failure) else str(in_go_words(error))


def _dumped(response: Response) -> str:
    """Return an error response as Go prints it, in short: a server prints the whole of it, with secrets."""
    error = json.dumps((response.data or {}).get("error"), ensure_ascii=False, default=str)
    return f'resp: &logical.Response{{Data:map[string]interface {{}}{{"error":{error}}}}} err: %!w(<nil>)'
