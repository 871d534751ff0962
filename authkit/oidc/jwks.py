"""The key set of a provider: fetched when needed, kept for a bounded time.

The document itself is left to `authkit.oidc.jwkset`, the HTTP request to `authkit.oidc.fetch`.

vault-plugin-auth-jwt 0.26 keeps a key set for ever and fetches it again for every token that does
not verify, without a timeout. Here a withdrawn key ends with the set's age, and strangers cannot
choose how often a provider is asked.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachetools import TTLCache

from authkit.errors import TokenError
from authkit.oidc.fetch import Document, Fetcher, FetchError, FetchTimeoutError
from authkit.oidc.jwkset import MAX_DOCUMENT_BYTES, MAX_KID_CHARACTERS, KeySet, parse_jwks
from authkit.oidc.jws import SIGNATURE_ERROR
from authkit.oidc.keys import VerificationKey

if TYPE_CHECKING:
    import httpx

__all__ = ["JWKSKeys", "KeySet", "parse_jwks"]

MIN_AGE = 600.0
"""Seconds for which a set is used without asking, at least: many providers send `max-age=0`."""

DEFAULT_AGE = 3600.0
"""Seconds, for a provider that does not say."""

MAX_AGE = 86400.0
"""Seconds, whatever a provider says: how long a withdrawn key can stay trusted."""

MAX_STALENESS = 3600.0
"""Seconds for which an expired set serves while its provider cannot be reached."""

ASK_PAUSE = 10.0
"""Seconds between two fetches, at least: unknown key ids are free to invent."""

RENEW_PAUSE = 60.0
"""Seconds after a fetch in which a bad signature under a known id causes no other: those are free too."""

MAX_FAILURE_PAUSE = 300.0
"""Seconds between two fetches from a dead provider; the pause doubles from `ASK_PAUSE` up to it."""

UNKNOWN_KID_AGE = 60.0
"""Seconds for which a key id stays unknown after the provider was asked for it."""

MAX_UNKNOWN_KIDS = 1024
"""Remembered unknown ids; with the longest ids some MiB."""

_MAX_AGE_DIRECTIVE = re.compile(r"(?:^|[,\s])max-age\s*=\s*\"?([0-9]{1,10})", re.IGNORECASE)
_NO_CACHE_DIRECTIVE = re.compile(r"(?:^|[,\s])no-(?:cache|store)\b", re.IGNORECASE)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Fetched:
    """A key set and its times, on the clock of its `JWKSKeys`."""

    keys: KeySet
    fetched_at: float
    fresh_until: float

    @property
    def usable_until(self) -> float:
        return self.fresh_until + MAX_STALENESS


class JWKSKeys:
    """The keys that a provider publishes at `url`. For one event loop.

    Nothing is fetched before the first call. At most one fetch is in flight; everybody who needs it
    waits for the same one, and it outlives waiters that give up.

    Args:
        url: http or https.
        ca_pem: certificates to trust in place of the system's roots.
        clock: seconds that only move forward.
        transport: what to send requests with, in place of the network.

    Raises:
        ValueError: the URL or the PEM bundle cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        ca_pem: str = "",
        clock: Callable[[], float] = time.monotonic,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._fetcher = Fetcher(url, max_bytes=MAX_DOCUMENT_BYTES, ca_pem=ca_pem, transport=transport)
        self._clock = clock
        self._current: _Fetched | None = None
        self._unknown: TTLCache[str | None, bool] = TTLCache(MAX_UNKNOWN_KIDS, UNKNOWN_KID_AGE, timer=clock)
        self._task: asyncio.Task[None] | None = None
        self._ask_again_at = float("-inf")
        self._failures = 0
        self._failure = ""
        self._closed = False

    async def find_keys(self, kid: str | None) -> Sequence[VerificationKey]:
        """Return the keys with this id, all keys for `None`; none if the provider does not have it.

        Raises:
            TokenError: the keys cannot be had, and there are none from before that may still serve.
        """
        current = self._current
        if current is not None and self._clock() < current.fresh_until:
            found = current.keys.find(kid)
            if found or kid in self._unknown or _is_too_long(kid):
                return found
        was_asked = await self._ask()
        found = self._find_usable(kid)
        if found:
            return found
        if self._failure:
            raise TokenError(SIGNATURE_ERROR + self._failure, f"key set of {self._fetcher.host}")
        if was_asked and not _is_too_long(kid):
            self._unknown[kid] = True
        return ()

    async def find_newer_keys(self, kid: str | None) -> Sequence[VerificationKey]:
        """Ask the provider again and return its keys; none if it was asked lately or does not answer."""
        current = self._current
        if current is not None and self._clock() < current.fetched_at + RENEW_PAUSE:
            return ()
        if not await self._ask() or self._failure:
            return ()
        return self._find_usable(kid)

    async def close(self) -> None:
        """Cancel a fetch in flight and fetch no more; keys in the cache still serve."""
        self._closed = True
        self._failure = "fetching keys: the key source is closed"
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _find_usable(self, kid: str | None) -> Sequence[VerificationKey]:
        current = self._current
        if current is None or self._clock() >= current.usable_until:
            return ()
        return current.keys.find(kid)

    async def _ask(self) -> bool:
        """Wait for a fetch, a new one if none is in flight; return whether there was one."""
        if self._task is None or self._task.done():
            if self._closed or self._clock() < self._ask_again_at:
                return False
            self._task = asyncio.create_task(self._fetch())
        # Not `await task`: a waiter that is cancelled would take the fetch with it, and a fetch
        # that `close` cancels would look to its waiters as if they were.
        await asyncio.wait([self._task])
        return True

    async def _fetch(self) -> None:
        try:
            document = await self._fetcher.fetch()
            keys = await asyncio.to_thread(parse_jwks, document.body)
        # Whatever it is, the login fails and the next one asks again.
        except Exception as error:
            self._note_failure(error)
        else:
            self._store(keys, document)

    def _store(self, keys: KeySet, document: Document) -> None:
        now = self._clock()
        self._current = _Fetched(keys, now, now + _age(document.cache_control))
        self._failure, self._failures = "", 0
        self._ask_again_at = now + ASK_PAUSE

    def _note_failure(self, error: Exception) -> None:
        self._failure = _describe(error)
        pause = min(ASK_PAUSE * 2**self._failures, MAX_FAILURE_PAUSE)
        # Bounded, so that the power stays small however long a provider is dead.
        self._failures = min(self._failures + 1, 16)
        self._ask_again_at = self._clock() + pause
        detail = error.detail if isinstance(error, FetchError) else type(error).__name__
        _log.warning("%s from %s, next try after %d s: %s", self._failure, self._fetcher.host, pause, detail)


def _is_too_long(kid: str | None) -> bool:
    return kid is not None and len(kid) > MAX_KID_CHARACTERS


def _age(cache_control: str) -> float:
    if _NO_CACHE_DIRECTIVE.search(cache_control):
        return MIN_AGE
    directive = _MAX_AGE_DIRECTIVE.search(cache_control)
    age = float(directive[1]) if directive else DEFAULT_AGE
    return min(max(age, MIN_AGE), MAX_AGE)


def _describe(error: Exception) -> str:
    if isinstance(error, FetchTimeoutError):
        return f"fetching keys {error.public}"
    if isinstance(error, FetchError):
        return f"fetching keys oidc: get keys failed: {error.public}"
    if isinstance(error, ValueError):
        return f"fetching keys oidc: get keys failed: {error}"
    return "fetching keys oidc: get keys failed: internal error"
