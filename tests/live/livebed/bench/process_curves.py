"""Growth in this process: the messages of a warm login, bytes in and bytes out, without sockets and TLS.

What is measured is CPU time of the plugin's own code. All points of a curve stand ready before the first is
measured, and take turns: a machine that others use is faster in one minute and slower in the next.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from identity_provider import serve_provider
from jwt_auth import JWTAuth
from recorded_login import RecordedLogin, record

from authkit import Secret
from authkit.framework.stored.store import MAX_CACHED_OBJECTS
from authkit.testing import RefusedError, Simulator
from livebed.bench.curves import Curve, choose_points
from livebed.bench.growing_tokens import grouped_token, lasting_token, padded_token, signers
from livebed.mounts import DEV_ROLE
from livebed.tokens import ISSUER, Issuer, usual_issuer

__all__ = ["PROCESS_CURVES", "measure_in_process"]

BEST_OF = 7
LOGINS = 200
SIGNERS_IN_TURN = 16
ROLE = "role-000000"

kept_secrets: list[Secret] = []


@dataclass(frozen=True)
class Prepared:
    """One point of a curve, ready to be measured."""

    logins: Mapping[str, Sequence[RecordedLogin]]
    """By what is special about them; empty for usual logins."""
    enter: Callable[[], None] = lambda: None
    """Called before each round of this point."""


@asynccontextmanager
async def simulated(**config: object) -> AsyncIterator[Simulator]:
    """Yield a mount with this configuration, by default the usual key, and the role `dev`."""
    async with Simulator(JWTAuth) as vault:
        usual = {"jwt_validation_pubkeys": usual_issuer().public_pem, "bound_issuer": ISSUER}
        await vault.write("config", config or usual)
        await vault.write("role/dev", DEV_ROLE)
        yield vault


async def recorded(vault: Simulator, token: str, role: str = "dev") -> RecordedLogin:
    """Log in until everything is in memory, and return the messages of the last login."""
    await vault.login(role=role, jwt=token)
    with record() as login:
        await vault.login(role=role, jwt=token)
    return login


async def refused(vault: Simulator, token: str) -> RecordedLogin:
    """Return the messages of a login that must be refused."""
    with record() as login:
        try:
            await vault.login(role="dev", jwt=token)
        except RefusedError:
            return login
    raise AssertionError("the login was not refused")


@asynccontextmanager
async def live_secrets(count: int) -> AsyncIterator[Prepared]:
    """Log in, and be refused, while so many other secrets live in the process."""
    async with simulated() as vault:
        allowed = await recorded(vault, lasting_token(usual_issuer()))
        denied = await refused(vault, lasting_token(usual_issuer(), aud="somebody"))
        yield Prepared({"": [allowed], "refused": [denied]}, lambda: keep_secrets(count))
    keep_secrets(0)


def keep_secrets(count: int) -> None:
    """Let so many secrets live."""
    del kept_secrets[count:]
    kept_secrets.extend(Secret(f"secret-{secrets.token_hex(12)}") for _ in range(count - len(kept_secrets)))


@asynccontextmanager
async def roles(count: int) -> AsyncIterator[Prepared]:
    """Log in with roles chosen at random."""
    chooser = random.Random(count)
    async with simulated() as vault:
        await vault.write(f"role/{ROLE}", DEV_ROLE)
        login = await recorded(vault, lasting_token(usual_issuer()), ROLE)
        storage = vault.core.state.physical
        (key,) = [key for key in await storage.keys("") if key.endswith(f"/{ROLE}")]
        stored = await storage.get(key)
        names = [f"role-{number:06}" for number in range(count)]
        await storage.apply({key.replace(ROLE, name): stored for name in names})
        for name in names[:MAX_CACHED_OBJECTS]:
            await login.renamed(ROLE, name).send()
        chosen = [login.renamed(ROLE, chooser.choice(names)) for _ in range(BEST_OF * LOGINS)]
        yield Prepared({"": chosen})


@asynccontextmanager
async def issuers(count: int) -> AsyncIterator[Prepared]:
    """Log in with tokens of several of so many issuers in turn."""
    keys = signers(count)
    async with simulated() as vault:
        await vault.write("role/dev", user_claim="{iss}|{sub}", role_type="jwt")
        for key in keys:
            await vault.write(
                f"issuer/{key.kid}", bound_issuer=f"https://{key.kid}", jwt_validation_pubkeys=key.public_pem
            )
        await vault.write("role/dev", bound_issuers=[key.kid for key in keys], role_type="jwt")
        tokens = [lasting_token(key, iss=f"https://{key.kid}") for key in spread(keys)]
        yield Prepared({"": [await recorded(vault, token) for token in tokens]})


@asynccontextmanager
async def static_keys(count: int) -> AsyncIterator[Prepared]:
    """Log in with the last of so many keys, and with several of them in turn."""
    keys = signers(count)
    async with simulated(jwt_validation_pubkeys=[key.public_pem for key in keys]) as vault:
        last = await recorded(vault, lasting_token(keys[-1]))
        in_turn = [await recorded(vault, lasting_token(key)) for key in spread(keys)]
        yield Prepared({"": [last], "signers in turn": in_turn})


@asynccontextmanager
async def published_keys(count: int) -> AsyncIterator[Prepared]:
    """Log in with several of so many keys of a key set in turn."""
    keys = signers(count)
    with serve_provider(*[key.jwk for key in keys]) as provider:
        async with simulated(jwks_url=provider.keys_url) as vault:
            yield Prepared({"": [await recorded(vault, lasting_token(key)) for key in spread(keys)]})


@asynccontextmanager
async def groups(count: int) -> AsyncIterator[Prepared]:
    """Log in with a token that names so many groups."""
    async with simulated() as vault:
        await vault.write("role/dev", groups_claim="groups", role_type="jwt")
        yield Prepared({"": [await recorded(vault, grouped_token(count))]})


@asynccontextmanager
async def token_sizes(size: int) -> AsyncIterator[Prepared]:
    """Log in with a token of so many bytes."""
    async with simulated() as vault:
        yield Prepared({"": [await recorded(vault, padded_token(size))]})


def spread(keys: Sequence[Issuer]) -> Sequence[Issuer]:
    """Return at most `SIGNERS_IN_TURN` of the keys, from the first to the last."""
    return keys[:: max(len(keys) // SIGNERS_IN_TURN, 1)]


Prepare = Callable[[int], AbstractAsyncContextManager[Prepared]]

PROCESS_CURVES: Sequence[tuple[str, str, Sequence[int], Prepare]] = (
    ("roles", "roles", (10, 100, 1_000, 9_000, 20_000, 100_000), roles),
    ("issuers", "issuers", (1, 10, 30, 100), issuers),
    ("static-keys", "static keys", (1, 4, 16, 64), static_keys),
    ("published-keys", "published keys", (1, 10, 30, 100), published_keys),
    ("groups", "groups", (0, 20, 100, 500), groups),
    ("token-size", "bytes of the token", (500, 2_000, 8_000, 16_000), token_sizes),
    ("live-secrets", "live secrets", (0, 100, 10_000, 100_000), live_secrets),
)
"""Names, what grows, how far, and what prepares it."""


def measure_in_process(*, is_quick: bool) -> Iterator[Curve]:
    """Yield each curve once it is measured."""
    logging.getLogger("authkit").setLevel(logging.CRITICAL)
    for name, x, points, prepare in PROCESS_CURVES:
        chosen = choose_points(points, is_quick=is_quick)
        yield asyncio.run(measure(Curve(name, x), chosen, prepare))


async def measure(curve: Curve, points: Sequence[int], prepare: Prepare) -> Curve:
    """Measure each point in each round; the best round of each is its cost."""
    async with AsyncExitStack() as stack:
        ready = {point: await stack.enter_async_context(prepare(point)) for point in points}
        best: dict[tuple[int, str], float] = {}
        gc.collect()
        gc.freeze()  # the collector does not walk what other points keep in memory
        try:
            for number in range(BEST_OF):
                for point, prepared in ready.items():
                    prepared.enter()
                    for label, logins in prepared.logins.items():
                        took = await time_logins(logins, number * LOGINS)
                        best[point, label] = min(took, best.get((point, label), took))
        finally:
            gc.unfreeze()
    for (point, label), microseconds in best.items():
        curve.add(f"authkit, in process: {label}" if label else "authkit, in process", point, microseconds)
    return curve


async def time_logins(logins: Sequence[RecordedLogin], first: int) -> float:
    """Return the microseconds of CPU for a login, over `LOGINS` of them from the given one on."""
    turns = [logins[number % len(logins)] for number in range(first, first + LOGINS)]
    started = time.process_time()
    for login in turns:
        await login.send()
    return 1e6 * (time.process_time() - started) / LOGINS
