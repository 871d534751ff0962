"""Peers that keep us busy or fill our memory with little: each is cut off, and honest ones never are."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Sequence

import pytest

from authkit.rpc.http2 import connection as module
from authkit.rpc.http2.connection import Data, HeadersReceived, HTTP2Connection, Reset
from authkit.rpc.http2.frames import (
    ACK,
    END_HEADERS,
    END_STREAM,
    MAX_FRAME_BYTES,
    PADDED,
    PREFACE,
    ConnectionFailure,
    ErrorCode,
    FrameReader,
    Kind,
    Setting,
    build_frame,
    encode_headers,
)

LONG = struct.Struct(">L").pack
REQUEST = encode_headers([(b":method", b"POST"), (b":scheme", b"https"), (b":path", b"/t.T/M")])
RESPONSE = encode_headers([(b":status", b"200"), (b"content-type", b"application/grpc")])
SETTINGS = build_frame(Kind.SETTINGS, 0, 0)
ACKNOWLEDGED = build_frame(Kind.SETTINGS, ACK, 0)
UNITS = 20_000

Fields = tuple[tuple[bytes, bytes], ...]


def parse(fields: Sequence[tuple[bytes, bytes]]) -> Fields:
    """The headers as they are."""
    return tuple(fields)


def server() -> HTTP2Connection[Fields]:
    """A server whose client has acknowledged its settings."""
    made: HTTP2Connection[Fields] = HTTP2Connection(is_client=False, parse=parse)
    made.receive(PREFACE + SETTINGS + ACKNOWLEDGED, 0)
    made.data_to_send()
    return made


def client() -> tuple[HTTP2Connection[Fields], int]:
    """A client with a call that waits for its answer."""
    made: HTTP2Connection[Fields] = HTTP2Connection(is_client=True, parse=parse)
    made.receive(SETTINGS + ACKNOWLEDGED, 0)
    number = made.open_stream()
    made.send_headers(number, REQUEST, end=True)
    made.data_to_send()
    return made, number


def headers(stream_id: int, block: bytes = REQUEST, *, end: bool = False, flags: int = END_HEADERS) -> bytes:
    """A HEADERS frame."""
    return build_frame(Kind.HEADERS, flags | (END_STREAM if end else 0), stream_id, block)


def many(count: int) -> bytes:
    """Openings of so many streams."""
    return b"".join(headers(number) for number in range(1, 2 * count, 2))


def window(stream_id: int, increment: int) -> bytes:
    """A WINDOW_UPDATE frame."""
    return build_frame(Kind.WINDOW_UPDATE, 0, stream_id, LONG(increment))


def settings(*pairs: tuple[int, int]) -> bytes:
    """A SETTINGS frame."""
    return build_frame(Kind.SETTINGS, 0, 0, b"".join(struct.pack(">HL", *pair) for pair in pairs))


def reset(stream_id: int) -> bytes:
    """A RST_STREAM frame of a client that has lost interest."""
    return build_frame(Kind.RST_STREAM, 0, stream_id, LONG(ErrorCode.CANCEL))


def assert_calmed(side: HTTP2Connection[Fields], data: bytes) -> None:
    """The connection ends with ENHANCE_YOUR_CALM, and the peer is told."""
    with pytest.raises(ConnectionFailure) as caught:
        side.receive(data, 0)
    assert caught.value.code is ErrorCode.ENHANCE_YOUR_CALM
    kind, _, _, payload = list(FrameReader().feed(side.data_to_send()))[-1]
    assert (kind, payload[4:8]) == (Kind.GOAWAY, LONG(ErrorCode.ENHANCE_YOUR_CALM))


# --- frames that bring nothing -----------------------------------------------------------------

FLOODS: dict[str, bytes] = {
    "padded empty data": headers(1) + build_frame(Kind.DATA, PADDED, 1, b"\0") * (UNITS + 1),
    "fully padded data": headers(1) + build_frame(Kind.DATA, PADDED, 1, b"\x09" + bytes(9)) * (UNITS + 1),
    "window updates of an open stream": headers(1) + window(1, 1) * (UNITS + 1),
    "window updates of the connection": window(0, 1) * (UNITS + 1),
    "unknown frames": bytes.fromhex("000000fa0000000000") * (UNITS + 1),
    "unknown frames on a stream": headers(1) + bytes.fromhex("000000fa0000000001") * (UNITS + 1),
    "priorities": build_frame(Kind.PRIORITY, 0, 1, bytes(5)) * (UNITS + 1),
    "answers to pings": build_frame(Kind.PING, ACK, 0, bytes(8)) * (UNITS + 1),
    "acknowledgements": ACKNOWLEDGED * (UNITS + 1),
    "goaways": build_frame(Kind.GOAWAY, 0, 0, bytes(8)) * (UNITS + 1),
    "resets of closed streams": headers(1) + reset(1) * (UNITS + 1),
    "streams that are opened and reset": b"".join(
        headers(number) + reset(number) for number in range(1, 2 * UNITS // 4, 2)
    ),
    "streams that are made to be reset": b"".join(
        headers(number) + window(number, 0) for number in range(1, 2 * UNITS // 4, 2)
    ),
    "streams beyond the limit": many(1001 + UNITS // 4),
    "continuations": b"".join(
        headers(number, flags=0)
        + build_frame(Kind.CONTINUATION, 0, number) * 60
        + build_frame(Kind.CONTINUATION, END_HEADERS, number)
        for number in range(1, 2 * UNITS // 50, 2)
    ),
    "changes of all windows": many(1000)
    + b"".join(settings((Setting.INITIAL_WINDOW_SIZE, 65535 + number % 2)) for number in range(400)),
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_of_frames_that_bring_nothing_is_cut_off(name: str) -> None:
    """Within one second, whatever kind they are of."""
    assert_calmed(server(), FLOODS[name])


def test_streams_after_goaway_are_not_free() -> None:
    """They are not served, and yet each block has to be decoded."""
    side = server()
    side.go_away()
    assert_calmed(side, many(UNITS + 1))


def test_interim_answers_without_end_are_cut_off() -> None:
    """A server may send several header blocks (RFC 9110 section 15.2), not any number."""
    side, number = client()
    assert_calmed(side, headers(number, encode_headers([(b":status", b"103")])) * (UNITS + 20))


@pytest.mark.parametrize("kind", [Kind.DATA, Kind.HEADERS])
def test_frames_of_answers_that_are_over_are_not_free(kind: Kind) -> None:
    """A client ignores them, and yet each has to be looked at."""
    side, number = client()
    side.receive(headers(number, RESPONSE, end=True), 0)
    assert_calmed(side, build_frame(kind, END_HEADERS, number, RESPONSE) * (UNITS + 20))


def test_a_window_opened_by_single_bytes_earns_nothing() -> None:
    """CVE-2019-9511: each byte of the answer would be a frame of its own."""
    side = server()
    side.receive(settings((Setting.INITIAL_WINDOW_SIZE, 0)) + headers(1, end=True), 0)
    side.send_headers(1, RESPONSE)
    side.send_data(1, bytes(100_000))
    for _ in range(UNITS - 10):
        side.receive(window(1, 1), 0)
        side.data_to_send()
    assert_calmed(side, window(1, 1) * 11)


def test_honest_peers_never_come_near() -> None:
    """40 MB taken in pieces of 16 KiB; a thousand calls that end together; both in one second."""
    side = server()
    side.receive(many(1000), 0)
    side.receive(b"".join(reset(number) for number in range(1, 2000, 2)), 0)
    side.receive(headers(2001, end=True), 0)
    side.send_headers(2001, RESPONSE)
    side.send_data(2001, bytes(40_000_000), end=True)
    while side.stream_count:
        side.receive(window(2001, MAX_FRAME_BYTES) + window(0, MAX_FRAME_BYTES), 0)
        side.data_to_send()
    for number in range(2003, 2003 + 2 * 5000, 2):  # each call with windows and a ping of its own
        side.receive(headers(number, end=True) + window(0, 50) + build_frame(Kind.PING, 0, 0, bytes(8)), 0)
        side.send_headers(number, RESPONSE, end=True)
        side.data_to_send()


def test_a_window_opened_for_one_stream_leaves_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand answers wait; a frame for one of them costs as much as if it were alone."""
    side = server()
    side.receive(settings((Setting.INITIAL_WINDOW_SIZE, 0)) + many(1000), 0)
    for number in range(1, 2000, 2):
        side.send_data(number, b"abc")
    tried: list[int] = []
    send_queue = HTTP2Connection._send_queue
    monkeypatch.setattr(
        HTTP2Connection, "_send_queue", lambda self, *args: tried.append(args[0]) or send_queue(self, *args)
    )
    side.receive(build_frame(Kind.PING, 0, 0, bytes(8)) + window(7, 1) + window(9, 10), 0)
    assert tried == [7, 9]


