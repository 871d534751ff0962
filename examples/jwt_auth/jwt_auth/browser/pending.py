"""Logins between their beginning and their end: what a browser carries as `state`, and what is over.

What began is sealed into the state itself, so that it costs no storage, and survives a reload, a crash and a
fail-over. The official plugin keeps it in the memory of one process. The state holds only what cannot be
known otherwise: role and configuration are read again at the end, in `jwt_auth.browser.paths.mount`.
"""

from __future__ import annotations

import hmac
import json
import os
import time
from collections.abc import Callable
from hashlib import sha256
from typing import ClassVar, Final

from cachetools import TLRUCache

from authkit import KeyRing, LoginError, SealedTextError, Secret, Storage, StorageEntry, StorageView, Value
from authkit.oidc import decode_base64url, encode_base64url

__all__ = ["LIFETIME_SECONDS", "Pending", "Spent", "States", "forget_old", "hash_nonce", "stored_name"]

LIFETIME_SECONDS: Final = 600
"""From the beginning of a login to its end, as in the official plugin (0.26, path_oidc.go)."""

CLOCK_SECONDS: Final = 60
"""How far a state may have begun in the future: another node's clock."""

MAX_STATE: Final = 8192
"""Characters of a state. What we make has a few hundred; a device code may be long."""

MAX_SPENT: Final = 10_000
"""Spent states in memory; then the oldest is forgotten, whose code its provider takes only once as well."""

PREFIX: Final = "st_"
PURPOSE: Final = "state of a login"

SEED_BYTES: Final = 32
ID_BYTES: Final = 12
"""Tells one login from all others of the last ten minutes."""

NONCE_BYTES: Final = 16
VERIFIER_BYTES: Final = 32
"""43 characters, as RFC 7636, section 4.1, recommends."""


class Pending(Value, frozen=True, kw_only=True):
    """A login that has begun."""

    seed: bytes
    """Random and never shown: all values of this login alone follow from it."""
    created: float
    """Seconds since 1970."""
    role: str
    """The name of the role."""
    terms: str
    """The digest of role and configuration at the beginning; see `jwt_auth.settings.terms`."""
    redirect_uri: str = ""
    """Where the browser comes back to, empty for devices."""
    client_nonce: str = ""
    """A hash of what the client made up, empty where it made up nothing."""
    address: str = ""
    """Where it was begun, for people to compare."""
    secret: Secret = Secret("")
    """The device code of a login on a device."""

    unshown: ClassVar = ("seed", "secret")

    def is_from(self, client_nonce: str) -> bool:
        """Whether somebody with this nonce has begun it. A nonce that nobody asked for is ignored."""
        return not self.client_nonce or hmac.compare_digest(self.client_nonce, hash_nonce(client_nonce))

    @property
    def id(self) -> bytes:
        """Its name in storage and in memory, which shows nothing of the seed."""
        return self._derive("id", ID_BYTES)

    @property
    def nonce(self) -> str:
        """What its ID token has to repeat."""
        return f"n_{encode_base64url(self._derive('nonce of the ID token', NONCE_BYTES))}"

    @property
    def verifier(self) -> str:
        """Its PKCE code verifier."""
        return encode_base64url(self._derive("code verifier", VERIFIER_BYTES))

    def confirmation(self, code: Secret) -> str:
        """Return what only the confirmation page for this login and code sends."""
        return encode_base64url(
            self._derive("confirmation", NONCE_BYTES, sha256(code.reveal().encode()).digest())
        )

    def is_confirmed(self, code: Secret, confirmation: str) -> bool:
        """Whether a request with this code comes from the page that has asked about it."""
        return hmac.compare_digest(self.confirmation(code).encode(), confirmation.encode())

    def _derive(self, purpose: str, length: int, about: bytes = b"") -> bytes:
        """Return bytes for one purpose (HKDF-Expand, RFC 5869, section 2.3: the seed is random)."""
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

        return HKDFExpand(SHA256(), length, purpose.encode() + b"\0" + about).derive(self.seed)


