"""Peers that speak HTTP/2 and no gRPC, or gRPC wrongly: each call has its end, and others go on."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from struct import pack

import pytest
from rpc_peers import LIMIT, SETTINGS, Peer, data, headers, opening, scripted_server

from authkit.errors import RPCError, StatusCode
from authkit.rpc import CallContext, RevocableReply, UnaryMethod
from authkit.rpc.http2 import budget
from authkit.rpc.http2.frames import END_HEADERS, END_STREAM, PREFACE, ErrorCode, Kind, Setting, build_frame
from authkit.rpc.messages import encode_message, encode_response_head, encode_trailers
from authkit.rpc.server import GRPCServer

HEAD = [(b":status", b"200"), (b"content-type", b"application/grpc")]
OK = [(b"grpc-status", b"0")]
REQUEST = [
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", b"/t.T/Echo"),
    (b":authority", b"localhost"),
    (b"te", b"trailers"),
    (b"content-type", b"application/grpc"),
]


def answer(number: int, message: bytes) -> bytes:
    """A whole and lawful answer."""
    head = build_frame(Kind.HEADERS, END_HEADERS, number, encode_response_head())
    trailers = build_frame(Kind.HEADERS, END_HEADERS | END_STREAM, number, encode_trailers(StatusCode.OK))
    return head + data(number, encode_message(message)) + trailers


# --- servers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["GOAWAY", "REFUSED_STREAM"])
@pytest.mark.parametrize("refusals", [1, 2])
async def test_a_call_that_was_not_begun_is_made_once_more(
    short_directory: Path, how: str, refusals: int
) -> None:
    """On a new connection if need be, and not for ever (RFC 9113 section 8.7)."""
    refused = 0

    async def script(peer: Peer, number: int) -> bool:
        nonlocal refused
        if refused == refusals:
            peer.writer.write(answer(number, b"served"))
        elif how == "GOAWAY":
            refused += 1
            peer.writer.write(build_frame(Kind.GOAWAY, 0, 0, pack(">LL", 0, ErrorCode.NO_ERROR)))
        else:
            refused += 1
            code = pack(">L", ErrorCode.REFUSED_STREAM)
            peer.writer.write(build_frame(Kind.RST_STREAM, 0, number, code))
        return True

    async with scripted_server(short_directory, script) as channel:
        if refusals == 1:
            assert await channel.call("/t.T/Echo", b"") == b"served"
        else:
            with pytest.raises(RPCError) as caught:
                await channel.call("/t.T/Echo", b"")
            assert caught.value.code is StatusCode.UNAVAILABLE
        assert refused == refusals


@pytest.mark.parametrize(
    ("frames", "code", "text"),
    [
        ([headers(1, [(b"Upper", b"1")])], StatusCode.INTERNAL, "malformed response headers"),
        ([data(1, encode_message(b"x"))], StatusCode.INTERNAL, "PROTOCOL_ERROR"),
        (
            [headers(1, [(b":status", b"100")]), data(1, encode_message(b"x"))],
            StatusCode.INTERNAL,
            "data before the response's headers",
        ),
        ([headers(1, [(b":status", b"404")])], StatusCode.UNIMPLEMENTED, "HTTP status 404, not gRPC"),
        ([headers(1, [(b":status", b"502")])], StatusCode.UNAVAILABLE, "HTTP status 502"),
        ([headers(1, [(b":status", b"418")])], StatusCode.UNKNOWN, "HTTP status 418"),
        (
            [headers(1, [(b":status", b"200"), (b"content-type", b"text/html")])],
            StatusCode.UNKNOWN,
            "not gRPC",
        ),
        ([headers(1, [(b":status", b"503")], end=True)], StatusCode.UNAVAILABLE, "without a status"),
        ([headers(1, HEAD, end=True)], StatusCode.UNKNOWN, "without a status"),
        (
            [headers(1, HEAD), data(1, encode_message(b"x"), end=True)],
            StatusCode.INTERNAL,
            "without trailers",
        ),
        ([headers(1, HEAD), headers(1, OK, end=True)], StatusCode.INTERNAL, "no message"),
        (
            [headers(1, HEAD), data(1, encode_message(b"x") * 2), headers(1, OK, end=True)],
            StatusCode.INTERNAL,
            "more than one message",
        ),
        (
            [headers(1, HEAD), data(1, encode_message(b"xyz")[:6]), headers(1, OK, end=True)],
            StatusCode.INTERNAL,
            "inside a message",
        ),
        (
            [headers(1, HEAD), data(1, b"\1\0\0\0\1x"), headers(1, OK, end=True)],
            StatusCode.UNIMPLEMENTED,
            "compressed",
        ),
        (
            [headers(1, HEAD), data(1, pack(">BL", 0, LIMIT + 1))],
            StatusCode.RESOURCE_EXHAUSTED,
            f"{LIMIT + 1} bytes",
        ),
        (
            [headers(1, [*HEAD, (b"grpc-status", b"7"), (b"grpc-message", b"not%20%C3%A4 %zz")], end=True)],
            StatusCode.PERMISSION_DENIED,
            "not \u00e4 %zz",
        ),
        ([build_frame(Kind.RST_STREAM, 0, 1, pack(">L", 8))], StatusCode.CANCELLED, "CANCEL"),
        ([build_frame(Kind.RST_STREAM, 0, 1, pack(">L", 12))], StatusCode.PERMISSION_DENIED, "SECURITY"),
        ([build_frame(Kind.RST_STREAM, 0, 1, pack(">L", 999))], StatusCode.INTERNAL, "INTERNAL_ERROR"),
    ],
)
async def test_a_wrong_answer_ends_its_call_alone(
    short_directory: Path, frames: list[bytes], code: StatusCode, text: str
) -> None:
    """With a status that says what was wrong; the next call on the same connection is answered."""

    async def script(peer: Peer, number: int) -> bool:
        peer.writer.write(b"".join(frames) if number == 1 else answer(number, b"well"))
        return True

    async with scripted_server(short_directory, script) as channel:
        with pytest.raises(RPCError) as caught:
            await channel.call("/t.T/Echo", b"")
        assert caught.value.code is code
        assert text in caught.value.message
        assert await channel.call("/t.T/Echo", b"") == b"well"


async def test_interim_answers_and_late_frames_are_passed_over(short_directory: Path) -> None:
    """103 before the answer; frames of a call that is over."""

    async def script(peer: Peer, number: int) -> bool:
        if number > 1:
            peer.writer.write(data(1, encode_message(b"late")) + headers(1, OK, end=True))
        peer.writer.write(headers(number, [(b":status", b"103")]) + answer(number, b"well"))
        return True

    async with scripted_server(short_directory, script) as channel:
        for _ in range(3):
            assert await channel.call("/t.T/Echo", b"") == b"well"


async def test_no_more_streams_are_opened_than_the_server_takes(short_directory: Path) -> None:
    """Others wait for a place; a deadline ends the waiting, and so does the end of the connection."""
    waiting: asyncio.Queue[int] = asyncio.Queue()

    async def script(peer: Peer, number: int) -> bool:
        if number == 1:
            setting = pack(">HL", Setting.MAX_CONCURRENT_STREAMS, 1)
            peer.writer.write(build_frame(Kind.SETTINGS, 0, 0, setting) + answer(1, b"first"))
            return True
        waiting.put_nowait(number)
        if number == 3:
            return True
        peer.writer.write(answer(3, b"second") + answer(number, b"third"))
        return number < 7

    async with scripted_server(short_directory, script) as channel:
        assert await channel.call("/t.T/Echo", b"") == b"first"
        holding = asyncio.ensure_future(channel.call("/t.T/Echo", b""))
        assert await waiting.get() == 3
        with pytest.raises(RPCError) as caught:
            await channel.call("/t.T/Echo", b"", timeout=timedelta(milliseconds=20))
        assert caught.value.code is StatusCode.DEADLINE_EXCEEDED
        queued = asyncio.ensure_future(channel.call("/t.T/Echo", b""))
        holding.cancel()
        assert await queued == b"third"


async def test_a_connection_that_breaks_ends_every_call(short_directory: Path) -> None:
    """Those that were begun as UNAVAILABLE, without a second try: nobody knows what became of them."""
    begun = 0

    async def script(peer: Peer, number: int) -> bool:
        nonlocal begun
        begun += 1
        return False

    async with scripted_server(short_directory, script) as channel:
        with pytest.raises(RPCError, match="lost") as caught:
            await channel.call("/t.T/Echo", b"")
        assert caught.value.code is StatusCode.UNAVAILABLE
        assert begun == 1


# --- clients -----------------------------------------------------------------------------------


@asynccontextmanager
async def stranger(directory: Path) -> AsyncIterator[Peer]:
    """A client that writes frames by hand, to a server that echoes."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(directory / "s"))
    listener.listen()
    listener.setblocking(False)

    async def wait(request: bytes, call: CallContext) -> bytes:
        await asyncio.sleep(0)
        return request

    def revoke(request: bytes, call: CallContext) -> bytes:
        reply = RevocableReply(request)
        reply.on_untaken = lambda: untaken.append(request)
        return reply

    def grow(request: bytes, call: CallContext) -> bytes:
        reply = RevocableReply(request * LIMIT)
        reply.on_untaken = lambda: untaken.append(request)
        return reply

    async def go_on(request: bytes, call: CallContext) -> bytes:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return revoke(request, call)

    untaken: list[bytes] = []
    methods = [
        UnaryMethod("/t.T/Echo", lambda request, call: request),
        UnaryMethod("/t.T/Wait", wait),
        UnaryMethod("/t.T/Revocable", revoke),
        UnaryMethod("/t.T/Growing", grow),
        UnaryMethod("/t.T/Going", go_on),
        UnaryMethod("/t.T/Untaken", lambda request, call: b",".join(untaken)),
    ]
    service = GRPCServer(methods, listener, tls=None, on_refused=lambda _: None, max_message_bytes=LIMIT)
    await service.start()
    peer = Peer(*await asyncio.open_unix_connection(str(directory / "s")))
    peer.writer.write(PREFACE + SETTINGS)
    try:
        async with asyncio.timeout(20):
            yield peer
    finally:
        peer.writer.transport.abort()
        await service.drain(timedelta(0))


