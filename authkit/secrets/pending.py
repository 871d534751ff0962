"""A password that is being changed: stored before it is set outside, and known as set only afterwards."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from authkit.clock import Clock
from authkit.framework import Int, Model, Timestamp, field
from authkit.framework.stored.store import ObjectStore
from authkit.masking import Secret

__all__ = ["PendingPassword", "SetPassword", "set_new_password"]

MAX_TRIES: Final = 2
"""With one password. Then a fresh one: the service may refuse this one for ever."""

SetPassword = Callable[[Secret, bool], Awaitable[None]]
"""Sets a password outside; the second argument says whether it may have been set before."""


class PendingPassword(Model):
    """What is known of a password. Never shown."""

    password: Secret = field(default="")
    """The one that was set last."""
    pending: Secret = field(default="")
    """One that may have been set: nobody knows whether the change arrived."""
    tries: Int = 0
    """How often `pending` was given out to be set."""
    begun: Timestamp | None = None
    """When the engine's own password was given out to be set."""
    last_rotation: Timestamp | None = None
    account: Secret = field(default="")
    """The role that `password` was set for, as it was then."""
    pending_account: Secret = field(default="")
    """The same of `pending`: a write of the role that was not stored may have named another account. Of the
    engine's own password, the configuration that it belongs to."""


async def set_new_password(
    objects: ObjectStore,
    clock: Clock,
    key: str,
    *,
    account: Secret,
    is_same: Callable[[Secret], bool],
    make: Callable[[], Awaitable[Secret]],
    set_it: SetPassword,
) -> PendingPassword:
    """Set a new password, or finish what was begun, and return what is known then. Hold a lock.

    `account` says whose password it is, `is_same` whether what another one was set for is the same.

    Raises:
        Exception: whatever `make` and `set_it` raise. What was stored leads the next call on.
    """
    known = await objects.find(key, PendingPassword) or PendingPassword()
    is_retry = bool(known.pending) and known.tries < MAX_TRIES and is_same(known.pending_account)
    password = known.pending if is_retry else await make()
    tries = known.tries + 1 if is_retry else 1
    begun = known.replaced(pending=password, pending_account=account, tries=tries)
    await objects.put(key, begun, seal_wrap=True)
    await set_it(password, is_retry)
    done = PendingPassword(password=password, account=account, last_rotation=clock.now())
    await objects.put(key, done, seal_wrap=True)
    return done
