"""The fixture `simulate` for pytest, found by its entry point. What it hands out is `authkit.testing`'s.

It needs a plugin that runs asynchronous tests: pytest-asyncio, or anyio.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pytest

if TYPE_CHECKING:
    from authkit.testing import Simulator

__all__ = ["Simulate", "simulate"]

F = TypeVar("F", bound=Callable[..., Any])

Simulate = Callable[..., "Awaitable[Simulator]"]
"""Takes what `Simulator` takes; awaited, it returns one that is running."""

asynchronous_fixture: Callable[[F], F] = cast("Any", pytest.fixture)  # anyio's plugin takes it as it is
with suppress(ImportError):
    asynchronous_fixture = import_module("pytest_asyncio").fixture


@asynchronous_fixture
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