def changed(**fields: bytes | None) -> list[tuple[bytes, bytes]]:
    """The fields of a lawful request, some of them changed or left out."""
    named = {name.replace("__", ":").replace("_", "-").encode(): value for name, value in fields.items()}
    kept = [(name, named.pop(name, value)) for name, value in REQUEST]
    return [(name, value) for name, value in [*kept, *named.items()] if value is not None]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (changed(__method=b"GET"), b":status\x03405"),
        (changed(content_type=b"text/html"), b":status\x03415"),
        (changed(content_type=None), b":status\x03415"),
        (changed(grpc_encoding=b"gzip"), b"grpc-status\x0212"),
        (changed(__path=b"/t.T/Nothing"), b"grpc-status\x0212"),
        (changed(grpc_timeout=b"soon"), b"grpc-status\x0213"),
    ],
)
async def test_a_request_that_is_none_of_ours_is_answered(
    short_directory: Path, fields: list[tuple[bytes, bytes]], expected: bytes
) -> None:
    """In a way that both HTTP and gRPC can read, and the connection goes on."""
    async with stranger(short_directory) as peer:
        peer.writer.write(headers(1, fields) + data(1, encode_message(b"x"), end=True))
        assert expected in await peer.until(Kind.HEADERS, 1)
        peer.writer.write(opening(3) + data(3, encode_message(b"on"), end=True))
        assert await peer.until(Kind.DATA, 3) == encode_message(b"on")


