"""The keys with which a mount's client shows its provider who it is: made, published, replaced on demand.

How they are used is `authkit.oidc.ClientAuthentication`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from authkit import InternalError, ReadOnlyError, Secret, Storage, StorageEntry, UserError, Value

if TYPE_CHECKING:
    from authkit.oidc import SigningKey

__all__ = ["CLIENT_KEYS_PATH", "ClientKeys"]

CLIENT_KEYS_PATH: Final = "oidc/client-keys"
MAX_CLIENT_KEYS: Final = 5
"""Keys of the client that are published at the same time."""

PUBLISHED_SECONDS: Final = 24 * 3600
"""How long a replaced key stays published. An assertion is good for a minute, a copy of a key set longer."""

FORMER_PATH: Final = "oidc/keys"
"""Where the signing key was before, with a key that sealed states and could be found out."""


class ClientKey(Value, frozen=True, kw_only=True):
    """One key of the client at its provider (ECDSA, P-256)."""

    pem: Secret
    since: float
    """When it begins to sign, in seconds since 1970. It is published before."""

    unshown: ClassVar = ("pem",)


class ClientKeys:
    """The keys with which the client signs for its provider (RFC 7523), from memory once they were read."""

    def __init__(self, storage: Storage, now: Callable[[], float] = time.time) -> None:
        self._storage = storage
        self._now = now
        self._keys: Sequence[ClientKey] = ()
        self._forgotten = 0
        self._as_of = -1
        """How often the keys had been forgotten when those in memory were read."""
        self._signers: dict[str, SigningKey] = {}
        self._changing = asyncio.Lock()

    async def load(self) -> None:
        """Read the keys; make and store one if there are none.

        Raises:
            InternalError: the stored keys cannot be read.
            StorageError: they cannot be read or stored.
        """
        if not self._is_fresh:
            async with self._changing:
                if not self._is_fresh:
                    forgotten = self._forgotten
                    keys = await self._read() or await self._store([self._make(self._now())])
                    self._take(keys, forgotten)

    def forget(self) -> None:
        """Read them again when they are next needed."""
        self._forgotten += 1

    @property
    def _is_fresh(self) -> bool:
        return self._as_of == self._forgotten

    def signer(self) -> SigningKey:
        """Return the key that signs now. `load` has been called before."""
        now = self._now()
        current = [key for key in self._keys if key.since <= now] or self._keys[:1]
        return self._signer(current[-1])

    def published(self) -> list[dict[str, str]]:
        """Return the public halves, those of keys that will sign or have signed a while ago included."""
        return [self._signer(key).jwk() for key in _kept(self._keys, self._now())]

    async def rotate(self, after: float) -> str:
        """Make a key that signs in `after` seconds, in place of one that waits; return its id.

        Raises:
            UserError: there are too many keys.
            InternalError, StorageError: as for `load`.
        """
        await self.load()
        async with self._changing:
            now, forgotten = self._now(), self._forgotten
            kept = [key for key in _kept(await self._read(), now) if key.since <= now]
            if len(kept) >= MAX_CLIENT_KEYS:
                raise UserError(
                    f"too many keys are published, {MAX_CLIENT_KEYS} at most: one that was replaced is "
                    "published for a day, try again after that"
                )
            new = self._make(now + after)
            try:
                stored = await self._store([*kept, new])
            except BaseException:
                # Nobody knows what a write that broke off has left behind.
                self.forget()
                raise
            self._take(stored, forgotten)
            return self._signer(new).kid

    async def drop_former(self) -> None:
        """Move the signing key from where it was before, so that the key beside it is deleted."""
        async with self._changing:
            if not self._is_fresh:
                forgotten, found = self._forgotten, await self._read()
                if found:
                    self._take(found, forgotten)

    def _take(self, keys: Sequence[ClientKey], as_of: int) -> None:
        self._keys, self._as_of = keys, as_of
        pems = {key.pem.reveal() for key in keys}
        self._signers = {pem: signer for pem, signer in self._signers.items() if pem in pems}

    def _signer(self, key: ClientKey) -> SigningKey:
        from authkit.oidc import SigningKey

        pem = key.pem.reveal()
        if pem not in self._signers:
            self._signers[pem] = SigningKey(key.pem)
        return self._signers[pem]

    async def _read(self) -> Sequence[ClientKey]:
        entry, former = await self._storage.get(CLIENT_KEYS_PATH), await self._storage.get(FORMER_PATH)
        keys: Sequence[ClientKey] = () if entry is None else _decode(entry)
        if former is None:
            return keys
        keys = keys or [ClientKey(pem=Secret(_text_in(_load(former), "signing")), since=0.0)]
        try:
            await self._store(keys)
            await self._storage.delete(FORMER_PATH)
        except ReadOnlyError:
            pass  # the node that may write does it
        return keys

    async def _store(self, keys: Sequence[ClientKey]) -> Sequence[ClientKey]:
        value = json.dumps({"keys": [{"pem": key.pem.reveal(), "since": key.since} for key in keys]})
        await self._storage.put(StorageEntry(CLIENT_KEYS_PATH, value.encode(), seal_wrap=True))
        return keys

    def _make(self, since: float) -> ClientKey:
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return ClientKey(pem=Secret(pem), since=since)


def _kept(keys: Sequence[ClientKey], now: float) -> list[ClientKey]:
    """Return the keys without those that were replaced long ago."""
    ends = [later.since + PUBLISHED_SECONDS for later in keys[1:]]
    return [key for key, end in zip(keys, [*ends, float("inf")], strict=True) if now < end]


def _decode(entry: StorageEntry) -> Sequence[ClientKey]:
    try:
        stored = [
            ClientKey(pem=Secret(_text_in(each, "pem")), since=float(each["since"]))
            for each in _load(entry)["keys"]
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise InternalError(f"the entry at {entry.key!r} is not a valid key record") from error
    return stored


def _load(entry: StorageEntry) -> Mapping[str, Any]:
    try:
        return dict(json.loads(entry.value))
    except (ValueError, TypeError) as error:
        raise InternalError(f"the entry at {entry.key!r} is not a valid key record") from error


def _text_in(record: Mapping[str, Any], name: str) -> str:
    if not isinstance(record.get(name), str):
        raise InternalError(f"a key record has no text {name!r}")
    return str(record[name])
