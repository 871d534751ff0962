"""Revokes leases when they are due, tries again what failed, and gives up in the end.

The times are those of Vault 1.21 (vault/expiration.go). How one lease is revoked: `.leases`.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from typing import Final

from authkit.host.state import HostState
from authkit.host.store.leases import Lease, RevocationError

__all__ = ["Expiration"]

logger = logging.getLogger("authkit.host")

MAX_ATTEMPTS: Final = 6
RETRY_BASE: Final = timedelta(seconds=10)
"""The n-th failure is followed by a pause of twice this to the power of n, more or less by a half."""

IRREVOCABLE_PERIOD: Final = timedelta(hours=24)
"""How often what could not be revoked is tried again."""

IRREVOCABLE_AGE: Final = timedelta(hours=1)
"""What has expired since does not count yet."""

MAX_ERROR: Final = 240
"""Characters that are kept of why a lease could not be revoked."""

LONGEST_WAIT: Final = timedelta(minutes=1)
AT_ONCE: Final = 50
"""Revocations that are asked of one mount at the same time. Other mounts do not wait for them."""


class Expiration:
    """When the leases of a host are due. `revoke` revokes one, and raises `RevocationError`."""

    def __init__(self, state: HostState, revoke: Callable[[str], Awaitable[None]]) -> None:
        self._state = state
        self._revoke = revoke
        self._due: list[tuple[datetime, str]] = []
        self._times: dict[str, datetime] = {}
        """When each lease is due; what `_due` says otherwise is out of date."""
        self._attempts: defaultdict[str, int] = defaultdict(int)
        self._jobs: dict[str, asyncio.Task[None]] = {}
        self._slots: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE))
        self._next_round = state.clock.now() + IRREVOCABLE_PERIOD
        self._changed = asyncio.Event()

    # --- what is due ---------------------------------------------------------------------------

    def load(self) -> None:
        """Watch all leases that are stored. Those whose token is gone are due now."""
        known = {token.key for token in self._state.tokens}
        gone = {lease.token for lease in self._state.leases if lease.token} - known
        self._state.leases.end(gone, self._state.clock.now())
        for lease in self._state.leases:
            self.watch(lease)

    def watch(self, lease: Lease) -> None:
        """Revoke a lease when it expires. One that is irrevocable is left alone."""
        if not lease.error:
            self._attempts.pop(lease.id, None)
            self._schedule(lease.id, lease.expires)

    def forget(self, lease_id: str) -> None:
        """Watch a lease no longer."""
        self._times.pop(lease_id, None)
        self._attempts.pop(lease_id, None)

    async def expire_now(self, lease_id: str) -> None:
        """Let a lease, if there, expire now: it is revoked soon."""
        lease = await self._state.leases.change(lease_id, expires=self._state.clock.now())
        if lease is not None:
            self.watch(lease)

    def end_with(self, tokens: Iterable[str]) -> None:
        """Let the leases of tokens that are gone expire now."""
        for lease_id in self._state.leases.end(tokens, self._state.clock.now()):
            lease = self._state.leases.find(lease_id)
            assert lease is not None
            self.watch(lease)

    def _schedule(self, lease_id: str, when: datetime) -> None:
        self._times[lease_id] = when
        heapq.heappush(self._due, (when, lease_id))
        self._changed.set()

    # --- at work -------------------------------------------------------------------------------

    async def work(self) -> None:
        """Revoke what is due, whenever something is. Never returns."""
        while True:
            self._changed.clear()
            self._begin()
            await self._wait()

    async def run(self) -> None:
        """Revoke what is due now, and return when all has been tried once."""
        self._begin()
        await asyncio.gather(*self._jobs.values())

    async def stop(self) -> None:
        """Cancel the revocations under way. They are due again at the next start."""
        jobs = list(self._jobs.values())
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)

    async def _wait(self) -> None:
        """Return when something is due, or when what is due has changed."""
        now = self._state.clock.now()
        due = min([now + LONGEST_WAIT, *(when for when, _ in self._due[:1])])
        waiting = [
            asyncio.ensure_future(self._state.clock.wait_until(due)),
            asyncio.ensure_future(self._changed.wait()),
        ]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()

    def _begin(self) -> None:
        """Begin to revoke what is due."""
        now = self._state.clock.now()
        while self._due and self._due[0][0] <= now:
            when, lease_id = heapq.heappop(self._due)
            if self._times.get(lease_id) != when:
                continue
            lease = self._state.leases.find(lease_id)
            if lease is not None and lease.expires > now:  # renewed by a client that went away meanwhile
                self._schedule(lease_id, lease.expires)
            elif lease_id not in self._jobs:
                del self._times[lease_id]
                self._start(lease_id, self._failed)
        if now >= self._next_round:
            self._next_round = now + IRREVOCABLE_PERIOD
            for lease in self._state.leases:
                if lease.error and lease.expires + IRREVOCABLE_AGE < now and lease.id not in self._jobs:
                    self._start(lease.id, _still_irrevocable)

    def _start(self, lease_id: str, failed: Callable[[str, Exception], Awaitable[None]]) -> None:
        self._jobs[lease_id] = asyncio.create_task(self._do(lease_id, failed))

    async def _do(self, lease_id: str, failed: Callable[[str, Exception], Awaitable[None]]) -> None:
        lease = self._state.leases.find(lease_id)
        mount = self._state.mounts.match(lease.path) if lease else None
        try:
            async with self._slots[mount.entry.uuid if mount else ""]:
                await self._revoke(lease_id)
        except asyncio.CancelledError:
            self._schedule(lease_id, self._state.clock.now())
            raise
        except Exception as error:
            await failed(lease_id, error)
        finally:
            del self._jobs[lease_id]

    async def _failed(self, lease_id: str, error: Exception) -> None:
        """Try again later, or give up."""
        self._attempts[lease_id] += 1
        attempts, is_final = self._attempts[lease_id], isinstance(error, RevocationError) and error.is_final
        if attempts < MAX_ATTEMPTS and not is_final:
            pause = RETRY_BASE * 2**attempts * random.uniform(0.5, 1.5)  # noqa: S311 - spreads the load
            self._schedule(lease_id, self._state.clock.now() + pause)
            facts = {
                "lease_id": lease_id,
                "error": str(error),
                "attempts": attempts,
                "next_attempt": str(pause),
            }
            logger.error("failed to revoke lease", extra={"kv": facts})
            return
        text = str(error) if attempts < MAX_ATTEMPTS else f"out of retries: {error}"
        logger.error("a lease is irrevocable", extra={"kv": {"lease_id": lease_id, "error": text}})
        self.forget(lease_id)
        await self._state.leases.change(lease_id, error=text[:MAX_ERROR])


async def _still_irrevocable(lease_id: str, error: Exception) -> None:
    logger.error("a lease is still irrevocable", extra={"kv": {"lease_id": lease_id, "error": str(error)}})
