"""What both drivers share: bytes between an asyncio transport and the connection's state."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from authkit.rpc.http2.connection import Event, HTTP2Connection
from authkit.rpc.http2.frames import ConnectionFailure

__all__ = ["WRITE_SECONDS", "Driver"]

T = TypeVar("T")

log = logging.getLogger("authkit.rpc")

WRITE_SECONDS = 30.0
"""A peer that does not read what was written for it by then is cut off."""


class Driver(asyncio.Protocol, Generic[T]):
    """One connection. Subclasses say what events mean."""

    def __init__(self, *, is_client: bool, parse: Callable[[Sequence[tuple[bytes, bytes]]], T]) -> None:
        self.loop = asyncio.get_running_loop()
        self.core: HTTP2Connection[T] = HTTP2Connection(is_client=is_client, parse=parse)
        self.transport: asyncio.Transport
        self.ended: asyncio.Future[None] = self.loop.create_future()
        self.writable = asyncio.Event()
        """Whether the peer reads what is written; set also when it is gone."""
        self.writable.set()
        self._flushing = False
        self._cut_off: asyncio.TimerHandle | None = None

    # --- for subclasses ------------------------------------------------------------------------

    def on_event(self, event: Event[T]) -> None:
        """Deal with one event."""
        raise NotImplementedError

    def on_lost(self, reason: str) -> None:
        """The connection is gone: end every call."""
        raise NotImplementedError

    # --- for both ------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write what is to be sent now."""
        data = self.core.data_to_send()
        if data and not self.transport.is_closing():
            self.transport.write(data)

    def flush_soon(self) -> None:
        """Write at the end of this turn of the loop: what several tasks send leaves in one write."""
        if not self._flushing:
            self._flushing = True
            self.loop.call_soon(self._flush_now)

    def close(self) -> None:
        """Close, after what was written has left."""
        if not self.transport.is_closing():
            self.flush()
            self.transport.close()
            if self._cut_off is None and not self.ended.done():
                self._cut_off = self.loop.call_later(WRITE_SECONDS, self.transport.abort)

    def _flush_now(self) -> None:
        self._flushing = False
        self.flush()

    # --- asyncio.Protocol ----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin: settings are sent at once."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.flush()

    def data_received(self, data: bytes) -> None:
        """Take what has arrived; all that it causes leaves in one write."""
        try:
            for event in self.core.receive(data, self.loop.time()):
                self.on_event(event)
        except ConnectionFailure as failure:
            log.warning("connection closed: the peer broke HTTP/2: %s", failure)
            self.close()
            return
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """End every call."""
        if self._cut_off is not None:
            self._cut_off.cancel()
        self.writable.set()
        self.on_lost("the connection was lost")
        if not self.ended.done():
            self.ended.set_result(None)

    def pause_writing(self) -> None:
        """The peer does not read: take nothing more from it that would want answers."""
        self.writable.clear()
        self.transport.pause_reading()
        if self._cut_off is not None:
            return
        self._cut_off = self.loop.call_later(WRITE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """The peer reads again."""
        self.writable.set()
        if self.transport.is_closing():
            return
        if self._cut_off is not None:
            self._cut_off.cancel()
            self._cut_off = None
        self.transport.resume_reading()
