"""Tokens: made, kept, found, used up, revoked and expired. Plain records and their store.

What a token allows: `authkit.host.authorization`. What a login or a client asks for:
`authkit.host.server.logins` and `authkit.host.backends.token.backend`.
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import secrets
import string
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from authkit.errors import SealedTextError
from authkit.framework import Sealer
from authkit.framework.stored.sealing import KEY_BYTES
from authkit.host.store.clock import Clock
from authkit.host.store.records import dump, load, load_all
from authkit.host.store.storage import PhysicalStorage
from authkit.logical import Auth
from authkit.values import Value, field, replace

__all__ = ["BATCH", "SERVICE", "Token", "TokenStore", "random_text", "token_key"]

BATCH, SERVICE = "batch", "service"

_ALPHABET = string.ascii_letters + string.digits
REVOCATION_PENDING = -1
"""Uses left of a token during its last request (Vault 1.21, vault/token_store.go)."""

_ZERO = timedelta(0)


class Token(Value, frozen=True, kw_only=True):
    """What the host knows of one token; the token itself is not kept. All fields are set by the host."""

    key: str
    """The hash under which it is found."""
    path: str
    """Of the request that made it."""
    policies: tuple[str, ...] = ()
    accessor: str = ""
    parent: str = ""
    """The key of the token that made it; empty for an orphan."""
    parent_accessor: str = ""
    """Of that token: its key can come back, with another token of the same text."""
    display_name: str = ""
    meta: Mapping[str, str] = field(default_factory=dict)
    num_uses: int = 0
    """Left; 0 means no limit."""
    created: datetime
    ttl: timedelta = _ZERO
    """Granted at creation. Zero: it does not expire."""
    explicit_max_ttl: timedelta = _ZERO
    period: timedelta = _ZERO
    entity_id: str = ""
    bound_cidrs: tuple[str, ...] = ()
    type: str = SERVICE
    login_role: str = ""
    """The role that the login was for, as the backend resolved it; a server counts leases by it."""
    expires: datetime | None = None
    renewed: datetime | None = None
    """When it was renewed last."""
    auth: Auth | None = None
    """What the backend granted at the login or the last renewal; `None` for a token that is not renewable."""

    @property
    def lease_id(self) -> str:
        """The name of its lease."""
        return f"{self.path}/h{self.key}"

    @property
    def is_used_up(self) -> bool:
        """Whether its last use is under way."""
        return self.num_uses == REVOCATION_PENDING

    @property
    def renewable(self) -> bool:
        """Whether its lease can be renewed."""
        return self.auth is not None and self.auth.lease.renewable


def token_key(token: str) -> str:
    """Return the hash under which a token is kept."""
    return hashlib.sha256(token.encode()).hexdigest()


def random_text(length: int = 24) -> str:
    """Return that many letters and digits; 24 are 142 bits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _make_sealer(key: bytes) -> Sealer:
    return Sealer(key, purpose="batch token")


