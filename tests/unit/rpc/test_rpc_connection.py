"""The HTTP/2 core: right sequences give events, wrong ones the error that RFC 9113 asks for."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hpack import Encoder
from hypothesis import given, settings
from hypothesis import strategies as st

from authkit.rpc.http2 import connection as module
from authkit.rpc.http2 import headers as headers_module
from authkit.rpc.http2.connection import Data, GoAway, HeadersReceived, HTTP2Connection, Reset, Writable
from authkit.rpc.http2.frames import (
    ACK,
    END_HEADERS,
    END_STREAM,
    MAX_FRAME_BYTES,
    PADDED,
    PREFACE,
    PRIORITY,
    ConnectionFailure,
    ErrorCode,
    FrameReader,
    Kind,
    PreparedHeaders,
    Setting,
    build_frame,
    encode_headers,
    split_timeout,
)
from authkit.rpc.http2.headers import HeaderDecoder

Fields = tuple[tuple[bytes, bytes], ...]
REQUEST = [(b":method", b"POST"), (b":scheme", b"https"), (b":path", b"/t.T/M")]
BLOCK = encode_headers(REQUEST)
HEAD, TRAILERS = PreparedHeaders(BLOCK), PreparedHeaders(BLOCK, end=True)
SETTINGS = build_frame(Kind.SETTINGS, 0, 0)
LONG = struct.Struct(">L").pack

LONG_RUN = int(os.environ.get("AUTHKIT_FUZZ_EXAMPLES", "0"))
"""Examples of each fuzzer in its long form; 0 for the short one."""


def parse(fields: Sequence[tuple[bytes, bytes]]) -> Fields:
    """The headers as they are."""
    return tuple(fields)


def free(units: int) -> None:
    """A budget without end."""


def make(*, is_client: bool) -> HTTP2Connection[Fields]:
    """A connection whose own beginning has been sent."""
    made: HTTP2Connection[Fields] = HTTP2Connection(is_client=is_client, parse=parse)
    made.data_to_send()
    return made


def server() -> HTTP2Connection[Fields]:
    """A server that has received preface and settings."""
    made = make(is_client=False)
    assert made.receive(PREFACE + SETTINGS, 0) == []
    made.data_to_send()
    return made


def headers(stream_id: int, *, end: bool = False, block: bytes = BLOCK, flags: int = END_HEADERS) -> bytes:
    """A HEADERS frame."""
    return build_frame(Kind.HEADERS, flags | (END_STREAM if end else 0), stream_id, block)


def setting(key: int, value: int) -> bytes:
    """A SETTINGS frame with one parameter."""
    return build_frame(Kind.SETTINGS, 0, 0, struct.pack(">HL", key, value))


def frames(data: bytes) -> list[tuple[int, int, int, bytes]]:
    """What was sent."""
    return list(FrameReader().feed(data.removeprefix(PREFACE)))


def kinds(data: bytes) -> list[int]:
    """The kinds of what was sent."""
    return [kind for kind, _, _, _ in frames(data)]


# --- what ends a connection --------------------------------------------------------------------

OPEN = headers(1)
CLOSED = headers(1, end=True) + build_frame(Kind.RST_STREAM, 0, 1, LONG(8))

WRONG: dict[str, tuple[bytes, ErrorCode]] = {
    "frame too long": (b"\x00\x40\x01" + bytes(6) + bytes(16385), ErrorCode.FRAME_SIZE_ERROR),
    "data on stream 0": (build_frame(Kind.DATA, 0, 0, b"x"), ErrorCode.PROTOCOL_ERROR),
    "data on an idle stream": (build_frame(Kind.DATA, 0, 1, b"x"), ErrorCode.PROTOCOL_ERROR),
    "data on a closed stream": (CLOSED + build_frame(Kind.DATA, 0, 1, b"x"), ErrorCode.STREAM_CLOSED),
    "padding beyond the frame": (
        OPEN + build_frame(Kind.DATA, PADDED, 1, b"\x05abc"),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "padding without length": (OPEN + build_frame(Kind.DATA, PADDED, 1), ErrorCode.PROTOCOL_ERROR),
    "headers on stream 0": (headers(0), ErrorCode.PROTOCOL_ERROR),
    "headers on an even stream": (headers(2), ErrorCode.PROTOCOL_ERROR),
    "headers on a closed stream": (CLOSED + headers(1), ErrorCode.STREAM_CLOSED),
    "headers on a lower stream": (headers(5) + headers(3), ErrorCode.STREAM_CLOSED),
    "headers with a broken block": (
        headers(1, block=b"\xff\xff\xff\xff\xff\xff"),
        ErrorCode.COMPRESSION_ERROR,
    ),
    "headers shorter than their priority": (
        headers(1, block=b"abc", flags=END_HEADERS | PRIORITY),
        ErrorCode.FRAME_SIZE_ERROR,
    ),
    "an interrupted block": (
        headers(1, flags=0) + build_frame(Kind.PING, 0, 0, bytes(8)),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "a block interrupted by an unknown frame": (
        headers(1, flags=0) + bytes.fromhex("000000fa0000000001"),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "continuation on another stream": (
        headers(1, flags=0) + build_frame(Kind.CONTINUATION, 0, 3),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "continuation of nothing": (build_frame(Kind.CONTINUATION, END_HEADERS, 1), ErrorCode.PROTOCOL_ERROR),
    "a flood of empty continuations": (
        headers(1, flags=0) + build_frame(Kind.CONTINUATION, 0, 1) * 100,
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "a block without end": (
        headers(1, flags=0) + build_frame(Kind.CONTINUATION, 0, 1, bytes(MAX_FRAME_BYTES)) * 20,
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "priority on stream 0": (build_frame(Kind.PRIORITY, 0, 0, bytes(5)), ErrorCode.PROTOCOL_ERROR),
    "priority of another length": (build_frame(Kind.PRIORITY, 0, 1, bytes(4)), ErrorCode.FRAME_SIZE_ERROR),
    "reset of an idle stream": (build_frame(Kind.RST_STREAM, 0, 1, LONG(8)), ErrorCode.PROTOCOL_ERROR),
    "reset of another length": (
        OPEN + build_frame(Kind.RST_STREAM, 0, 1, b"abc"),
        ErrorCode.FRAME_SIZE_ERROR,
    ),
    "settings on a stream": (build_frame(Kind.SETTINGS, 0, 1), ErrorCode.PROTOCOL_ERROR),
    "settings of an odd length": (build_frame(Kind.SETTINGS, 0, 0, bytes(5)), ErrorCode.FRAME_SIZE_ERROR),
    "settings ACK with a payload": (build_frame(Kind.SETTINGS, ACK, 0, bytes(6)), ErrorCode.FRAME_SIZE_ERROR),
    "an impossible window": (setting(Setting.INITIAL_WINDOW_SIZE, 2**31), ErrorCode.FLOW_CONTROL_ERROR),
    "a frame size too small": (setting(Setting.MAX_FRAME_SIZE, 16383), ErrorCode.PROTOCOL_ERROR),
    "a frame size too large": (setting(Setting.MAX_FRAME_SIZE, 2**24), ErrorCode.PROTOCOL_ERROR),
    "a push setting of 2": (setting(Setting.ENABLE_PUSH, 2), ErrorCode.PROTOCOL_ERROR),
    "a push promise": (
        OPEN + build_frame(Kind.PUSH_PROMISE, END_HEADERS, 1, LONG(2)),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "ping on a stream": (build_frame(Kind.PING, 0, 1, bytes(8)), ErrorCode.PROTOCOL_ERROR),
    "ping of another length": (build_frame(Kind.PING, 0, 0, bytes(7)), ErrorCode.FRAME_SIZE_ERROR),
    "goaway on a stream": (build_frame(Kind.GOAWAY, 0, 1, bytes(8)), ErrorCode.PROTOCOL_ERROR),
    "goaway too short": (build_frame(Kind.GOAWAY, 0, 0, bytes(7)), ErrorCode.FRAME_SIZE_ERROR),
    "window update of another length": (
        build_frame(Kind.WINDOW_UPDATE, 0, 0, bytes(3)),
        ErrorCode.FRAME_SIZE_ERROR,
    ),
    "window update of nothing": (build_frame(Kind.WINDOW_UPDATE, 0, 0, LONG(0)), ErrorCode.PROTOCOL_ERROR),
    "window update of an idle stream": (
        build_frame(Kind.WINDOW_UPDATE, 0, 1, LONG(1)),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "a window that overflows": (
        build_frame(Kind.WINDOW_UPDATE, 0, 0, LONG(2**31 - 1)),
        ErrorCode.FLOW_CONTROL_ERROR,
    ),
    "a stream's window that overflows by settings": (
        OPEN
        + build_frame(Kind.WINDOW_UPDATE, 0, 1, LONG(2**31 - 1 - 65535))
        + setting(Setting.INITIAL_WINDOW_SIZE, 65536),
        ErrorCode.FLOW_CONTROL_ERROR,
    ),
    "a flood of pings": (build_frame(Kind.PING, 0, 0, bytes(8)) * 20_001, ErrorCode.ENHANCE_YOUR_CALM),
    "a flood of settings": (SETTINGS * 20_001, ErrorCode.ENHANCE_YOUR_CALM),
    "a flood of empty data": (OPEN + build_frame(Kind.DATA, 0, 1) * 20_001, ErrorCode.ENHANCE_YOUR_CALM),
}


@pytest.mark.parametrize(("data", "code"), WRONG.values(), ids=WRONG.keys())
def test_a_broken_rule_ends_the_connection_with_its_code(data: bytes, code: ErrorCode) -> None:
    """The peer is told in a GOAWAY."""
    side = server()
    with pytest.raises(ConnectionFailure) as caught:
        side.receive(data, 0)
    assert caught.value.code is code
    kind, _, _, payload = frames(side.data_to_send())[-1]
    assert kind == Kind.GOAWAY
    assert payload[4:8] == LONG(code)


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/1.1", PREFACE[:-1] + b"x"])
def test_a_client_that_speaks_something_else_is_told(data: bytes) -> None:
    """Without the preface it is not HTTP/2."""
    with pytest.raises(ConnectionFailure, match="preface"):
        make(is_client=False).receive(data, 0)


@pytest.mark.parametrize("is_client", [True, False])
def test_settings_come_first(is_client: bool) -> None:
    """From both sides."""
    preface = b"" if is_client else PREFACE
    with pytest.raises(ConnectionFailure, match="SETTINGS"):
        make(is_client=is_client).receive(preface + build_frame(Kind.PING, 0, 0, bytes(8)), 0)


def test_rates_are_counted_by_the_second() -> None:
    """A thousand resets and pings in a second are lawful, for as long as one likes."""
    side = server()
    for second in range(50):
        side.receive(build_frame(Kind.PING, 0, 0, bytes(8)) * 1000, second)
        assert len(frames(side.data_to_send())) == 1000


# --- what ends a stream ------------------------------------------------------------------------

ON_STREAM: dict[str, tuple[bytes, ErrorCode]] = {
    "trailers that do not end": (headers(1) * 2, ErrorCode.PROTOCOL_ERROR),
    "headers after the end": (headers(1, end=True) + headers(1), ErrorCode.STREAM_CLOSED),
    "data after the end": (
        headers(1, end=True) + build_frame(Kind.DATA, 0, 1, b"x"),
        ErrorCode.STREAM_CLOSED,
    ),
    "a window update of nothing": (
        OPEN + build_frame(Kind.WINDOW_UPDATE, 0, 1, LONG(0)),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "a window that overflows": (
        OPEN + build_frame(Kind.WINDOW_UPDATE, 0, 1, LONG(2**31 - 1)),
        ErrorCode.FLOW_CONTROL_ERROR,
    ),
    "more than its window": (
        OPEN + build_frame(Kind.DATA, 0, 1, bytes(MAX_FRAME_BYTES)) * 65,
        ErrorCode.FLOW_CONTROL_ERROR,
    ),
}


@pytest.mark.parametrize(("data", "code"), ON_STREAM.values(), ids=ON_STREAM.keys())
def test_a_broken_rule_on_a_stream_ends_it_alone(data: bytes, code: ErrorCode) -> None:
    """The stream is reset, the layer above hears of it, and others go on."""
    side = server()
    events = side.receive(data, 0)
    assert Reset(1, code) in events
    assert (Kind.RST_STREAM, 0, 1, LONG(code)) in frames(side.data_to_send())
    assert isinstance(side.receive(headers(3, end=True), 0)[0], HeadersReceived)


def test_late_frames_of_a_reset_stream_are_ignored() -> None:
    """They were under way; their data counts for the connection's window all the same."""
    side = server()
    side.receive(OPEN, 0)
    side.reset(1, ErrorCode.CANCEL)
    late = build_frame(Kind.DATA, 0, 1, bytes(1000)) + build_frame(Kind.WINDOW_UPDATE, 0, 1, LONG(5))
    assert side.receive(late + headers(1, end=True), 0) == []


