"""A million logins and ten thousand configuration writes over twenty mounts in one process.

Nothing may grow. A run is not resumed half-way: what is shown is one process from its start.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from authkit.errors import AuthKitError, UnsupportedPathError
from authkit.host.store.plugins import MountedBackend
from authkit.logical import Connection, Operation, Request
from authkit.testing.mounts import MountClient
from livebed.mounts import DEV_ROLE
from livebed.plugins import JWT_LAUNCHER
from livebed.tokens import ISSUER, Issuer
from livebed.torture.bed import Bed
from livebed.torture.own_host import OwnHost, quiet
from livebed.torture.rows import Row, Size
from livebed.torture.steady import MIN_REQUESTS, Sampler, describe, draw, find_growth

__all__ = ["soak"]

MOUNTS = 20
TOKENS = 500
"""Different tokens of different users, in turn."""
SAMPLES = 60
LOGINS_PER_WRITE = 100
LOGINS_PER_STRANGER = 50
"""Every so many logins have a token for another audience."""
TOKEN_SECONDS = 24 * 3600


@dataclass
class Load:
    """What is sent to the mounts of a host."""

    mounts: Sequence[MountClient]
    backends: Sequence[MountedBackend]
    issuer: Issuer
    tokens: Sequence[str] = field(repr=False)
    strange: str = field(repr=False)
    sampler: Sampler
    count: int
    """Logins in all."""
    limit: float
    """A load that takes longer ends, and says how far it came."""
    failed: int = 0
    let_in: int = 0
    writes: int = 0

    def __post_init__(self) -> None:
        self.until = time.monotonic() + self.limit
        self.next_sample = time.monotonic() + self.limit / SAMPLES

    async def run(self, clients: int) -> None:
        """Send everything from so many clients, and take samples."""
        numbers = iter(range(1, self.count + 1))
        await asyncio.gather(*(self._work(numbers) for _ in range(clients)))
        if len(self.sampler.times) > 1:
            self.sampler.take()

    async def _work(self, numbers: Iterator[int]) -> None:
        for number in numbers:
            if time.monotonic() > self.until:
                return
            if number % LOGINS_PER_WRITE == 0:
                await self._write(number)
            if number % LOGINS_PER_STRANGER == 0:
                self.let_in += await self._log_in(number, self.strange)
            began = time.perf_counter()
            self.failed += not await self._log_in(number, self.tokens[number % TOKENS])
            self.sampler.times.append(time.perf_counter() - began)
            if (
                len(self.sampler.times) >= max(self.count // SAMPLES, MIN_REQUESTS)
                or time.monotonic() > self.next_sample
            ):
                self.sampler.take()
                self.next_sample = time.monotonic() + self.limit / SAMPLES

    async def _log_in(self, number: int, jwt: str) -> bool:
        """Make the calls of a host for a login with a batch token; return whether it was granted."""
        backend = self.backends[number % len(self.backends)]
        request = Request(
            operation=Operation.UPDATE,
            path="login",
            id=f"request-{number}",
            data={"role": "dev", "jwt": jwt},
            has_data=True,
            connection=Connection(remote_addr="127.0.0.1"),
            unauthenticated=True,
        )
        try:
            with suppress(UnsupportedPathError):
                await backend.handle_existence_check(request)
            response = await backend.handle_request(request)
        except AuthKitError:
            return False
        return response is not None and response.auth is not None

    async def _write(self, number: int) -> None:
        """Write the configuration of a mount, a little different each time."""
        mount = self.mounts[number // LOGINS_PER_WRITE % len(self.mounts)]
        await configure(mount, self.issuer, supported=number % 2)
        self.writes += 1


def soak(bed: Bed, size: Size) -> Sequence[Row]:
    """Log in `size.count` times from `size.clients`, and write configurations; stop at `size.limit`."""
    with quiet():
        return [asyncio.run(soak_one(bed, size))]


async def soak_one(bed: Bed, size: Size) -> Row:
    """Soak one process."""
    issuer, end = Issuer.ec(), int(time.time()) + TOKEN_SECONDS
    async with OwnHost("jwt_auth", JWT_LAUNCHER, works_by_itself=True) as host:
        mounts = [await host.enable(f"m{number}") for number in range(MOUNTS)]
        for mount in mounts:
            await configure(mount, issuer)
            await mount.write("role/dev", {**DEV_ROLE, "token_type": "batch"})
        load = Load(
            mounts,
            [host.backend(mount.path) for mount in mounts],
            issuer,
            [issuer.token(sub=f"user-{number}", exp=end) for number in range(TOKENS)],
            issuer.token(aud="somebody", exp=end),
            Sampler(host.pid),
            size.count,
            size.limit,
        )
        began = time.monotonic()
        await load.run(size.clients)
        seconds = time.monotonic() - began
    samples = load.sampler.samples
    bed.curves += draw("soak", "logins", samples)
    return Row(
        f"{size.clients} clients log in over {MOUNTS} mounts of one process for {seconds:.0f} s, through its "
        "socket, TLS and gRPC",
        "nothing but time",
        {
            "logins": load.sampler.done,
            "of": size.count,
            "logins/s": round(load.sampler.done / seconds),
            "configuration writes": load.writes,
            **describe(samples),
        },
        {"logins": load.failed, "strangers let in": load.let_in, **find_growth(samples)},
    )


async def configure(mount: MountClient, issuer: Issuer, *, supported: int = 0) -> None:
    """Write the configuration of a mount."""
    algorithms = ["ES256", "RS256"][: supported + 1]
    await mount.write(
        "config", jwt_validation_pubkeys=issuer.public_pem, bound_issuer=ISSUER, jwt_supported_algs=algorithms
    )
