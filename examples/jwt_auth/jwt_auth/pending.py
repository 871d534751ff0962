"""Logins between their beginning and their end: what a browser carries as `state`, and what is over.

What began is sealed into the state itself, so that it costs no storage, and survives a reload, a crash and a
fail-over. The official plugin keeps it in the memory of one process. What is done with it is left to
`jwt_auth.browser`.
"""

from __future__ import annotations

import hmac
import json
import os
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import ClassVar, Final

from cachetools import TLRUCache

from authkit.errors import LoginError
from authkit.framework import StorageView
from authkit.logical import Storage, StorageEntry
from authkit.masking import Secret
from authkit.values import Value

__all__ = ["LIFETIME_SECONDS", "Pending", "Seal", "Spent", "forget_old", "hash_nonce", "stored_name"]

LIFETIME_SECONDS: Final = 600
"""From the beginning of a login to its end, as in the official plugin (0.26, path_oidc.go)."""

CLOCK_SECONDS: Final = 60
"""How far a state may have begun in the future: another node's clock."""

MAX_STATE: Final = 8192
"""Characters of a state. What we make has a few hundred; a device code may be long."""

MAX_SPENT: Final = 10_000
"""Spent states in memory; then the oldest is forgotten, whose code its provider takes only once as well."""

PREFIX: Final = "st_"
ID_BYTES: Final = 12
"""A random number of each login, and the nonce of AES-GCM: good for 2**32 logins with one key (NIST SP
800-38D, section 8.3)."""


class Pending(Value, frozen=True, kw_only=True):
    """A login that has begun."""

    id: bytes
    """Of this login alone; its nonce and PKCE verifier follow from it."""
    created: float
    """Seconds since 1970."""
    role: str
    """The name of the role."""
    redirect_uri: str = ""
    """Where the browser comes back to, empty for devices."""
    client_nonce: str = ""
    """A hash of what the client made up, empty where it made up nothing."""
    max_age: int = 0
    """How long ago somebody may have logged in at the provider, in seconds; zero for any time."""
    mode: str = "client"
    """Who gets the answer: `client`, `direct` or `device`."""
    address: str = ""
    """Where it was begun, for people to compare."""
    secret: Secret = Secret("")
    """The device code of a login on a device, or the code that a form has brought."""

    unshown: ClassVar = ("id", "secret")

    def is_from(self, client_nonce: str) -> bool:
        """Whether somebody with this nonce has begun it. A nonce that nobody asked for is ignored."""
        return not self.client_nonce or hmac.compare_digest(self.client_nonce, hash_nonce(client_nonce))


def hash_nonce(client_nonce: str) -> str:
    """Return what stands for a client's nonce in a state, empty for none."""
    return _text(sha256(client_nonce.encode()).digest()[:16]) if client_nonce else ""


class Seal:
    """Makes states and opens them, with the key of a mount.

    Args:
        key: that of the mount: a state of one is nothing to another.
        now: seconds since 1970.
    """

    def __init__(self, key: bytes, now: Callable[[], float] = time.time) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._key = key
        self._cipher = AESGCM(self._derive(b"state", b""))
        self._keeper = AESGCM(self._derive(b"kept", b""))
        self._now = now

    def begin(self, role: str, **fields: object) -> Pending:
        """Return a new login. Fields are those of `Pending`."""
        return Pending(id=os.urandom(ID_BYTES), created=float(int(self._now())), role=role, **fields)  # type: ignore[arg-type]

    def close(self, pending: Pending) -> str:
        """Return the state that stands for a login."""
        values = [
            pending.created,
            pending.role,
            pending.redirect_uri,
            pending.client_nonce,
            pending.max_age,
            pending.mode,
            pending.address,
            pending.secret.reveal(),
        ]
        sealed = self._cipher.encrypt(pending.id, json.dumps(values, separators=(",", ":")).encode(), None)
        return PREFIX + _text(pending.id + sealed)

    def open(self, state: str) -> Pending:
        """Return the login that a state stands for.

        Raises:
            LoginError: it is none of this mount's, or too old.
        """
        from cryptography.exceptions import InvalidTag

        try:
            if len(state) > MAX_STATE or not state.startswith(PREFIX):
                raise ValueError("it is no state")
            raw = _bytes(state.removeprefix(PREFIX))
            number, sealed = raw[:ID_BYTES], raw[ID_BYTES:]
            created, role, uri, nonce, max_age, mode, address, secret = json.loads(
                self._cipher.decrypt(number, sealed, None)
            )
        except (ValueError, InvalidTag) as error:
            raise LoginError(
                "Expired or missing OAuth state.", "the state is none of this mount's"
            ) from error
        age = self._now() - created  # what is sealed here was made here
        if not -CLOCK_SECONDS <= age < LIFETIME_SECONDS:
            raise LoginError("Expired or missing OAuth state.", f"the state is {age:.0f} s old")
        return Pending(
            id=number,
            created=created,
            role=role,
            redirect_uri=uri,
            client_nonce=nonce,
            max_age=max_age,
            mode=mode,
            address=address,
            secret=Secret(secret),
        )

    def hide(self, secret: Secret) -> str:
        """Return a text from which only this mount gets the secret back."""
        number = os.urandom(ID_BYTES)
        return _text(number + self._keeper.encrypt(number, secret.reveal().encode(), None))

    def unhide(self, text: str) -> Secret:
        """Return what was hidden.

        Raises:
            ValueError: it was not hidden here.
        """
        from cryptography.exceptions import InvalidTag

        raw = _bytes(text)
        if len(raw) <= ID_BYTES:
            raise ValueError("it was not hidden with the key of this mount")
        try:
            return Secret(self._keeper.decrypt(raw[:ID_BYTES], raw[ID_BYTES:], None).decode())
        except InvalidTag:
            raise ValueError("it was not hidden with the key of this mount") from None

    def nonce(self, pending: Pending) -> str:
        """Return what the ID token of a login has to repeat."""
        return f"n_{_text(self._derive(b'nonce', pending.id)[:16])}"

    def verifier(self, pending: Pending) -> str:
        """Return the PKCE code verifier of a login: 43 characters (RFC 7636, section 4.1)."""
        return _text(self._derive(b"verifier", pending.id))

    def _derive(self, purpose: bytes, about: bytes) -> bytes:
        return hmac.digest(self._key, purpose + b"\0" + about, "sha256")


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


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    if not text.isascii() or "=" in text:
        raise ValueError("it is no base64url without padding")
    data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if _text(data) != text:
        raise ValueError("it is no base64url without padding")
    return data
