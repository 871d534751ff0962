"""Leases of secrets: plain records and their store. Those of tokens are the tokens' own (`store.tokens`).

What is done with one, and when: `authkit.host.server.leases` and `.expiration`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar

from authkit.host.store.records import dump, load_all
from authkit.host.store.storage import PhysicalStorage
from authkit.logical import LeasedSecret
from authkit.values import Value, replace

__all__ = ["Lease", "LeaseStore", "RevocationError"]


class RevocationError(Exception):
    """A lease is not revoked. The text is a Vault server's, with what its backend has said."""

    def __init__(self, text: str, *, is_final: bool = False) -> None:
        super().__init__(text)
        self.is_final = is_final
        """Whether another attempt would fail as well."""


class Lease(Value, frozen=True, kw_only=True):
    """A secret that a backend has issued. All fields are set by the host."""

    id: str
    path: str
    """Of the request that it answered, the mount's included."""
    token: str = ""
    """The key of the token that it ends with; empty for one of an orphaned batch token."""
    token_ends: datetime | None = None
    """When the batch token ends that it was issued to: it ends then at the latest. `None`: no batch token."""
    data: Mapping[str, Any] | None = None
    """Of the answer, or of that to the last renewal; sent with each renewal and the revocation."""
    secret: LeasedSecret
    """As the backend has given it last, with its internal data."""
    issued: datetime
    expires: datetime
    renewed: datetime | None = None
    """When it was renewed last."""
    error: str = ""
    """Why it could not be revoked. No more is tried but once a day: it is irrevocable."""

    unshown: ClassVar = ("data",)


class LeaseStore:
    """All leases of a host that belong to secrets."""

    PREFIX = "core/lease/"

    def __init__(self, physical: PhysicalStorage) -> None:
        self._physical = physical
        self._leases: dict[str, Lease] = {}
        self._of_tokens: defaultdict[str, set[str]] = defaultdict(set)

    async def load(self) -> None:
        """Read what is stored."""
        for lease in await load_all(Lease, self._physical, self.PREFIX):
            self._take(lease)

    async def add(self, lease: Lease) -> None:
        """Keep a new lease.

        Raises:
            OSError, sqlite3.Error: the storage refuses it. It is not kept then.
        """
        self._take(lease)  # before anything waits: it ends with its token from now on
        try:
            await self._store(lease)
        except Exception:
            self._drop(lease.id)
            raise

    async def change(self, lease_id: str, **changes: Any) -> Lease | None:
        """Change some fields of a lease; return `None` if it is gone."""
        lease = self._leases.get(lease_id)
        if lease is None:
            return None
        lease = replace(lease, **changes)
        self._take(lease)
        await self._store(lease)
        return lease

    async def remove(self, lease_id: str) -> None:
        """Forget a lease that is revoked, if there."""
        if self._drop(lease_id) is not None:
            await self._physical.apply({self.PREFIX + lease_id: None})

    def end(self, tokens: Iterable[str], now: datetime) -> list[str]:
        """Let the leases of these tokens expire now; return their ids.

        This is not stored: after a restart they end because their token is not there.
        """
        ids = [lease_id for token in tokens for lease_id in self._of_tokens.get(token, ())]
        for lease_id in ids:
            self._take(replace(self._leases[lease_id], expires=min(now, self._leases[lease_id].expires)))
        return ids

    def find(self, lease_id: str) -> Lease | None:
        """Return a lease."""
        return self._leases.get(lease_id)

    def below(self, prefix: str) -> list[Lease]:
        """Return the leases whose ids begin with a prefix, sorted by lease_id."""
        return [self._leases[lease_id] for lease_id in sorted(self._leases) if lease_id.startswith(prefix)]

    def __iter__(self) -> Iterator[Lease]:
        return iter(list(self._leases.values()))

    async def _store(self, lease: Lease) -> None:
        await self._physical.apply({self.PREFIX + lease.id: dump(lease)})

    def _take(self, lease: Lease) -> None:
        self._leases[lease.id] = lease
        if lease.token:
            self._of_tokens[lease.token].add(lease.id)

    def _drop(self, lease_id: str) -> Lease | None:
        lease = self._leases.pop(lease_id, None)
        if lease is not None and lease.token:
            self._of_tokens[lease.token].discard(lease_id)
            if not self._of_tokens[lease.token]:
                del self._of_tokens[lease.token]
        return lease