@pytest.mark.parametrize(
    "fields",
    [
        changed(__path=None),
        changed(te=b"gzip"),
        changed(connection=b"close"),
        [*REQUEST, (b":path", b"/t.T/Other")],
    ],
)
async def test_a_malformed_request_is_reset(short_directory: Path, fields: list[tuple[bytes, bytes]]) -> None:
    """As RFC 9113 section 8.1.1 asks, that stream alone."""
    async with stranger(short_directory) as peer:
        peer.writer.write(headers(1, fields))
        assert await peer.until(Kind.RST_STREAM, 1) == pack(">L", ErrorCode.PROTOCOL_ERROR)
        peer.writer.write(opening(3) + data(3, encode_message(b"on"), end=True))
        assert await peer.until(Kind.DATA, 3) == encode_message(b"on")


async def test_malformed_requests_without_end_are_cut_off(
    short_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CVE-2025-8671: each is a stream that we open, and reset ourselves."""
    monkeypatch.setattr(budget, "UNITS_A_SECOND", 100)
    async with stranger(short_directory) as peer:
        fields = changed(te=b"gzip")
        peer.writer.write(b"".join(headers(number, fields) for number in range(1, 60, 2)))
        assert (await peer.until(Kind.GOAWAY, 0))[4:8] == pack(">L", ErrorCode.ENHANCE_YOUR_CALM)
        await peer.end()


@pytest.mark.parametrize("path", ["/t.T/Echo", "/t.T/Wait"])
async def test_a_request_of_another_length_never_reaches_a_method(short_directory: Path, path: str) -> None:
    """The stream is reset with PROTOCOL_ERROR; the right length is served (RFC 9113 section 8.1.1)."""
    message = encode_message(b"x")
    async with stranger(short_directory) as peer:
        for number, length in ((1, b"5"), (3, b"7")):
            fields = changed(__path=path.encode(), content_length=length)
            peer.writer.write(headers(number, fields) + data(number, message, end=True))
            assert await peer.until(Kind.RST_STREAM, number) == pack(">L", ErrorCode.PROTOCOL_ERROR)
        peer.writer.write(headers(5, changed(__path=path.encode(), content_length=b"6")))
        peer.writer.write(data(5, message, end=True))
        assert await peer.until(Kind.DATA, 5) == message


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ([data(1, b"", end=True)], 13),
        ([data(1, encode_message(b"x") * 2, end=True)], 13),
        ([data(1, encode_message(b"x")), data(1, encode_message(b"y"))], 13),
        ([data(1, encode_message(b"xyz")[:6], end=True)], 13),
        ([data(1, b"\1\0\0\0\1x", end=True)], 12),
        ([data(1, pack(">BL", 0, LIMIT + 1))], 8),
        ([headers(1, [(b"x", b"y")], end=True)], 13),
    ],
)
async def test_a_unary_call_has_one_message(short_directory: Path, body: list[bytes], code: int) -> None:
    """None, two, half of one, one in another form or one that is too long is a failed call."""
    async with stranger(short_directory) as peer:
        peer.writer.write(opening(1) + b"".join(body))
        status = b"%d" % code
        assert b"grpc-status" + bytes((len(status),)) + status in await peer.until(Kind.HEADERS, 1)
        peer.writer.write(opening(3) + data(3, encode_message(b"on"), end=True))
        assert await peer.until(Kind.DATA, 3) == encode_message(b"on")


@pytest.mark.parametrize("path", ["/t.T/Echo", "/t.T/Wait"])
async def test_a_request_may_end_with_trailers(short_directory: Path, path: str) -> None:
    """Nothing in them is ours, but they end it (RFC 9113 section 8.1)."""
    async with stranger(short_directory) as peer:
        peer.writer.write(
            opening(1, path) + data(1, encode_message(b"abc")) + headers(1, [(b"x", b"y")], end=True)
        )
        assert await peer.until(Kind.DATA, 1) == encode_message(b"abc")


@pytest.mark.parametrize("path", ["/t.T/Echo", "/t.T/Wait"])
@pytest.mark.parametrize(
    "fields", [[(b":path", b"/t.T/Other")], REQUEST, [(b"Upper", b"y")], [(b"connection", b"close")]]
)
async def test_malformed_trailers_are_reset(
    short_directory: Path, path: str, fields: list[tuple[bytes, bytes]]
) -> None:
    """A pseudo-header or a forbidden field in them is none of a request (RFC 9113 section 8.1)."""
    async with stranger(short_directory) as peer:
        peer.writer.write(opening(1, path) + data(1, encode_message(b"abc")) + headers(1, fields, end=True))
        assert await peer.until(Kind.RST_STREAM, 1) == pack(">L", ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("path", ["/t.T/Echo", "/t.T/Wait"])
async def test_a_client_that_resets_its_call_gets_nothing(short_directory: Path, path: str) -> None:
    """Before the request is complete, or while it is answered."""
    async with stranger(short_directory) as peer:
        cancel = build_frame(Kind.RST_STREAM, 0, 1, pack(">L", ErrorCode.CANCEL))
        peer.writer.write(opening(1, path) + data(1, encode_message(b"abc")[:4]) + cancel)
        again = build_frame(Kind.RST_STREAM, 0, 3, pack(">L", ErrorCode.CANCEL))
        peer.writer.write(opening(3, path) + data(3, encode_message(b"abc"), end=True) + again)
        peer.writer.write(opening(5, path) + data(5, encode_message(b"on"), end=True))
        assert await peer.until(Kind.DATA, 5) == encode_message(b"on")


async def test_a_reply_that_its_client_did_not_take(short_directory: Path) -> None:
    """A reset that crosses the reply is told once; one that takes it, or is for another call, is not."""
    async with stranger(short_directory) as peer:
        for number, code in ((1, ErrorCode.CANCEL), (3, ErrorCode.NO_ERROR), (5, None)):
            message = encode_message(b"%d" % number)
            peer.writer.write(opening(number, "/t.T/Revocable") + data(number, message, end=True))
            assert await peer.until(Kind.DATA, number) == message
            if code is not None:
                peer.writer.write(2 * build_frame(Kind.RST_STREAM, 0, number, pack(">L", code)))
        peer.writer.write(opening(7, "/t.T/Untaken") + data(7, encode_message(b""), end=True))
        assert await peer.until(Kind.DATA, 7) == encode_message(b"1")


async def test_a_reply_that_cannot_be_sent(short_directory: Path) -> None:
    """It is too long, or its call has ended while the handler went on."""
    async with stranger(short_directory) as peer:
        peer.writer.write(opening(1, "/t.T/Growing") + data(1, encode_message(b"1a"), end=True))
        assert b"grpc-status\x018" in await peer.until(Kind.HEADERS, 1)
        peer.writer.write(opening(3, "/t.T/Going") + data(3, encode_message(b"3"), end=True))
        for number in (5, 7):
            peer.writer.write(opening(number, "/t.T/Wait") + data(number, encode_message(b"on"), end=True))
            await peer.until(Kind.DATA, number)
            peer.writer.write(build_frame(Kind.RST_STREAM, 0, 3, pack(">L", ErrorCode.CANCEL)))
        peer.writer.write(opening(9, "/t.T/Untaken") + data(9, encode_message(b""), end=True))
        assert await peer.until(Kind.DATA, 9) == encode_message(b"1a,3")


async def test_replies_are_remembered_for_a_while(
    short_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until so many others were sent."""
    monkeypatch.setattr("authkit.rpc.server.MAX_REMEMBERED_REPLIES", 1)
    async with stranger(short_directory) as peer:
        for number in (1, 3):
            peer.writer.write(
                opening(number, "/t.T/Revocable") + data(number, encode_message(b"x"), end=True)
            )
            await peer.until(Kind.DATA, number)
        peer.writer.write(build_frame(Kind.RST_STREAM, 0, 1, pack(">L", ErrorCode.CANCEL)))
        peer.writer.write(opening(5, "/t.T/Untaken") + data(5, encode_message(b""), end=True))
        assert await peer.until(Kind.DATA, 5) == encode_message(b"")
