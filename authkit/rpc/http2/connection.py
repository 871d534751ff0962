"""One side of an HTTP/2 connection: streams, flow control, settings, limits. No I/O and no clock.

Bytes go in, events come out; the driver passes the time and sends `data_to_send`. Client and
server share it. What the messages in the streams mean: `authkit.rpc.messages`.

Any sequence of bytes leads to events, or to a `ConnectionFailure` with the error code that RFC 9113
asks for; section numbers are that document's. Memory is bounded by the limits below, whatever a peer
does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from struct import Struct
from typing import Any, Generic, NamedTuple, TypeVar

from authkit.rpc.http2.budget import ANSWER_EARNS, RESET_COST, STREAMS_A_UNIT, Budget
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
)
from authkit.rpc.http2.headers import MALFORMED, MAX_LIST_BYTES, HeaderDecoder, Headers

__all__ = [
    "Data",
    "Event",
    "GoAway",
    "HTTP2Connection",
    "HeadersReceived",
    "Reset",
    "Writable",
]

T = TypeVar("T")

MAX_WINDOW = 2**31 - 1
"""Largest flow-control window (6.9.1)."""

DEFAULT_WINDOW = 65535
"""Windows before anybody has said anything (6.9.2)."""

STREAM_WINDOW = 1024 * 1024
"""What a peer may send on one stream before it is read: a storage entry in one go."""

CONNECTION_WINDOW = 16 * 1024 * 1024
"""The same for all streams together: the most that unread data can occupy."""

MAX_STREAMS = 1000
"""Concurrent streams that a peer may open. A host bounds its requests itself, far below."""

MAX_HEADER_BLOCK = MAX_LIST_BYTES
"""Bytes of one header block, however many frames it comes in: none is longer than what it decodes to."""

MAX_CONTINUATIONS = 64
"""Frames of one header block (CVE-2024-27316 and its like: floods of empty ones)."""

MAX_REMEMBERED_RESETS = 1024
"""Streams that we reset and whose late frames are ignored; of older ones they are an error (5.1)."""

MAX_SETTINGS = 100
"""Parameters of one SETTINGS frame, as in golang.org/x/net/http2 (server.go, processSettings)."""

MAX_QUEUED_CONTROL = 10_000
"""Answers to control frames that wait to be sent: a peer that does not read them is cut off."""

SIZE_UPDATE = b"\x20"
"""The dynamic table has size 0 from here on (RFC 7541 section 6.3)."""

_LONG = Struct(">L")
_DATA_START = Struct(">BHBB")
_PAIR = Struct(">HL")
_GOAWAY = Struct(">LL")


class HeadersReceived(NamedTuple, Generic[T]):
    """A header block: the first of a stream, or its trailers."""

    stream_id: int
    headers: Headers[T]
    ended: bool


class Data(NamedTuple):
    """A piece of a stream's body. `credit` is to be given back with `consume` once it is dealt with."""

    stream_id: int
    data: bytes
    ended: bool
    credit: int


class Reset(NamedTuple):
    """The peer has ended a stream, or we had to, because the peer broke a rule on it."""

    stream_id: int
    code: ErrorCode


class GoAway(NamedTuple):
    """The peer serves no stream after this one."""

    last_stream_id: int
    code: int
    debug: bytes


class Writable(NamedTuple):
    """All that was given to a stream has left."""

    stream_id: int


Event = HeadersReceived[T] | Data | Reset | GoAway | Writable


class _Stream:
    """One stream. It is closed when both directions have ended, and then forgotten."""

    __slots__ = (
        "got_headers",
        "is_receiving",
        "is_sending",
        "missing",
        "queue",
        "receive_window",
        "send_window",
        "sent",
    )

    def __init__(self, send_window: int, receive_window: int) -> None:
        self.send_window = send_window
        self.receive_window = receive_window
        self.is_receiving = True
        self.is_sending = True
        self.got_headers = False
        self.missing: int | None = None
        """Bytes of data that are still to come, if the peer has told how many there are."""
        self.sent = 0
        # What flow control holds back: data, then possibly a header block that ends the stream.
        self.queue: deque[tuple[bool, bytes | memoryview, bool]] = deque()


