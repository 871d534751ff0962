"""The fixtures `simulate` and `acceptance` for pytest, found by their entry point.

What they hand out is `authkit.testing`'s. They need a plugin that runs asynchronous tests: pytest-asyncio, or
anyio.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pytest

if TYPE_CHECKING:
    from authkit.testing import MountClient, Simulator

__all__ = ["Accept", "Simulate", "acceptance", "simulate"]

F = TypeVar("F", bound=Callable[..., Any])

Simulate = Callable[..., "Awaitable[Simulator]"]
"""Takes what `Simulator` takes; awaited, it returns one that is running."""

Accept = Callable[..., "Awaitable[MountClient]"]
"""Takes a backend class, and `path`, `options` and `config`; awaited, it returns its mount."""

PROGRAM_VARIABLES = ("AUTHKIT_VAULT", "AUTHKIT_BAO")
"""The first that is set names the executable of a server."""

asynchronous_fixture: Any = pytest.fixture  # anyio's plugin takes it as it is
with suppress(ImportError):
    asynchronous_fixture = import_module("pytest_asyncio").fixture


def _fixture(function: F) -> F:
    return cast("F", asynchronous_fixture(function))


def _fixture_on_each_host(function: F) -> F:
    return cast("F", asynchronous_fixture(params=["simulator", "server"])(function))


@_fixture
async def simulate() -> AsyncIterator[Simulate]:
    """Return a factory of simulators, which end with the test.

    ::

        async def test_login(simulate: Simulate) -> None:
            vault = await simulate(Acme)
    """
    from authkit.testing import Simulator  # late: pytest loads this module in every run

    async with AsyncExitStack() as stack:

        async def start(*arguments: Any, **options: Any) -> Simulator:
            return await stack.enter_async_context(Simulator(*arguments, **options))

        yield start


@_fixture_on_each_host
async def acceptance(request: pytest.FixtureRequest) -> AsyncIterator[Accept]:
    """Return a factory of mounts: the test runs on the simulator, and again on a real server.

    The server is a new one for each test, in dev mode. `AUTHKIT_VAULT` or `AUTHKIT_BAO` names its executable;
    without them the second run is skipped.

    ::

        async def test_login(acceptance: Accept) -> None:
            vault = await acceptance(Acme)
    """
    from authkit.testing import RealServer, Simulator

    program = next(filter(None, map(os.environ.get, PROGRAM_VARIABLES)), "")
    is_real = request.param == "server"
    if is_real and not program:
        pytest.skip("no server: set AUTHKIT_VAULT or AUTHKIT_BAO to the executable of one")
    async with AsyncExitStack() as stack:

        async def start(backend: Any, **options: Any) -> MountClient:
            host = RealServer(backend, program, **options) if is_real else Simulator(backend, **options)
            return await stack.enter_async_context(host)

        yield start
