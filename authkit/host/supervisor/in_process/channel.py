"""Calls to gRPC methods in this process: a channel of `authkit.rpc` without a socket.

Messages are bytes, calls are tasks, and a deadline or a cancellation ends the handler, as over a
connection. See `authkit.host.supervisor.in_process.plugin` for the plugin that uses it.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterable, AsyncIterator, Coroutine, Iterable, Sequence
from datetime import timedelta
from typing import Any

from authkit.errors import RPCError, StatusCode
from authkit.rpc.cancellation import is_cancellation
from authkit.rpc.failures import as_rpc_error
from authkit.rpc.interface import (
    DEFAULT_MAX_MESSAGE_BYTES,
    CallContext,
    Method,
    RevocableReply,
    StreamMethod,
    UnaryMethod,
)

__all__ = ["InProcessChannel"]


class InProcessChannel:
    """A channel (`authkit.rpc.Channel`) to methods in this process."""

    def __init__(self, methods: Iterable[Method]) -> None:
        self._methods = {method.path: method for method in methods}
        self._calls: dict[asyncio.Task[bytes], asyncio.Future[bytes]] = {}
        self._reason = ""

    async def ready(self, timeout: timedelta) -> None:
        """Return at once."""
        self._check_open()

    async def call(
        self,
        path: str,
        request: bytes,
        *,
        timeout: timedelta | None = None,
        metadata: Sequence[tuple[str, str]] = (),
    ) -> bytes:
        """Call a unary method, in a task of its own."""
        self._check_open()
        method = self._methods.get(path)
        if not isinstance(method, UnaryMethod):
            raise _unknown(path)
        _check_size(request)
        seconds = None if timeout is None else timeout.total_seconds()
        task, outcome = self._start(_answer(method, request, _call(path, metadata, seconds)))
        try:
            async with asyncio.timeout(seconds):
                reply = await outcome
            _check_size(reply)
        except BaseException as error:
            if outcome.done() and not outcome.cancelled() and outcome.exception() is None:
                _take_back(outcome.result())  # it was on its way
            if isinstance(error, TimeoutError):
                raise RPCError(StatusCode.DEADLINE_EXCEEDED, "the deadline has passed") from None
            raise
        finally:
            # A handler may ignore it; its caller is not kept waiting.
            task.cancel()
        return reply

    async def stream(
        self,
        path: str,
        requests: AsyncIterable[bytes],
        *,
        metadata: Sequence[tuple[str, str]] = (),
    ) -> AsyncIterator[bytes]:
        """Call a streaming method."""
        self._check_open()
        method = self._methods.get(path)
        if not isinstance(method, StreamMethod):
            raise _unknown(path)
        try:
            async for message in method.handler(aiter(requests), _call(path, metadata, None)):
                yield message
        except Exception as error:
            raise as_rpc_error(path, error) from error

    async def close(self) -> None:
        """Cancel what is in flight."""
        self.fail("the channel is closed")

    def fail(self, reason: str) -> None:
        """End every call, and refuse those to come, as `UNAVAILABLE` for this reason."""
        self._reason = self._reason or reason
        calls, self._calls = self._calls, {}
        for task, outcome in calls.items():
            if not outcome.done():
                outcome.set_exception(RPCError(StatusCode.UNAVAILABLE, self._reason))
            task.cancel()

    def _start(self, answer: Coroutine[Any, Any, bytes]) -> tuple[asyncio.Task[bytes], asyncio.Future[bytes]]:
        loop = asyncio.get_running_loop()
        task, outcome = loop.create_task(answer), loop.create_future()
        self._calls[task] = outcome
        task.add_done_callback(self._end)
        return task, outcome

    def _end(self, task: asyncio.Task[bytes]) -> None:
        outcome = self._calls.pop(task, None)
        error = RPCError(StatusCode.CANCELLED, "cancelled") if task.cancelled() else task.exception()
        if outcome is None:
            return  # the plugin has ended
        if outcome.done():  # its caller has left
            if error is None:
                _take_back(task.result())
            return
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(task.result())

    def _check_open(self) -> None:
        if self._reason:
            raise RPCError(StatusCode.UNAVAILABLE, self._reason)


async def _answer(method: UnaryMethod, request: bytes, call: CallContext) -> bytes:
    try:
        result = method.handler(request, call)
        return await result if inspect.isawaitable(result) else result
    except BaseException as error:
        if is_cancellation(error):
            raise
        raise as_rpc_error(method.path, error) from error


def _call(path: str, metadata: Sequence[tuple[str, str]], seconds: float | None) -> CallContext:
    values: dict[str, list[str]] = {}
    for key, value in metadata:
        values.setdefault(key, []).append(value)
    deadline = None if seconds is None else asyncio.get_running_loop().time() + seconds
    return CallContext(path, values, deadline)


def _unknown(path: str) -> RPCError:
    return RPCError(StatusCode.UNIMPLEMENTED, f"unknown method {path}")


def _take_back(reply: bytes) -> None:
    """Tell the sender of a reply, if it wants to know, that nobody has taken it."""
    if isinstance(reply, RevocableReply):
        reply.on_untaken()


def _check_size(message: bytes) -> None:
    if len(message) > DEFAULT_MAX_MESSAGE_BYTES:
        raise RPCError(StatusCode.RESOURCE_EXHAUSTED, "the message is too long")
