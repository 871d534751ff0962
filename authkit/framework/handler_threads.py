"""Threads for plain `def` methods of an author's: bounded for each method of each mount.

One slow method fills its own places and no others: neither another method's nor another mount's, nor
the thread pool of the event loop. A place is taken until the thread has really ended, also when
the caller has gone. `Exclusive` keeps a task from overlapping its own last run.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

from authkit.errors import TooManyRequestsError
from authkit.threads import ThreadShare

if TYPE_CHECKING:
    import asyncio

__all__ = [
    "MAX_AT_ONCE",
    "MAX_WAITING",
    "WAIT_SECONDS",
    "Exclusive",
    "HandlerThreads",
    "invoke",
    "run_in_thread",
]

log = logging.getLogger(__name__)

MAX_AT_ONCE: Final = 16
"""Threads of one method of one mount. Each is one call that waits for something outside."""

MAX_WAITING: Final = 64
"""Calls that wait for one of them: four for each thread, so that one which gets a place soon is kept."""

WAIT_SECONDS: Final = 10.0
"""For a place; then a caller is refused. A host gives a request 90 s (Vault 1.21), its clients less."""

_BUSY: Final = "too many requests of this kind are being answered; try again later"


class HandlerThreads:
    """The threads of one mount, by method. None is started before a method needs it."""

    def __init__(self) -> None:
        self._places: dict[str, _Places] = {}
        self._share = ThreadShare()

    def use(self) -> None:
        """Have `run_in_thread` use these threads, in the current call and all that it calls.

        The library's own blocking calls take the mount's share of threads from then on.
        """
        _current.set(self)
        self._share.use()

    async def start(self, function: Callable[[], Any], name: str) -> asyncio.Future[Any]:
        """Call a function in a thread, and return what tells its end. Do not cancel that; shield it.

        Raises:
            TooManyRequestsError: all threads of this name are at work, and none got free in time.
        """
        places = self._places.get(name)
        if places is None:
            places = self._places[name] = _Places(name)
        await places.take()
        return places.start(function)

    @property
    def waiting(self) -> int:
        """How many calls wait for a thread. May be read from any thread."""
        return sum(places.waiting for places in self._places.copy().values())

    def close(self) -> None:
        """Have each thread end once it is idle."""
        for places in self._places.values():
            places.close()
        self._places = {}


_current: ContextVar[HandlerThreads | None] = ContextVar("authkit_threads", default=None)


class _Places:
    """The threads of one method, and the calls that wait for one."""

    def __init__(self, name: str) -> None:
        import asyncio
        from concurrent.futures import ThreadPoolExecutor

        self._free = asyncio.Semaphore(MAX_AT_ONCE)
        self._threads = ThreadPoolExecutor(MAX_AT_ONCE, thread_name_prefix=f"authkit {name}")
        self.waiting = 0

    async def take(self) -> None:
        """Return when there is a free place, which is taken then.

        Raises:
            TooManyRequestsError: there is none, and too many wait, or none got free in time.
        """
        import asyncio

        if not self._free.locked():
            await self._free.acquire()
            return
        if self.waiting >= MAX_WAITING:
            raise TooManyRequestsError(_BUSY)
        self.waiting += 1
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._free.acquire()
        except TimeoutError:
            raise TooManyRequestsError(_BUSY) from None
        finally:
            self.waiting -= 1

    def start(self, function: Callable[[], Any]) -> asyncio.Future[Any]:
        """Begin a call in the place that was taken, and give that back when the thread has ended it."""
        import asyncio

        try:
            done = asyncio.wrap_future(self._threads.submit(copy_context().run, _call, function))
        except BaseException:
            self._free.release()
            raise
        done.add_done_callback(lambda _: self._free.release())
        return done

    def close(self) -> None:
        """Have each thread end once it is idle."""
        self._threads.shutdown(wait=False)


def _call(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except Exception as error:
        # A future does not accept it: the caller would wait for ever.
        if isinstance(error, StopIteration):
            raise RuntimeError("a plain method raised StopIteration") from error
        raise
    except BaseException as error:
        # The event loop would take it for its own end, or for a cancellation of the request.
        raise RuntimeError(f"a plain method raised {type(error).__name__}") from error


async def invoke(handler: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a handler and return what it returns; a plain `def` runs in one of its method's threads.

    Raises:
        TooManyRequestsError: this handler of the mount has as many threads as it may have.
    """
    if inspect.iscoroutinefunction(handler):
        return await handler(*args, **kwargs)
    name = getattr(handler, "__qualname__", type(handler).__qualname__)
    result = await run_in_thread(partial(handler, *args, **kwargs), name)
    # A callable that is not an `async def` can still return an awaitable.
    return await result if isinstance(result, Awaitable) else result


async def run_in_thread(function: Callable[[], Any], name: str) -> Any:
    """Call a function in a thread of the current mount, and return what it returns.

    When the caller is cancelled the thread goes on; its end is logged.

    Raises:
        TooManyRequestsError: `name` has as many threads as it may have.
    """
    import asyncio

    done = await (_current.get() or HandlerThreads()).start(function, name)
    exclusive = _exclusive.get()
    if exclusive is not None:
        exclusive.include(done)
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        if not done.done():
            done.add_done_callback(partial(_note_late_end, name))
        raise


def _note_late_end(name: str, done: asyncio.Future[Any]) -> None:
    log.warning("%s has ended; nobody waited for it any more", name, exc_info=done.exception())


class Exclusive:
    """Work of which no second run may begin before the first one has ended, its threads included.

    `what` is what the log calls it.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._runs = 0
        self._is_told = False

    @classmethod
    def of(cls, mount: str, what: str) -> Exclusive:
        """Return the one of this work on a mount, by the mount's stable id.

        A mount that is set up anew in the same process gets the same one as long as a run is under way.
        """
        found = _by_mount.get((mount, what)) if mount else None
        if found is None:
            found = cls(what)
            if mount:
                _by_mount[mount, what] = found
        return found

    def may_begin(self) -> bool:
        """Return whether no run is under way. The first time that one is, that is logged."""
        if not self._runs:
            return True
        if not self._is_told:
            self._is_told = True
            log.warning("%s is skipped: its last run has not ended yet", self._what)
        return False

    @contextmanager
    def run(self) -> Iterator[None]:
        """Be one run: the calls within, and the threads that they start."""
        self._is_told = False
        self._runs += 1
        token = _exclusive.set(self)
        try:
            yield
        finally:
            _exclusive.reset(token)
            self._runs -= 1

    def include(self, done: asyncio.Future[Any]) -> None:
        """Have a run last until this has ended."""
        self._runs += 1
        done.add_done_callback(self._end)

    def _end(self, done: asyncio.Future[Any]) -> None:
        self._runs -= 1


_exclusive: ContextVar[Exclusive | None] = ContextVar("authkit_exclusive", default=None)

# An entry is there as long as a mount, or a run that has not ended, refers to it.
_by_mount: WeakValueDictionary[tuple[str, str], Exclusive] = WeakValueDictionary()
