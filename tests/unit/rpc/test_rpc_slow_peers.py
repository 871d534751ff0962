"""Peers that are slow, silent or greedy: cut off within the limits, while others are served."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from struct import pack

import pytest
from rpc_peers import SETTINGS, Peer, data, opening

from authkit.errors import RPCError, StatusCode
from authkit.rpc import Address, CallContext, Channel, StreamMethod, UnaryMethod, driver, server
from authkit.rpc.channel import GRPCChannel
from authkit.rpc.http2 import connection
from authkit.rpc.http2.frames import (
    PREFACE,
    ErrorCode,
    Kind,
    Setting,
    build_frame,
)
from authkit.rpc.message_queue import MessageQueue
from authkit.rpc.messages import PREFIX, encode_message
from authkit.rpc.server import GRPCServer

TICK = 0.01
LARGE = 8 * 1024 * 1024
UNREAD = 600_000
WIDE_WINDOWS = build_frame(
    Kind.SETTINGS, 0, 0, pack(">HL", Setting.INITIAL_WINDOW_SIZE, 2**31 - 1)
) + build_frame(Kind.WINDOW_UPDATE, 0, 0, pack(">L", 2**30))
NO_WINDOW = build_frame(Kind.SETTINGS, 0, 0, pack(">HL", Setting.INITIAL_WINDOW_SIZE, 0))


@asynccontextmanager
async def serving(
    directory: Path, *, is_drained: bool = False
) -> AsyncIterator[tuple[Peer, Channel, GRPCServer]]:
    """A server, a peer of it with the preface sent, and a channel that must be served throughout."""

    def large(request: bytes, call: CallContext) -> bytes:
        return bytes(LARGE)

    async def wrong(request: bytes, call: CallContext) -> bytes:
        return "text"  # type: ignore[return-value]

    async def count(requests: AsyncIterator[bytes], call: CallContext) -> AsyncIterator[bytes]:
        yield b"%d" % len([request async for request in requests])

    async def flood(requests: AsyncIterator[bytes], call: CallContext) -> AsyncIterator[bytes]:
        while True:
            yield bytes(10_000)

    async def ignore(requests: AsyncIterator[bytes], call: CallContext) -> AsyncIterator[bytes]:
        assert isinstance(requests, MessageQueue)
        while requests.buffered < UNREAD:
            await asyncio.sleep(0)
        yield b"enough"

    methods = [
        StreamMethod("/t.T/Flood", flood),
        StreamMethod("/t.T/Ignore", ignore),
        UnaryMethod("/t.T/Echo", lambda request, call: request),
        UnaryMethod("/t.T/Large", large),
        UnaryMethod("/t.T/Wrong", wrong),
        StreamMethod("/t.T/Count", count),
    ]
    address = Address("unix", str(directory / "s"))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address.target)
    listener.listen()
    listener.setblocking(False)
    service = GRPCServer(methods, listener, tls=None, on_refused=lambda _: None, max_message_bytes=LARGE)
    await service.start()
    channel = GRPCChannel(address, tls=None, server_name="", max_message_bytes=LARGE)
    peer = Peer(*await asyncio.open_unix_connection(address.target))
    peer.writer.write(PREFACE + SETTINGS)
    try:
        async with asyncio.timeout(20):
            yield peer, channel, service
            assert is_drained or await channel.call("/t.T/Echo", b"alive") == b"alive"
    finally:
        peer.writer.transport.abort()
        await channel.close()
        await service.drain(timedelta(0))


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits in hundredths of a second."""
    monkeypatch.setattr(server, "SWEEP_SECONDS", TICK)


