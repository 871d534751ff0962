"""Storage that fails on every n-th call, and storage whose answers are late."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field

from authkit.errors import StorageError
from authkit.testing import RefusedError
from authkit.testing.mounts import MountClient
from livebed.mounts import DEV_ROLE
from livebed.plugins import JWT_LAUNCHER
from livebed.tokens import ISSUER, usual_issuer
from livebed.torture.bed import Bed
from livebed.torture.own_host import OwnHost, quiet
from livebed.torture.rows import Row, Size

__all__ = ["delay_storage", "fail_storage"]

EVERY = (1, 2, 3, 5, 7, 11)
INTERNAL_ERROR = 500
LOGIN_SECONDS = 1.0
"""A login that needs nothing of the late storage takes less."""
CLIENTS = 8


@dataclass
class Failing:
    """Storage of which every n-th call fails. To be awaited before each call."""

    every: int
    calls: int = 0
    failed: int = 0

    async def __call__(self, call: str, key: str) -> None:
        """Let a call through, or fail."""
        self.calls += 1
        if self.calls % self.every == 0:
            self.failed += 1
            raise StorageError("the disk does not answer")


@dataclass
class Operator:
    """Somebody who works on while storage fails, and notes what was promised."""

    host: OwnHost
    mount: MountClient
    answered: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    written: dict[str, int] = field(default_factory=lambda: {"dev": 3600})
    """Roles whose write was answered, and their `token_ttl`."""
    unsure: set[str] = field(default_factory=set)
    """Roles of which a write or a deletion was refused: both is right, but nothing in between."""
    wrong: list[str] = field(default_factory=list)
    """Refusals that say something else than that the server has failed."""
    jwt: str = field(default_factory=lambda: usual_issuer().token(exp=int(time.time()) + 3600), repr=False)

    async def work(self, number: int) -> None:
        """Write a role, log in with it once it is read anew, read it, list all, and delete another one."""
        name = f"role-{number}"
        await self.write(name, number + 60)
        await self.forget(name)
        if name in self.written and name not in self.unsure:
            await self.do("login", self.mount.login(role=name, jwt=self.jwt))
            await self.do("read", self.mount.read(f"role/{name}"))
        # One or two calls: it is not the same call of each round that fails.
        for _ in range(1 + number % 2):
            await self.do("list", self.mount.list("role"))
        if number % 2:
            await self.delete(f"role-{number - 3}")

    async def write(self, name: str, ttl: int) -> None:
        """Write a role."""
        if await self.do("write", self.mount.write(f"role/{name}", {**DEV_ROLE, "token_ttl": ttl})):
            self.written[name] = ttl
        else:
            self.unsure.add(name)

    async def delete(self, name: str) -> None:
        """Delete a role, if it was written."""
        if name not in self.written:
            return
        if await self.do("delete", self.mount.delete(f"role/{name}")):
            del self.written[name]
            self.unsure.discard(name)
        else:
            self.unsure.add(name)

    async def forget(self, name: str) -> None:
        """Have the plugin read a role anew, as after a write on another node."""
        await self.host.backend(self.mount.path).invalidate_key(f"role/{name}")

    async def do(self, what: str, request: Awaitable[object]) -> bool:
        """Make a request; return whether it was served."""
        try:
            await request
        except RefusedError as error:
            self.refused[what] += 1
            if error.status != INTERNAL_ERROR or not error.text:
                self.wrong.append(f"{what}: {error}")
            return False
        self.answered[what] += 1
        return True

    async def count_lost(self) -> Mapping[str, int]:
        """Return what was promised and is not there."""
        there = {
            name: (await self.mount.read(f"role/{name}"))["token_ttl"]
            for name in await self.mount.list("role")
        }
        sure = {name: ttl for name, ttl in self.written.items() if name not in self.unsure}
        torn = [
            name for name in self.unsure & there.keys() if there[name] != int(name.removeprefix("role-")) + 60
        ]
        extra = there.keys() - self.written.keys() - self.unsure
        return {
            "writes lost": sum(there.get(name) != ttl for name, ttl in sure.items()),
            "roles half-written": len(torn),
            "deletions lost": len(extra),
        }


def fail_storage(bed: Bed, size: Size) -> Sequence[Row]:
    """Let every n-th storage call fail for `size.count` rounds of an operator's work, for several n."""
    with quiet():
        return asyncio.run(fail_all(size.count))