def test_streams_beyond_the_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client may try again; the decoder's state stays right."""
    monkeypatch.setattr(module, "MAX_STREAMS", 2)
    side = server()
    events = side.receive(b"".join(headers(number) for number in (1, 3, 5)), 0)
    assert [event.stream_id for event in events] == [1, 3]  # type: ignore[union-attr]
    assert (Kind.RST_STREAM, 0, 5, LONG(ErrorCode.REFUSED_STREAM)) in frames(side.data_to_send())


# --- what works --------------------------------------------------------------------------------


def test_padding_and_priority_are_taken_off() -> None:
    """They are not part of headers or data."""
    side = server()
    block = b"\x03" + bytes(5) + BLOCK + bytes(3)
    events = side.receive(headers(1, block=block, flags=END_HEADERS | PADDED | PRIORITY), 0)
    events += side.receive(build_frame(Kind.DATA, PADDED | END_STREAM, 1, b"\x02abc\0\0"), 0)
    assert events[0].headers.parsed == tuple(REQUEST)  # type: ignore[union-attr]
    assert events[1] == Data(1, b"abc", True, 6)


def test_unknown_frames_and_settings_are_ignored() -> None:
    """Extensions are free to come (5.5)."""
    side = server()
    assert side.receive(b"\x00\x00\x03\xfa\x00\x00\x00\x00\x00abc" + setting(0x99, 5), 0) == []


