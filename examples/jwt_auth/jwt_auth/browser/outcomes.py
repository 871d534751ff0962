"""Results of logins that wait for their client: outcomes of direct logins, and posted ID tokens.

Each is returned once. Storage keys begin with the time of expiry.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Final

from cachetools import TLRUCache

from authkit import Identity, InternalError, Secret, Storage, StorageEntry, StorageView
from jwt_auth.browser.pending import LIFETIME_SECONDS, Pending, forget_old, stored_name

__all__ = ["Outcomes", "PostedTokens"]

MAX_FAILURES: Final = 1_000
"""Failures in memory; then the oldest is forgotten, and its client waits until its time is over."""

_KEPT: Final = ("name", "groups", "alias_metadata", "metadata", "state", "warnings")


class Outcomes:
    """The ends of logins. Success is stored: it takes an account at the provider. Failure is kept in memory:
    strangers can fail without end.
    """

    def __init__(self, storage: Storage, now: Callable[[], float] = time.time) -> None:
        self._kept = _Kept(storage, "oidc/done/", now)
        # What anybody can cause, as often as they want, is apart: it lets no other failure be forgotten.
        self._failures, self._spoiled = (
            TLRUCache[bytes, tuple[float, str]](MAX_FAILURES, lambda _, failure, __: failure[0], timer=now)
            for _ in range(2)
        )

    async def succeed(self, pending: Pending, identity: Identity) -> None:
        """Store the identity.

        Raises:
            StorageError: it cannot be stored.
        """
        kept = {name: getattr(identity, name) for name in _KEPT}
        value = json.dumps(kept, default=_plain).encode()
        await self._kept.put(pending, value)

    def fail(self, pending: Pending, text: str) -> None:
        """Keep why the login failed."""
        self._failures[pending.id] = (pending.created + LIFETIME_SECONDS, text)

    def spoil(self, pending: Pending, text: str) -> None:
        """Keep why a login that has not ended will fail."""
        self._spoiled[pending.id] = (pending.created + LIFETIME_SECONDS, text)

    async def take(self, pending: Pending) -> Identity | str | None:
        """Return and forget the identity, or the reason of the failure; `None` while the login is open.

        Raises:
            InternalError: the stored outcome is not valid.
            StorageError: it cannot be read.
        """
        for failures in (self._failures, self._spoiled):
            _, text = failures.pop(pending.id, (0.0, ""))
            if text:
                return text
        value = await self._kept.take(pending)
        if value is None:
            return None
        try:
            return Identity(**json.loads(value))
        except (ValueError, TypeError) as error:
            raise InternalError("what is stored is no end of a login") from error

    async def forget(self) -> None:
        """Delete what has expired.

        Raises:
            StorageError: it cannot be deleted.
        """
        await self._kept.forget()


class PostedTokens:
    """ID tokens that a form has brought, for whoever shows a proof. They are verified; each login has one."""

    def __init__(self, storage: Storage, now: Callable[[], float] = time.time) -> None:
        self._kept = _Kept(storage, "oidc/posted/", now)

    async def put(self, pending: Pending, proof: str, token: Secret) -> None:
        """Keep a token, in place of an earlier one of the same login. Of the proof only a hash is kept.

        Raises:
            StorageError: it cannot be stored.
        """
        value = json.dumps([sha256(proof.encode()).hexdigest(), token.reveal()])
        await self._kept.put(pending, value.encode())

    async def take(self, pending: Pending, proof: str) -> Secret:
        """Return the token of a login, empty when there is none for this proof. It is forgotten either way.

        Raises:
            InternalError: what is stored is not a token.
            StorageError: it cannot be read.
        """
        value = await self._kept.take(pending)
        if value is None:
            return Secret("")
        try:
            expected, token = json.loads(value)
            is_proven = hmac.compare_digest(expected, sha256(proof.encode()).hexdigest())
            return Secret(token if is_proven else "")
        except (ValueError, TypeError) as error:
            raise InternalError("what is stored is not an ID token") from error

    async def forget(self) -> None:
        """Delete what has expired.

        Raises:
            StorageError: it cannot be deleted.
        """
        await self._kept.forget()


class _Kept:
    """One value for each login, in storage."""

    def __init__(self, storage: Storage, prefix: str, now: Callable[[], float]) -> None:
        self._view = StorageView(storage, prefix)
        self._now = now
        self._taking = asyncio.Lock()

    async def put(self, pending: Pending, value: bytes) -> None:
        await self._view.put(StorageEntry(stored_name(pending), value, seal_wrap=True))

    async def take(self, pending: Pending) -> bytes | None:
        name = stored_name(pending)
        async with self._taking:  # or two who ask at the same moment would both have it
            entry = await self._view.get(name)
            if entry is None:
                return None
            await self._view.delete(name)
        return entry.value

    async def forget(self) -> None:
        await forget_old(self._view, self._now())


def _plain(value: object) -> Any:
    return dict(value) if isinstance(value, Mapping) else list(value)  # type: ignore[call-overload]
