"""Blocking calls in daemon threads, few at a time.

The event loop's default threads are shared by everything in the process, and both they and those of
`concurrent.futures` are joined when the process ends: one call that never returns keeps it alive. A call
in a thread cannot be cancelled, only counted: by its caller, by the mount it serves, by the process.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from typing import Final, TypeVar

from authkit.errors import AuthKitError

__all__ = ["MAX_THREADS", "MAX_THREADS_OF_MOUNT", "ThreadShare", "Threads", "ThreadsBusyError"]

T = TypeVar("T")

MAX_THREADS: Final = 128
"""Of the process. One costs some 100 KiB while it waits."""

MAX_THREADS_OF_MOUNT: Final = 32
"""Of one mount, whatever its configuration names: eight providers with four names each that never resolve.
Only four mounts of that kind together can keep the others waiting."""

_process: Final = threading.BoundedSemaphore(MAX_THREADS)


class ThreadsBusyError(AuthKitError):
    """As many calls are running as there may be; none of them can be cancelled."""


class ThreadShare:
    """The threads that one mount may have of the process's."""

    def __init__(self) -> None:
        self._free = threading.BoundedSemaphore(MAX_THREADS_OF_MOUNT)

    def use(self) -> None:
        """Take the threads of this share in the current call, and in all calls and tasks that it begins."""
        _current.set(self)

    def take(self) -> bool:
        """Take a thread, of the process too. Return whether one was free."""
        if not self._free.acquire(blocking=False):
            return False
        if not _process.acquire(blocking=False):
            self._free.release()
            return False
        return True

    def give_back(self) -> None:
        """Let others have it. May be called in any thread."""
        _process.release()
        self._free.release()


_elsewhere: Final = ThreadShare()
"""For calls that serve no mount: a command, a test."""

_current: ContextVar[ThreadShare] = ContextVar("authkit_thread_share", default=_elsewhere)


class Threads:
    """Runs blocking calls, at most `limit` at once. For one event loop."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._running = 0
        self._ended = asyncio.Event()

    async def run(self, call: Callable[[], T]) -> T:
        """Return what the call returns; wait for a free thread before it. Raises what it and `start` raise.

        The caller bounds the time. When that is over the call goes on, and counts until it ends.
        """
        while self._running >= self._limit:
            self._ended.clear()
            await self._ended.wait()
        return await self.start(call)

    def start(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """Start the call now; return what will hold its result.

        Raises:
            ThreadsBusyError: no thread is free.
        """
        share = _current.get()
        if self._running >= self._limit or not share.take():
            raise ThreadsBusyError("too many calls that cannot be cancelled are still running")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def work() -> None:
            try:
                end = partial(_set_result, future, call())
            except BaseException as error:
                # Also what no `except Exception` catches: otherwise the thread would count forever.
                end = partial(_set_exception, future, error)
            share.give_back()
            # The loop is closed when the process ends: nobody waits any more.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._end, end)

        try:
            threading.Thread(target=work, name="authkit", daemon=True).start()
        except RuntimeError as error:
            share.give_back()
            raise ThreadsBusyError("the system allows no further thread") from error
        self._running += 1
        return future

    def _end(self, end: Callable[[], None]) -> None:
        self._running -= 1
        self._ended.set()
        end()


def _set_result(future: asyncio.Future[T], result: T) -> None:
    # The caller may have been cancelled meanwhile.
    if not future.done():
        future.set_result(result)


def _set_exception(future: asyncio.Future[T], error: BaseException) -> None:
    if not isinstance(error, Exception) or isinstance(error, StopIteration):
        # A future refuses StopIteration, and the others would end the event loop or look like a cancellation.
        cause, error = error, RuntimeError(f"a call in a thread raised {type(error).__name__}")
        error.__cause__ = cause
    if not future.done():
        future.set_exception(error)
