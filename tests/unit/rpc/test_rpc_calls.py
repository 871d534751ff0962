"""gRPC's own layer: heads, timeouts, statuses and messages, written and read back."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hpack import Decoder
from hypothesis import given, settings
from hypothesis import strategies as st

from authkit.errors import RPCError, StatusCode
from authkit.rpc import messages as module
from authkit.rpc.messages import (
    MAX_STATUS_MESSAGE,
    MessageReader,
    RequestHead,
    ResponseHead,
    encode_message,
    encode_refusal,
    encode_request_head,
    encode_response_head,
    encode_trailers,
    parse_request_head,
    parse_response_head,
    parse_timeout,
)

Fields = list[tuple[bytes, bytes]]
PSEUDO: Fields = [(b":method", b"POST"), (b":scheme", b"https"), (b":path", b"/t.T/M")]
GRPC = (b"content-type", b"application/grpc")
LIMIT = 1000


def decode(block: bytes) -> Fields:
    """The fields of a block, as a peer's decoder reads them."""
    return [(bytes(name), bytes(value)) for name, value in Decoder().decode(block, raw=True)]


# --- heads of requests -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type", [b"application/grpc", b"application/grpc+proto", b"application/grpc;charset=utf-8"]
)
def test_a_request_is_read(content_type: bytes) -> None:
    """Metadata keeps repetitions; the protocol's own fields and binary ones are left out."""
    own = [(b"te", b"trailers"), (b"user-agent", b"x"), (b"grpc-accept-encoding", b"gzip")]
    theirs = [(b"a", b"1"), (b"b", b"2"), (b"a", b"3"), (b"c-bin", b"AAA")]
    authority = (b":authority", b"localhost")
    head = parse_request_head([*PSEUDO, authority, (b"content-type", content_type), *own, *theirs])
    assert head == RequestHead("/t.T/M", {"a": ["1", "3"], "b": ["2"]})


MALFORMED: dict[str, Fields] = {
    "nothing": [],
    "no method": PSEUDO[1:],
    "no scheme": [PSEUDO[0], PSEUDO[2]],
    "no path": PSEUDO[:2],
    "an empty path": [*PSEUDO[:2], (b":path", b"")],
    "a status": [*PSEUDO, (b":status", b"200"), GRPC],
    "an undefined pseudo-header": [*PSEUDO, (b":protocol", b"websocket"), GRPC],
    "a pseudo-header twice": [*PSEUDO, (b":path", b"/t.T/N"), GRPC],
    "a pseudo-header after others": [*PSEUDO[:2], GRPC, PSEUDO[2]],
    "an upper-case name": [*PSEUDO, GRPC, (b"Name", b"x")],
    "an empty name": [*PSEUDO, GRPC, (b"", b"x")],
    "a name with a space": [*PSEUDO, GRPC, (b"a b", b"x")],
    "a name that is not ASCII": [*PSEUDO, GRPC, (b"\xc3\xa4", b"x")],
    "a value with CR": [*PSEUDO, GRPC, (b"a", b"x\ry")],
    "a value with LF": [*PSEUDO, GRPC, (b"a", b"x\ny")],
    "a value with NUL": [*PSEUDO, GRPC, (b"a", b"x\0y")],
    "a pseudo-header with LF": [*PSEUDO[:2], (b":path", b"/t.T/M\n"), GRPC],
    "connection": [*PSEUDO, GRPC, (b"connection", b"close")],
    "keep-alive": [*PSEUDO, GRPC, (b"keep-alive", b"1")],
    "proxy-connection": [*PSEUDO, GRPC, (b"proxy-connection", b"close")],
    "transfer-encoding": [*PSEUDO, GRPC, (b"transfer-encoding", b"chunked")],
    "upgrade": [*PSEUDO, GRPC, (b"upgrade", b"h2c")],
    "te other than trailers": [*PSEUDO, GRPC, (b"te", b"gzip")],
}