def test_a_ping_is_answered_and_an_answer_is_not() -> None:
    """With the same payload."""
    side = server()
    side.receive(build_frame(Kind.PING, 0, 0, b"12345678") + build_frame(Kind.PING, ACK, 0, bytes(8)), 0)
    assert frames(side.data_to_send()) == [(Kind.PING, ACK, 0, b"12345678")]


def test_data_waits_for_the_windows() -> None:
    """What does not fit leaves when the peer opens them, in order, trailers last."""
    side = server()
    side.receive(setting(Setting.INITIAL_WINDOW_SIZE, 10) + headers(1, end=True), 0)
    side.data_to_send()
    side.send_headers(1, BLOCK)
    assert not side.send_data(1, b"0123456789abcdef")
    side.send_headers(1, BLOCK, end=True)
    sent = frames(side.data_to_send())
    assert [frame[0] for frame in sent] == [Kind.HEADERS, Kind.DATA]
    assert sent[1][3] == b"0123456789"
    assert side.receive(build_frame(Kind.WINDOW_UPDATE, 0, 1, LONG(100)), 0) == [Writable(1)]
    assert [(kind, flags, payload) for kind, flags, _, payload in frames(side.data_to_send())] == [
        (Kind.DATA, 0, b"abcdef"),
        (Kind.HEADERS, END_HEADERS | END_STREAM, BLOCK),
    ]
    assert side.stream_count == 0


