"""What a peer writes on a connection: frames of HTTP/2 with calls in them, well formed or not."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tempfile
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from struct import pack

from fuzz_target import Taker, Target, check, of_function, within

from authkit.errors import StatusCode
from authkit.rpc import CallContext, UnaryMethod
from authkit.rpc.http2.connection import HTTP2Connection
from authkit.rpc.http2.frames import (
    END_HEADERS,
    END_STREAM,
    PREFACE,
    ConnectionFailure,
    FrameReader,
    Kind,
    build_frame,
    encode_headers,
)
from authkit.rpc.messages import (
    encode_message,
    encode_request_head,
    encode_response_head,
    encode_trailers,
    parse_request_head,
    parse_response_head,
)
from authkit.rpc.server import GRPCServer

__all__ = ["GUIDED_BY", "TARGETS"]

GUIDED_BY = ("authkit.rpc",)
"""Whose branches guide the fuzzer: measuring all of authkit would take most of the time."""

LIMIT = 1024 * 1024
LAST_STREAM = 2**31 - 1
MAX_ANSWER = 4 * 1024 * 1024
"""Far more than the answers to one case, each of a few bytes."""
SETTINGS = build_frame(Kind.SETTINGS, 0, 0)
HEAD = encode_request_head("/t.T/Echo", "localhost", [], secure=False, timeout=None)


def _whole_call(stream_id: int) -> bytes:
    opening = build_frame(Kind.HEADERS, END_HEADERS, stream_id, HEAD)
    return opening + build_frame(Kind.DATA, END_STREAM, stream_id, encode_message(b"hello"))


def _is_between_frames(case: bytes) -> bool:
    """Whether the case ends where a frame ends that need not be followed by a certain other one."""
    at, kind, flags = 0, 0, 0
    while at + 9 <= len(case):
        kind, flags = case[at + 3], case[at + 4]
        at += 9 + int.from_bytes(case[at : at + 3])
    return at == len(case) and (kind not in (Kind.HEADERS, Kind.CONTINUATION) or bool(flags & END_HEADERS))


class Server(Taker):
    """A server on a socket, and a peer that writes the case and then one good call."""

    def __init__(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.path = str(Path(self.directory.name) / "s")
        self.server: GRPCServer | None = None

    async def start(self) -> None:
        """Listen."""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.path)
        listener.listen()

        def echo(message: bytes, call: CallContext) -> bytes:
            return message[:64]

        self.server = GRPCServer(
            [UnaryMethod("/t.T/Echo", echo)],
            listener,
            tls=None,
            on_refused=lambda *_: None,
            max_message_bytes=LIMIT,
        )
        await self.server.start()

    async def take(self, case: bytes) -> None:
        """The call after the case is answered, or the connection ended."""
        if self.server is None:
            await self.start()
        reader, writer = await asyncio.open_unix_connection(self.path)
        try:
            window = build_frame(Kind.WINDOW_UPDATE, 0, LAST_STREAM, pack(">L", 65535))
            writer.write(PREFACE + SETTINGS + case + _whole_call(LAST_STREAM) + window)
            await within(self._read(reader, is_complete=_is_between_frames(case)))
            await within(self._hang_up(reader, writer))
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _hang_up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Say that nothing more comes: the server ends the connection too, whatever it waits for."""
        with contextlib.suppress(OSError):
            writer.write_eof()
            while await reader.read(65536):
                pass

    async def end(self) -> None:
        """Stop."""
        if self.server is not None:
            await self.server.drain(timedelta(0))
        self.directory.cleanup()

    async def _read(self, reader: asyncio.StreamReader, *, is_complete: bool) -> None:
        frames, size = FrameReader(), 0
        if not is_complete:
            # What follows is part of the case's last frame: the server waits for more, or has ended it.
            return
        while True:
            try:
                data = await reader.read(65536)
            except ConnectionError:
                return
            if not data:
                return
            size += len(data)
            check(size < MAX_ANSWER, "the answers do not end")
            for kind, flags, stream_id, _ in frames.feed(data):
                if kind == Kind.GOAWAY:
                    return
                if stream_id == LAST_STREAM and (kind == Kind.RST_STREAM or flags & END_STREAM):
                    return


