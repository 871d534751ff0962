"""Calls in this process behave like calls over a connection."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from authkit.errors import RPCError, StatusCode
from authkit.host.supervisor.in_process import channel as inprocess
from authkit.host.supervisor.in_process.channel import InProcessChannel
from authkit.rpc.interface import CallContext, RevocableReply, StreamMethod, UnaryMethod

SECOND = timedelta(seconds=1)
variable = contextvars.ContextVar("variable", default="unset")


class Hanging:
    """A handler that waits until it is cancelled, and can refuse to be."""

    def __init__(self, *, stubborn: bool = False) -> None:
        self.begun = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.release = asyncio.Event()
        self.stubborn = stubborn

    async def __call__(self, message: bytes, call: CallContext) -> bytes:
        self.begun.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            if not self.stubborn:
                raise
            await self.release.wait()
        return b""


async def test_a_handler_sees_message_metadata_and_deadline() -> None:
    """It may answer at once or be awaited."""
    calls: list[tuple[bytes, CallContext]] = []

    def at_once(message: bytes, call: CallContext) -> bytes:
        calls.append((message, call))
        return message * 2

    async def later(message: bytes, call: CallContext) -> bytes:
        variable.set("changed by the handler")
        return message[::-1]

    channel = InProcessChannel([UnaryMethod("/s/AtOnce", at_once), UnaryMethod("/s/Later", later)])
    await channel.ready(SECOND)
    metadata = [("k", "1"), ("k", "2")]
    assert await channel.call("/s/AtOnce", b"ab", timeout=SECOND, metadata=metadata) == b"abab"
    assert await channel.call("/s/Later", b"ab") == b"ba"
    assert variable.get() == "unset"
    ((message, call),) = calls
    assert (message, call.path, dict(call.metadata)) == (b"ab", "/s/AtOnce", {"k": ["1", "2"]})
    assert call.deadline is not None
    assert 0 < call.deadline - asyncio.get_running_loop().time() <= 1


async def test_failures_are_statuses() -> None:
    """A status is passed on, anything else is neutral, also what would end the process."""

    def refuse(message: bytes, call: CallContext) -> bytes:
        raise RPCError(StatusCode.NOT_FOUND, "no such thing")

    def leave(message: bytes, call: CallContext) -> bytes:
        raise SystemExit(3)

    channel = InProcessChannel([UnaryMethod("/s/Refuse", refuse), UnaryMethod("/s/Leave", leave)])
    for path, code, text in (
        ("/s/Refuse", StatusCode.NOT_FOUND, "no such thing"),
        ("/s/Leave", StatusCode.INTERNAL, "internal error"),
        ("/s/Missing", StatusCode.UNIMPLEMENTED, "unknown method /s/Missing"),
    ):
        with pytest.raises(RPCError) as caught:
            await channel.call(path, b"")
        assert (caught.value.code, caught.value.message) == (code, text)


@pytest.mark.parametrize("stubborn", [False, True])
async def test_a_deadline_ends_the_call_and_cancels_the_handler(stubborn: bool) -> None:
    """Its caller is not kept waiting by a handler that ignores the cancellation."""
    handler = Hanging(stubborn=stubborn)
    channel = InProcessChannel([UnaryMethod("/s/Hang", handler)])
    with pytest.raises(RPCError) as caught:
        await channel.call("/s/Hang", b"", timeout=timedelta(milliseconds=1))
    assert caught.value.code is StatusCode.DEADLINE_EXCEEDED
    await handler.cancelled.wait()
    handler.release.set()


async def test_a_caller_that_leaves_cancels_the_handler() -> None:
    """As a client that resets its stream."""
    handler = Hanging()
    channel = InProcessChannel([UnaryMethod("/s/Hang", handler)])
    caller = asyncio.ensure_future(channel.call("/s/Hang", b""))
    await handler.begun.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await handler.cancelled.wait()


@pytest.mark.parametrize("stubborn", [False, True])
async def test_closing_ends_what_is_in_flight(stubborn: bool) -> None:
    """As unavailable, and so is every later call."""
    handler = Hanging(stubborn=stubborn)
    channel = InProcessChannel([UnaryMethod("/s/Hang", handler)])
    caller = asyncio.ensure_future(channel.call("/s/Hang", b""))
    await handler.begun.wait()
    await channel.close()
    for call in (caller, channel.call("/s/Hang", b""), channel.ready(SECOND)):
        with pytest.raises(RPCError, match="the channel is closed") as caught:
            await call
        assert caught.value.code is StatusCode.UNAVAILABLE
    await handler.cancelled.wait()
    handler.release.set()


async def test_a_handler_s_own_cancellation_is_an_answer() -> None:
    """It does not leave the caller without one."""

    async def cancel_itself(message: bytes, call: CallContext) -> bytes:
        raise asyncio.CancelledError

    channel = InProcessChannel([UnaryMethod("/s/Cancel", cancel_itself)])
    with pytest.raises(RPCError) as caught:
        await channel.call("/s/Cancel", b"")
    assert caught.value.code is StatusCode.INTERNAL


async def test_messages_have_a_longest_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """In both directions, as on a connection."""
    monkeypatch.setattr(inprocess, "DEFAULT_MAX_MESSAGE_BYTES", 8)
    channel = InProcessChannel([UnaryMethod("/s/Double", lambda message, call: message * 2)])
    assert await channel.call("/s/Double", b"1234") == b"12341234"
    for message in (b"12345", b"123456789"):
        with pytest.raises(RPCError) as caught:
            await channel.call("/s/Double", message)
        assert caught.value.code is StatusCode.RESOURCE_EXHAUSTED


async def test_streams_go_both_ways() -> None:
    """Each message of the caller's reaches the handler; its failure is a status."""

    async def echo(requests: AsyncIterator[bytes], call: CallContext) -> AsyncIterator[bytes]:
        async for message in requests:
            if message == b"fail":
                raise ValueError("inside")
            yield message + b"!"

    async def messages(*given: bytes) -> AsyncIterator[bytes]:
        for message in given:
            yield message

    channel = InProcessChannel([StreamMethod("/s/Echo", echo)])
    assert [m async for m in channel.stream("/s/Echo", messages(b"a", b"b"))] == [b"a!", b"b!"]
    for path, code in (("/s/Echo", StatusCode.INTERNAL), ("/s/No", StatusCode.UNIMPLEMENTED)):
        with pytest.raises(RPCError) as caught:
            [m async for m in channel.stream(path, messages(b"fail"))]
        assert caught.value.code is code


