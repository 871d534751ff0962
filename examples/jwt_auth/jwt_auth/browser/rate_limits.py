"""How often strangers can make a mount ask its provider, with the client's own credentials.

Anybody can begin a login and come back with a code that they made up; each costs a request to the provider,
whose own limits would then stop everybody. So failures are bounded per mount and per address; a login that
succeeds costs nothing. Addresses from which somebody has logged in have a budget of their own, which
strangers cannot use up, from however many addresses they come.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from cachetools import LRUCache, TTLCache

from authkit import TooManyRequestsError, Value

__all__ = ["DEVICES", "LOGINS", "POLLS", "Allowance", "Asked", "KnownAddresses", "Limit", "Share"]

MAX_ADDRESSES: Final = 10_000
"""Addresses in memory; then the one unused for longest is forgotten, and has its whole share again."""

KNOWN_SECONDS: Final = 14 * 86400.0
"""For how long an address is known after a login: longer than a weekend, and than holidays."""

IPV6_PREFIX: Final = 56
"""Bits of an IPv6 address that count: with fewer, one subscriber has the shares of many (RFC 6177 has sites
given between 48 and 56)."""

WAIT_SECONDS: Final = 5.0
"""For how long a login waits while those before it are under way."""

MAX_WAITING: Final = 200
MAX_WAITING_OF_ADDRESS: Final = 100
"""Logins that wait, of one mount (once for strangers, once for known addresses) and of one address; more are
refused at once."""

NAT64: Final = ip_network("64:ff9b::/96")
"""Below it stand all IPv4 addresses, for servers that have IPv6 alone (RFC 6052)."""

TEXT: Final = "too many logins that have failed or are under way, try again in a minute"


class Limit(Value, frozen=True, kw_only=True):
    """How often something may happen."""

    rate: float
    """Times a second, sustained;"""
    burst: int
    """times at a stretch, after a pause;"""
    at_once: int
    """times at the same moment."""


class Share(Value, frozen=True):
    """What there is of one kind of request."""

    mount: Limit
    """For all addresses together; once for strangers, and once for known addresses."""
    address: Limit
    """For each address."""


# With both halves of a mount in use, LOGINS and POLLS make 28 requests a second to a token endpoint.
# The lowest limit of a known provider is Okta's, 2,000 a minute for an organisation.
LOGINS: Final = Share(
    Limit(rate=8, burst=100, at_once=12),
    Limit(rate=1, burst=20, at_once=6),
)
"""Logins that end with a code: only those that fail count."""

DEVICES: Final = Share(
    Limit(rate=2, burst=40, at_once=8),
    Limit(rate=0.5, burst=20, at_once=2),
)
"""Logins on devices that begin. All of them count: nobody has shown anything yet."""

POLLS: Final = Share(
    Limit(rate=6, burst=100, at_once=8),
    Limit(rate=2, burst=40, at_once=2),
)
"""Questions about logins on devices: ten people behind one address, at the usual interval."""


class KnownAddresses:
    """The addresses from which somebody has logged in."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._known: TTLCache[str, bool] = TTLCache(MAX_ADDRESSES, KNOWN_SECONDS, timer=clock)

    def add(self, network: str) -> None:
        """Remember one."""
        self._known[network] = True

    def __contains__(self, network: str) -> bool:
        return network in self._known


class Asked:
    """A request under way."""

    is_good = False
    """Set by whoever asks, once somebody has logged in by it."""


class Allowance:
    """One kind of request to the provider of one mount.

    Args:
        share: how much of it there is.
        known: from where somebody has logged in.
    """

    def __init__(
        self, share: Share, known: KnownAddresses, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._address = share.address
        self._known = known
        self._clock = clock
        self._pools = {is_known: _Bucket(share.mount, clock()) for is_known in (False, True)}
        self._own: LRUCache[str, _Bucket] = LRUCache(MAX_ADDRESSES)
        self._waiting: dict[bool, Counter[str]] = {is_known: Counter() for is_known in (False, True)}
        self._left = asyncio.Event()

    async def wait(self, address: str) -> None:
        """Return once there is a place for somebody at this address, or after `WAIT_SECONDS` without one.

        People behind one address come at the same moment. Call `ask` at once after this returns.
        """
        network = _network_of(address)
        waiting = self._waiting[network in self._known]
        if waiting.total() >= MAX_WAITING or waiting[network] >= MAX_WAITING_OF_ADDRESS:
            return
        waiting[network] += 1
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while any(bucket.is_full for bucket in self._buckets_of(address)):
                    self._left.clear()
                    await self._left.wait()
        except TimeoutError:
            return
        finally:
            waiting[network] -= 1
            if not waiting[network]:
                del waiting[network]

    @contextmanager
    def ask(self, address: str) -> Iterator[Asked]:
        """Have a request made for somebody at this address, empty when it is not known.

        It counts unless it turns out to be good.

        Raises:
            TooManyRequestsError: the address, or the mount, has used its share.
        """
        now, buckets = self._clock(), self._buckets_of(address)
        if not all(bucket.has_room(now) for bucket in buckets):
            raise TooManyRequestsError(TEXT)
        for bucket in buckets:
            bucket.take()
        asked = Asked()
        try:
            yield asked
        finally:
            for bucket in buckets:
                bucket.leave(asked.is_good)
            self._left.set()
            if asked.is_good:
                self.welcome(address)

    def _buckets_of(self, address: str) -> Sequence[_Bucket]:
        network = _network_of(address)
        own = self._own.get(network)
        if own is None:
            own = self._own[network] = _Bucket(self._address, self._clock())
        return own, self._pools[network in self._known]

    def welcome(self, address: str) -> None:
        """Remember that somebody has logged in from there. An account at the provider is not enough."""
        self._known.add(_network_of(address))


class _Bucket:
    """A token bucket that also counts who is in it."""

    def __init__(self, limit: Limit, now: float) -> None:
        self._limit = limit
        self._left = float(limit.burst)
        self._filled = now
        self._inside = 0

    @property
    def is_full(self) -> bool:
        """Whether all who may be in it at the same moment are."""
        return self._inside >= self._limit.at_once

    def has_room(self, now: float) -> bool:
        """Whether another one may come; fills it first."""
        self._left = min(self._limit.burst, self._left + (now - self._filled) * self._limit.rate)
        self._filled = now
        return self._left >= 1 and not self.is_full

    def take(self) -> None:
        """Let one in."""
        self._left -= 1
        self._inside += 1

    def leave(self, is_free: bool) -> None:
        """Let one out; what was free is given back."""
        self._inside -= 1
        if is_free:
            self._left = min(self._limit.burst, self._left + 1)


def _network_of(address: str) -> str:
    """Return what stands for all addresses of one subscriber."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    # A proxy that listens for both kinds writes ::ffff:192.0.2.1: the first bits say nothing then.
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    if parsed in NAT64:
        return str(IPv4Address(int(parsed) & 0xFFFFFFFF))
    return str(ip_network((parsed, IPV6_PREFIX), strict=False))
