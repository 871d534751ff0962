"""The keys of a mount that seal texts: made when first needed, kept in storage, replaced regularly.

The cipher is `authkit.framework.stored.sealing`. Each key is an entry of its own: two processes that make one
at the same moment overwrite nothing, both keys open, and the newest seals.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import ClassVar, Final

from authkit.errors import InternalError, SealedTextError
from authkit.framework.stored.sealing import KEY_BYTES, KEY_ID_BYTES, Sealer, read_key_id
from authkit.framework.stored.views import StorageView
from authkit.logical import Storage, StorageEntry
from authkit.values import Value, replace

__all__ = ["ALLOWANCE_SECONDS", "MAX_KEYS", "KeyRing"]

MAX_KEYS: Final = 32
"""Keys of a ring; above it the oldest is deleted."""

ALLOWANCE_SECONDS: Final = 120
"""How much longer a replaced key opens: clocks of nodes differ, and another process that has the mount
learns of a new key with its next tick, about a minute later."""

LOOK_AGAIN_SECONDS: Final = 10
"""How often a text with an unknown key makes a ring read storage again. Strangers can make such texts up."""


class Key(Value, frozen=True):
    """One key of a ring."""

    id: bytes
    created: float
    """Seconds since 1970."""
    secret: bytes

    unshown: ClassVar = ("secret",)


class KeyRing:
    """Seals and opens texts with keys in storage, of which the newest seals. For use in one event loop.

    Call `tend` in a periodic task with `writes=True` that runs every minute, and `forget` where `invalidated`
    gets a key below `prefix`; have `prefix` seal-wrapped. When a new key is due and cannot be stored, nothing
    is sealed.

    Args:
        storage: that of the mount.
        prefix: where the keys are; it ends with `/`.
        mount: the mount's id: `Backend.mount_id`.
        rotate_every: how long one key seals.
        open_for: how long a text opens at least. Older texts open until their key is deleted.
        now: seconds since 1970.

    Raises:
        TypeError: a duration is not a `timedelta`.
        ValueError: a duration is not positive, or more than `MAX_KEYS` keys would be needed.
    """

    def __init__(
        self,
        storage: Storage,
        prefix: str,
        *,
        mount: str = "",
        rotate_every: timedelta,
        open_for: timedelta,
        now: Callable[[], float] = time.time,
    ) -> None:
        for name, duration in (("rotate_every", rotate_every), ("open_for", open_for)):
            if not isinstance(duration, timedelta):
                raise TypeError(f"'{name}' is a timedelta, not a {type(duration).__name__}")
        self._rotate_every, self._open_for = rotate_every.total_seconds(), open_for.total_seconds()
        if min(self._rotate_every, self._open_for) <= 0:
            raise ValueError("'rotate_every' and 'open_for' must be positive")
        if self._open_for / self._rotate_every + 2 > MAX_KEYS:
            raise ValueError(f"the ring would need more than {MAX_KEYS} keys: rotate less often")
        self._view = StorageView(storage, prefix)
        self._mount = mount
        self._now = now
        self._keys: Sequence[Key] | None = None
        self._read_at = 0.0
        self._forgotten = 0
        self._sealers: dict[tuple[bytes, str], Sealer] = {}
        self._changing = asyncio.Lock()

    async def seal(self, purpose: str, data: bytes, *, context: bytes = b"") -> str:
        """Return the data as a sealed text; see `Sealer.seal`.

        Raises:
            StorageError: a new key is due and cannot be stored.
            InternalError: a stored key cannot be read.
        """
        key = self._newest(await self._known())
        if key is None:
            async with self._changing:
                key = self._newest(await self._read()) or await self._make()
        return self._sealer(key, purpose).seal(data, context=context)

    async def open(self, purpose: str, text: str, *, context: bytes = b"") -> bytes:
        """Return the data in a text that this ring has sealed.

        Raises:
            SealedTextError: it was not sealed here for this purpose and context, or its key is not in use
                any more.
            StorageError, InternalError: the keys cannot be read.
        """
        key_id = read_key_id(text)
        key = self._find(key_id, await self._known())
        if key is None and not 0 <= self._now() - self._read_at < LOOK_AGAIN_SECONDS:
            key = self._find(key_id, await self._read())
        if key is None:
            raise SealedTextError("its key is not known, or not in use any more")
        return self._sealer(key, purpose).open(text, context=context)

    async def tend(self) -> None:
        """Replace the newest key when its time is over, and delete keys that open nothing any more.

        Raises:
            StorageError: storage refused it.
            InternalError: a stored key cannot be read.
        """
        async with self._changing:
            keys = await self._read()
            if not keys:
                return
            for key in keys:
                if key.created > self._now() + ALLOWANCE_SECONDS:
                    # Made while a clock was wrong: without this it would not be replaced until then.
                    await self._put(replace(key, created=self._now()))
            if self._newest(await self._read()) is None:
                await self._make()
            keys = await self._read()
            spare = keys[: max(0, len(keys) - MAX_KEYS)]
            for key in keys:
                if key in spare or self._replaced_at(key, keys) + self._keep <= self._now():
                    await self._view.delete(key.id.hex())
            await self._read()

    def forget(self) -> None:
        """Read the keys again when they are next needed."""
        self._forgotten += 1
        self._keys = None

    @property
    def _keep(self) -> float:
        return self._open_for + ALLOWANCE_SECONDS

    def _newest(self, keys: Sequence[Key]) -> Key | None:
        """Return the key that seals, `None` when a new one is due."""
        now = self._now()
        young = [key for key in keys if -ALLOWANCE_SECONDS <= now - key.created < self._rotate_every]
        return young[-1] if young else None

    def _find(self, key_id: bytes, keys: Sequence[Key]) -> Key | None:
        """Return the key of this id while it opens texts, whether or not anybody has tended the ring."""
        key = next((key for key in keys if key.id == key_id), None)
        if key is None:
            return None
        ends = min(self._replaced_at(key, keys), key.created + self._rotate_every) + self._keep
        return key if self._now() < ends else None

    def _replaced_at(self, key: Key, keys: Sequence[Key]) -> float:
        later = [other.created for other in keys if (other.created, other.id) > (key.created, key.id)]
        return min(later, default=float("inf"))

    def _sealer(self, key: Key, purpose: str) -> Sealer:
        sealer = self._sealers.get((key.secret, purpose))
        if sealer is None:
            sealer = Sealer(key.secret, purpose=purpose, mount=self._mount, key_id=key.id)
            self._sealers[key.secret, purpose] = sealer
        return sealer

    async def _known(self) -> Sequence[Key]:
        return await self._read() if self._keys is None else self._keys

    async def _read(self) -> Sequence[Key]:
        """Return the keys in storage, oldest first."""
        forgotten, self._read_at = self._forgotten, self._now()
        entries = [await self._view.get(name) for name in await self._view.list()]
        keys = sorted(
            (_decode(entry) for entry in entries if entry is not None), key=lambda key: (key.created, key.id)
        )
        if forgotten == self._forgotten:
            # Otherwise they have changed meanwhile.
            self._keys = keys
            secrets = {key.secret for key in keys}
            self._sealers = {at: sealer for at, sealer in self._sealers.items() if at[0] in secrets}
        return keys

    async def _make(self) -> Key:
        """Store a new key; return the one that seals now, which another process may have made."""
        await self._put(Key(os.urandom(KEY_ID_BYTES), float(int(self._now())), os.urandom(KEY_BYTES)))
        key = self._newest(await self._read())
        if key is None:
            raise InternalError("a new key was stored and is not there")
        return key

    async def _put(self, key: Key) -> None:
        value = json.dumps({"created": key.created, "key": b64encode(key.secret).decode()})
        await self._view.put(StorageEntry(key.id.hex(), value.encode(), seal_wrap=True))
        self._forgotten += 1  # a read that began before does not know it


def _decode(entry: StorageEntry) -> Key:
    try:
        stored = json.loads(entry.value)
        key = Key(bytes.fromhex(entry.key), float(stored["created"]), b64decode(stored["key"], validate=True))
        if len(key.id) != KEY_ID_BYTES or len(key.secret) != KEY_BYTES:
            raise ValueError("it has another length")
    except (ValueError, KeyError, TypeError) as error:
        raise InternalError(f"the entry {entry.key!r} is not a valid key record") from error
    return key
