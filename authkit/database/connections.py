"""The open connections of one instance: opened when they are needed, checked before use, a few at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Final, Generic, TypeVar

from authkit.errors import UserError
from authkit.values import Value
from authkit.wire.failures import within

__all__ = ["Connections", "Driver"]

log = logging.getLogger(__name__)

C = TypeVar("C")

PING_TIMEOUT: Final = timedelta(seconds=5)
"""For a connection that was idle to answer; then it is replaced."""

CONNECT_TIMEOUT: Final = timedelta(seconds=5)
"""For a connection to open when its caller has gone. If it takes longer it gives up its place, and after as
long again it is cancelled."""

CLOSE_TIMEOUT: Final = timedelta(seconds=5)
"""For one connection to close in the background."""


class Driver(Value, Generic[C], frozen=True):
    """What opens, checks and closes connections."""

    connect: Callable[[], Awaitable[C]]
    ping: Callable[[C], Awaitable[None]]
    disconnect: Callable[[C], Awaitable[None]]


class _Idle(Value, Generic[C], frozen=True, eq=False):
    connection: C
    opened: float


class Connections(Generic[C]):
    """At most `limit` connections, each lent to one call at a time; other calls wait up to `wait` for one.

    A connection that was lent when a call failed is closed: nobody knows in which state it is. With a
    `lifetime` older ones are replaced.
    """

    def __init__(
        self, driver: Driver[C], *, limit: int, lifetime: timedelta, wait: timedelta, name: str
    ) -> None:
        self._driver = driver
        self._limit = limit
        self._places = asyncio.Semaphore(limit)
        self._wait = wait.total_seconds()
        self._lifetime = lifetime.total_seconds()
        self._name = name
        self._idle: list[_Idle[C]] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[C]:
        """Lend a connection that has just answered; wait for one if all are lent.

        Raises whatever the driver raises, and UserError: all were lent for too long.
        """
        await self._take_place()
        async with self._lend_at_place() as connection:
            yield connection

    @asynccontextmanager
    async def lend_patiently(self, limit: timedelta) -> AsyncIterator[C]:
        """As `lend`, but wait for a place without limit; what comes after that has `limit`.

        Raises whatever the driver raises, and TimeoutError: it took too long.
        """
        await self._places.acquire()
        async with asyncio.timeout(limit.total_seconds()), self._lend_at_place() as connection:
            yield connection

    @asynccontextmanager
    async def _lend_at_place(self) -> AsyncIterator[C]:
        """Lend a connection to a caller that has a place, and give the place back."""
        try:
            lent = await self._take()
            try:
                yield lent.connection
            except BaseException:
                self._discard(lent)
                raise
            self._put_back(lent)
        finally:
            self._places.release()

    async def _take_place(self) -> None:
        try:
            async with asyncio.timeout(self._wait):
                await self._places.acquire()
        except TimeoutError:
            raise UserError(f"all connections to the database are in use ({self._limit})") from None

    async def close(self) -> None:
        """Close what is idle now, and what is lent when it comes back. Raises what the driver raises."""
        self._closed = True
        idle, self._idle = self._idle, []
        results = await asyncio.gather(
            *(self._driver.disconnect(each.connection) for each in idle), return_exceptions=True
        )
        failed = [result for result in results if isinstance(result, BaseException)]
        if failed:
            raise failed[0]

    def open(self) -> None:
        """Lend again after `close`."""
        self._closed = False

    async def _take(self) -> _Idle[C]:
        now = asyncio.get_running_loop().time()
        while self._idle:
            idle = self._idle.pop()
            if self._lifetime and now - idle.opened > self._lifetime:
                self._discard(idle)
            elif await self._answers(idle):
                return idle
        return await self._open(now)

    async def _answers(self, idle: _Idle[C]) -> bool:
        try:
            async with asyncio.timeout(PING_TIMEOUT.total_seconds()):
                await self._driver.ping(idle.connection)
        except Exception as error:
            log.info("a connection is replaced", extra={"kv": {"because": type(error).__name__}})
            self._discard(idle)
            # The others are most likely as dead, and each would take its time.
            while self._idle:
                self._discard(self._idle.pop())
            return False
        except BaseException:
            self._discard(idle)
            raise
        return True

    async def _open(self, now: float) -> _Idle[C]:
        opened = _Idle(await self._connect(), now)
        try:
            await self._driver.ping(opened.connection)
        except BaseException:
            self._discard(opened)
            raise
        return opened

    async def _connect(self) -> C:
        """Connect. If the caller is cancelled meanwhile, the next call gets the connection.

        Connecting is not cancelled: a driver may then leave it open without an owner (psycopg 3.3 does).
        """
        connecting = asyncio.ensure_future(self._driver.connect())
        try:
            return await asyncio.shield(connecting)
        except asyncio.CancelledError:
            try:
                # Still in the caller's place: else there would be more connections than `limit`.
                await asyncio.wait({connecting}, timeout=CONNECT_TIMEOUT.total_seconds())
            finally:
                if connecting.done():
                    self._take_over(self._put_back, connecting)
                else:
                    # Cancelled again, or slow: the place is the next one's.
                    connecting.add_done_callback(partial(self._take_over, self._discard))
                    loop = asyncio.get_running_loop()
                    loop.call_later(CONNECT_TIMEOUT.total_seconds(), connecting.cancel)
            raise

    def _take_over(self, keep: Callable[[_Idle[C]], None], connecting: asyncio.Future[C]) -> None:
        # What it raised nobody waits for; unread, asyncio would log it.
        if not connecting.cancelled() and connecting.exception() is None:
            keep(_Idle(connecting.result(), asyncio.get_running_loop().time()))

    def _put_back(self, lent: _Idle[C]) -> None:
        if self._closed:
            self._discard(lent)
        else:
            self._idle.append(lent)

    def _discard(self, lent: _Idle[C]) -> None:
        """Close a connection in the background: its caller need not wait."""
        closing = asyncio.get_running_loop().create_task(
            within(
                CLOSE_TIMEOUT,
                lambda: self._driver.disconnect(lent.connection),
                "closing a connection",
                self._name,
            )
        )
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