def test_a_window_that_shrinks_in_mid_stream_may_become_negative() -> None:
    """Nothing leaves until it is positive again (6.9.2)."""
    side = server()
    side.receive(setting(Setting.INITIAL_WINDOW_SIZE, 10) + headers(1, end=True), 0)
    side.send_data(1, bytes(25))
    side.receive(setting(Setting.INITIAL_WINDOW_SIZE, 5), 0)
    side.data_to_send()
    side.receive(build_frame(Kind.WINDOW_UPDATE, 0, 1, LONG(5)), 0)
    assert Kind.DATA not in kinds(side.data_to_send())
    side.receive(build_frame(Kind.WINDOW_UPDATE, 0, 1, LONG(3)), 0)
    assert [len(payload) for kind, _, _, payload in frames(side.data_to_send()) if kind == Kind.DATA] == [3]


def test_long_data_and_headers_are_cut_into_frames() -> None:
    """None is longer than everybody accepts."""
    side = server()
    side.receive(headers(1, end=True), 0)
    side.send_headers(1, bytes(40_000))
    side.send_data(1, bytes(60_000), end=True)
    sent = frames(side.data_to_send())
    assert [kind for kind, _, _, _ in sent[:3]] == [Kind.HEADERS, Kind.CONTINUATION, Kind.CONTINUATION]
    assert sum(len(payload) for kind, _, _, payload in sent if kind == Kind.DATA) == 60_000
    assert max(len(payload) for *_, payload in sent) <= MAX_FRAME_BYTES
    assert sent[-1][1] & END_STREAM


def test_after_goaway_no_stream_is_served() -> None:
    """Those that are open go on; the client opens new ones elsewhere."""
    side = server()
    side.receive(OPEN, 0)
    side.go_away()
    assert frames(side.data_to_send())[0][3] == LONG(1) + LONG(0)
    assert side.receive(headers(3) + build_frame(Kind.DATA, END_STREAM, 3, b"x"), 0) == []
    assert side.receive(build_frame(Kind.DATA, END_STREAM, 1, b"x"), 0) == [Data(1, b"x", True, 1)]


def test_a_client_reads_goaway_and_interim_answers() -> None:
    """The last stream served is told."""
    side = make(is_client=True)
    number = side.open_stream()
    side.send_headers(number, BLOCK, end=True)
    goaway = build_frame(Kind.GOAWAY, 0, 0, LONG(number) + LONG(0) + b"bye")
    assert side.receive(SETTINGS + goaway, 0) == [GoAway(number, 0, b"bye")]
    assert side.is_closing


def test_a_client_that_says_goaway_may_go_on() -> None:
    """It speaks of streams that a server would open (6.8). A call without an answer would wait for ever."""
    side = server()
    goaway = build_frame(Kind.GOAWAY, 0, 0, LONG(0) + LONG(0))
    found = side.receive(goaway + headers(1, end=True), 0)
    assert found == [GoAway(0, 0, b""), HeadersReceived(1, found[1].headers, True)]
    side.go_away()
    assert kinds(side.data_to_send()) == [Kind.GOAWAY]


def test_a_finished_answer_stops_a_client_that_still_sends() -> None:
    """Only after it has left."""
    side = server()
    side.receive(OPEN, 0)
    side.send_headers(1, BLOCK, end=True)
    side.finish(1)
    assert kinds(side.data_to_send()) == [Kind.HEADERS, Kind.RST_STREAM]
    assert side.stream_count == 0


def test_what_is_sent_on_a_closed_stream_goes_nowhere() -> None:
    """A stream that the peer has reset, or that was ended, takes nothing more."""
    side = server()
    side.receive(OPEN, 0)
    side.send_headers(1, BLOCK, end=True)
    side.data_to_send()
    for number in (1, 99):
        side.send_headers(number, BLOCK)
        assert side.send_data(number, b"x", end=True)
        assert side.send_answer(number, HEAD, [b"x"], TRAILERS)
        side.forget_queue(number)
    assert side.data_to_send() == b""