@pytest.mark.parametrize("fields", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_request_that_breaks_http_is_malformed(fields: Fields) -> None:
    """Nothing else is read out of it (RFC 9113 sections 8.2 and 8.3)."""
    head = parse_request_head(fields)
    assert head == RequestHead("", is_malformed=True, are_trailers=not fields)


@pytest.mark.parametrize("method", [b"GET", b"post", b""])
def test_another_method_is_not_allowed(method: bytes) -> None:
    """Answered as HTTP answers it."""
    head = parse_request_head([(b":method", method), *PSEUDO[1:], GRPC])
    assert (head.is_malformed, head.http_status) == (False, 405)


@pytest.mark.parametrize("value", [None, b"", b"text/html", b"application/grpcx", b"application/grpc-web"])
def test_another_content_type_is_not_supported(value: bytes | None) -> None:
    """Answered as HTTP answers it."""
    fields = PSEUDO if value is None else [*PSEUDO, (b"content-type", value)]
    head = parse_request_head(fields)
    assert (head.is_malformed, head.http_status) == (False, 415)


@pytest.mark.parametrize(("encoding", "expected"), [(b"identity", False), (b"gzip", True), (b"", True)])
def test_compression_is_noticed(encoding: bytes, expected: bool) -> None:
    """Anything but `identity` is compression."""
    assert parse_request_head([*PSEUDO, GRPC, (b"grpc-encoding", encoding)]).is_compressed is expected


def test_a_path_that_is_not_ascii_leads_nowhere() -> None:
    """It matches no method, and is shown without breaking."""
    assert parse_request_head([*PSEUDO[:2], (b":path", b"/t.T/\xff"), GRPC]).path == "/t.T/\ufffd"


@given(fields=st.lists(st.tuples(st.binary(max_size=12), st.binary(max_size=12)), max_size=6))
@settings(deadline=None)
def test_reading_heads_never_raises(fields: Fields) -> None:
    """Any fields at all, with and without a lawful beginning."""
    for head in (fields, [*PSEUDO, GRPC, *fields]):
        parse_request_head(head)
        parse_response_head(head)


metadata = st.lists(
    st.tuples(
        st.from_regex(r"x[a-z0-9_.-]{0,10}x", fullmatch=True),
        st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20),
    ),
    max_size=5,
)


@given(entries=metadata, timeout=st.one_of(st.none(), st.floats(0, 1e6)), secure=st.booleans())
@settings(deadline=None)
def test_a_request_is_read_as_it_was_written(
    entries: list[tuple[str, str]], timeout: float | None, secure: bool
) -> None:
    """Path, metadata in their order, and the timeout to one in ten thousand."""
    fields = decode(encode_request_head("/t.T/M", "localhost", entries, secure=secure, timeout=timeout))
    values = dict(fields)
    assert values[b":scheme"] == (b"https" if secure else b"http")
    assert values[b":authority"] == b"localhost"
    assert values[b"te"] == b"trailers"
    expected: dict[str, list[str]] = {}
    for key, value in entries:
        expected.setdefault(key, []).append(value)
    head = parse_request_head([field for field in fields if field[0] != b"grpc-timeout"])
    assert head == RequestHead("/t.T/M", expected)
    if timeout is None:
        assert b"grpc-timeout" not in values
    else:
        assert parse_timeout(values[b"grpc-timeout"]) == pytest.approx(timeout, rel=1e-4, abs=1e-9)


