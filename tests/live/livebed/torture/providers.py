"""An identity provider that fails for an hour: what happens to logins, and how soon all is well again."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from jwt_auth import JWTAuth

from authkit.testing import RealServer, RefusedError, Simulator
from livebed.torture.bed import Bed
from livebed.torture.faulty_site import ProviderSite
from livebed.torture.moved_time import MovedClock, MovedLoop, run_moved
from livebed.torture.own_host import quiet
from livebed.torture.rows import Row, Size

__all__ = ["fail_for_an_hour", "fail_on_a_server"]

MAX_TEXT = 140
"""Characters of a refusal that are shown."""
STEP_SECONDS = 15.0
BROWSER_EVERY = 4
"""Steps between two logins with a browser, and between two rounds of the host's periodic work."""
RECOVERY_SECONDS = 310.0
"""A provider that has failed for long is asked again every five minutes."""

FAULTS: Mapping[str, Callable[[ProviderSite], None]] = {
    "down": ProviderSite.stop,
    "slow: no answer in two minutes": ProviderSite.be_slow,
    "a certificate that has expired": ProviderSite.expire,
    "half-written answers": ProviderSite.write_half,
    "new keys every second": ProviderSite.roll_keys,
    "its clock ten minutes ahead": lambda site: site.shift(600.0),
    "its clock ten minutes behind": lambda site: site.shift(-600.0),
}
SLOW = "slow: no answer in two minutes"
KEYS_STAY = ("down", SLOW, "a certificate that has expired", "half-written answers")
"""Faults that must not touch anybody whose key is known."""

T = TypeVar("T")


class Time(Protocol):
    """How time passes for a site."""

    def time(self) -> float:
        """Return seconds since 1970."""
        ...

    async def wait_for(self, request: Coroutine[Any, Any, T]) -> tuple[T, float]:
        """Return what a request returns, and how many seconds it took."""
        ...


class RealTime:
    """The machine's."""

    time = staticmethod(time.time)

    async def wait_for(self, request: Coroutine[Any, Any, T]) -> tuple[T, float]:
        """Return what a request returns, and how many seconds it took."""
        began = time.monotonic()
        return await request, time.monotonic() - began


@dataclass
class Tally:
    """What came of the logins of a site."""

    clock: Time
    granted: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    texts: Counter[str] = field(default_factory=Counter)
    """Of the refusals of those who should get in."""
    slowest: float = 0.0
    unclear: int = 0
    """Refusals without a text, or as errors of the plugin's own."""

    async def attempt(self, kind: str, login: Coroutine[Any, Any, object]) -> bool:
        """Make a login; return whether it was granted."""
        began = self.clock.time()
        try:
            _, seconds = await self.clock.wait_for(login)
        except RefusedError as error:
            seconds = self.clock.time() - began
            self.refused[kind] += 1
            self.unclear += error.status >= 500 or not error.text
            if kind != "strangers":
                self.texts[error.text.partition(" (reference ")[0][:MAX_TEXT]] += 1
            is_granted = False
        else:
            self.granted[kind] += 1
            is_granted = True
        self.slowest = max(self.slowest, seconds)
        return is_granted

    def rates(self) -> dict[str, str]:
        """Return how many of each kind were granted."""
        return {
            kind: f"{self.granted[kind]} of {self.granted[kind] + self.refused[kind]}"
            for kind in ("tokens", "browsers", "strangers")
        }


def fail_for_an_hour(bed: Bed, size: Size) -> Sequence[Row]:
    """Let each fault last for `size.seconds` of a clock that is moved, in the simulator."""
    with quiet():
        return [spend(fault, size.seconds) for fault in FAULTS]


def spend(fault: str, seconds: float) -> Row:
    """Spend the hour of one fault."""
    loop = MovedLoop()
    clock = MovedClock(loop)
    return run_moved(suffer(fault, seconds, clock), loop)