class HTTP2Connection(Generic[T]):
    """One side of a connection.

    `parse` makes of a decoded header block what the layer above works with; it is called once for
    equal blocks, so what it returns must not be changed by anybody.
    """

    def __init__(self, *, is_client: bool, parse: Callable[[Sequence[tuple[bytes, bytes]]], T]) -> None:
        self.is_client = is_client
        self.is_closing = False
        """No new stream is served or opened: a GOAWAY was sent, or received from a server."""
        self._budget = Budget()
        self._decoder = HeaderDecoder(parse, self._budget.spend)
        self._reader = FrameReader()
        self._awaited = b"" if is_client else PREFACE
        self._out: list[bytes] = []
        self._events: list[Event[T]] = []
        self._streams: dict[int, _Stream] = {}
        self._blocked: dict[int, None] = {}
        self._opened: dict[int, None] = {}
        self._are_all_opened = False
        self._resets: dict[int, None] = {}
        self._last_theirs = 0
        self._next_ours = 1 if is_client else 2
        self._send_window = DEFAULT_WINDOW
        self._receive_window = DEFAULT_WINDOW
        self._unreturned = 0
        self._their_window = DEFAULT_WINDOW
        self.their_max_streams = MAX_WINDOW
        self.got_settings = False
        """The peer speaks HTTP/2."""
        self._owes_size_update = False
        self._block: tuple[int, bool, list[bytes], int] | None = None
        self._start()

    # --- what the driver does ------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> list[Event[T]]:
        """Take bytes from the peer; return what they mean. `now` in seconds, never backwards.

        Raises:
            ConnectionFailure: the peer broke a rule. What `data_to_send` then returns is the GOAWAY
                for it, and the connection is to be closed.
        """
        self._budget.begin(now)
        try:
            if self._awaited:
                data = self._skip_preface(data)
            for kind, flags, stream_id, payload in self._reader.feed(data):
                self._handle(kind, flags, stream_id, payload)
            if self._opened or self._are_all_opened:
                self._flush()
        except ConnectionFailure as failure:
            self._send_goaway(failure.code)
            raise
        events, self._events = self._events, []
        return events

    def data_to_send(self) -> bytes:
        """Return the bytes for the peer, once."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    @property
    def stream_count(self) -> int:
        """How many streams are open."""
        return len(self._streams)

    def open_stream(self) -> int:
        """Return a new stream of ours. The caller keeps to `their_max_streams`.

        Raises:
            ConnectionFailure: all stream ids are used (5.1.1).
        """
        stream_id = self._next_ours
        if stream_id > MAX_WINDOW:
            raise ConnectionFailure(ErrorCode.NO_ERROR, "all stream ids are used")
        self._next_ours += 2
        self._streams[stream_id] = _Stream(self._their_window, STREAM_WINDOW)
        return stream_id

    def send_headers(self, stream_id: int, block: bytes, *, end: bool = False) -> None:
        """Send a header block, after what the stream has queued. Does nothing on a closed stream."""
        stream = self._streams.get(stream_id)
        if stream is None or not stream.is_sending:
            return
        if stream.queue:
            stream.queue.append((True, block, end))
            return
        self._send_block(stream_id, block, end)
        if end:
            self._end_sending(stream_id, stream)

    def send_data(self, stream_id: int, data: bytes, *, end: bool = False) -> bool:
        """Send data as flow control allows; return whether all of it has left.

        `Writable` follows if it has not. Does nothing on a closed stream.
        """
        stream = self._streams.get(stream_id)
        if stream is None or not stream.is_sending:
            return True
        stream.queue.append((False, data, end))
        self._send_queue(stream_id, stream)
        if stream.queue:
            self._blocked[stream_id] = None
        return not stream.queue

    def send_answer(
        self,
        stream_id: int,
        head: PreparedHeaders,
        data: Sequence[bytes],
        trailers: PreparedHeaders,
    ) -> bool:
        """Send a whole answer at once, if the windows allow its data; return whether it was sent.

        For the one answer of a unary call, which then costs no more than joining bytes.
        """
        stream = self._streams.get(stream_id)
        if stream is None or not stream.is_sending:
            return True
        size = sum(map(len, data))
        if (
            stream.queue
            or self._owes_size_update
            or size > stream.send_window
            or size > self._send_window
            or size > MAX_FRAME_BYTES
        ):
            return False
        self._send_window -= size
        number = _LONG.pack(stream_id)
        start = _DATA_START.pack(size >> 16, size & 0xFFFF, Kind.DATA, 0)
        self._out += (head.start, number, head.block, start, number, *data)
        self._out += (trailers.start, number, trailers.block)
        self._end_sending(stream_id, stream)
        return True

    def reset(self, stream_id: int, code: ErrorCode) -> None:
        """End a stream at once, both ways. Does nothing on one that is closed."""
        if self._streams.pop(stream_id, None) is not None:
            self._blocked.pop(stream_id, None)
            self._send_reset(stream_id, code)

    def fail(self, stream_id: int, code: ErrorCode) -> None:
        """End a stream on which the peer broke a rule (5.4.2).

        Raises:
            ConnectionFailure: it has done so too often; as for `receive`.
        """
        try:
            self._budget.spend(RESET_COST)
        except ConnectionFailure as failure:
            self._send_goaway(failure.code)
            raise
        self.reset(stream_id, code)

    def finish(self, stream_id: int) -> None:
        """A server's answer is complete: once it has left, a client that still sends is stopped (8.1)."""
        stream = self._streams.get(stream_id)
        if stream is not None and stream.is_receiving and not stream.is_sending:
            self.reset(stream_id, ErrorCode.NO_ERROR)

    def consume(self, stream_id: int, credit: int) -> None:
        """Let the peer send as much as was read (6.9). Small credits are collected."""
        self._unreturned += credit
        if self._unreturned >= CONNECTION_WINDOW // 2:
            self._receive_window += self._unreturned
            self._out.append(build_frame(Kind.WINDOW_UPDATE, 0, 0, _LONG.pack(self._unreturned)))
            self._unreturned = 0
        stream = self._streams.get(stream_id)
        if stream is None or not stream.is_receiving:
            return
        missing = STREAM_WINDOW - stream.receive_window
        if missing >= STREAM_WINDOW // 2:
            stream.receive_window = STREAM_WINDOW
            self._out.append(build_frame(Kind.WINDOW_UPDATE, 0, stream_id, _LONG.pack(missing)))

    def unsent(self) -> dict[int, int]:
        """Return, for every stream that flow control holds back, how many bytes wait."""
        return {
            stream_id: sum(len(payload) for _, payload, _ in self._streams[stream_id].queue)
            for stream_id in self._blocked
            if stream_id in self._streams
        }

    def progress(self) -> dict[int, int]:
        """Return, for every stream that flow control holds back, how many bytes of data have left."""
        return {
            stream_id: self._streams[stream_id].sent
            for stream_id in self._blocked
            if stream_id in self._streams
        }

    def go_away(self) -> None:
        """Tell the peer that streams which it opens from now on are not served (6.8)."""
        if not self.is_closing:
            self._send_goaway(ErrorCode.NO_ERROR)

    def forget_queue(self, stream_id: int) -> None:
        """Drop what a stream has not sent yet."""
        stream = self._streams.get(stream_id)
        if stream is not None:
            stream.queue.clear()
            self._blocked.pop(stream_id, None)

    # --- beginning -----------------------------------------------------------------------------

    def _start(self) -> None:
        settings = [
            # Makes the peer's header blocks stateless: equal bytes then mean equal headers.
            (Setting.HEADER_TABLE_SIZE, 0),
            (Setting.MAX_CONCURRENT_STREAMS, 0 if self.is_client else MAX_STREAMS),
            (Setting.INITIAL_WINDOW_SIZE, STREAM_WINDOW),
            (Setting.MAX_HEADER_LIST_SIZE, MAX_LIST_BYTES),
        ]
        if self.is_client:
            settings.append((Setting.ENABLE_PUSH, 0))
            self._out.append(PREFACE)
        self._out.append(
            build_frame(Kind.SETTINGS, 0, 0, b"".join(_PAIR.pack(key, value) for key, value in settings))
        )
        increment = CONNECTION_WINDOW - DEFAULT_WINDOW
        self._out.append(build_frame(Kind.WINDOW_UPDATE, 0, 0, _LONG.pack(increment)))
        self._receive_window = CONNECTION_WINDOW

    def _skip_preface(self, data: bytes) -> bytes:
        expected = self._awaited[: len(data)]
        if data[: len(expected)] != expected:
            raise ConnectionFailure(ErrorCode.PROTOCOL_ERROR, "no HTTP/2 preface (3.4)")
        self._awaited = self._awaited[len(expected) :]
        return data[len(expected) :]

    # --- frames --------------------------------------------------------------------------------

    def _handle(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if self._block is not None and (kind != Kind.CONTINUATION or stream_id != self._block[0]):
            raise _protocol_error("a header block was interrupted (6.2)")
        if not self.got_settings and kind != Kind.SETTINGS:
            raise _protocol_error("the first frame was not SETTINGS (3.4)")
        handler = _HANDLERS.get(kind)
        if handler is None:  # unknown frames are ignored (4.1)
            self._budget.spend()
        else:
            handler(self, flags, stream_id, payload)

    def _on_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        size = len(payload)
        stream = self._streams.get(stream_id)
        self._receive_window -= size
        if self._receive_window < 0:
            raise ConnectionFailure(ErrorCode.FLOW_CONTROL_ERROR, "more data than the window (6.9.1)")
        if stream is None or not stream.is_receiving:
            self._on_frame_of_closed(stream_id, stream)
            self.consume(0, size)
            return
        if flags & PADDED:
            payload = _unpadded(payload)
        ended = bool(flags & END_STREAM)
        if not payload and not ended:
            self._budget.spend()
        stream.receive_window -= size
        if stream.missing is not None or stream.receive_window < 0 or not stream.got_headers:
            code = _find_fault(stream, len(payload), ended)
            if code is not None:
                self._fail_stream(stream_id, code)
                self.consume(0, size)
                return
        if ended:
            self._end_receiving(stream_id, stream)
        self._events.append(Data(stream_id, payload, ended, size))

    def _on_headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id == 0:
            raise _protocol_error("HEADERS on stream 0 (6.2)")
        if flags & PADDED:
            payload = _unpadded(payload)
        if flags & PRIORITY:
            if len(payload) < 5:
                raise ConnectionFailure(ErrorCode.FRAME_SIZE_ERROR, "HEADERS too short for its priority")
            payload = payload[5:]
        ended = bool(flags & END_STREAM)
        if flags & END_HEADERS:
            self._on_block(stream_id, payload, ended)
        else:
            self._block = (stream_id, ended, [payload], len(payload))

    def _on_continuation(self, flags: int, stream_id: int, payload: bytes) -> None:
        if self._block is None:
            raise _protocol_error("CONTINUATION of nothing (6.10)")
        self._budget.spend()
        _, ended, parts, size = self._block
        parts.append(payload)
        size += len(payload)
        if size > MAX_HEADER_BLOCK or len(parts) > MAX_CONTINUATIONS:
            raise ConnectionFailure(ErrorCode.ENHANCE_YOUR_CALM, "a header block without end")
        if flags & END_HEADERS:
            self._block = None
            self._on_block(stream_id, b"".join(parts), ended)
        else:
            self._block = (stream_id, ended, parts, size)

    def _on_block(self, stream_id: int, block: bytes, ended: bool) -> None:
        # Always decoded, whatever becomes of the stream: the decoder's state is the connection's.
        headers = self._decoder.decode(block)
        stream = self._streams.get(stream_id)
        if stream is None:
            stream = self._accept(stream_id)
            if stream is None:
                return
        elif not stream.is_receiving:
            self._fail_stream(stream_id, ErrorCode.STREAM_CLOSED)
            return
        elif stream.got_headers and not ended:
            if not self.is_client:  # trailers end the stream (8.1)
                self._fail_stream(stream_id, ErrorCode.PROTOCOL_ERROR)
                return
            self._budget.spend()  # an interim answer
        if headers.length is not None and not (stream.got_headers and ended):
            stream.missing = headers.length
        stream.got_headers = True
        if stream.missing is not None and (stream.missing == MALFORMED or (ended and stream.missing)):
            self._fail_stream(stream_id, ErrorCode.PROTOCOL_ERROR)
            return
        if ended:
            self._end_receiving(stream_id, stream)
        self._events.append(HeadersReceived(stream_id, headers, ended))

    def _accept(self, stream_id: int) -> _Stream | None:
        """Return the stream that a HEADERS frame opens, `None` if it is to be ignored or was refused."""
        if self.is_client or not stream_id & 1 or stream_id <= self._last_theirs:
            self._on_frame_of_closed(stream_id, None)
            return None
        self._last_theirs = stream_id
        if self.is_closing:
            self._budget.spend()
            return None  # opened before our GOAWAY arrived: the client will open it elsewhere (6.8)
        if len(self._streams) >= MAX_STREAMS:
            self._budget.spend(RESET_COST)
            self._send_reset(stream_id, ErrorCode.REFUSED_STREAM)
            return None
        stream = self._streams[stream_id] = _Stream(self._their_window, STREAM_WINDOW)
        return stream

    def _on_priority(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._budget.spend()
        if stream_id == 0:
            raise _protocol_error("PRIORITY on stream 0 (6.3)")
        if len(payload) != 5:
            raise ConnectionFailure(ErrorCode.FRAME_SIZE_ERROR, "PRIORITY of another length (6.3)")

    def _on_rst_stream(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._budget.spend(RESET_COST if stream_id in self._streams else 1)
        if len(payload) != 4:
            raise ConnectionFailure(ErrorCode.FRAME_SIZE_ERROR, "RST_STREAM of another length (6.4)")
        if self._is_idle(stream_id):
            raise _protocol_error("RST_STREAM of an idle stream (6.4)")
        is_open = self._streams.pop(stream_id, None) is not None
        if is_open or not self.is_client:
            # At a server that has sent its answer the two have crossed: the client did not take it.
            self._blocked.pop(stream_id, None)
            self._events.append(Reset(stream_id, _error_code(_LONG.unpack(payload)[0])))

    def _on_settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._budget.spend()
        if stream_id:
            raise _protocol_error("SETTINGS on a stream (6.5)")
        if flags & ACK:
            if payload:
                raise ConnectionFailure(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS ACK with a payload (6.5)")
            self._decoder.expect_stateless()
            return
        if len(payload) % 6:
            raise ConnectionFailure(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS of an odd length (6.5)")
        if len(payload) > 6 * MAX_SETTINGS:
            raise ConnectionFailure(ErrorCode.ENHANCE_YOUR_CALM, "a SETTINGS frame with too many parameters")
        self.got_settings = True
        pairs = list(_PAIR.iter_unpack(payload))
        for key, value in pairs:
            self._verify_setting(key, value)
        for key, value in dict(pairs).items():  # of several values the last one counts (6.5.3)
            self._apply_setting(key, value)
        self._send_control(build_frame(Kind.SETTINGS, ACK, 0))

    def _verify_setting(self, key: int, value: int) -> None:
        if key == Setting.INITIAL_WINDOW_SIZE and value > MAX_WINDOW:
            raise ConnectionFailure(ErrorCode.FLOW_CONTROL_ERROR, "an impossible window (6.5.2)")
        if key == Setting.MAX_FRAME_SIZE and not 16384 <= value <= 2**24 - 1:
            raise _protocol_error("an impossible frame size (6.5.2)")
        if key == Setting.ENABLE_PUSH and (value > 1 or (value == 1 and self.is_client)):
            raise _protocol_error("an impossible ENABLE_PUSH (6.5.2)")

    def _apply_setting(self, key: int, value: int) -> None:
        # MAX_FRAME_SIZE changes nothing: our frames stay at the smallest size that everybody accepts.
        if key == Setting.INITIAL_WINDOW_SIZE:
            self._change_windows(value - self._their_window)
            self._their_window = value
        elif key == Setting.HEADER_TABLE_SIZE:
            self._owes_size_update = True
        elif key == Setting.MAX_CONCURRENT_STREAMS:
            self.their_max_streams = value

    def _change_windows(self, change: int) -> None:
        self._budget.spend(len(self._streams) // STREAMS_A_UNIT)
        for stream in self._streams.values():
            stream.send_window += change  # may become negative (6.9.2)
            if stream.send_window > MAX_WINDOW:
                raise ConnectionFailure(ErrorCode.FLOW_CONTROL_ERROR, "a window overflows (6.9.2)")
        if change > 0:
            self._are_all_opened = True

    def _on_push_promise(self, flags: int, stream_id: int, payload: bytes) -> None:
        raise _protocol_error("PUSH_PROMISE, which was switched off (8.4)")

    def _on_ping(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._budget.spend()
        if stream_id:
            raise _protocol_error("PING on a stream (6.7)")
        if len(payload) != 8:
            raise ConnectionFailure(ErrorCode.FRAME_SIZE_ERROR, "PING of another length (6.7)")
        if not flags & ACK:
            self._send_control(build_frame(Kind.PING, ACK, 0, payload))

    def _on_goaway(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._budget.spend()
        if stream_id:
            raise _protocol_error("GOAWAY on a stream (6.8)")
        if len(payload) < 8:
            raise ConnectionFailure(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY too short (6.8)")
        last, code = _GOAWAY.unpack_from(payload)
        # A client's is about streams that a server would open: its own calls are served as before.
        self.is_closing = self.is_closing or self.is_client
        self._events.append(GoAway(last & MAX_WINDOW, code, payload[8:]))

    def _on_window_update(self, flags: int, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFailure(ErrorCode.FRAME_SIZE_ERROR, "WINDOW_UPDATE of another length (6.9)")
        self._budget.spend()
        increment = _LONG.unpack(payload)[0] & MAX_WINDOW
        if stream_id == 0:
            self._send_window += increment
            if increment == 0:
                raise _protocol_error("a window update of nothing (6.9)")
            if self._send_window > MAX_WINDOW:
                raise ConnectionFailure(ErrorCode.FLOW_CONTROL_ERROR, "the window overflows (6.9.1)")
            if self._blocked:
                self._are_all_opened = True
            return
        if self._is_idle(stream_id):
            raise _protocol_error("WINDOW_UPDATE of an idle stream (5.1)")
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        stream.send_window += increment
        if stream.queue:
            self._opened[stream_id] = None
        if increment == 0:
            self._fail_stream(stream_id, ErrorCode.PROTOCOL_ERROR)
        elif stream.send_window > MAX_WINDOW:
            self._fail_stream(stream_id, ErrorCode.FLOW_CONTROL_ERROR)

    # --- streams -------------------------------------------------------------------------------

    def _is_idle(self, stream_id: int) -> bool:
        is_ours = bool(stream_id & 1) == self.is_client
        return stream_id == 0 or (stream_id >= self._next_ours if is_ours else stream_id > self._last_theirs)

    def _on_frame_of_closed(self, stream_id: int, stream: _Stream | None) -> None:
        """A frame came on a stream that cannot receive one."""
        if self._is_idle(stream_id):
            raise _protocol_error("a frame on an idle stream (5.1)")
        if stream is not None:
            self._fail_stream(stream_id, ErrorCode.STREAM_CLOSED)
        elif self.is_client or stream_id in self._resets or self.is_closing:
            self._budget.spend()  # it was under way when we reset the stream (5.1)
        else:
            raise ConnectionFailure(ErrorCode.STREAM_CLOSED, "a frame on a closed stream (5.1)")

    def _fail_stream(self, stream_id: int, code: ErrorCode) -> None:
        """The same as `fail`, and the layer above hears of it."""
        self._budget.spend(RESET_COST)
        self.reset(stream_id, code)
        self._events.append(Reset(stream_id, code))

    def _end_receiving(self, stream_id: int, stream: _Stream) -> None:
        stream.is_receiving = False
        if not stream.is_sending:
            self._streams.pop(stream_id, None)

    def _end_sending(self, stream_id: int, stream: _Stream) -> None:
        self._budget.earn(ANSWER_EARNS)
        stream.is_sending = False
        if not stream.is_receiving:
            self._streams.pop(stream_id, None)

    # --- sending -------------------------------------------------------------------------------

    def _send_block(self, stream_id: int, block: bytes, end: bool) -> None:
        flags = END_STREAM if end else 0
        if self._owes_size_update:
            # Our table is always empty; a changed limit is answered all the same (RFC 7541, 4.2).
            self._owes_size_update = False
            block = SIZE_UPDATE + block
        first, rest = block[:MAX_FRAME_BYTES], block[MAX_FRAME_BYTES:]
        self._out.append(build_frame(Kind.HEADERS, flags | (0 if rest else END_HEADERS), stream_id, first))
        while rest:
            piece, rest = rest[:MAX_FRAME_BYTES], rest[MAX_FRAME_BYTES:]
            self._out.append(build_frame(Kind.CONTINUATION, 0 if rest else END_HEADERS, stream_id, piece))

    def _send_queue(self, stream_id: int, stream: _Stream) -> None:
        queue = stream.queue
        while queue:
            is_headers, payload, end = queue[0]
            if is_headers:
                self._send_block(stream_id, bytes(payload), end)
            else:
                sent = self._send_pieces(stream_id, stream, payload, end)
                if sent < len(payload):
                    # A view: what is left of a long message is not copied for each window update.
                    queue[0] = (False, memoryview(payload)[sent:], end)
                    return
            queue.popleft()
            if end:
                self._end_sending(stream_id, stream)
                return

    def _send_pieces(self, stream_id: int, stream: _Stream, payload: bytes | memoryview, end: bool) -> int:
        """Send as much data as the windows allow; return how much. An empty payload always leaves."""
        allowed = min(len(payload), max(stream.send_window, 0), max(self._send_window, 0))
        stream.send_window -= allowed
        stream.sent += allowed
        self._send_window -= allowed
        self._budget.earn(allowed >> 10)
        is_last = end and allowed == len(payload)
        if allowed == len(payload) <= MAX_FRAME_BYTES:
            self._out.append(build_frame(Kind.DATA, END_STREAM if is_last else 0, stream_id, payload))
            return allowed
        payload = memoryview(payload)
        for start in range(0, allowed, MAX_FRAME_BYTES):
            stop = min(start + MAX_FRAME_BYTES, allowed)
            flags = END_STREAM if is_last and stop == allowed else 0
            self._out.append(build_frame(Kind.DATA, flags, stream_id, payload[start:stop]))
        return allowed

    def _flush(self) -> None:
        """Send what windows held back, one stream after the other."""
        if self._are_all_opened:
            self._budget.spend(len(self._blocked) // STREAMS_A_UNIT)
        candidates = list(self._blocked if self._are_all_opened else self._opened)
        self._opened.clear()
        self._are_all_opened = False
        for stream_id in candidates:
            stream = self._streams.get(stream_id)
            if stream is None or not stream.queue:
                self._blocked.pop(stream_id, None)
            elif self._send_window > 0:
                self._send_queue(stream_id, stream)
                if not stream.queue:
                    del self._blocked[stream_id]
                    self._events.append(Writable(stream_id))

    def _send_reset(self, stream_id: int, code: ErrorCode) -> None:
        self._resets[stream_id] = None
        if len(self._resets) > MAX_REMEMBERED_RESETS:
            del self._resets[next(iter(self._resets))]
        self._out.append(build_frame(Kind.RST_STREAM, 0, stream_id, _LONG.pack(code)))

    def _send_control(self, frame: bytes) -> None:
        if len(self._out) > MAX_QUEUED_CONTROL:
            raise ConnectionFailure(ErrorCode.ENHANCE_YOUR_CALM, "answers are not read")
        self._out.append(frame)

    def _send_goaway(self, code: ErrorCode) -> None:
        self.is_closing = True
        self._out.append(build_frame(Kind.GOAWAY, 0, 0, _GOAWAY.pack(self._last_theirs, code)))


_HANDLERS: dict[int, Callable[[HTTP2Connection[Any], int, int, bytes], None]] = {
    Kind.DATA: HTTP2Connection._on_data,
    Kind.HEADERS: HTTP2Connection._on_headers,
    Kind.PRIORITY: HTTP2Connection._on_priority,
    Kind.RST_STREAM: HTTP2Connection._on_rst_stream,
    Kind.SETTINGS: HTTP2Connection._on_settings,
    Kind.PUSH_PROMISE: HTTP2Connection._on_push_promise,
    Kind.PING: HTTP2Connection._on_ping,
    Kind.GOAWAY: HTTP2Connection._on_goaway,
    Kind.WINDOW_UPDATE: HTTP2Connection._on_window_update,
    Kind.CONTINUATION: HTTP2Connection._on_continuation,
}


def _protocol_error(reason: str) -> ConnectionFailure:
    return ConnectionFailure(ErrorCode.PROTOCOL_ERROR, reason)


def _find_fault(stream: _Stream, size: int, ended: bool) -> ErrorCode | None:
    """Return what is wrong with `size` bytes of data that have come on a stream."""
    if stream.receive_window < 0:
        return ErrorCode.FLOW_CONTROL_ERROR
    if not stream.got_headers:
        return ErrorCode.PROTOCOL_ERROR
    if stream.missing is not None:
        stream.missing -= size
        if stream.missing < 0 or (ended and stream.missing):
            return ErrorCode.PROTOCOL_ERROR  # another length than content-length (8.1.1)
    return None


def _unpadded(payload: bytes) -> bytes:
    if not payload or payload[0] >= len(payload):
        raise _protocol_error("padding longer than its frame (6.1)")
    return payload[1 : len(payload) - payload[0]]


def _error_code(number: int) -> ErrorCode:
    """Unknown codes are not an error; they mean what INTERNAL_ERROR means (7)."""
    return ErrorCode(number) if number in ErrorCode.__members__.values() else ErrorCode.INTERNAL_ERROR