def test_a_prepared_answer_leaves_at_once_or_not_at_all() -> None:
    """Only when both windows and one frame have room for it, and nothing waits before it."""
    side = server()
    side.receive(setting(Setting.INITIAL_WINDOW_SIZE, 20_000) + b"".join(map(headers, (1, 3, 5))), 0)
    side.data_to_send()
    assert not side.send_answer(1, HEAD, [bytes(MAX_FRAME_BYTES), b"x"], TRAILERS)
    assert side.send_answer(1, HEAD, [b"a", b"bc"], TRAILERS)
    assert side.data_to_send() == (
        build_frame(Kind.HEADERS, END_HEADERS, 1, BLOCK)
        + build_frame(Kind.DATA, 0, 1, b"abc")
        + build_frame(Kind.HEADERS, END_HEADERS | END_STREAM, 1, BLOCK)
    )
    assert not side.send_data(3, bytes(20_001))
    assert not side.send_answer(3, HEAD, [b"abc"], TRAILERS)
    side.receive(setting(Setting.INITIAL_WINDOW_SIZE, 2), 0)
    assert not side.send_answer(5, HEAD, [b"abc"], TRAILERS)


def test_a_prepared_answer_waits_for_the_size_update() -> None:
    """It has none in its header block (RFC 7541 section 4.2)."""
    side = server()
    side.receive(setting(Setting.HEADER_TABLE_SIZE, 0) + headers(1, end=True), 0)
    side.data_to_send()
    assert not side.send_answer(1, HEAD, [b"x"], TRAILERS)
    side.send_headers(1, BLOCK)
    assert frames(side.data_to_send())[0][3] == b"\x20" + BLOCK
    assert side.send_answer(1, HEAD, [b"x"], TRAILERS)


def test_what_was_forgotten_never_leaves() -> None:
    """The end of a stream overtakes data that flow control holds back."""
    side = server()
    side.receive(setting(Setting.INITIAL_WINDOW_SIZE, 0) + headers(1, end=True), 0)
    side.data_to_send()
    assert not side.send_data(1, b"abc")
    side.forget_queue(1)
    side.send_headers(1, BLOCK, end=True)
    assert side.receive(build_frame(Kind.WINDOW_UPDATE, 0, 0, LONG(9)), 0) == []
    assert kinds(side.data_to_send()) == [Kind.HEADERS]
    assert side.stream_count == 0


def test_a_reset_stream_sends_nothing_more() -> None:
    """By either side; what it had queued is dropped."""
    side = server()
    side.receive(setting(Setting.INITIAL_WINDOW_SIZE, 0) + headers(1) + headers(3), 0)
    assert not side.send_data(1, b"abc")
    assert not side.send_data(3, b"abc")
    side.data_to_send()
    side.reset(1, ErrorCode.CANCEL)
    assert side.receive(build_frame(Kind.RST_STREAM, 0, 3, LONG(0x1234)), 0) == [
        Reset(3, ErrorCode.INTERNAL_ERROR)
    ]
    side.receive(build_frame(Kind.RST_STREAM, 0, 1, LONG(8)), 0)
    side.receive(setting(Setting.INITIAL_WINDOW_SIZE, 100), 0)
    assert kinds(side.data_to_send()) == [Kind.RST_STREAM, Kind.SETTINGS]
    side.reset(1, ErrorCode.CANCEL)
    side.finish(1)
    assert side.data_to_send() == b""


def test_stream_ids_run_out() -> None:
    """They are never used twice (5.1.1): a new connection is needed."""
    side = make(is_client=True)
    side._next_ours = 2**31 - 1
    assert side.open_stream() == 2**31 - 1
    with pytest.raises(ConnectionFailure, match="stream ids"):
        side.open_stream()