async def suffer(fault: str, seconds: float, clock: MovedClock) -> Row:
    """Log in all the time while the provider has the fault, and after it."""
    simulator = Simulator(JWTAuth, clock=clock, blocking_seconds=None)
    async with simulator, AsyncExitStack() as stack:
        site = ProviderSite(simulator, clock.time)
        stack.callback(site.stop)
        await site.configure()
        tally, steps = Tally(clock), int(seconds / STEP_SECONDS)
        await site.log_in()
        await site.browse()
        asked = len(site.provider.fetches)
        FAULTS[fault](site)
        for step in range(steps):
            await clock.advance(STEP_SECONDS)
            await make_logins(site, tally, with_browser=step % BROWSER_EVERY == 0)
            if step % BROWSER_EVERY == 0:
                await simulator.core.run_due_work()
        asked = len(site.provider.fetches) - asked
        site.recover()
        healed = clock.time()
        while not await is_well(site, clock) and clock.time() < healed + RECOVERY_SECONDS:
            await clock.advance(STEP_SECONDS)
        is_lost = clock.time() >= healed + RECOVERY_SECONDS
        seen = {"requests to the provider": asked, "well again after, s": round(clock.time() - healed)}
        lasted = f"for {seconds / 60:.0f} min of simulated clock"
        return report(fault, lasted, tally, seen, {"not well again": int(is_lost)})


def fail_on_a_server(bed: Bed, size: Size) -> Sequence[Row]:
    """Let each fault last for `size.count` rounds of logins on a real server, all of them at the same time.

    All but the slow provider, for which tests/live/test_jwt_faults.py and test_oidc_faults.py wait.
    """
    with quiet():
        return asyncio.run(suffer_together(bed, size.count))


async def suffer_together(bed: Bed, rounds: int) -> Sequence[Row]:
    """Mount the plugin once for each fault."""
    async with RealServer(JWTAuth, bed.program.path) as server, AsyncExitStack() as stack:
        sites = {}
        for number, fault in enumerate(fault for fault in FAULTS if fault != SLOW):
            sites[fault] = ProviderSite(server, time.time, path=f"f{number}")
            stack.callback(sites[fault].stop)
            await sites[fault].configure()
            await sites[fault].log_in()
            await sites[fault].browse()
        work = [suffer_for_real(fault, site, rounds) for fault, site in sites.items()]
        return await asyncio.gather(*work)


async def suffer_for_real(fault: str, site: ProviderSite, rounds: int) -> Row:
    """Log in some times while the provider has the fault."""
    tally = Tally(RealTime())
    FAULTS[fault](site)
    for _ in range(rounds):
        await make_logins(site, tally, with_browser=True)
    return report(fault, f"for {rounds} rounds on a real server", tally, {}, {})


async def make_logins(site: ProviderSite, tally: Tally, *, with_browser: bool) -> None:
    """Log in with a token of the provider, with one of a stranger, and perhaps with a browser."""
    await tally.attempt("tokens", site.log_in())
    await tally.attempt("strangers", site.log_in_as_stranger())
    if with_browser:
        await tally.attempt("browsers", site.browse())


async def is_well(site: ProviderSite, clock: MovedClock) -> bool:
    """Whether all logins are granted that should be."""
    tally = Tally(clock)
    return await tally.attempt("tokens", site.log_in()) and await tally.attempt("browsers", site.browse())


def report(fault: str, lasted: str, tally: Tally, seen: Mapping[str, float], lost: Mapping[str, int]) -> Row:
    """Return the row of a fault."""
    texts = ", ".join(f"`{text}`" for text, _ in tally.texts.most_common(2))
    kept = {"logins with known keys": tally.refused["tokens"]} if fault in KEYS_STAY else {}
    return Row(
        "logins with tokens, with a browser, and of strangers",
        f"provider: {fault}, {lasted}",
        {
            **{f"{kind} let in": rate for kind, rate in tally.rates().items()},
            "slowest answer, s": round(tally.slowest, 1),
            **seen,
            **({"refusals": texts} if texts else {}),
        },
        {
            **kept,
            "strangers let in": tally.granted["strangers"],
            "refusals without a reason": tally.unclear,
            **lost,
        },
    )
