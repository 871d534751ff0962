"""The clock of the machine jumps, and is set right again, while people log in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jwt_auth import JWTAuth

from authkit.testing import MovableClock, RefusedError, Simulator
from livebed.torture.bed import Bed
from livebed.torture.faulty_site import ProviderSite
from livebed.torture.own_host import quiet
from livebed.torture.rows import Row, Size

__all__ = ["set_clock_wrong"]

JUMPS: Mapping[str, timedelta] = {
    "back by one minute": timedelta(minutes=-1),
    "back by an hour": timedelta(hours=-1),
    "on by a day, and back": timedelta(days=1),
}
MAX_TEXT = 140
"""Characters of a refusal that are shown."""
HARMLESS = timedelta(minutes=2)
"""Tokens have that much leeway, so that clocks that differ by less refuse nobody."""


class JumpingClock(MovableClock):
    """A clock whose time of day may be wrong. What counts durations goes on, as on a machine."""

    wrong_by = timedelta(0)

    def now(self) -> datetime:
        """Return the time of day."""
        return super().now() + self.wrong_by

    def time(self) -> float:
        """Return it as seconds since 1970."""
        return self.now().timestamp()


@dataclass
class Attempts:
    """Logins, and what came of them."""

    granted: int = 0
    refused: list[RefusedError] = field(default_factory=list)

    async def make(self, login: Awaitable[object]) -> None:
        """Make one."""
        try:
            await login
        except RefusedError as error:
            self.refused.append(error)
        else:
            self.granted += 1

    @property
    def unclear(self) -> int:
        """How many refusals were failures of the plugin's own, or have no text."""
        return sum(error.status >= 500 or not error.text for error in self.refused)


def set_clock_wrong(bed: Bed, size: Size) -> Sequence[Row]:
    """Set the clock wrong, log in for `size.count` minutes of it, and set it right: once for each jump.

    A login in a browser lives for five minutes: one that was begun before is to end well after it.
    """
    with quiet():
        return [asyncio.run(jump(name, by, size.count)) for name, by in JUMPS.items()]


async def jump(name: str, by: timedelta, minutes: int) -> Row:
    """Let the clock jump once, and back to where it should be."""
    clock = JumpingClock()
    simulator = Simulator(JWTAuth, clock=clock, blocking_seconds=None)
    async with simulator, AsyncExitStack() as stack:
        site = ProviderSite(simulator, lambda: MovableClock.now(clock).timestamp())
        stack.callback(site.stop)
        await site.configure()
        begun = await site.begin()
        spent = await site.begin()
        await site.come_back(spent)
        meanwhile, strangers, after, twice = Attempts(), Attempts(), Attempts(), Attempts()
        clock.wrong_by = by
        for _ in range(minutes):
            await meanwhile.make(site.log_in())
            await meanwhile.make(site.browse())
            await strangers.make(site.log_in_as_stranger())
            await twice.make(site.come_back(spent))
            await simulator.tick("1m")
        clock.wrong_by = timedelta(0)
        await twice.make(site.come_back(spent))
        for login in (site.come_back(begun), site.log_in(), site.browse(), site.configure()):
            await after.make(login)
        await strangers.make(site.log_in_as_stranger())
    texts = sorted({error.text.partition(" (reference ")[0][:MAX_TEXT] for error in meanwhile.refused})
    harmless = {"logins within the leeway": len(meanwhile.refused)} if abs(by) < HARMLESS else {}
    return Row(
        "logins with tokens, with a browser, and of strangers",
        f"the clock jumps {name}, and is right again after {minutes} min",
        {
            "logins while it is wrong": meanwhile.granted + len(meanwhile.refused),
            "granted": meanwhile.granted,
            **({"refusals": ", ".join(f"`{text}`" for text in texts)} if texts else {}),
            "logins and a write once it is right": f"{after.granted} of {after.granted + len(after.refused)}",
        },
        {
            **harmless,
            "requests refused afterwards": len(after.refused),
            "strangers let in": strangers.granted,
            "states good twice": twice.granted,
            "refusals without a reason": meanwhile.unclear + after.unclear,
        },
    )