def _take_at(case: bytes, *, is_client: bool) -> None:
    """Give the case to one side, in pieces whose length the case says."""
    parse = parse_response_head if is_client else parse_request_head
    connection: HTTP2Connection[object] = HTTP2Connection(is_client=is_client, parse=parse)
    streams = [connection.open_stream() for _ in range(2)] if is_client else []
    for stream_id in streams:
        connection.send_headers(stream_id, HEAD)
        connection.send_data(stream_id, encode_message(b"x"), end=True)
    written = len(connection.data_to_send())
    step = case[0] + 1 if case else 1
    data = (b"" if is_client else PREFACE) + SETTINGS + case[1:]
    for at in range(0, len(data), step):
        try:
            events = connection.receive(data[at : at + step], 0.0)
        except ConnectionFailure:
            check(connection.data_to_send(), "a connection ended without a word")
            return
        check(len(events) <= len(data), "more events than bytes")
        written += len(connection.data_to_send())
    check(written <= 64 * 1024 + 32 * len(data), "more is written than a few bytes for each byte")
    check(connection.stream_count <= 1000, "too many streams")


async def take_at_server(case: bytes) -> None:
    """A server's side of a connection, without I/O."""
    _take_at(case, is_client=False)


async def take_at_client(case: bytes) -> None:
    """A client's side of a connection, without I/O."""
    _take_at(case, is_client=True)


def _frames() -> Iterable[bytes]:
    yield _whole_call(1)
    yield _whole_call(1) + _whole_call(3)
    yield build_frame(Kind.HEADERS, END_HEADERS | END_STREAM, 1, HEAD)
    yield build_frame(Kind.HEADERS, 0, 1, HEAD[:5]) + build_frame(Kind.CONTINUATION, END_HEADERS, 1, HEAD[5:])
    yield build_frame(Kind.SETTINGS, 0, 0, pack(">HLHL", 4, 1, 5, 16384)) + _whole_call(1)
    yield build_frame(Kind.PING, 0, 0, bytes(8)) + build_frame(Kind.PING, 1, 0, bytes(8))
    yield build_frame(Kind.WINDOW_UPDATE, 0, 0, pack(">L", 2**31 - 1))
    yield build_frame(Kind.GOAWAY, 0, 0, pack(">LL", 0, 0) + b"bye") + _whole_call(1)
    yield _whole_call(1) + build_frame(Kind.RST_STREAM, 0, 1, pack(">L", 8))
    yield build_frame(Kind.HEADERS, END_HEADERS, 1, HEAD) + build_frame(Kind.DATA, 8, 1, b"\x03" + bytes(8))
    yield build_frame(Kind.HEADERS, END_HEADERS | 0x20, 1, pack(">LB", 3, 1) + HEAD)
    yield build_frame(Kind.HEADERS, END_HEADERS, 1, encode_headers([(b":method", b"GET"), (b"a", b"b")]))
    yield build_frame(99, 255, 5, b"unknown")


def _answers() -> Iterable[bytes]:
    head = build_frame(Kind.HEADERS, END_HEADERS, 1, encode_response_head())
    data = build_frame(Kind.DATA, 0, 1, encode_message(b"hello"))
    yield head + data + build_frame(Kind.HEADERS, END_HEADERS | END_STREAM, 1, encode_trailers(StatusCode.OK))
    alone = encode_trailers(StatusCode.INTERNAL, "é", alone=True)
    yield build_frame(Kind.HEADERS, END_HEADERS | END_STREAM, 3, alone)
    yield head + build_frame(Kind.PUSH_PROMISE, END_HEADERS, 1, pack(">L", 2) + HEAD)
    yield head + data * 3


TARGETS = [
    Target("grpc", "frames to a server, a good call after them", Server, _frames),
    Target(
        "http2_server",
        "frames at a server's side, without I/O",
        of_function(take_at_server),
        lambda: (b"\xff" + case for case in _frames()),
    ),
    Target(
        "http2_client",
        "frames at a client's side, without I/O",
        of_function(take_at_client),
        lambda: (b"\xff" + case for case in (*_answers(), *_frames())),
    ),
]
