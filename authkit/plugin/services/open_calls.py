"""Calls that last as long as the process, ended first when it stops.

A drain waits for calls in flight; these would make it wait for ever. They end like any call that
has nothing more to say: cancelled ones keep grpcio's drain waiting all the same (grpcio 1.85.1).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

__all__ = ["OpenCalls"]

_Item = TypeVar("_Item")


class OpenCalls:
    """Whether long-lived calls may stay open."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        """Set when they must end."""

    async def while_open(self, source: AsyncIterator[_Item]) -> AsyncIterator[_Item]:
        """Yield what `source` yields until it is exhausted or the calls must end."""
        ended = asyncio.ensure_future(self.ended.wait())
        step: asyncio.Future[_Item] | None = None
        try:
            while True:
                step = asyncio.ensure_future(_next(source))
                await asyncio.wait({step, ended}, return_when=asyncio.FIRST_COMPLETED)
                if not step.done():
                    return
                try:
                    item = step.result()
                except StopAsyncIteration:
                    return
                yield item
        finally:
            ended.cancel()
            if step is not None:
                step.cancel()


async def _next(source: AsyncIterator[_Item]) -> _Item:
    return await anext(source)
