"""The addresses of a provider's hosts, looked up so that one slow name delays no other.

`getaddrinfo` waits as long as the system's settings say, easily half a minute, and cannot be cancelled.
Here each name is looked up once however many wait for it, each provider has a few threads for that, and
what does not come in time is refused at once from then on. Connecting: see `authkit.oidc.http.transport`.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from collections.abc import Sequence
from functools import partial

from cachetools import TTLCache

from authkit.threads import Threads, ThreadsBusyError

__all__ = ["MAX_NAMES_AT_ONCE", "Resolver"]

LOOKUP_TIMEOUT = 5.0
"""Seconds that a login waits for a name; that is the first timeout of resolv.conf(5) as well."""

MAX_NAMES_AT_ONCE = 4
"""Names of one provider that are looked up at once: more than one provider's endpoints have hosts."""

KEPT_SECONDS = 5.0
"""For how long an address is used again. The records' own lifetime is not known here; logins come in
bursts, and a service that moves serves its old address for longer than this."""

MAX_NAMES = 64
"""Remembered names. A provider's documents choose them."""

MAX_ADDRESSES = 8
"""Addresses of one name that are tried: all of them share the time for a connection."""


class Resolver:
    """Looks up the names of one provider. For one event loop."""

    def __init__(self) -> None:
        self._threads = Threads(MAX_NAMES_AT_ONCE)
        self._known: TTLCache[str, Sequence[str]] = TTLCache(MAX_NAMES, KEPT_SECONDS, time.monotonic)
        self._asked: dict[str, tuple[asyncio.Future[Sequence[str]], float]] = {}

    async def resolve(self, host: str) -> Sequence[str]:
        """Return the addresses of a host, in the order in which to try them; an address is its own.

        Raises:
            OSError: there are none, they did not come in time, or too many names are being looked up.
        """
        if _is_address(host):
            return [host]
        known = self._known.get(host)
        if known is not None:
            return known
        future, deadline = self._ask(host)
        # Not `await future`: others wait for it too, and it cannot be cancelled anyway.
        left = deadline - asyncio.get_running_loop().time()
        if left > 0:
            await asyncio.wait([future], timeout=left)
        if not future.done():
            raise OSError(f"looking up the name of the host takes longer than {LOOKUP_TIMEOUT:g} s")
        return future.result()

    def _ask(self, host: str) -> tuple[asyncio.Future[Sequence[str]], float]:
        if host not in self._asked:
            try:
                future = self._threads.start(partial(_look_up, host))
            except ThreadsBusyError as error:
                raise OSError("too many names of this provider are being looked up") from error
            self._asked[host] = future, asyncio.get_running_loop().time() + LOOKUP_TIMEOUT
            future.add_done_callback(partial(self._note, host))
        return self._asked[host]

    def _note(self, host: str, future: asyncio.Future[Sequence[str]]) -> None:
        del self._asked[host]
        if not future.cancelled() and future.exception() is None:
            self._known[host] = future.result()


def _look_up(host: str) -> Sequence[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    # A label that is too long.
    except UnicodeError:
        raise OSError("the name of the host cannot be looked up") from None
    # An address with a scope belongs to a link of this machine: no provider is there.
    addresses = [str(address[0]) for *_, address in found if len(address) < 4 or not address[3]]
    if not addresses:
        raise OSError("the name of the host has no address")
    return _alternate(addresses)[:MAX_ADDRESSES]


def _alternate(addresses: Sequence[str]) -> list[str]:
    """Return them with the two families in turn (RFC 8305 section 4), the first one's first."""
    is_first_v6 = ":" in addresses[0]
    first = [each for each in dict.fromkeys(addresses) if (":" in each) is is_first_v6]
    second = [each for each in dict.fromkeys(addresses) if (":" in each) is not is_first_v6]
    both = [each for pair in zip(first, second, strict=False) for each in pair]
    return both + first[len(second) :] + second[len(first) :]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