# --- settings ----------------------------------------------------------------------------------


def test_one_settings_frame_does_little_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows are changed once for a frame, however often it names them; the last value counts."""
    side = server()
    side.receive(many(1000), 0)
    changed: list[int] = []
    monkeypatch.setattr(HTTP2Connection, "_change_windows", lambda self, change: changed.append(change))
    pairs = [(Setting.INITIAL_WINDOW_SIZE, 1000 + number) for number in range(100)]
    side.receive(settings(*pairs), 0)
    assert changed == [1099 - 65535]


def test_a_settings_frame_with_thousands_of_parameters_is_refused() -> None:
    """A full frame has 2730."""
    pairs = [(Setting.INITIAL_WINDOW_SIZE, number) for number in range(2730)]
    assert_calmed(server(), many(1000) + settings(*pairs))


def test_each_value_of_a_settings_frame_is_looked_at() -> None:
    """A wrong one is not made right by another that follows."""
    with pytest.raises(ConnectionFailure, match="impossible window"):
        server().receive(
            settings((Setting.INITIAL_WINDOW_SIZE, 2**31), (Setting.INITIAL_WINDOW_SIZE, 65535)), 0
        )


# --- header blocks -----------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [60, 1200])
def test_remembered_blocks_are_bounded_by_what_they_decode_to(fields: int) -> None:
    """An octet is a field of the static table: 2 MB of blocks would be 130 MiB of headers."""
    side = server()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for second in range(40):
            block = encode_headers([(b"n", b"%d" % second)]) + b"\x8f" * fields
            side.receive(headers(2 * second + 1, block) + reset(2 * second + 1), second)
            side.data_to_send()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 512 * 1024


def test_blocks_of_thousands_of_fields_are_cut_off() -> None:
    """An octet of the block is a field to decode: 1,900 of them are announced as too many only together."""
    block = REQUEST + b"\x8f" * 1000
    assert_calmed(server(), b"".join(headers(number, block, end=True) for number in range(1, 100, 2)))


def test_a_host_with_long_metadata_is_served() -> None:
    """40 KB in one field, and 60 fields more."""
    block = encode_headers([(b":path", b"/t.T/M"), (b"long", bytes(40_000)), *[(b"x", b"y")] * 60])
    first, rest = block[:MAX_FRAME_BYTES], block[MAX_FRAME_BYTES:]
    for number in range(1, 400, 2):
        side = server()
        data = headers(number, first, flags=0) + build_frame(
            Kind.CONTINUATION, 0, number, rest[:MAX_FRAME_BYTES]
        )
        data += build_frame(Kind.CONTINUATION, END_HEADERS, number, rest[MAX_FRAME_BYTES:])
        assert isinstance(side.receive(data, 0)[0], HeadersReceived)


@pytest.mark.parametrize("is_acknowledged", [True, False])
def test_a_block_of_size_updates_is_refused(is_acknowledged: bool) -> None:
    """Two are allowed at the beginning (RFC 7541 section 4.2), whatever sizes they name."""
    side: HTTP2Connection[Fields] = HTTP2Connection(is_client=False, parse=parse)
    side.receive(PREFACE + SETTINGS + (ACKNOWLEDGED if is_acknowledged else b""), 0)
    assert len(side.receive(headers(1, b"\x20\x20" + REQUEST), 0)) == 1
    with pytest.raises(ConnectionFailure) as caught:
        side.receive(headers(3, b"\x20" * 10_000 + REQUEST), 0)
    assert caught.value.code is ErrorCode.COMPRESSION_ERROR


# --- content-length (RFC 9113 section 8.1.1) ---------------------------------------------------


def body(stream_id: int, data: bytes, *, end: bool = False) -> bytes:
    """A DATA frame."""
    return build_frame(Kind.DATA, END_STREAM if end else 0, stream_id, data)


def with_length(*values: bytes) -> bytes:
    """A request that declares how long its body is."""
    return REQUEST + encode_headers([(b"content-length", value) for value in values])


TRAILERS = encode_headers([(b"x", b"y")])

WRONG_LENGTHS: dict[str, bytes] = {
    "more": headers(1, with_length(b"3")) + body(1, b"abcd"),
    "more in pieces": headers(1, with_length(b"3")) + body(1, b"ab") + body(1, b"cd"),
    "less": headers(1, with_length(b"3")) + body(1, b"ab", end=True),
    "less in pieces": headers(1, with_length(b"3")) + body(1, b"a") + body(1, b"b", end=True),
    "less, then trailers": headers(1, with_length(b"3")) + body(1, b"ab") + headers(1, TRAILERS, end=True),
    "none": headers(1, with_length(b"1"), end=True),
    "none, with empty data": headers(1, with_length(b"1")) + body(1, b"", end=True),
    "padding does not count": headers(1, with_length(b"3"))
    + build_frame(Kind.DATA, PADDED | END_STREAM, 1, b"\1ab\0"),
    "two that differ": headers(1, with_length(b"3", b"4")) + body(1, b"abc", end=True),
    "a list": headers(1, with_length(b"3, 3")),
    "a sign": headers(1, with_length(b"+3")),
    "negative": headers(1, with_length(b"-1")),
    "nothing": headers(1, with_length(b"")),
    "a space": headers(1, with_length(b" 3")),
    "hexadecimal": headers(1, with_length(b"0x3")),
    "other digits": headers(1, with_length("\u0663".encode())),
    "a superscript": headers(1, with_length(b"\xb3")),
    "longer than any number": headers(1, with_length(b"9" * 5000)),
}


@pytest.mark.parametrize("name", WRONG_LENGTHS)
def test_a_body_of_another_length_is_malformed(name: str) -> None:
    """That stream ends with PROTOCOL_ERROR, alone, and the layer above hears of it."""
    side = server()
    events = side.receive(WRONG_LENGTHS[name], 0)
    assert events[-1] == Reset(1, ErrorCode.PROTOCOL_ERROR)
    assert not any(isinstance(event, HeadersReceived | Data) and event.ended for event in events)
    assert (Kind.RST_STREAM, 0, 1, LONG(ErrorCode.PROTOCOL_ERROR)) in list(
        FrameReader().feed(side.data_to_send())
    )
    assert side.receive(headers(3, end=True), 0)


@pytest.mark.parametrize("values", [[b"3"], [b"3", b"3"], [b"0003"]])
@pytest.mark.parametrize("pieces", [[b"abc"], [b"a", b"", b"bc"], [b"abc", b""]])
def test_a_body_of_the_declared_length_is_taken(values: list[bytes], pieces: list[bytes]) -> None:
    """In one piece or several, also when the block is remembered."""
    side = server()
    for number in (1, 3):
        data = b"".join(
            body(number, piece, end=index == len(pieces)) for index, piece in enumerate(pieces, 1)
        )
        events = side.receive(headers(number, with_length(*values)) + data, 0)
        assert events[-1].ended  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "answer",
    [
        body(1, b"abcd"),
        body(1, b"ab") + headers(1, TRAILERS, end=True),
        body(1, b"ab", end=True),
    ],
)
def test_an_answer_of_another_length_is_malformed(answer: bytes) -> None:
    """For a client the same holds."""
    side, number = client()
    head = headers(number, RESPONSE + encode_headers([(b"content-length", b"3")]))
    assert side.receive(head + answer, 0)[-1] == Reset(number, ErrorCode.PROTOCOL_ERROR)


def test_an_interim_answer_says_nothing_of_the_length() -> None:
    """The one after it does."""
    side, number = client()
    interim = headers(number, encode_headers([(b":status", b"103")]))
    head = headers(number, RESPONSE + encode_headers([(b"content-length", b"3")]))
    data = interim + head + body(number, b"abc") + headers(number, TRAILERS, end=True)
    assert side.receive(data, 0)[-1] == HeadersReceived(number, ((((b"x", b"y"),), None, None)), True)


def test_the_limits_are_those_of_the_module() -> None:
    """What the floods above count with."""
    from authkit.rpc.http2 import budget

    assert budget.UNITS_A_SECOND == UNITS
    assert module.MAX_STREAMS == 1000