async def fail_all(rounds: int) -> Sequence[Row]:
    """Work on one host through all faults."""
    async with OwnHost("jwt_auth", JWT_LAUNCHER) as host:
        return [await fail_every(host, every, rounds) for every in EVERY]


async def fail_every(host: OwnHost, every: int, rounds: int) -> Row:
    """Work on a mount of its own while every n-th call fails."""
    mount = await open_mount(host, f"every-{every}")
    operator, failing, pid = Operator(host, mount), Failing(every), host.pid
    host.gate.before = failing
    try:
        for number in range(rounds):
            await operator.work(number)
    finally:
        host.gate.before = None
    lost = dict(await operator.count_lost())
    is_well = await Operator(host, mount).do("login", mount.login(role="dev", jwt=operator.jwt))
    return Row(
        "role writes, reads, lists, deletions, logins with roles that are read anew",
        f"every {ordinal(every)} storage call fails" if every > 1 else "every storage call fails",
        {
            "storage calls": failing.calls,
            "failed": failing.failed,
            "requests answered": operator.answered.total(),
            "refused": operator.refused.total(),
        },
        {
            **lost,
            "refusals with a wrong status": len(operator.wrong),
            "logins refused afterwards": int(not is_well),
            "process restarts": int(host.pid != pid),
        },
    )


def ordinal(number: int) -> str:
    """Return the number in words of a table."""
    return {2: "2nd", 3: "3rd"}.get(number, f"{number}th")


@dataclass
class Late:
    """Storage whose calls below a prefix take so many seconds."""

    seconds: float
    prefix: str

    async def __call__(self, call: str, key: str) -> None:
        """Let a call through, sooner or later."""
        if key.startswith(self.prefix):
            await asyncio.sleep(self.seconds)


def delay_storage(bed: Bed, size: Size) -> Sequence[Row]:
    """Let one mount's storage take `size.seconds` for each call, while others work."""
    with quiet():
        return [asyncio.run(delay_one(size.seconds))]


async def delay_one(seconds: float) -> Row:
    """Log in at a mount whose storage is late, with a role in memory and one that is not, and elsewhere."""
    async with OwnHost("jwt_auth", JWT_LAUNCHER) as host:
        late, other = await open_mount(host, "late"), await open_mount(host, "other")
        await late.write("role/cold", DEV_ROLE)
        await host.backend("late").invalidate_key("role/cold")
        jwt = usual_issuer().token(exp=int(time.time()) + 3600)
        for mount in (late, other):
            await mount.login(role="dev", jwt=jwt)
        host.gate.before = Late(seconds, host.storage_prefix("late"))
        waiting = [asyncio.create_task(timed(late.login(role="cold", jwt=jwt))) for _ in range(CLIENTS)]
        gone = asyncio.create_task(timed(late.write("role/gone", DEV_ROLE)))
        await asyncio.sleep(0)
        warm, elsewhere, until = [], [], time.monotonic() + seconds
        while time.monotonic() < until:
            warm.append(await timed(late.login(role="dev", jwt=jwt)))
            elsewhere.append(await timed(other.login(role="dev", jwt=jwt)))
        gone.cancel()
        cold = await asyncio.gather(*waiting)
        host.gate.before = None
        await asyncio.gather(gone, return_exceptions=True)
        after = await timed(late.login(role="cold", jwt=jwt))
    return Row(
        f"{CLIENTS} logins with a role that has to be read; others meanwhile with roles in memory, at this "
        "mount and at another",
        f"each storage call of one mount takes {seconds:g} s",
        {
            "logins meanwhile": len(warm) + len(elsewhere),
            "slowest with a role in memory, s": round(max(warm), 2),
            "slowest at the other mount, s": round(max(elsewhere), 2),
            "slowest that has to read, s": round(max(cold), 2),
            "login afterwards, s": round(after, 2),
        },
        {
            "logins held up without need": sum(each > LOGIN_SECONDS for each in (*warm, *elsewhere)),
            "logins refused": 0,  # `timed` raises for one that is
        },
    )


async def timed(request: Awaitable[object]) -> float:
    """Return how many seconds a request takes that must be served."""
    began = time.monotonic()
    await request
    return time.monotonic() - began


async def open_mount(host: OwnHost, path: str) -> MountClient:
    """Mount the plugin with a key and the role `dev`."""
    mount = await host.enable(path)
    await mount.write("config", jwt_validation_pubkeys=usual_issuer().public_pem, bound_issuer=ISSUER)
    await mount.write("role/dev", DEV_ROLE)
    return mount
