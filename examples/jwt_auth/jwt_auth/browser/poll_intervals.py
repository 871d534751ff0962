"""How often a login on a device asks the provider (RFC 8628 section 3.5), whatever its client does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from cachetools import TTLCache

from jwt_auth.browser.pending import LIFETIME_SECONDS

__all__ = ["DEFAULT_SECONDS", "PollIntervals"]

MAX_KNOWN: Final = 10_000
"""Logins in memory, more than can begin in ten minutes; one that is not there has the default interval."""

DEFAULT_SECONDS: Final = 5
"""Between two requests where the provider does not say (RFC 8628 section 3.2)."""

SLOW_DOWN_SECONDS: Final = 5
"""How much longer the interval is after each `slow_down` of the provider (RFC 8628 section 3.5)."""

MAX_SECONDS: Final = 60
"""The longest interval: a login lasts ten minutes."""

EARLY: Final = 0.9
"""Part of the interval after which a client is not too early: clocks and networks are not exact."""


class LoginPendingError(Exception):
    """The login has not ended yet. The text is the OAuth code: continue polling, or poll less often."""


class PollIntervals:
    """The intervals of the logins of one mount.

    Args:
        clock: seconds since some moment.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: TTLCache[bytes, tuple[float, float]] = TTLCache(MAX_KNOWN, LIFETIME_SECONDS, timer=clock)

    def begin(self, login: bytes, interval: int) -> None:
        """Remember the interval that the provider asks for; the first request may come at once."""
        self._known[login] = (min(interval, MAX_SECONDS), self._clock())

    def is_due(self, login: bytes) -> bool:
        """Return whether the provider may be asked now. A true answer counts as a request."""
        interval, due = self._known.get(login, (DEFAULT_SECONDS, self._clock()))
        if self._clock() < due:
            return False
        self._known[login] = (interval, self._clock() + interval * EARLY)
        return True

    def slow_down(self, login: bytes) -> None:
        """Ask less often from now on: the provider says so."""
        interval, _ = self._known.get(login, (DEFAULT_SECONDS, 0.0))
        longer = min(interval + SLOW_DOWN_SECONDS, MAX_SECONDS)
        self._known[login] = (longer, self._clock() + longer * EARLY)