class TokenStore:
    """All tokens of a host."""

    PREFIX = "core/token/"
    BATCH_KEY = "core/batch-key"

    def __init__(self, physical: PhysicalStorage, clock: Clock) -> None:
        self._physical = physical
        self._clock = clock
        self._tokens: dict[str, Token] = {}
        self._accessors: dict[str, str] = {}
        self._children: defaultdict[str, set[str]] = defaultdict(set)
        self._due: list[tuple[datetime, str]] = []
        self.on_end: Callable[[Iterable[str]], None] = lambda keys: None
        """Called with the keys of tokens that are gone, before anything waits."""
        self._sealer = _make_sealer(secrets.token_bytes(KEY_BYTES))

    async def load(self) -> None:
        """Read what is stored."""
        key = await self._physical.get(self.BATCH_KEY)
        if key is None:
            key = secrets.token_bytes(KEY_BYTES)
            await self._physical.apply({self.BATCH_KEY: key})
        self._sealer = _make_sealer(key)
        for token in await load_all(Token, self._physical, self.PREFIX):
            self._take(token)

    # --- making --------------------------------------------------------------------------------

    async def add(self, token: Token, text: str = "", *, wrapped: bytes | None = None) -> tuple[str, Token]:
        """Keep a service token; return its text, random unless given, and the record as it is kept.

        `wrapped` is the response that it unwraps: stored with it, and removed with it.
        """
        text = text or f"hvs.{random_text()}"
        accessor = random_text()
        auth = replace(token.auth, accessor=accessor) if token.auth else None
        token = replace(token, key=token_key(text), accessor=accessor, auth=auth)
        changes = {self.PREFIX + token.key: dump(token)}
        if wrapped is not None:
            changes[wrapped_key(token.key)] = wrapped
        if self._drop(token.key) is not None:  # one of that text that has run out
            self.on_end([token.key])
        # Before anything waits: it can be revoked from now on, whether or not its client waits for it.
        self._take(token)
        try:
            await self._physical.apply(changes)
        except Exception:
            self._drop(token.key)
            raise
        return text, token

    def seal(self, token: Token) -> str:
        """Return a batch token: it is not kept, but holds all that is known of it, encrypted."""
        return "hvb." + self._sealer.seal(dump(replace(token, key="", accessor="")))

    async def change(self, key: str, **changes: Any) -> Token | None:
        """Change some fields of the token as it is now stored; return `None` if it is gone."""
        token = self._alive(key)
        if token is None:
            return None
        token = replace(token, **changes)
        self._take(token)  # before anything waits: the next change begins with this one
        await self._physical.apply({self.PREFIX + key: dump(token)})
        return token

    def _take(self, token: Token) -> None:
        self._tokens[token.key] = token
        self._accessors[token.accessor] = token.key
        if token.parent:
            self._children[token.parent].add(token.key)
        if token.expires is not None:
            heapq.heappush(self._due, (token.expires, token.key))

    # --- finding -------------------------------------------------------------------------------

    def find(self, text: str, *, with_used_up: bool = False) -> Token | None:
        """Return what is known of a token, `None` when it is not or no longer valid.

        `with_used_up` finds it also during its last request.
        """
        if text.startswith("hvb."):
            return self._open(text)
        token = self._alive(token_key(text))
        return None if token is not None and token.is_used_up and not with_used_up else token

    def find_accessor(self, accessor: str) -> Token | None:
        """Return the token of an accessor."""
        return self._alive(self._accessors.get(accessor, ""))

    def find_lease(self, lease_id: str) -> Token | None:
        """Return the token of a lease."""
        token = self._alive(lease_id.rpartition("/h")[2])
        return token if token is not None and token.lease_id == lease_id else None

    def has(self, key: str) -> bool:
        """Whether there is a token of that key, whose time is not over."""
        return self._alive(key) is not None

    def accessors(self) -> list[str]:
        """Return the accessors of all tokens."""
        return [token.accessor for token in self]

    def __iter__(self) -> Iterator[Token]:
        return iter([token for key, token in self._tokens.items() if self._alive(key)])

    def is_expired(self, token: Token) -> bool:
        """Whether its time is over."""
        return token.expires is not None and token.expires <= self._clock.now()

    def _alive(self, key: str) -> Token | None:
        """Return a token whose time is not over, nor that of any of those it comes from.

        One whose parent is gone is none: it was made while its parent was revoked.
        """
        token = ancestor = self._tokens.get(key)
        while ancestor is not None and not self.is_expired(ancestor):
            if not ancestor.parent:
                return token
            ancestor = self._parent_of(ancestor)
        return None

    def _parent_of(self, token: Token) -> Token | None:
        """Return the token that made it, not one that has its key since."""
        parent = self._tokens.get(token.parent)
        if parent is None or token.parent_accessor not in ("", parent.accessor):
            return None
        return parent

    def _open(self, text: str) -> Token | None:
        try:
            plain = self._sealer.open(text.removeprefix("hvb."))
        except SealedTextError:
            return None
        token = load(Token, plain)
        if self.is_expired(token):
            return None
        if token.parent and (self._parent_of(token) is None or self._alive(token.parent) is None):
            return None
        return token

    # --- using up ------------------------------------------------------------------------------

    async def use(self, token: Token) -> Token | None:
        """Count one use; return the record after it, `None` if another request took the last one.

        After the last use `is_used_up` is true of it: the caller revokes it when the request has ended.
        """
        if not token.num_uses or token.type == BATCH:
            return token
        known = self._alive(token.key)
        if known is None or known.is_used_up:
            return None
        used = replace(known, num_uses=known.num_uses - 1 or REVOCATION_PENDING)
        self._tokens[used.key] = used  # before anything waits: of two requests at once each counts
        try:
            await self._physical.apply({self.PREFIX + used.key: dump(used)})
        except asyncio.CancelledError:  # nobody else would revoke it
            if used.is_used_up:
                await self.revoke(used.key)
            raise
        return used

    async def revoke(self, *keys: str) -> None:
        """Remove tokens and all that they made, in one transaction."""
        doomed: dict[str, None] = {}
        waiting = list(keys)
        while waiting:
            key = waiting.pop()
            if key not in doomed:
                doomed[key] = None
                waiting.extend(self._children.get(key, ()))
        await self._remove(doomed)

    async def revoke_orphaning(self, key: str) -> None:
        """Remove a token. Its children become orphans."""
        children = [child for each in self._children.get(key, ()) if (child := self._alive(each))]
        await self._remove((key,), children=children)

    async def revoke_below(self, prefix: str) -> int:
        """Revoke every token whose lease is below `prefix`; return how many leases there were."""
        found = [token.key for token in self._tokens.values() if token.lease_id.startswith(prefix)]
        if found:
            await self.revoke(*found)
        return len(found)

    async def expire(self) -> None:
        """Remove expired tokens. If storage refuses, the next turn tries again."""
        now, due = self._clock.now(), []
        while self._due and self._due[0][0] <= now:
            due.append(heapq.heappop(self._due))
        over = [key for _, key in due if key in self._tokens and self.is_expired(self._tokens[key])]
        if not over:
            return
        try:
            await self.revoke(*over)
        except BaseException:
            for each in due:
                heapq.heappush(self._due, each)
            raise

    def next_expiry(self) -> datetime | None:
        """Return when the next token may run out."""
        return self._due[0][0] if self._due else None

    async def _remove(self, keys: Iterable[str], *, children: Sequence[Token] = ()) -> None:
        """Remove tokens; those of their children that are to stay become orphans."""
        changes: dict[str, bytes | None] = {}
        orphans = {each.key: replace(each, parent="", parent_accessor="") for each in children}
        for key in keys:
            changes[self.PREFIX + key] = changes[wrapped_key(key)] = None
        changes |= {self.PREFIX + key: dump(each) for key, each in orphans.items()}
        # Before anything waits: a token that is renewed or used meanwhile would be stored again, and one
        # whose revocation is cut off, because its client has gone, would stay.
        gone = [token for key in keys if (token := self._drop(key)) is not None]
        self._tokens.update(orphans)
        try:
            await self._physical.apply(changes)
        except Exception:
            unchanged = [each for each in children if self._tokens.get(each.key) is orphans[each.key]]
            for token in [*gone, *unchanged]:
                self._take(token)
            raise
        finally:
            self.on_end([each.key for each in gone if each.key not in self._tokens])

    def _drop(self, key: str) -> Token | None:
        token = self._tokens.pop(key, None)
        if token is not None:
            self._accessors.pop(token.accessor, None)
            self._children.pop(token.key, None)
            self._children.get(token.parent, set()).discard(token.key)
        return token


def wrapped_key(key: str) -> str:
    """Return where the response of a wrapping token is stored."""
    return f"core/wrapped/{key}"