# --- timeouts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (b"1H", 3600),
        (b"2M", 120),
        (b"3S", 3),
        (b"4m", 0.004),
        (b"5u", 0.000005),
        (b"6n", 0.000000006),
        (b"0n", 0),
        (b"99999999H", 99999999 * 3600),
    ],
)
def test_a_timeout_is_read(text: bytes, seconds: float) -> None:
    """In each unit."""
    assert parse_timeout(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [b"", b"1", b"S", b"1s", b"-1S", b"+1S", b" 1S", b"1S ", b"1S\n", b"1.5S", b"123456789S", b"\xb2S"],
)
def test_what_is_no_timeout_is_told_apart(text: bytes) -> None:
    """`None`, not a guess."""
    assert parse_timeout(text) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1.0, b"1n"),
        (0.0, b"1n"),
        (0.5, b"500000u"),
        (100.0, b"100000m"),
        (1e6, b"1000000S"),
        (1e9, b"16666666M"),
        (1e10, b"2777777H"),
        (1e15, b"99999999H"),
    ],
)
def test_a_timeout_is_written_in_eight_digits(seconds: float, text: bytes) -> None:
    """The finest unit that fits; at least one unit, and at most what can be said."""
    fields = decode(encode_request_head("/t.T/M", "x", [], secure=True, timeout=seconds))
    assert dict(fields)[b"grpc-timeout"] == text


# --- heads of responses, and trailers ----------------------------------------------------------


def test_a_response_is_read_as_it_was_written() -> None:
    """Its head says nothing of the end."""
    assert parse_response_head(decode(encode_response_head())) == ResponseHead(200, None)


@given(code=st.sampled_from(StatusCode), message=st.text(max_size=50), alone=st.booleans())
@settings(deadline=None)
def test_trailers_are_read_as_they_were_written(code: StatusCode, message: str, alone: bool) -> None:
    """Any text survives; what is not in Unicode at all (lone surrogates) becomes a question mark."""
    fields = decode(encode_trailers(code, message, alone=alone))
    expected = message.encode("utf-8", "replace").decode()
    assert parse_response_head(fields) == ResponseHead(200 if alone else None, code, expected)
    assert all(0x20 <= octet <= 0x7E for _, value in fields for octet in value)


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("100 %", b"100 %25"),
        ("Grüße", b"Gr%C3%BC%C3%9Fe"),
        ("a\r\nb\0", b"a%0D%0Ab%00"),
        ("\x7f~", b"%7F~"),
        ("\U0001f511", b"%F0%9F%94%91"),
    ],
)
def test_messages_are_percent_encoded(text: str, encoded: bytes) -> None:
    """Printable ASCII but the percent sign as it is, all else as its UTF-8 (PROTOCOL, Percent-Encoded)."""
    fields = decode(encode_trailers(StatusCode.ABORTED, text))
    assert fields == [(b"grpc-status", b"10"), (b"grpc-message", encoded)]


@pytest.mark.parametrize(
    ("encoded", "text"),
    [
        (b"%", "%"),
        (b"%4", "%4"),
        (b"%zz", "%zz"),
        (b"100%", "100%"),
        (b"%c3%bc", "ü"),
        (b"%FF", "\ufffd"),
        (b"\xc3\xbc", "ü"),
        (b"a+b", "a+b"),
    ],
)
def test_a_wrongly_encoded_message_is_no_error(encoded: bytes, text: str) -> None:
    """What cannot be decoded is shown as it came; the status counts (PROTOCOL, Status-Message)."""
    head = parse_response_head([(b"grpc-status", b"5"), (b"grpc-message", encoded)])
    assert head == ResponseHead(None, StatusCode.NOT_FOUND, text)


def test_a_message_that_is_too_long_is_cut() -> None:
    """It travels in headers, and those have limits."""
    fields = dict(decode(encode_trailers(StatusCode.ABORTED, "x" * (MAX_STATUS_MESSAGE + 1))))
    assert len(fields[b"grpc-message"]) == MAX_STATUS_MESSAGE


@pytest.mark.parametrize("value", [b"17", b"-1", b"", b"x", b" 5", b"+5", b"1_0", b"9" * 5000])
def test_a_status_that_nobody_knows_is_unknown(value: bytes) -> None:
    """Never OK, never another one."""
    assert parse_response_head([(b"grpc-status", value)]).status is StatusCode.UNKNOWN