async def test_a_client_that_reads_nothing_is_cut_off(
    short_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its windows are open, its socket is full."""
    monkeypatch.setattr(driver, "WRITE_SECONDS", TICK)
    async with serving(short_directory) as (peer, _, service):
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        peer.writer.write(WIDE_WINDOWS + opening(1, "/t.T/Large") + data(1, encode_message(b""), end=True))
        await gone(service)


async def gone(service: GRPCServer) -> None:
    """Return when the server has had, and has lost, its connection."""
    while not service._connections:
        await asyncio.sleep(0)
    await next(iter(service._connections)).ended


async def test_a_broken_connection_is_cut_even_if_nobody_reads(
    short_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A little that cannot be written does not keep it open."""
    monkeypatch.setattr(driver, "WRITE_SECONDS", TICK)
    async with serving(short_directory) as (peer, _, service):
        while not service._connections:
            await asyncio.sleep(0)
        held = next(iter(service._connections))
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        held.transport.set_write_buffer_limits(high=2**30)
        held.transport.write(bytes(LARGE))
        peer.writer.write(data(1, b"x"))
        await held.ended


async def test_a_client_that_opens_no_window_loses_its_stream(
    short_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reply does not stay in memory."""
    monkeypatch.setattr(server, "ANSWER_SECONDS", TICK)
    async with serving(short_directory) as (peer, _, _):
        peer.writer.write(NO_WINDOW + opening(1) + data(1, encode_message(b"abc"), end=True))
        assert await peer.until(Kind.RST_STREAM, 1) == pack(">L", ErrorCode.CANCEL)


async def test_a_client_that_takes_an_answer_byte_by_byte_loses_it(
    short_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CVE-2019-9511: it would hold the rest in memory for as long as it likes."""
    monkeypatch.setattr(server, "ANSWER_SECONDS", 20 * TICK)
    async with serving(short_directory) as (peer, _, _):
        peer.writer.write(NO_WINDOW + opening(1, "/t.T/Large") + data(1, encode_message(b""), end=True))
        byte = build_frame(Kind.WINDOW_UPDATE, 0, 1, pack(">L", 1))
        peer.writer.write(byte)
        for _ in range(server.MIN_ANSWER_BYTES):
            for kind, _, _, payload in peer.frames.feed(await peer.reader.read(65536)):
                if kind == Kind.DATA:
                    peer.writer.write(byte)
                elif kind == Kind.RST_STREAM:
                    assert payload == pack(">L", ErrorCode.CANCEL)
                    return
        pytest.fail("it is still sent")


async def test_answers_that_wait_are_bounded_together(
    short_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that exceeds it is refused; those before stay."""
    monkeypatch.setattr(server, "MAX_UNSENT_BYTES", 2 * LARGE)
    async with serving(short_directory) as (peer, _, service):
        peer.writer.write(NO_WINDOW)
        for number in (1, 3, 5):
            peer.writer.write(opening(number, "/t.T/Large") + data(number, encode_message(b""), end=True))
        assert b"grpc-status\x018" in await peer.until(Kind.HEADERS, 3)
        waiting = [held.core.unsent() for held in service._connections]
        assert {1: LARGE - 3} not in waiting
        assert any(1 in unsent and 3 not in unsent for unsent in waiting)


async def test_a_stream_without_end_waits_for_its_reader(short_directory: Path) -> None:
    """However wide the windows are, no more is written than a socket and its buffer hold."""
    async with serving(short_directory) as (peer, channel, service):
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        peer.writer.write(WIDE_WINDOWS + opening(1, "/t.T/Flood", end=True))
        while all(held.writable.is_set() for held in service._connections):
            assert await channel.call("/t.T/Echo", b"meanwhile") == b"meanwhile"
        held = next(held for held in service._connections if not held.writable.is_set())
        before = held.transport.get_write_buffer_size()
        assert await channel.call("/t.T/Echo", b"later") == b"later"
        assert held.transport.get_write_buffer_size() == before < 1024 * 1024


async def test_what_a_handler_leaves_unread_blocks_nobody(short_directory: Path) -> None:
    """Its share of the connection's window is given back when the call ends."""
    async with serving(short_directory) as (_, channel, _):

        async def many() -> AsyncIterator[bytes]:
            for _ in range(UNREAD // 10_000):
                yield bytes(10_000)

        for _ in range(2 * connection.CONNECTION_WINDOW // UNREAD):
            async with contextlib.aclosing(channel.stream("/t.T/Ignore", many())) as replies:  # type: ignore[type-var]
                assert await anext(replies) == b"enough"


@pytest.mark.parametrize("part", [b"", encode_message(b"abc")[:6], encode_message(b"abc")])
async def test_half_a_request_is_reset(
    short_directory: Path, monkeypatch: pytest.MonkeyPatch, part: bytes
) -> None:
    """However much of it has come."""
    monkeypatch.setattr(server, "REQUEST_SECONDS", TICK)
    async with serving(short_directory) as (peer, _, _):
        peer.writer.write(opening(1) + data(1, part))
        assert await peer.until(Kind.RST_STREAM, 1) == pack(">L", ErrorCode.CANCEL)


async def test_a_client_that_never_begins_is_cut_off(
    short_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a preface holds no connection."""
    monkeypatch.setattr(server, "REQUEST_SECONDS", TICK)
    async with serving(short_directory) as (_, _, _):
        silent = Peer(*await asyncio.open_unix_connection(str(short_directory / "s")))
        silent.writer.write(PREFACE[:9])
        await silent.end()
        silent.writer.transport.abort()


async def test_streams_without_end_are_refused(
    short_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those beyond the limit, each by itself."""
    monkeypatch.setattr(connection, "MAX_STREAMS", 3)
    async with serving(short_directory) as (peer, _, _):
        peer.writer.write(b"".join(opening(number) for number in range(1, 400, 2)))
        assert await peer.until(Kind.RST_STREAM, 399) == pack(">L", ErrorCode.REFUSED_STREAM)


@pytest.mark.parametrize("path", ["/t.T/Echo", "/t.T/Count"])
async def test_unfinished_messages_are_bounded_together(
    short_directory: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """On unary calls and on streams: the call that exceeds it is refused, those before stay."""
    monkeypatch.setattr(server, "MAX_BUFFERED_BYTES", 1000)
    async with serving(short_directory) as (peer, _, _):
        part = PREFIX.pack(0, 5000) + bytes(400)
        peer.writer.write(b"".join(opening(number, path) + data(number, part) for number in (1, 3, 5)))
        assert b"grpc-status\x018" in await peer.until(Kind.HEADERS, 5)


async def test_a_request_that_trickles_is_answered(short_directory: Path) -> None:
    """Byte by byte, as long as it is there in time."""
    async with serving(short_directory) as (peer, _, _):
        message = encode_message(b"abc")
        peer.writer.write(opening(1) + b"".join(data(1, bytes((octet,))) for octet in message))
        peer.writer.write(data(1, b"", end=True))
        assert await peer.until(Kind.DATA, 1) == message


async def test_drain_waits_for_answers_that_flow_control_holds(short_directory: Path) -> None:
    """They are calls in flight; the connection ends after them."""
    async with serving(short_directory, is_drained=True) as (_, channel, service):
        reading = asyncio.ensure_future(channel.call("/t.T/Large", b""))
        while not any(held.core.unsent() for held in service._connections):
            await asyncio.sleep(0)
        await service.drain(timedelta(seconds=10))
        assert len(await reading) == LARGE


async def test_drain_waits_for_what_was_written(short_directory: Path) -> None:
    """A reply that fills the socket arrives whole."""
    async with serving(short_directory, is_drained=True) as (peer, _, service):
        peer.writer.write(WIDE_WINDOWS + opening(1, "/t.T/Large") + data(1, encode_message(b""), end=True))
        received = len(await peer.reader.read(100))
        draining = asyncio.ensure_future(service.drain(timedelta(seconds=10)))
        while piece := await peer.reader.read(65536):
            received += len(piece)
        await draining
        assert received > LARGE


async def test_a_reply_that_is_not_bytes_fails_its_call_alone(
    short_directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It never reaches the connection."""
    async with serving(short_directory) as (_, channel, _):
        with caplog.at_level(logging.CRITICAL, "authkit.rpc"), pytest.raises(RPCError) as caught:
            await channel.call("/t.T/Wrong", b"")
        assert caught.value.code is StatusCode.INTERNAL


# --- servers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [b"", SETTINGS[:5], b"HTTP/1.1 400 Bad Request\r\n\r\n", SETTINGS])
async def test_a_silent_server_delays_nobody_beyond_the_deadline(short_directory: Path, sent: bytes) -> None:
    """One that says nothing, not enough, something else, or falls silent after its settings."""
    path = str(short_directory / "s")
    writers: list[asyncio.StreamWriter] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.write(sent)

    listener = await asyncio.start_unix_server(answer, path)
    channel = GRPCChannel(Address("unix", path), tls=None, server_name="", max_message_bytes=LARGE)
    try:
        if sent != SETTINGS:
            with pytest.raises(RPCError) as caught:
                await channel.ready(timedelta(milliseconds=50))
            assert caught.value.code is StatusCode.UNAVAILABLE
        with pytest.raises(RPCError) as caught:
            await channel.call("/t.T/Echo", b"", timeout=timedelta(milliseconds=50))
        assert caught.value.code in (StatusCode.DEADLINE_EXCEEDED, StatusCode.UNAVAILABLE)
    finally:
        await channel.close()
        for writer in writers:
            writer.transport.abort()
        listener.close()
