"""Peers that write HTTP/2 frames by hand, right ones and wrong ones."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from authkit.rpc import Address
from authkit.rpc.channel import GRPCChannel
from authkit.rpc.http2.frames import (
    END_HEADERS,
    END_STREAM,
    PREFACE,
    FrameReader,
    Kind,
    build_frame,
    encode_headers,
)
from authkit.rpc.messages import encode_request_head

SETTINGS = build_frame(Kind.SETTINGS, 0, 0)
LIMIT = 8 * 1024 * 1024


def opening(stream_id: int, path: str = "/t.T/Echo", *, end: bool = False) -> bytes:
    """The beginning of a call."""
    block = encode_request_head(path, "localhost", [], secure=False, timeout=None)
    return build_frame(Kind.HEADERS, END_HEADERS | (END_STREAM if end else 0), stream_id, block)


def data(stream_id: int, payload: bytes, *, end: bool = False) -> bytes:
    """A DATA frame."""
    return build_frame(Kind.DATA, END_STREAM if end else 0, stream_id, payload)


class Peer:
    """A client that writes frames by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.frames = FrameReader()

    async def until(self, kind: Kind, stream_id: int) -> bytes:
        """The payload of the next such frame."""
        while piece := await self.reader.read(65536):
            for found, _, number, payload in self.frames.feed(piece):
                if (found, number) == (kind, stream_id):
                    return payload
        raise EOFError

    async def end(self) -> None:
        """Return when the server has cut the connection."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass


def headers(stream_id: int, fields: Sequence[tuple[bytes, bytes]], *, end: bool = False) -> bytes:
    """A HEADERS frame with any fields at all."""
    flags = END_HEADERS | (END_STREAM if end else 0)
    return build_frame(Kind.HEADERS, flags, stream_id, encode_headers(fields))


Script = Callable[[Peer, int], Awaitable[bool]]
"""Answers a call by hand: gets the peer and the number of the stream; returns whether to go on."""


@asynccontextmanager
async def scripted_server(directory: Path, script: Script) -> AsyncIterator[GRPCChannel]:
    """A server that answers each unary call as `script` says, and our channel to it."""
    path = str(directory / "s")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        writer.write(SETTINGS)
        number = 1
        with contextlib.suppress(EOFError, ConnectionError):
            await reader.readexactly(len(PREFACE))
            while True:
                await peer.until(Kind.DATA, number)
                if not await script(peer, number):
                    break
                number += 2
        writer.close()

    listener = await asyncio.start_unix_server(serve, path)
    channel = GRPCChannel(Address("unix", path), tls=None, server_name="", max_message_bytes=LIMIT)
    try:
        async with asyncio.timeout(20):
            yield channel
    finally:
        await channel.close()
        listener.close()