@pytest.mark.parametrize(
    "fields",
    [
        [(b":status", b"20")],
        [(b":status", b"abc")],
        [(b":status", b"+20")],
        [(b":status", b"200"), (b":status", b"200")],
        [(b":status", b"200"), (b":path", b"/")],
        [(b":path", b"/")],
        [GRPC, (b":status", b"200")],
        [(b":status", b"200"), (b"connection", b"close")],
        [(b":status", b"200"), (b"a", b"x\r\ny")],
    ],
)
def test_a_response_that_breaks_http_is_malformed(fields: Fields) -> None:
    """Nothing else is read out of it."""
    assert parse_response_head(fields) == ResponseHead(None, None, is_malformed=True)


@pytest.mark.parametrize("fields", [[], [(b"content-type", b"text/html")]])
def test_an_answer_that_is_no_grpc_is_noticed(fields: Fields) -> None:
    """A proxy's error page, for instance."""
    assert parse_response_head([(b":status", b"502"), *fields]) == ResponseHead(502, None, is_grpc=False)


def test_a_refusal_can_be_read_by_http_and_grpc() -> None:
    """The HTTP status for the one, a gRPC status for the other."""
    head = parse_response_head(decode(encode_refusal(415)))
    assert (head.http_status, head.status) == (415, StatusCode.INTERNAL)


# --- messages ----------------------------------------------------------------------------------


def cut(data: bytes, sizes: Sequence[int]) -> list[bytes]:
    """`data` in pieces of these sizes, over and over."""
    pieces, index = [], 0
    while data:
        size = sizes[index % len(sizes)]
        pieces.append(data[:size])
        data, index = data[size:], index + 1
    return pieces


def taken(reader: MessageReader, piece: bytes) -> list[bytes]:
    """The messages that a piece completes."""
    reader.add(piece)
    return list(iter(reader.take, None))


@given(
    messages=st.lists(st.binary(max_size=50), max_size=6),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    tail=st.binary(max_size=4),
)
@settings(deadline=None)
def test_any_cutting_gives_the_same_messages(messages: list[bytes], sizes: list[int], tail: bytes) -> None:
    """What is left over is known, and is no message."""
    reader = MessageReader(LIMIT)
    received = []
    for piece in cut(b"".join(encode_message(message) for message in messages) + tail, sizes):
        received += taken(reader, piece)
    assert received == messages
    assert reader.buffered == len(tail)


def test_nothing_completes_nothing() -> None:
    """An empty piece is lawful."""
    reader = MessageReader(LIMIT)
    for piece in (b"", encode_message(b"abc")[:4], b""):
        assert taken(reader, piece) == []
        assert not reader.is_ready
    assert reader.buffered == 4


def test_what_waits_takes_no_more_room_than_it_came_in() -> None:
    """Empty messages by the hundred thousand are bytes until somebody takes them."""
    reader, messages = MessageReader(LIMIT), encode_message(b"") * 100_000
    reader.add(messages)
    assert reader.buffered == len(messages)
    assert [reader.take() for _ in range(100_001)] == [b""] * 100_000 + [None]
    assert reader.buffered == 0


@pytest.mark.parametrize("sizes", [[10_000], [1], [5]])
def test_a_message_over_the_limit_is_refused_by_its_length_alone(sizes: list[int]) -> None:
    """None of it needs to have arrived; one that just fits is taken."""
    assert taken(MessageReader(LIMIT), encode_message(bytes(LIMIT))) == [bytes(LIMIT)]
    reader = MessageReader(LIMIT)
    for piece in cut(module.PREFIX.pack(0, LIMIT + 1), sizes):
        reader.add(piece)
    assert reader.is_ready
    with pytest.raises(RPCError, match="1001 bytes, the limit is 1000") as caught:
        reader.take()
    assert caught.value.code is StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("flag", [1, 2, 255])
@pytest.mark.parametrize("before", [b"", encode_message(b"abc")])
def test_a_compressed_message_is_refused(flag: int, before: bytes) -> None:
    """Nobody here can read it (PROTOCOL, Message-Encoding)."""
    with pytest.raises(RPCError, match="compressed") as caught:
        taken(MessageReader(LIMIT), before + module.PREFIX.pack(flag, 3) + b"abc")
    assert caught.value.code is StatusCode.UNIMPLEMENTED
