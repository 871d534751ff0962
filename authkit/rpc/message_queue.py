"""The messages of one stream, in their order, for one reader, and what flow control owes for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from authkit.errors import RPCError, StatusCode
from authkit.rpc.messages import PREFIX, MessageReader

__all__ = ["MessageQueue", "cut_off"]


class MessageQueue:
    """The messages of a stream: an iterator for the server or the client of the call.

    `consumed` is told how much the peer may send again. Bytes of a message that is not complete are
    given back at once, others when their message is taken: a reader that is slow slows the peer down,
    and a message may be longer than any window.
    """

    def __init__(self, limit: int, consumed: Callable[[int], None]) -> None:
        self._reader = MessageReader(limit)
        self._consumed = consumed
        self._owed = 0
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False
        self._error: RPCError | None = None

    @property
    def buffered(self) -> int:
        """Bytes that wait."""
        return self._reader.buffered

    def put(self, data: bytes, credit: int) -> None:
        """Add a piece of the stream, which took `credit` bytes of the windows."""
        self._reader.add(data)
        self._owed += credit
        if self._reader.is_ready:
            self._wake()
        else:
            self._give_back(self._owed)

    def end(self, error: RPCError | None = None) -> None:
        """No more messages; `error` is raised once those before are taken."""
        if not self._ended:
            self._ended, self._error = True, error
            self._wake()

    def abandon(self) -> None:
        """Nobody reads any more: what waits no longer counts against the connection's window."""
        self._give_back(self._owed)

    def _give_back(self, credit: int) -> None:
        credit = min(credit, self._owed)
        self._owed -= credit
        if credit:
            self._consumed(credit)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while (message := self._reader.take()) is None:
            if self._error is not None:
                raise self._error
            if self._ended and self._reader.buffered:
                raise cut_off()
            if self._ended:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        # Padding is given back with the last message that is ready.
        self._give_back(len(message) + PREFIX.size if self._reader.is_ready else self._owed)
        return message


def cut_off() -> RPCError:
    """Return the failure of a stream that ended where no message ends."""
    return RPCError(StatusCode.INTERNAL, "the stream ended inside a message")