async def untaken_after(steps: int) -> bool | None:
    """Cancel a call after so many steps of the loop; return whether the reply was taken back.

    `None` if the call had ended before.
    """
    taken_back: list[bool] = []

    async def answer(message: bytes, call: CallContext) -> bytes:
        with contextlib.suppress(asyncio.CancelledError):  # a driver may end its work all the same
            await asyncio.sleep(0)
        reply = RevocableReply(b"user")
        reply.on_untaken = lambda: taken_back.append(True)
        return reply

    calling = asyncio.ensure_future(InProcessChannel([UnaryMethod("/s/M", answer)]).call("/s/M", b""))
    for _ in range(steps):
        await asyncio.sleep(0)
    calling.cancel()
    await asyncio.wait({calling})
    for _ in range(5):
        await asyncio.sleep(0)
    return None if not calling.cancelled() else bool(taken_back)


async def test_a_reply_that_nobody_took_is_taken_back() -> None:
    """Whether its handler went on, or it was on its way: else tests would see users that no server leaves."""
    outcomes = [await untaken_after(steps) for steps in range(8)]
    assert outcomes[0] is False  # never begun
    assert outcomes[-1] is None
    begun = outcomes[2 : outcomes.index(None)]
    assert len(begun) >= 2
    assert all(begun)
