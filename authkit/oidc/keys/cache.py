"""A cache for what a provider publishes: when a value is fetched, renewed, and dropped.

`authkit.oidc.keys.sources` keeps key sets and discovery documents in it.

vault-plugin-auth-jwt 0.26 keeps both for ever, without a timeout. Here a withdrawn document ends
with its age, strangers cannot choose how often a provider is asked, and no login waits for a provider
while a value is usable.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Generic, Protocol, TypeVar

from authkit import meter
from authkit.oidc.http.errors import FetchTimeoutError, ProviderError
from authkit.values import Value

__all__ = ["RemoteStatus", "RemoteValue", "Timer"]

MIN_AGE = 600.0
"""Seconds for which a value is used without asking, at least: many providers send `max-age=0`."""

DEFAULT_AGE = 3600.0
"""Seconds, for a provider that does not say."""

MAX_AGE = 86400.0
"""Seconds, whatever a provider says: how long a withdrawn key can stay trusted."""

RENEW_AT = 0.8
"""The part of its age at which a value is fetched again, so that no login has to wait for that."""

MAX_STALENESS = 3600.0
"""Seconds for which an expired value serves while its provider cannot be reached."""

ASK_PAUSE = 10.0
"""Seconds between two fetches, at least: reasons to ask are free to invent."""

MAX_FAILURE_PAUSE = 300.0
"""Seconds between two fetches from a dead provider; the pause doubles from `ASK_PAUSE` up to it."""

FETCH_TIMEOUT = 15.0
"""Seconds for a fetch with all the requests that it is made of: logins wait for the first one."""

_MAX_AGE_DIRECTIVE = re.compile(r"(?:^|[,\s])max-age\s*=\s*\"?([0-9]{1,10})", re.IGNORECASE)
_NO_CACHE_DIRECTIVE = re.compile(r"(?:^|[,\s])no-(?:cache|store)\b", re.IGNORECASE)

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Cancellable(Protocol):
    """A call that is planned."""

    def cancel(self) -> None:
        """Do not make it."""
        ...


class Timer(Protocol):
    """Seconds that only move forward, and calls at a later time. Every asyncio event loop is one."""

    def time(self) -> float:
        """Return the time now."""
        ...

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Cancellable:
        """Call `callback` after `delay` seconds."""
        ...


class RemoteStatus(Value, frozen=True):
    """What an operator may want to know of a remote value. Holds no secret."""

    fetched_at: datetime | None = None
    """When the value in use was fetched; `None` without one."""
    usable_until: datetime | None = None
    """When it ends if the provider cannot be reached any more."""
    next_fetch_at: datetime | None = None
    """When the next renewal in the background is due; `None` if none is planned."""
    last_error: str = ""
    """Why the last fetch failed; empty if it did not."""
    failed_at: datetime | None = None
    """When it failed; `None` if it did not."""
    fetches: int = 0
    """How often the provider was asked."""
    failures: int = 0
    """How many of these fetches failed."""


class _Kept(Generic[T]):
    """A value and its times, on the clock of its `RemoteValue`."""

    def __init__(self, value: T, fetched_at: float, age: float) -> None:
        self.value = value
        self.fetched_at = fetched_at
        self.renew_at = fetched_at + age * RENEW_AT
        self.fresh_until = fetched_at + age
        self.usable_until = self.fresh_until + MAX_STALENESS


class RemoteValue(Generic[T]):
    """A value of a provider. For one event loop.

    Nothing is fetched before the first need. At most one fetch is in flight; all that need it
    wait for the same one, and it outlives waiters that give up. Once there is a value it is renewed
    in the background until `close`, or until it could not be renewed for so long that it ended.

    Args:
        fetch: returns the value and its Cache-Control header; what it raises beside `ProviderError`
            counts as a failure of our own.
        name: of the provider, for the log.
        timer: the event loop unless a test brings its own.
        wall: seconds since 1970, for `status`.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[tuple[T, str]]],
        *,
        name: str,
        timer: Timer | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._fetch = fetch
        self._name = name
        self._timer = timer
        self._wall = wall
        self._kept: _Kept[T] | None = None
        self._task: asyncio.Task[None] | None = None
        self._planned: Cancellable | None = None
        self._ask_again_at = float("-inf")
        self._failures_in_a_row = 0
        self._failed_at = 0.0
        self._fetches = self._failures = 0
        self._closed = False
        self.failure: ProviderError | None = None
        """Why the last fetch failed; `None` if it did not."""

    def time(self) -> float:
        """Return the time on this value's clock."""
        return self._get_timer().time()

    def peek(self) -> T | None:
        """Return the value if it can serve without asking; an expired one only after asking failed."""
        kept = self._kept
        if kept is None:
            return None
        now = self.time()
        if now < kept.fresh_until or (self.failure is not None and now < kept.usable_until):
            return kept.value
        return None

    def find_usable(self) -> T | None:
        """Return the value unless it has ended for good. To be called after `ask`."""
        kept = self._kept
        return kept.value if kept is not None and self.time() < kept.usable_until else None

    async def get(self) -> T:
        """Return the value, fetched if need be.

        Raises:
            ProviderError: it cannot be fetched, and no earlier value is still usable.
        """
        value = self.peek()
        if value is None:
            await self.ask()
            value = self.find_usable()
        if value is None:
            raise self.failure or ProviderError("no answer")
        return value

    async def ask(self) -> bool:
        """Wait for a fetch, a new one if none is in flight and none just was; return whether one was.

        Whether it failed is told by `failure`.
        """
        task = self._start()
        if task is None:
            return False
        # Not `await task`: a waiter that is cancelled would take the fetch with it, and a fetch
        # that `close` cancels would look to its waiters as if they were.
        await asyncio.wait([task])
        return True

    def is_fetched_since(self, seconds: float) -> bool:
        """Return whether the value was fetched within the last `seconds`."""
        return self._kept is not None and self.time() < self._kept.fetched_at + seconds

    def status(self) -> RemoteStatus:
        """Return the status."""
        kept, closed = self._kept, self._closed
        return RemoteStatus(
            fetched_at=None if kept is None else self._date(kept.fetched_at),
            usable_until=None if kept is None else self._date(kept.usable_until),
            next_fetch_at=None if closed or self._planned is None else self._date(self._next_fetch()),
            last_error="" if self.failure is None else str(self.failure),
            failed_at=None if self.failure is None else self._date(self._failed_at),
            fetches=self._fetches,
            failures=self._failures,
        )

    async def close(self) -> None:
        """Cancel a fetch in flight and fetch no more; a value that is there still serves its time."""
        if not self._closed:
            self._closed = True
            self._failed_at = self.time()
            self.failure = ProviderError("the provider is not asked any more")
        if self._planned is not None:
            self._planned.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _start(self) -> asyncio.Task[None] | None:
        if self._task is None and not self._closed and self.time() >= self._ask_again_at:
            self._task = asyncio.create_task(self._run())
        return self._task

    async def _run(self) -> None:
        self._fetches += 1
        try:
            async with asyncio.timeout(FETCH_TIMEOUT):
                value, cache_control = await self._fetch()
        except ProviderError as error:
            self._note_failure(error)
        except TimeoutError:
            detail = f"no answer within {FETCH_TIMEOUT:g} s"
            self._note_failure(FetchTimeoutError("context deadline exceeded", detail))
        # Whatever it is, the login fails and a later one asks again.
        except Exception as error:
            self._note_failure(ProviderError("internal error", type(error).__name__))
        else:
            self._store(value, cache_control)
        finally:
            self._task = None
            self._plan()
        meter.current().document_fetched(ok=self.failure is None)

    def _store(self, value: T, cache_control: str) -> None:
        now = self.time()
        self._kept = _Kept(value, now, _age(cache_control))
        self.failure, self._failures_in_a_row = None, 0
        self._ask_again_at = now + ASK_PAUSE

    def _note_failure(self, failure: ProviderError) -> None:
        self.failure, self._failed_at = failure, self.time()
        pause = min(ASK_PAUSE * 2**self._failures_in_a_row, MAX_FAILURE_PAUSE)
        # Bounded, so that the power stays small however long a provider is dead.
        self._failures_in_a_row = min(self._failures_in_a_row + 1, 16)
        self._failures += 1
        self._ask_again_at = self._failed_at + pause
        _log.warning("asking %s failed, next try after %d s: %s", self._name, pause, failure)

    def _plan(self) -> None:
        """Plan the next renewal as long as there is something to renew."""
        if self._planned is not None:
            self._planned.cancel()
            self._planned = None
        if self._closed or self.find_usable() is None:
            return
        delay = max(self._next_fetch() - self.time(), 0.0)
        self._planned = self._get_timer().call_later(delay, self._renew)

    def _next_fetch(self) -> float:
        renew_at = self._ask_again_at if self._kept is None else self._kept.renew_at
        return max(renew_at, self._ask_again_at)

    def _renew(self) -> None:
        self._planned = None
        # None when a login's fetch came first: then the plan is made for what it found.
        if self._start() is None:
            self._plan()

    def _get_timer(self) -> Timer:
        if self._timer is None:
            self._timer = asyncio.get_running_loop()
        return self._timer

    def _date(self, moment: float) -> datetime:
        now = datetime.fromtimestamp(self._wall(), UTC)
        return now + timedelta(seconds=moment - self.time())


def _age(cache_control: str) -> float:
    if _NO_CACHE_DIRECTIVE.search(cache_control):
        return MIN_AGE
    directive = _MAX_AGE_DIRECTIVE.search(cache_control)
    age = float(directive[1]) if directive else DEFAULT_AGE
    return min(max(age, MIN_AGE), MAX_AGE)
