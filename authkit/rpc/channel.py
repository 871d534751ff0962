"""The channel: calls to the methods of one server, over asyncio.

It connects when it is first used, and again when the connection was lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from datetime import timedelta

from authkit.errors import RPCError, StatusCode
from authkit.rpc.driver import Driver
from authkit.rpc.http2.connection import Data, Event, GoAway, HeadersReceived, Reset, Writable
from authkit.rpc.http2.frames import ErrorCode
from authkit.rpc.interface import Address, verify_metadata
from authkit.rpc.message_queue import MessageQueue
from authkit.rpc.messages import (
    ResponseHead,
    encode_message,
    encode_request_head,
    parse_response_head,
    verify_message_size,
)
from authkit.rpc.transport import abort, dial

__all__ = ["GRPCChannel"]

AUTHORITY = "localhost"
"""What go-grpc servers get from Go plugins too; they accept any (1.75)."""

CLOSE_SECONDS = 1.0
"""For the peer to take leave."""

_HTTP_STATUSES = {
    400: StatusCode.INTERNAL,
    401: StatusCode.UNAUTHENTICATED,
    403: StatusCode.PERMISSION_DENIED,
    404: StatusCode.UNIMPLEMENTED,
    429: StatusCode.UNAVAILABLE,
    502: StatusCode.UNAVAILABLE,
    503: StatusCode.UNAVAILABLE,
    504: StatusCode.UNAVAILABLE,
}
"""For answers that are not gRPC (grpc/grpc, doc/http-grpc-status-mapping.md)."""

_RESETS = {
    ErrorCode.REFUSED_STREAM: StatusCode.UNAVAILABLE,
    ErrorCode.CANCEL: StatusCode.CANCELLED,
    ErrorCode.ENHANCE_YOUR_CALM: StatusCode.RESOURCE_EXHAUSTED,
    ErrorCode.INADEQUATE_SECURITY: StatusCode.PERMISSION_DENIED,
}
"""Others are INTERNAL (PROTOCOL-HTTP2.md, HTTP2 Transport Mapping, Errors)."""


class _UnprocessedError(RPCError):
    """The server has not begun with the call, and says so."""


class GRPCChannel:
    """Calls methods of one server."""

    def __init__(
        self, address: Address, *, tls: ssl.SSLContext | None, server_name: str, max_message_bytes: int
    ) -> None:
        self._address = address
        self._tls = tls
        self._server_name = server_name
        self._max_message_bytes = max_message_bytes
        self._connecting = asyncio.Lock()
        self._connection: _ClientConnection | None = None
        self._is_closed = False

    async def ready(self, timeout: timedelta) -> None:
        """Return once connected."""
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                connection = await self._connect()
                await asyncio.shield(connection.has_settings)
        except TimeoutError as error:
            raise RPCError(StatusCode.UNAVAILABLE, f"{self._address}: timed out") from error

    async def call(
        self,
        path: str,
        request: bytes,
        *,
        timeout: timedelta | None = None,
        metadata: Sequence[tuple[str, str]] = (),
    ) -> bytes:
        """Call a unary method."""
        verify_metadata(metadata)
        verify_message_size(len(request), self._max_message_bytes)
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout.total_seconds()
        try:
            return await self._attempt(path, request, metadata, deadline)
        except _UnprocessedError:
            # A request that the server has not begun may be sent again, elsewhere (RFC 9113 section 8.7).
            return await self._attempt(path, request, metadata, deadline)

    async def _attempt(
        self, path: str, request: bytes, metadata: Sequence[tuple[str, str]], deadline: float | None
    ) -> bytes:
        call = await self._start(path, metadata, deadline)
        try:
            call.send(request, end=True)
            return await call.single()
        finally:
            call.leave()

    async def stream(
        self,
        path: str,
        requests: AsyncIterable[bytes],
        *,
        metadata: Sequence[tuple[str, str]] = (),
    ) -> AsyncIterator[bytes]:
        """Call a streaming method."""
        verify_metadata(metadata)
        call = await self._start(path, metadata, None)
        sender = asyncio.ensure_future(call.send_all(requests))
        try:
            async for message in call.incoming:
                yield message
        finally:
            sender.cancel()
            call.leave()
            await asyncio.gather(sender, return_exceptions=True)

    async def close(self) -> None:
        """Cancel what is in flight and close the connection."""
        self._is_closed = True
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.fail_all("the channel is closed")
            connection.core.go_away()
            connection.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await asyncio.shield(connection.ended)
            abort(connection.transport)

    async def _start(
        self, path: str, metadata: Sequence[tuple[str, str]], deadline: float | None
    ) -> _ClientCall:
        try:
            async with asyncio.timeout_at(deadline):
                connection = await self._connect()
                await connection.until_stream_allowed()
        except TimeoutError as error:
            raise _too_late() from error
        timeout = None if deadline is None else deadline - asyncio.get_running_loop().time()
        block = encode_request_head(path, AUTHORITY, metadata, secure=self._tls is not None, timeout=timeout)
        return connection.start(block, deadline)

    async def _connect(self) -> _ClientConnection:
        if self._connection is not None and self._connection.is_usable:
            return self._connection
        async with self._connecting:
            if self._is_closed:
                raise RPCError(StatusCode.UNAVAILABLE, "the channel is closed")
            if self._connection is None or not self._connection.is_usable:
                self._connection = await dial(
                    self._address,
                    lambda: _ClientConnection(self._max_message_bytes),
                    tls=self._tls,
                    server_name=self._server_name,
                )
            return self._connection


class _ClientCall:
    """One call in flight."""

    def __init__(self, connection: _ClientConnection, stream_id: int, limit: int) -> None:
        self._connection = connection
        self.stream_id = stream_id
        self._limit = limit
        self.incoming = MessageQueue(limit, self._consumed)
        self.timer: asyncio.TimerHandle | None = None
        self.writable: asyncio.Future[None] | None = None
        self.got_head = False

    def send(self, message: bytes, *, end: bool = False) -> bool:
        """Send a message; return whether it has left.

        Raises:
            RPCError: it is too long.
        """
        verify_message_size(len(message), self._limit)
        has_left = self._connection.core.send_data(self.stream_id, encode_message(message), end=end)
        self._connection.flush_soon()
        return has_left

    async def send_all(self, requests: AsyncIterable[bytes]) -> None:
        """Send every message, each after the one before has left, then end the sending side."""
        try:
            async for message in requests:
                if not self.send(message):
                    self.writable = self._connection.loop.create_future()
                    await self.writable
                await self._connection.writable.wait()
        except Exception as error:
            # A message that is too long, or the caller's own iterator has failed: it hears of that there.
            own = error if isinstance(error, RPCError) else _cancelled("the requests broke off")
            self._connection.cancel(self, own)
            raise
        self._connection.core.send_data(self.stream_id, b"", end=True)
        self._connection.flush_soon()

    async def single(self) -> bytes:
        """Return the only message of the response."""
        message: bytes | None = None
        async for received in self.incoming:
            if message is not None:
                raise RPCError(StatusCode.INTERNAL, "more than one message in the response")
            message = received
        if message is None:
            raise RPCError(StatusCode.INTERNAL, "no message in the response")
        return message

    def leave(self) -> None:
        """The caller is done; a call that is not over is cancelled."""
        self._connection.cancel(self, _cancelled("the caller has left"))
        self.incoming.abandon()

    def _consumed(self, credit: int) -> None:
        self._connection.core.consume(self.stream_id, credit)
        self._connection.flush_soon()


class _ClientConnection(Driver[ResponseHead]):
    def __init__(self, max_message_bytes: int) -> None:
        super().__init__(is_client=True, parse=parse_response_head)
        self._max_message_bytes = max_message_bytes
        self._calls: dict[int, _ClientCall] = {}
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.has_settings: asyncio.Future[None] = self.loop.create_future()

    @property
    def is_usable(self) -> bool:
        """Whether new calls may be started."""
        return not self.core.is_closing and not self.transport.is_closing()

    async def until_stream_allowed(self) -> None:
        """Return when the server takes one more stream."""
        while self.is_usable and len(self._calls) >= self.core.their_max_streams:
            waiter = self.loop.create_future()
            self._waiting.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                self._let_in(1)  # if it was this one's turn, it is now somebody else's
                raise

    def start(self, block: bytes, deadline: float | None) -> _ClientCall:
        """Begin a call."""
        if not self.is_usable:
            raise RPCError(StatusCode.UNAVAILABLE, "the connection was lost")
        stream_id = self.core.open_stream()
        call = self._calls[stream_id] = _ClientCall(self, stream_id, self._max_message_bytes)
        if deadline is not None:
            call.timer = self.loop.call_at(deadline, self.cancel, call, _too_late())
        self.core.send_headers(stream_id, block)
        self.flush_soon()
        return call

    def end_call(self, call: _ClientCall, error: RPCError | None) -> None:
        """The call is over; `error` is raised to its caller."""
        if self._calls.pop(call.stream_id, None) is None:
            return
        if call.timer is not None:
            call.timer.cancel()
        if call.writable is not None and not call.writable.done():
            call.writable.cancel()
        call.incoming.end(error)
        self._let_in(1)

    def cancel(self, call: _ClientCall, error: RPCError) -> None:
        """Reset a call that is not over; `error` is raised to its caller."""
        if call.stream_id in self._calls:
            self.core.reset(call.stream_id, ErrorCode.CANCEL)
            self.end_call(call, error)
            self.flush_soon()

    def fail_all(self, reason: str) -> None:
        """End every call."""
        for call in list(self._calls.values()):
            self.end_call(call, RPCError(StatusCode.UNAVAILABLE, reason))
        self._let_in(len(self._waiting))

    def _let_in(self, places: int) -> None:
        """Wake as many of those who wait for a stream; each looks again whether there is one."""
        while self._waiting and places:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                places -= 1

    # --- events --------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take what has arrived."""
        super().data_received(data)
        if self.core.got_settings and not self.has_settings.done():
            self.has_settings.set_result(None)

    def on_lost(self, reason: str) -> None:
        """End every call."""
        if not self.has_settings.done():
            self.has_settings.set_exception(RPCError(StatusCode.UNAVAILABLE, reason))
            self.has_settings.exception()  # nobody need have asked
        self.fail_all(reason)

    def on_event(self, event: Event[ResponseHead]) -> None:
        """Deal with one event."""
        if isinstance(event, GoAway):
            reason = f"the server takes no more calls (GOAWAY {event.code})"
            for call in [call for call in self._calls.values() if call.stream_id > event.last_stream_id]:
                self.end_call(call, _UnprocessedError(StatusCode.UNAVAILABLE, reason))
            if not self._calls:
                self.close()
            return
        found = self._calls.get(event.stream_id)
        if found is None:
            if isinstance(event, Data):
                self.core.consume(0, event.credit)
            return
        self._on_call_event(found, event)

    def _on_call_event(self, call: _ClientCall, event: Event[ResponseHead]) -> None:
        if isinstance(event, Data):
            self._on_data(call, event)
        elif isinstance(event, HeadersReceived):
            self._on_headers(call, event.headers.parsed, event.ended)
        elif isinstance(event, Reset):
            code = _RESETS.get(event.code, StatusCode.INTERNAL)
            kind = _UnprocessedError if event.code is ErrorCode.REFUSED_STREAM else RPCError
            self.end_call(call, kind(code, f"the stream was reset ({event.code.name})"))
        elif isinstance(event, Writable) and call.writable is not None and not call.writable.done():
            call.writable.set_result(None)

    def _on_headers(self, call: _ClientCall, head: ResponseHead, ended: bool) -> None:
        if head.is_malformed:
            self._break(call, "malformed response headers")
        elif head.http_status is not None and 100 <= head.http_status < 200 and not ended:
            pass  # an interim answer
        elif ended:
            self._on_trailers(call, head)
        elif head.http_status != 200 or not head.is_grpc:
            code = _HTTP_STATUSES.get(head.http_status or 0, StatusCode.UNKNOWN)
            self.core.reset(call.stream_id, ErrorCode.CANCEL)
            self.end_call(call, RPCError(code, f"HTTP status {head.http_status}, not gRPC"))
        else:
            call.got_head = True

    def _on_trailers(self, call: _ClientCall, head: ResponseHead) -> None:
        error: RPCError | None = None
        if head.status is None:
            code = _HTTP_STATUSES.get(head.http_status or 0, StatusCode.UNKNOWN)
            error = RPCError(code, "the call ended without a status")
        elif head.status is not StatusCode.OK:
            error = RPCError(head.status, head.message)
        # A server that answers early need not be sent the rest (RFC 9113 section 8.1).
        self.core.reset(call.stream_id, ErrorCode.CANCEL)
        self.end_call(call, error)

    def _on_data(self, call: _ClientCall, event: Data) -> None:
        if not call.got_head:
            self._break(call, "data before the response's headers")
            return
        call.incoming.put(event.data, event.credit)
        if event.ended:
            self._break(call, "the response ended without trailers")

    def _break(self, call: _ClientCall, reason: str) -> None:
        self.core.reset(call.stream_id, ErrorCode.PROTOCOL_ERROR)
        self.end_call(call, RPCError(StatusCode.INTERNAL, reason))


def _cancelled(reason: str) -> RPCError:
    return RPCError(StatusCode.CANCELLED, reason)


def _too_late() -> RPCError:
    return RPCError(StatusCode.DEADLINE_EXCEEDED, "the deadline has passed")
