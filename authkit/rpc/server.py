"""The server: methods by path on accepted connections, over asyncio.

The protocol is `authkit.rpc.http2.connection` and `authkit.rpc.messages`; here is what happens when.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from datetime import timedelta
from functools import partial
from socket import socket
from typing import Any

from authkit.errors import RPCError, StatusCode
from authkit.rpc.cancellation import is_cancellation
from authkit.rpc.driver import Driver
from authkit.rpc.failures import as_rpc_error
from authkit.rpc.http2.connection import Data, Event, GoAway, HeadersReceived, Reset, Writable
from authkit.rpc.http2.frames import ErrorCode, PreparedHeaders
from authkit.rpc.interface import CallContext, Method, Refusal, RevocableReply, StreamMethod, UnaryMethod
from authkit.rpc.message_queue import MessageQueue
from authkit.rpc.messages import (
    MessageReader,
    RequestHead,
    encode_message,
    encode_prefix,
    encode_refusal,
    encode_response_head,
    encode_trailers,
    parse_request_head,
    parse_timeout,
    verify_message_size,
    whole_message,
)
from authkit.rpc.transport import Acceptor
from authkit.values import Value, replace

__all__ = ["GRPCServer"]

MAX_BUFFERED_BYTES = 256 * 1024 * 1024
"""Requests of one connection that are incomplete or not taken yet, all together."""

MAX_UNSENT_BYTES = 256 * 1024 * 1024
"""Answers of one connection that wait for its reader, all together. A host reads at once."""

REQUEST_SECONDS = 60.0
"""For the whole of a unary request to arrive; a host writes it in one go."""

ANSWER_SECONDS = 60.0
"""For a client to take `MIN_ANSWER_BYTES` more, while an answer waits for its window."""

MIN_ANSWER_BYTES = 16 * 1024
"""A client that takes less holds memory for as long as it likes (CVE-2019-9511, "Data Dribble")."""

SWEEP_SECONDS = 10.0
MAX_REMEMBERED_REPLIES = 256
"""Of each connection: those that a client may still refuse to take."""

_HEAD = PreparedHeaders(encode_response_head())
_TRAILERS = PreparedHeaders(encode_trailers(StatusCode.OK), end=True)


class _Route(Value, frozen=True):
    """What a header block leads to; shared by all calls with equal blocks."""

    head: RequestHead
    method: Method | None
    call: CallContext


class GRPCServer:
    """Serves methods on one listening socket."""

    def __init__(
        self,
        methods: Iterable[Method],
        listener: socket,
        *,
        tls: ssl.SSLContext | None,
        on_refused: Refusal,
        max_message_bytes: int,
    ) -> None:
        self._methods = {method.path: method for method in methods}
        self._max_message_bytes = max_message_bytes
        self._acceptor = Acceptor(listener, self._serve, tls=tls, on_refused=on_refused)
        self._connections: set[_ServerConnection] = set()

    async def start(self) -> None:
        """Accept connections."""
        await self._acceptor.start()

    async def drain(self, grace: timedelta) -> None:
        """Take no more calls, let those in flight end within `grace`, cancel the rest, close everything."""
        self._acceptor.stop_accepting()
        connections = list(self._connections)
        for connection in connections:
            connection.go_away()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace.total_seconds()):
                for connection in connections:
                    await connection.idle()
                    connection.close()
                for connection in connections:
                    await asyncio.shield(connection.ended)  # what was written has left
        for connection in connections:
            await connection.cancel_calls()
            connection.close()
        await self._acceptor.close()

    async def _serve(self, transport: asyncio.Transport, early: bytes) -> None:
        connection = _ServerConnection(self._route, self._max_message_bytes)
        self._connections.add(connection)
        try:
            transport.set_protocol(connection)
            connection.connection_made(transport)
            if early:
                connection.data_received(early)
            if transport.is_closing():
                return
            transport.resume_reading()
            await connection.ended
        finally:
            self._connections.discard(connection)
            await connection.cancel_calls()

    def _route(self, fields: Sequence[tuple[bytes, bytes]]) -> _Route:
        head = parse_request_head(fields)
        return _Route(head, self._methods.get(head.path), CallContext(head.path, head.metadata))


class _ServerCall:
    """One call in flight."""

    __slots__ = (
        "awaited",
        "incoming",
        "message",
        "reader",
        "route",
        "since",
        "size",
        "started",
        "stream_id",
        "task",
        "timer",
        "writable",
    )

    def __init__(self, stream_id: int, route: _Route, since: float) -> None:
        self.stream_id = stream_id
        self.route = route
        self.since = since
        self.reader: MessageReader | None = None
        """Puts the message of a unary call together, if it comes in pieces."""
        self.message: bytes | None = None
        """The one message of a unary call."""
        self.size = 0
        """Bytes of the request that are kept."""
        self.started = False
        """Whether the response's head was sent."""
        self.writable: asyncio.Future[None] | None = None
        """Awaited by a stream that flow control holds back."""
        self.awaited: Awaitable[bytes] | None = None
        """What a unary handler returned in place of an answer."""
        self.incoming: MessageQueue | None = None
        self.task: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None


