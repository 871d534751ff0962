"""A hundred thousand browser logins that nobody ends, and ten thousand roles that hold secrets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from authkit.errors import AuthKitError
from authkit.host.store.plugins import MountedBackend
from authkit.logical import Connection, Operation, Request, Response
from authkit.testing.mounts import MountClient
from livebed.bench.bed import PLAIN
from livebed.plugins import JWT_LAUNCHER
from livebed.processes import resident_kib
from livebed.torture.bed import Bed
from livebed.torture.faulty_site import CALLBACK, ProviderSite
from livebed.torture.own_host import OwnHost, quiet
from livebed.torture.rows import Row, Size
from livebed.torture.steady import MIN_REQUESTS, Sampler, describe, draw, find_growth

__all__ = ["begin_browser_logins", "keep_secrets"]

SAMPLES = 100
OLD_EVERY = 25
"""Roles of which the PIN before is tried."""
ROUNDS = 3
"""How often each role is written: its secret is another one each time."""


def begin_browser_logins(bed: Bed, size: Size) -> Sequence[Row]:
    """Begin `size.count` browser logins from `size.clients`, and end none of them; stop at `size.limit`."""
    with quiet():
        return [asyncio.run(begin_many(bed, size))]


async def begin_many(bed: Bed, size: Size) -> Row:
    """Begin them at one mount, where somebody else logs in now and then, from begin to end."""
    async with OwnHost("jwt_auth", JWT_LAUNCHER, works_by_itself=True) as host:
        with ExitStack() as stack:
            site = ProviderSite(host, time.time)
            stack.callback(site.stop)
            await site.configure()
            backend, sampler = host.backend(site.mount.path), Sampler(host.pid)
            until = time.monotonic() + size.limit
            refused, honest, begun = 0, 0, await site.begin()
            step = max(size.count // SAMPLES, MIN_REQUESTS)
            while sampler.done < size.count and time.monotonic() < until:
                refused += await begin_some(backend, sampler, step, size.clients)
                sampler.take()
                await site.come_back(begun)  # raises if the other logins have displaced this one
                honest, begun = honest + 1, await site.begin()
            stored = await host.core.state.physical.keys(host.storage_prefix(site.mount.path))
    bed.curves += draw("browser-logins", "logins begun", sampler.samples)
    return Row(
        f"{size.clients} clients begin logins with a browser; somebody else logs in now and then",
        "strangers who never come back",
        {
            "logins begun": sampler.done - refused,
            "of": size.count,
            "refused": refused,
            "logins of somebody else": honest,
            "stored entries": len(stored),
            **describe(sampler.samples),
        },
        {"logins of somebody else": 0, **find_growth(sampler.samples)},
    )


async def begin_some(backend: MountedBackend, sampler: Sampler, count: int, clients: int) -> int:
    """Begin so many logins; return how many were refused."""
    numbers, refused = iter(range(count)), 0

    async def work() -> None:
        nonlocal refused
        for number in numbers:
            body = {"role": "web", "redirect_uri": CALLBACK, "client_nonce": f"nonce-{number}"}
            began = time.perf_counter()
            answer = await send(backend, "oidc/auth_url", body)
            sampler.times.append(time.perf_counter() - began)
            refused += not (answer and answer.data and answer.data.get("auth_url"))

    await asyncio.gather(*(work() for _ in range(clients)))
    return refused


def keep_secrets(bed: Bed, size: Size) -> Sequence[Row]:
    """Write `size.count` roles with secrets again and again from `size.clients`, and log in with each.

    What does not come to an end within `size.limit` seconds ends there.
    """
    with quiet():
        return [asyncio.run(keep_many(bed, size))]


@dataclass
class Teams:
    """Roles of one mount, each with a PIN that changes."""

    mount: MountClient
    backend: MountedBackend
    sampler: Sampler
    failed: int = 0
    old: int = 0
    """Logins with a PIN that was replaced."""

    async def change(self, numbers: Iterator[int], turn: int) -> None:
        """Give each role the PIN of this turn, and log in with it."""
        for number in numbers:
            name = f"team-{number}"
            await self.mount.write(f"role/{name}", pin=f"pin-{turn}-{number}", token_type="batch")
            began = time.perf_counter()
            self.failed += not await log_in(self.backend, name, f"pin-{turn}-{number}")
            self.sampler.times.append(time.perf_counter() - began)
            if number % OLD_EVERY == 0:
                self.old += await log_in(self.backend, name, f"pin-{turn - 1}-{number}")


async def keep_many(bed: Bed, size: Size) -> Row:
    """Give each role of one mount another secret in each round."""
    step, until = max(ROUNDS * size.count // SAMPLES, size.clients), time.monotonic() + size.limit
    async with OwnHost("shared_pin", PLAIN.read_text(), works_by_itself=True) as host:
        mount = await host.enable("pins")
        teams = Teams(mount, host.backend("pins"), Sampler(host.pid))
        samples = teams.sampler.samples
        at_first = resident_kib(host.pid) / 1024
        after_first = 0.0
        for turn in range(ROUNDS):
            for first in range(0, size.count, step):
                if time.monotonic() < until:
                    numbers = iter(range(first, min(first + step, size.count)))
                    await asyncio.gather(*(teams.change(numbers, turn) for _ in range(size.clients)))
                    teams.sampler.take()
            after_first = after_first or samples[-1].mib
    bed.curves += draw("secrets", "roles written", samples)
    return Row(
        f"{size.count:,} roles that hold a secret, written {ROUNDS} times, and a login after each write",
        "many secrets in one process",
        {
            "writes and logins": teams.sampler.done,
            "of": ROUNDS * size.count,
            "MiB for all roles": round(after_first - at_first, 1),
            **describe(samples),
        },
        {"logins": teams.failed, "logins with an old secret": teams.old, **find_growth(samples)},
    )


async def log_in(backend: MountedBackend, role: str, pin: str) -> bool:
    """Log in with a PIN; return whether it was granted."""
    answer = await send(backend, "login", {"role": role, "member": "ann", "pin": pin})
    return answer is not None and answer.auth is not None


async def send(backend: MountedBackend, path: str, body: dict[str, str]) -> Response | None:
    """Send what a stranger sends; return the answer, `None` for a refusal."""
    request = Request(
        operation=Operation.UPDATE,
        path=path,
        id="one",
        data=body,
        has_data=True,
        connection=Connection(remote_addr="127.0.0.1"),
        unauthenticated=True,
    )
    try:
        return await backend.handle_request(request)
    except AuthKitError:
        return None
