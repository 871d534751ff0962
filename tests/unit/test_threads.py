"""Threads that end however the call in them ends."""

from __future__ import annotations

import asyncio

import pytest

from authkit.threads import Threads


@pytest.mark.parametrize("kind", [StopIteration, SystemExit, asyncio.CancelledError, GeneratorExit])
def test_a_thread_is_free_again_whatever_its_call_raises(kind: type[BaseException]) -> None:
    """Neither the thread is lost nor does the caller wait for ever."""

    def fail() -> None:
        raise kind("broken")

    async def use() -> None:
        threads = Threads(1)
        for _ in range(2):
            with pytest.raises(RuntimeError, match=kind.__name__):
                await asyncio.wait_for(threads.run(fail), 5)
        assert await asyncio.wait_for(threads.run(lambda: 7), 5) == 7

    asyncio.run(use())
