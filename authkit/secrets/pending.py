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
    last_rotation: Timestamp | None = None


async def set_new_password(
    objects: ObjectStore,
    clock: Clock,
    key: str,
    *,
    make: Callable[[], Awaitable[Secret]],
    set_it: SetPassword,
) -> PendingPassword:
    """Set a new password, or finish what was begun, and return what is known then. Hold a lock.

    Raises:
        Exception: whatever `make` and `set_it` raise. What was stored leads the next call on.
    """
    known = await objects.find(key, PendingPassword) or PendingPassword()
    is_retry = bool(known.pending) and known.tries < MAX_TRIES
    password = known.pending if is_retry else await make()
    begun = known.replaced(pending=password, tries=known.tries + 1 if is_retry else 1)
    await objects.put(key, begun, seal_wrap=True)
    await set_it(password, is_retry)
    done = PendingPassword(password=password, last_rotation=clock.now())
    await objects.put(key, done, seal_wrap=True)
    return done