class _ServerConnection(Driver[_Route]):
    def __init__(
        self, route: Callable[[Sequence[tuple[bytes, bytes]]], _Route], max_message_bytes: int
    ) -> None:
        super().__init__(is_client=False, parse=route)
        self._max_message_bytes = max_message_bytes
        self._calls: dict[int, _ServerCall] = {}
        self._replies: dict[int, RevocableReply] = {}
        """Sent a moment ago."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._buffered = 0
        self._became_idle: asyncio.Future[None] | None = None
        self._stalled: dict[int, tuple[int, float]] = {}
        self._since = self.loop.time()
        self._sweeper = self.loop.call_later(SWEEP_SECONDS, self._sweep)

    # --- for the server ------------------------------------------------------------------------

    def go_away(self) -> None:
        """Refuse further calls."""
        self.core.go_away()
        self.flush()

    async def idle(self) -> None:
        """Return when no call is in flight and flow control holds no answer back."""
        while self._calls or self._tasks or self.core.unsent():
            self._became_idle = self.loop.create_future()
            await self._became_idle

    async def cancel_calls(self) -> None:
        """Cancel every call and wait for the handlers to end."""
        self._sweeper.cancel()
        for stream_id in list(self._calls):
            self._fail(stream_id, RPCError(StatusCode.UNAVAILABLE, "the server is stopping"))
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- events --------------------------------------------------------------------------------

    def on_event(self, event: Event[_Route]) -> None:
        """Deal with one event."""
        if type(event) is Data:
            self._on_data(event)
        elif type(event) is HeadersReceived:
            self._on_headers(event)
        elif isinstance(event, Reset):
            self._forget(event.stream_id, cancel=True)
            if event.code is ErrorCode.CANCEL:
                self._take_back(event.stream_id)
            self._replies.pop(event.stream_id, None)
            self._note_idle()
        elif isinstance(event, Writable):
            self._on_writable(event.stream_id)
        else:
            assert isinstance(event, GoAway)  # a client that goes away ends its streams itself

    def on_lost(self, reason: str) -> None:
        """Cancel every call: nobody waits for an answer."""
        self._sweeper.cancel()
        for stream_id in list(self._calls):
            self._forget(stream_id, cancel=True)

    def _on_headers(self, event: HeadersReceived[_Route]) -> None:
        stream_id, (route, timeout, _), ended = event
        call = self._calls.get(stream_id)
        head = route.head
        if call is not None:
            self._on_trailers(call, head)
            return
        if head.is_malformed:
            self.core.fail(stream_id, ErrorCode.PROTOCOL_ERROR)
            return
        if head.http_status != 200:
            self.core.send_headers(stream_id, encode_refusal(head.http_status), end=True)
            self.core.reset(stream_id, ErrorCode.NO_ERROR)
            return
        call = _ServerCall(stream_id, route, self.loop.time())
        self._calls[stream_id] = call
        if route.method is None:
            self._fail(stream_id, RPCError(StatusCode.UNIMPLEMENTED, f"unknown method {head.path}"))
        elif head.is_compressed:
            self._fail(stream_id, RPCError(StatusCode.UNIMPLEMENTED, "compression is not supported"))
        else:
            self._begin(call, route.method, timeout)
            if ended:
                self._on_end(call)

    def _on_trailers(self, call: _ServerCall, head: RequestHead) -> None:
        """Nothing in the trailers of a request is ours, but wrong ones are malformed as other blocks are."""
        if head.are_trailers:
            self._on_end(call)
        else:
            self._forget(call.stream_id, cancel=True)
            self.core.fail(call.stream_id, ErrorCode.PROTOCOL_ERROR)

    def _begin(self, call: _ServerCall, method: Method, timeout: bytes | None) -> None:
        if timeout is not None:
            seconds = parse_timeout(timeout)
            if seconds is None:
                self._fail(call.stream_id, RPCError(StatusCode.INTERNAL, "malformed grpc-timeout"))
                return
            deadline = self.loop.time() + seconds
            call.timer = self.loop.call_at(deadline, self._expire, call.stream_id)
            call.route = replace(call.route, call=replace(call.route.call, deadline=deadline))
        if isinstance(method, StreamMethod):
            stream_id = call.stream_id
            call.incoming = MessageQueue(
                self._max_message_bytes, lambda credit: self._consumed(stream_id, credit)
            )
            self._start(call, self._run_stream(call, method, call.incoming))

    def _on_data(self, event: Data) -> None:
        stream_id, data, ended, credit = event
        call = self._calls.get(stream_id)
        if call is None:
            self.core.consume(0, credit)
            return
        if call.incoming is not None:
            call.incoming.put(data, credit)
        else:
            self.core.consume(stream_id, credit)
            if ended and call.reader is None:
                # A host sends the whole request in one frame.
                message = whole_message(data, self._max_message_bytes)
                if message is not None:
                    self._call_unary(call, message)
                    return
            try:
                self._keep(call, data)
            except RPCError as error:
                self._fail(stream_id, error)
                return
        self._count(call)
        if ended:
            self._on_end(call)

    def _keep(self, call: _ServerCall, data: bytes) -> None:
        """Keep the message of a unary call until its stream ends.

        Raises:
            RPCError: it is too long, compressed, or not the only one.
        """
        if call.reader is None:
            call.reader = MessageReader(self._max_message_bytes)
        call.reader.add(data)
        if call.message is None:
            call.message = call.reader.take()
        if call.message is not None and call.reader.buffered:
            raise _not_one_message()

    def _count(self, call: _ServerCall) -> None:
        """Keep within the limit of what waits."""
        if call.stream_id not in self._calls:
            return
        pending = call.incoming or call.reader
        size = len(call.message or b"") + (pending.buffered if pending else 0)
        self._buffered += size - call.size
        call.size = size
        if self._buffered > MAX_BUFFERED_BYTES:
            error = RPCError(StatusCode.RESOURCE_EXHAUSTED, "too many requests are incomplete")
            self._fail(call.stream_id, error)

    def _on_end(self, call: _ServerCall) -> None:
        """The client has sent all that it wants to send."""
        if call.stream_id not in self._calls:
            return
        if call.incoming is not None:
            call.incoming.end()
            return
        self._buffered -= call.size
        call.size = 0
        if call.message is None or (call.reader is not None and call.reader.buffered):
            self._fail(call.stream_id, _not_one_message())
        else:
            self._call_unary(call, call.message)

    def _on_writable(self, stream_id: int) -> None:
        call = self._calls.get(stream_id)
        if call is None:
            self.core.finish(stream_id)
            self._note_idle()
        elif call.writable is not None and not call.writable.done():
            call.writable.set_result(None)

    # --- handlers ------------------------------------------------------------------------------

    def _call_unary(self, call: _ServerCall, message: bytes) -> None:
        method = call.route.method
        assert isinstance(method, UnaryMethod)
        try:
            result = method.handler(message, call.route.call)
        except BaseException as error:
            self._fail(call.stream_id, as_rpc_error(method.path, error))
            return
        if isinstance(result, bytes):
            self._reply(call, result)
        else:
            call.awaited = result
            self._start(call, self._await_unary(call, result))

    async def _await_unary(self, call: _ServerCall, result: Awaitable[bytes]) -> None:
        try:
            message = await result
            if not isinstance(message, bytes):
                raise TypeError(f"a reply must be bytes, not {type(message).__name__}")
        except BaseException as error:
            if is_cancellation(error):
                raise
            self._fail(call.stream_id, as_rpc_error(call.route.head.path, error))
        else:
            self._reply(call, message)
        self.flush_soon()

    async def _run_stream(self, call: _ServerCall, method: StreamMethod, incoming: MessageQueue) -> None:
        replies: AsyncIterator[bytes] | None = None
        try:
            replies = method.handler(incoming, call.route.call)
            async for message in replies:
                await self._send_message(call, message)
            if not call.started:
                self.core.send_headers(call.stream_id, _HEAD.block)
            self.core.send_headers(call.stream_id, _TRAILERS.block, end=True)
            self._finish(call.stream_id)
        except BaseException as error:
            if is_cancellation(error):
                raise
            self._fail(call.stream_id, as_rpc_error(method.path, error))
        finally:
            await _close(replies)
            self.flush_soon()

    async def _send_message(self, call: _ServerCall, message: bytes) -> None:
        self._verify_room(message)
        if not call.started:
            call.started = True
            self.core.send_headers(call.stream_id, _HEAD.block)
        has_left = self.core.send_data(call.stream_id, encode_message(message))
        self.flush_soon()
        if not has_left:
            call.writable = self.loop.create_future()
            await call.writable
        await asyncio.sleep(0)  # a handler that never waits must not keep everybody else waiting
        await self.writable.wait()

    def _start(self, call: _ServerCall, running: Coroutine[Any, Any, None]) -> None:
        task = _create_task(self.loop, running)
        if task.done():
            self._note_end(call, task)
            return
        call.task = task
        self._tasks.add(task)
        task.add_done_callback(partial(self._note_end, call))

    def _note_end(self, call: _ServerCall, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if isinstance(call.awaited, Coroutine):
            # Of a task that was cancelled before its first step, the handler never began either.
            call.awaited.close()
        if not task.cancelled() and task.exception() is not None:
            as_rpc_error("a call", task.exception() or AssertionError())
        self._note_idle()

    # --- ends ----------------------------------------------------------------------------------

    def _reply(self, call: _ServerCall, message: bytes) -> None:
        stream_id = call.stream_id
        data = (encode_prefix(message), message)
        if type(message) is not bytes and isinstance(message, RevocableReply):
            if stream_id not in self._calls:  # its handler went on although it was cancelled
                message.on_untaken()
                return
            self._remember(stream_id, message)
        if self.core.send_answer(stream_id, _HEAD, data, _TRAILERS):
            self._finish(stream_id)
            return
        try:
            self._verify_room(message)
        except RPCError as error:
            self._fail(stream_id, error)
            self._take_back(stream_id)
            return
        self.core.send_headers(stream_id, _HEAD.block)
        self.core.send_data(stream_id, encode_message(message))
        self.core.send_headers(stream_id, _TRAILERS.block, end=True)
        self._finish(stream_id)

    def _remember(self, stream_id: int, reply: RevocableReply) -> None:
        self._replies[stream_id] = reply
        if len(self._replies) > MAX_REMEMBERED_REPLIES:
            del self._replies[next(iter(self._replies))]

    def _take_back(self, stream_id: int) -> None:
        """Tell the sender of a reply, if it wants to know, that no client has taken it."""
        reply = self._replies.pop(stream_id, None)
        if reply is not None:
            reply.on_untaken()

    def _verify_room(self, message: bytes) -> None:
        """Raise RPCError if an answer may not be sent, nor kept until the client takes it."""
        verify_message_size(len(message), self._max_message_bytes)
        self.flush()
        kept = self.transport.get_write_buffer_size() + sum(self.core.unsent().values())
        if kept + len(message) > MAX_UNSENT_BYTES:
            raise RPCError(StatusCode.RESOURCE_EXHAUSTED, "too many answers wait for the client to read them")

    def _fail(self, stream_id: int, error: RPCError) -> None:
        call = self._calls.get(stream_id)
        if call is None:
            return
        block = encode_trailers(error.code, error.message, alone=not call.started)
        self.core.forget_queue(stream_id)
        self.core.send_headers(stream_id, block, end=True)
        self._finish(stream_id)
        self.flush_soon()

    def _expire(self, stream_id: int) -> None:
        call = self._calls.get(stream_id)
        task = call.task if call is not None else None
        self._fail(stream_id, RPCError(StatusCode.DEADLINE_EXCEEDED, "the deadline has passed"))
        if task is not None:
            task.cancel()

    def _finish(self, stream_id: int) -> None:
        """The answer is complete. A client that still sends is told to stop (RFC 9113 section 8.1)."""
        self._forget(stream_id, cancel=False)
        self.core.finish(stream_id)

    def _forget(self, stream_id: int, *, cancel: bool) -> None:
        call = self._calls.pop(stream_id, None)
        if call is None:
            return
        self._buffered -= call.size
        if call.timer is not None:
            call.timer.cancel()
        if call.incoming is not None:
            call.incoming.end()
            call.incoming.abandon()
        if cancel and call.task is not None:
            call.task.cancel()
        self._note_idle()

    def _note_idle(self) -> None:
        if self._became_idle is not None and not self._became_idle.done():
            self._became_idle.set_result(None)

    def _consumed(self, stream_id: int, credit: int) -> None:
        self.core.consume(stream_id, credit)
        call = self._calls.get(stream_id)
        if call is not None:
            self._count(call)
        self.flush_soon()

    def _sweep(self) -> None:
        """Reset requests that have been arriving for too long, and answers that do not get on."""
        self._sweeper = self.loop.call_later(SWEEP_SECONDS, self._sweep)
        now = self.loop.time()
        limit = now - REQUEST_SECONDS
        if not self.core.got_settings and self._since < limit:
            self.close()
            return
        for call in list(self._calls.values()):
            if call.task is None and call.incoming is None and call.since < limit:
                self.core.reset(call.stream_id, ErrorCode.CANCEL)
                self._forget(call.stream_id, cancel=True)
        stalled = {}
        for stream_id, sent in self.core.progress().items():
            before, since = self._stalled.get(stream_id, (sent, now))
            has_progress = sent - before >= MIN_ANSWER_BYTES
            stalled[stream_id] = (sent, now) if has_progress else (before, since)
            if now - stalled[stream_id][1] >= ANSWER_SECONDS:
                self.core.reset(stream_id, ErrorCode.CANCEL)
                self._forget(stream_id, cancel=True)
                self._take_back(stream_id)
        self._stalled = stalled
        self._note_idle()
        self.flush()


def _not_one_message() -> RPCError:
    return RPCError(StatusCode.INTERNAL, "a unary call has exactly one message")


async def _close(iterator: AsyncIterator[bytes] | None) -> None:
    close = getattr(iterator, "aclose", None)
    if close is not None:
        with contextlib.suppress(Exception):
            await close()


if sys.version_info >= (3, 12):

    def _create_task(
        loop: asyncio.AbstractEventLoop, running: Coroutine[Any, Any, None]
    ) -> asyncio.Task[None]:
        """Start at once: a handler that never waits is answered with the read that brought it."""
        return asyncio.Task(running, loop=loop, eager_start=True)

else:

    def _create_task(
        loop: asyncio.AbstractEventLoop, running: Coroutine[Any, Any, None]
    ) -> asyncio.Task[None]:
        return asyncio.Task(running, loop=loop)