def hash_nonce(client_nonce: str) -> str:
    """Return what represents a client's nonce in a state, empty for none."""
    return encode_base64url(sha256(client_nonce.encode()).digest()[:16]) if client_nonce else ""


class States:
    """Makes states and opens them.

    Args:
        keys: of the mount; a state of one is nothing to another.
        now: seconds since 1970.
    """

    def __init__(self, keys: KeyRing, now: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._now = now

    def begin(self, role: str, terms: str, **fields: object) -> Pending:
        """Return a new login. Fields are those of `Pending`."""
        created = float(int(self._now()))
        return Pending(seed=os.urandom(SEED_BYTES), created=created, role=role, terms=terms, **fields)  # type: ignore[arg-type]

    async def close(self, pending: Pending) -> str:
        """Return the state that represents a login.

        Raises:
            StorageError: a new key is due and cannot be stored.
        """
        values = [
            encode_base64url(pending.seed),
            pending.created,
            pending.role,
            pending.terms,
            pending.redirect_uri,
            pending.client_nonce,
            pending.address,
            pending.secret.reveal(),
        ]
        return PREFIX + await self._keys.seal(PURPOSE, json.dumps(values, separators=(",", ":")).encode())

    async def open(self, state: str) -> Pending:
        """Return the login that a state represents.

        Raises:
            LoginError: the state is not of this mount, or too old.
            StorageError: the keys cannot be read.
        """
        try:
            if len(state) > MAX_STATE or not state.startswith(PREFIX):
                raise SealedTextError("it is not a state")
            data = await self._keys.open(PURPOSE, state.removeprefix(PREFIX))
        except SealedTextError as error:
            raise LoginError(
                "Expired or missing OAuth state.", f"the state does not open: {error}"
            ) from error
        # What is sealed here was made here.
        seed, created, role, terms, uri, nonce, address, secret = json.loads(data)
        age = self._now() - created
        if not -CLOCK_SECONDS <= age < LIFETIME_SECONDS:
            raise LoginError("Expired or missing OAuth state.", f"the state is {age:.0f} s old")
        return Pending(
            seed=decode_base64url(seed),
            created=created,
            role=role,
            terms=terms,
            redirect_uri=uri,
            client_nonce=nonce,
            address=address,
            secret=Secret(secret),
        )


class Spent:
    """The states that are used up: each is good for one end of a login.

    Those of logins that succeeded are stored, so that no other process takes them again. Strangers can spend
    states without end; what they spend is kept in memory only, and bounded.
    """

    def __init__(self, storage: Storage, now: Callable[[], float] = time.time) -> None:
        self._view = StorageView(storage, "oidc/spent/")
        self._now = now
        self._known: TLRUCache[bytes, float] = TLRUCache(MAX_SPENT, lambda _, ends, __: ends, timer=now)

    async def spend(self, pending: Pending) -> None:
        """Use a login's state up.

        Raises:
            LoginError: it is used up already.
        """
        if pending.id in self._known:
            raise LoginError("Expired or missing OAuth state.", "the state was used before")
        self._known[pending.id] = pending.created + LIFETIME_SECONDS
        if await self._view.get(stored_name(pending)) is not None:
            raise LoginError("Expired or missing OAuth state.", "the state was used before")

    async def remember(self, pending: Pending) -> None:
        """Store that a login has ended well.

        Raises:
            StorageError: it cannot be stored: then nobody may be logged in.
        """
        await self._view.put(StorageEntry(stored_name(pending), b"{}"))

    async def forget(self) -> None:
        """Delete what is too old to matter.

        Raises:
            StorageError: it cannot be deleted.
        """
        await forget_old(self._view, self._now())


async def forget_old(view: StorageView, now: float) -> None:
    """Delete entries whose names begin with a time that is over; see `stored_name`.

    Raises:
        StorageError: one cannot be deleted.
    """
    for name in await view.list():
        ends, _, _ = name.partition("-")
        if not ends.isdecimal() or int(ends) <= now:
            await view.delete(name)


def stored_name(pending: Pending) -> str:
    """Return the name under which something about a login is stored as long as it may go on."""
    return f"{int(pending.created) + LIFETIME_SECONDS}-{pending.id.hex()}"