def test_windows_are_given_back_in_large_pieces() -> None:
    """For the stream while it receives, and for the connection always."""
    side = server()
    side.receive(headers(1), 0)
    half = module.STREAM_WINDOW // 2
    piece = build_frame(Kind.DATA, 0, 1, bytes(MAX_FRAME_BYTES))
    for _ in range(half // MAX_FRAME_BYTES):
        assert side.data_to_send() == b""
        for event in side.receive(piece, 0):
            assert isinstance(event, Data)
            side.consume(1, event.credit)
    assert frames(side.data_to_send()) == [(Kind.WINDOW_UPDATE, 0, 1, LONG(half))]
    side.receive(build_frame(Kind.DATA, END_STREAM, 1, b""), 0)
    side.consume(1, module.CONNECTION_WINDOW // 2 - half)
    assert frames(side.data_to_send()) == [(Kind.WINDOW_UPDATE, 0, 0, LONG(module.CONNECTION_WINDOW // 2))]


def test_more_than_the_connections_window_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many streams it comes on (6.9.1)."""
    monkeypatch.setattr(module, "CONNECTION_WINDOW", module.DEFAULT_WINDOW)
    data = b"".join(headers(n) + build_frame(Kind.DATA, 0, n, bytes(MAX_FRAME_BYTES)) for n in (1, 3, 5, 7))
    with pytest.raises(ConnectionFailure) as caught:
        server().receive(data, 0)
    assert caught.value.code is ErrorCode.FLOW_CONTROL_ERROR


def test_a_server_that_sends_data_first_loses_the_stream() -> None:
    """A response begins with headers (8.1)."""
    side = make(is_client=True)
    number = side.open_stream()
    side.send_headers(number, BLOCK)
    side.data_to_send()
    events = side.receive(SETTINGS + build_frame(Kind.DATA, 0, number, b"x"), 0)
    assert events == [Reset(number, ErrorCode.PROTOCOL_ERROR)]


def test_a_server_may_send_interim_headers_and_late_frames() -> None:
    """Several blocks before the end are lawful; after it, what comes is nothing to a client."""
    side = make(is_client=True)
    number = side.open_stream()
    side.send_headers(number, BLOCK, end=True)
    events = side.receive(SETTINGS + headers(number) + headers(number) + headers(number, end=True), 0)
    assert len(events) == 3
    assert side.stream_count == 0
    assert side.receive(build_frame(Kind.DATA, 0, number, b"x"), 0) == []


@pytest.mark.parametrize("number", [2, 3])
def test_a_server_opens_no_stream(number: int) -> None:
    """Neither one of its own nor one that the client has not opened."""
    side = make(is_client=True)
    with pytest.raises(ConnectionFailure) as caught:
        side.receive(SETTINGS + headers(number), 0)
    assert caught.value.code is ErrorCode.PROTOCOL_ERROR


@pytest.mark.parametrize(("is_client", "value"), [(True, 1), (True, 2), (False, 2)])
def test_push_cannot_be_switched_on(is_client: bool, value: int) -> None:
    """A server that offers it is wrong (6.5.2); a client may."""
    side = make(is_client=is_client)
    with pytest.raises(ConnectionFailure, match="ENABLE_PUSH"):
        side.receive((b"" if is_client else PREFACE) + setting(Setting.ENABLE_PUSH, value), 0)
    server().receive(setting(Setting.ENABLE_PUSH, 1), 0)


def test_the_number_of_streams_and_the_frame_size_are_taken() -> None:
    """The one is told, the other changes nothing: our frames have the smallest size."""
    side = make(is_client=True)
    side.receive(setting(Setting.MAX_CONCURRENT_STREAMS, 7) + setting(Setting.MAX_FRAME_SIZE, 2**24 - 1), 0)
    assert side.their_max_streams == 7


def test_answers_that_are_not_read_end_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would fill the memory."""
    monkeypatch.setattr(module, "MAX_QUEUED_CONTROL", 10)
    side = server()
    with pytest.raises(ConnectionFailure, match="not read"):
        side.receive(build_frame(Kind.PING, 0, 0, bytes(8)) * 20, 0)


def test_frames_in_pieces_are_put_together() -> None:
    """Byte by byte, the preface included; a lawful continuation as well."""
    side = make(is_client=False)
    data = PREFACE + SETTINGS + headers(1, block=BLOCK[:5], flags=0, end=True)
    data += build_frame(Kind.CONTINUATION, 0, 1, BLOCK[5:9])
    data += build_frame(Kind.CONTINUATION, END_HEADERS, 1, BLOCK[9:])
    data += build_frame(Kind.PRIORITY, 0, 3, bytes(5))
    events = [event for octet in data for event in side.receive(bytes((octet,)), 0)]
    assert [(type(event), event.ended) for event in events] == [(HeadersReceived, True)]  # type: ignore[union-attr]


def test_goaway_is_sent_once() -> None:
    """The first one said what counts."""
    side = server()
    side.go_away()
    side.go_away()
    assert kinds(side.data_to_send()) == [Kind.GOAWAY]


# --- header blocks -----------------------------------------------------------------------------


def test_equal_blocks_are_parsed_once() -> None:
    """After the peer has acknowledged the empty table; the timeout is told apart."""
    seen: list[Any] = []

    def count(fields: Sequence[tuple[bytes, bytes]]) -> Fields:
        seen.append(fields)
        return tuple(fields)

    side: HTTP2Connection[Fields] = HTTP2Connection(is_client=False, parse=count)
    side.receive(PREFACE + SETTINGS + build_frame(Kind.SETTINGS, ACK, 0), 0)
    results = []
    for number, timeout in enumerate([None, b"1S", b"20m", None, b"1S"]):
        fields = [*REQUEST, (b"grpc-timeout", timeout)] if timeout else REQUEST
        block = (b"\x20" if number == 0 else b"") + encode_headers(fields)
        (event,) = side.receive(headers(2 * number + 1, block=block), 0)
        results.append(event.headers)  # type: ignore[union-attr]
    assert [result.timeout for result in results] == [None, b"1S", b"20m", None, b"1S"]
    assert {result.parsed for result in results} == {tuple(REQUEST)}
    assert len(seen) == 2  # the first block carries the size update, and so differs


@pytest.mark.parametrize("huffman", [True, False])
def test_the_timeout_is_found_by_walking(huffman: bool) -> None:
    """A value that imitates the field leads nobody astray, in either coding."""
    encoder = Encoder()
    encoder.header_table_size = 0
    trap = b"\x00\x0cgrpc-timeout\x021S"
    fields = [(b":path", b"/x"), (b"trap", trap), (b"grpc-timeout", b"15S"), (b"after", b"1")]
    block = encoder.encode(fields, huffman=huffman)
    rest, value = split_timeout(block)
    assert value is not None
    without = [field for field in fields if field[0] != b"grpc-timeout"]
    encoder = Encoder()
    encoder.header_table_size = 0
    assert rest == encoder.encode(without, huffman=huffman)


def stateless() -> HeaderDecoder[Fields]:
    """A decoder whose peer has acknowledged the empty table, and said so in its first block."""
    decoder: HeaderDecoder[Fields] = HeaderDecoder(parse, free)
    decoder.expect_stateless()
    decoder.decode(b"\x20" + BLOCK)
    return decoder


INDEXED = b"\x83\x87"  # :method POST and :scheme https, of the static table
LONG_VALUE = b"\x00\x01a\x7f\x81\x01" + b"x" * 256


def test_every_form_of_a_field_is_walked_over() -> None:
    """Indexed, with and without indexing, and integers of several octets."""
    timeout = b"\x10\x0cgrpc-timeout\x021S"
    before = b"\x20" + INDEXED + b"\x44\x02/x" + b"\x0f\x2b\x01y" + LONG_VALUE
    assert split_timeout(before + timeout + INDEXED) == (before + INDEXED, b"\x021S")


@pytest.mark.parametrize(
    "block",
    [
        b"\x00",
        b"\x00\x05abc",
        b"\xff\xff\xff\xff\xff\xff\x01",
        b"\xff",
        b"\x00\x01a\x7f\xff\xff\xff\xff\xff\x7f",
    ],
)
def test_a_broken_block_ends_the_connection(block: bytes) -> None:
    """Before and after the dictionary is in use."""
    for decoder in (stateless(), HeaderDecoder(parse, free)):
        with pytest.raises(ConnectionFailure) as caught:
            decoder.decode(block)
        assert caught.value.code is ErrorCode.COMPRESSION_ERROR


def test_a_broken_timeout_ends_the_connection() -> None:
    """Of a call that is known otherwise, too: Huffman padding that is longer than a byte."""
    decoder = stateless()
    decoder.decode(BLOCK)
    with pytest.raises(ConnectionFailure) as caught:
        decoder.decode(BLOCK + b"\x00\x0cgrpc-timeout\x84\xff\xff\xff\xff")
    assert caught.value.code is ErrorCode.COMPRESSION_ERROR


def test_a_state_that_was_given_up_is_an_error() -> None:
    """No entry of the dynamic table, and no new size for it."""
    for block in (b"\xbe", b"\x3f\x01" + BLOCK):
        with pytest.raises(ConnectionFailure):
            stateless().decode(block)


def test_a_missing_size_update_is_forgiven() -> None:
    """grpc's C core leaves it out; no state is kept or read all the same."""
    decoder: HeaderDecoder[Fields] = HeaderDecoder(parse, free)
    decoder.decode(BLOCK + b"\x40\x01a\x01b")
    decoder.expect_stateless()
    assert decoder.decode(BLOCK) == (tuple(REQUEST), None, None)
    with pytest.raises(ConnectionFailure):
        decoder.decode(b"\xbe")


def test_a_long_timeout_is_no_broken_block() -> None:
    """Whoever reads it says that it is none; the connection goes on, the second time as well."""
    encoder = Encoder()
    encoder.header_table_size = 0
    decoder = stateless()
    for size in (126, 127, 128, 1000):
        block = encoder.encode([*REQUEST, (b"grpc-timeout", b"x" * size)]).removeprefix(b"\x20")
        for _ in range(2):
            assert decoder.decode(block) == (tuple(REQUEST), b"x" * size, None)


def test_a_header_list_that_grows_too_large_ends_the_connection() -> None:
    """Small on the wire, large when decoded: the table is what makes bombs."""
    block = b"\x40\x01a\x7f\x81\x1e" + b"x" * 3968 + b"\xbe" * 20
    decoder: HeaderDecoder[Fields] = HeaderDecoder(parse, free)
    with pytest.raises(ConnectionFailure) as caught:
        decoder.decode(block)
    assert caught.value.code is ErrorCode.ENHANCE_YOUR_CALM


def test_the_dictionary_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest block leaves; long ones never come in."""
    monkeypatch.setattr(headers_module, "MAX_REMEMBERED_BYTES", 800)
    decoder = stateless()
    for number in range(10):
        decoder.decode(encode_headers([*REQUEST, (b"n", b"%d" % number)]))
    decoder.decode(encode_headers([*REQUEST, (b"n", bytes(5000))]))
    assert len(decoder._known) == 3
    headers, _ = decoder._known[encode_headers([*REQUEST, (b"n", b"9")])]
    assert headers.parsed[-1] == (b"n", b"9")


def test_a_timeout_sent_twice_is_not_remembered() -> None:
    """The first counts, and nothing of the block is taken for another call's."""
    decoder = stateless()
    block = encode_headers([*REQUEST, (b"grpc-timeout", b"1S"), (b"grpc-timeout", b"2S")])
    for _ in range(2):
        assert decoder.decode(block) == (tuple(REQUEST), b"1S", None)
    assert block not in decoder._known
    assert len(decoder._known) == 1


fields = st.lists(
    st.tuples(
        st.sampled_from([b":path", b"grpc-timeout", b"a", b"content-type"]),
        st.sampled_from([b"", b"1S", b"\x0cgrpc-timeout\x021S", b"x" * 200, b"application/grpc"]),
    ),
    max_size=6,
)


@given(blocks=st.lists(st.tuples(fields, st.booleans()), max_size=8))
@settings(deadline=None)
def test_the_dictionary_changes_nothing(blocks: list[tuple[list[tuple[bytes, bytes]], bool]]) -> None:
    """With it and without it, the same headers and timeouts, in any order of blocks."""
    encoder = Encoder()
    encoder.header_table_size = 0
    decoder = stateless()
    for given_fields, huffman in blocks:
        timeouts = [value for name, value in given_fields if name == b"grpc-timeout"]
        rest = tuple(field for field in given_fields if field[0] != b"grpc-timeout")
        expected = (rest, timeouts[0] if timeouts else None, None)
        assert decoder.decode(encoder.encode(given_fields, huffman=huffman).removeprefix(b"\x20")) == expected


@given(block=st.binary(max_size=60))
def test_walking_never_fails_but_as_told(block: bytes) -> None:
    """Any bytes: a result, or IndexError."""
    try:
        rest, value = split_timeout(block)
    except IndexError:
        return
    assert len(rest) <= len(block)
    assert value is None or value in block


# --- both sides together, and anything at all --------------------------------------------------


@given(
    messages=st.lists(st.integers(0, 100_000), min_size=1, max_size=4),
    cuts=st.lists(st.integers(1, 50_000), min_size=1, max_size=8),
    window=st.integers(1, 70_000),
)
@settings(max_examples=60, deadline=None)
def test_what_one_side_sends_the_other_receives(messages: list[int], cuts: list[int], window: int) -> None:
    """In any cutting, through any window: the same bytes in the same order."""
    client, service = make(is_client=True), HTTP2Connection(is_client=False, parse=parse)
    first: HTTP2Connection[Fields] = HTTP2Connection(is_client=True, parse=parse)
    client = first
    service._apply_setting(Setting.INITIAL_WINDOW_SIZE, 65535)
    number = client.open_stream()
    client.send_headers(number, BLOCK)
    client._apply_setting(Setting.INITIAL_WINDOW_SIZE, window)
    expected = b"".join(bytes([index % 251]) * size for index, size in enumerate(messages))
    for index, size in enumerate(messages):
        client.send_data(number, bytes([index % 251]) * size)
    client.send_data(number, b"", end=True)
    received, ended, turn = b"", False, 0
    while not ended:
        to_server, to_client = client.data_to_send(), service.data_to_send()
        assert to_server or to_client, "no progress"
        for source, target in ((to_server, service), (to_client, client)):
            while source:
                size = cuts[turn % len(cuts)]
                turn += 1
                piece, source = source[:size], source[size:]
                for event in target.receive(piece, 0):
                    if isinstance(event, Data):
                        received += event.data
                        ended = event.ended
                        target.consume(event.stream_id, event.credit)
    assert received == expected


frame_lists = st.lists(
    st.builds(
        lambda kind, flags, stream, payload: (
            len(payload).to_bytes(3, "big") + bytes((kind, flags)) + LONG(stream) + payload
        ),
        st.integers(0, 12),
        st.sampled_from([0, 1, 4, 5, 8, 0x20, 0x25, 0xFF]),
        st.sampled_from([0, 1, 1, 2, 3, 5, 2**31 - 1]),
        st.one_of(st.just(BLOCK), st.binary(max_size=40), st.just(bytes(8)), st.just(LONG(1))),
    ),
    max_size=30,
)


def survive(side: HTTP2Connection[Fields], data: bytes) -> None:
    """Feed it; anything but events or the core's own failure is a bug."""
    act: list[Callable[[int], object]] = [
        lambda number: side.send_data(number, bytes(100)),
        lambda number: side.send_headers(number, BLOCK, end=True),
        lambda number: side.reset(number, ErrorCode.CANCEL),
    ]
    try:
        for event in side.receive(data, 0):
            if isinstance(event, Data):
                side.consume(event.stream_id, event.credit)
            elif isinstance(event, HeadersReceived):
                act[event.stream_id % 3](event.stream_id)
    except ConnectionFailure:
        assert kinds(side.data_to_send())[-1] == Kind.GOAWAY
    assert side.stream_count <= module.MAX_STREAMS + 1


@given(pieces=frame_lists, is_client=st.booleans())
@settings(max_examples=LONG_RUN or 300, deadline=None)
def test_any_sequence_of_frames_is_survived(pieces: list[bytes], is_client: bool) -> None:
    """On both roles: events, or the connection's own failure."""
    side = make(is_client=is_client)
    side.receive(SETTINGS if is_client else PREFACE + SETTINGS, 0)
    if is_client:
        side.send_headers(side.open_stream(), BLOCK)
    survive(side, b"".join(pieces))


@given(data=st.binary(max_size=300), is_client=st.booleans())
@settings(max_examples=LONG_RUN or 200, deadline=None)
def test_any_bytes_are_survived(data: bytes, is_client: bool) -> None:
    """From the very first one."""
    survive(make(is_client=is_client), data)
