"""HTTP/2 frames and header blocks: bytes in, bytes out. No I/O, no state but what a reader buffers.

What a frame means for a stream: `authkit.rpc.http2.connection`. Section numbers are those of
RFC 9113 unless another document is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum
from struct import Struct

from authkit.errors import AuthKitError

__all__ = [
    "MAX_FRAME_BYTES",
    "PREFACE",
    "ConnectionFailure",
    "ErrorCode",
    "FrameReader",
    "Kind",
    "PreparedHeaders",
    "Setting",
    "build_frame",
    "count_size_updates",
    "encode_headers",
    "split_timeout",
]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client sends first (3.4)."""

MAX_FRAME_BYTES = 16384
"""Longest payload accepted: the smallest value that SETTINGS_MAX_FRAME_SIZE allows (6.5.2), and what
go-grpc sends (1.75, internal/transport/http_util.go, http2MaxFrameLen)."""

HEADER_BYTES = 9

_HEADER = Struct(">BHBBL")


class Kind(IntEnum):
    """Frame types (6.1 to 6.10)."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


# Flags; the same bit means ACK in SETTINGS and PING, END_STREAM in DATA and HEADERS.
ACK = END_STREAM = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITY = 0x20


class Setting(IntEnum):
    """Parameters of a SETTINGS frame (6.5.2)."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6


class ErrorCode(IntEnum):
    """Error codes of RST_STREAM and GOAWAY (7)."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13


class ConnectionFailure(AuthKitError):
    """The peer broke a rule that ends the connection (5.4.1); `code` is what it is told."""

    def __init__(self, code: ErrorCode, reason: str) -> None:
        super().__init__(f"{code.name}: {reason}")
        self.code = code
        self.reason = reason


def build_frame(kind: Kind, flags: int, stream_id: int, payload: bytes | memoryview = b"") -> bytes:
    """Return one frame. The payload must fit: the sender of data cuts it."""
    length = len(payload)
    return _HEADER.pack(length >> 16, length & 0xFFFF, kind, flags, stream_id) + payload


class PreparedHeaders:
    """A header block that many streams send: its frame but for the stream's id."""

    __slots__ = ("block", "start")

    def __init__(self, block: bytes, *, end: bool = False) -> None:
        self.start = len(block).to_bytes(3, "big") + bytes(
            (Kind.HEADERS, END_HEADERS | (END_STREAM if end else 0))
        )
        self.block = block


class FrameReader:
    """Cuts a byte stream into frames.

    Bytes are appended and taken from an offset, so that a frame that arrives in many pieces is not
    copied for each of them.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
        """Yield (kind, flags, stream id, payload) of every frame that is complete now.

        Raises:
            ConnectionFailure: a frame is longer than `MAX_FRAME_BYTES` (4.2).
        """
        buffer = self._buffer
        if buffer:
            buffer += data
            source: bytes | bytearray = buffer
        else:
            source = data
        offset, end = 0, len(source)
        try:
            while end - offset >= HEADER_BYTES:
                high, low, kind, flags, stream_id = _HEADER.unpack_from(source, offset)
                length = (high << 16) | low
                if length > MAX_FRAME_BYTES:
                    raise ConnectionFailure(ErrorCode.FRAME_SIZE_ERROR, f"a frame of {length} bytes")
                start = offset + HEADER_BYTES
                if end - start < length:
                    break
                offset = start + length
                yield kind, flags, stream_id & 0x7FFFFFFF, bytes(source[start:offset])
        finally:
            if source is buffer:
                del buffer[:offset]
            else:
                buffer += data[offset:]


# --- header blocks (RFC 7541) ------------------------------------------------------------------


def encode_headers(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Return a header block of literals without indexing: it changes no state on either side (6.2.2)."""
    parts = []
    for name, value in headers:
        parts += [b"\0", _encode_integer(len(name)), name, _encode_integer(len(value)), value]
    return b"".join(parts)


def count_size_updates(block: bytes, most: int) -> int:
    """Return how many new table sizes a block begins with (RFC 7541 section 6.3), at most `most` + 1.

    Raises:
        IndexError: the block is cut off.
    """
    offset = found = 0
    while found <= most and offset < len(block) and block[offset] & 0xE0 == 0x20:
        _, offset = _decode_integer(block, offset, 5)
        found += 1
    return found


def split_timeout(block: bytes) -> tuple[bytes, bytes | None]:
    """Take the field `grpc-timeout` out of a stateless block: return the rest, and the field's value.

    The fields are walked: searching for bytes could be led astray by a value that imitates the field.
    Only for blocks whose decoding depends on no state (the dynamic table has size 0).

    Raises:
        IndexError: the block is cut off.
    """
    offset = 0
    while offset < len(block):
        start = offset
        first = block[offset]
        if first & 0x80:  # indexed field (6.1)
            _, offset = _decode_integer(block, offset, 7)
            continue
        if first & 0xE0 == 0x20:  # size update (6.3)
            _, offset = _decode_integer(block, offset, 5)
            continue
        prefix = 6 if first & 0x40 else 4
        index, offset = _decode_integer(block, offset, prefix)
        name = b""
        if index == 0:
            name, offset = _decode_string(block, offset)
        value, offset = _decode_string(block, offset)
        if name in _TIMEOUT_NAMES:
            return block[:start] + block[offset:], value
    return block, None


_TIMEOUT_NAMES = frozenset({b"\x0cgrpc-timeout", b"\x89\x9a\xca\xc8\xb2MIOj\x7f"})
"""The name as a string literal, plain and Huffman-coded: it has no other form (RFC 7541, 5.2)."""


def _encode_integer(value: int) -> bytes:
    """RFC 7541 section 5.1, with a prefix of 7 bits and the first bit clear."""
    if value < 127:
        return bytes((value,))
    value -= 127
    encoded = bytearray(b"\x7f")
    while value >= 128:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _decode_integer(block: bytes, offset: int, prefix: int) -> tuple[int, int]:
    mask = (1 << prefix) - 1
    value = block[offset] & mask
    offset += 1
    if value < mask:
        return value, offset
    shift = 0
    while True:
        octet = block[offset]
        offset += 1
        value += (octet & 0x7F) << shift
        shift += 7
        if octet < 0x80:
            return value, offset
        if shift > 28:
            raise IndexError("an integer that does not end")


def _decode_string(block: bytes, offset: int) -> tuple[bytes, int]:
    """Return a string as it is encoded (length octets and all), and what comes after it."""
    start = offset
    length, offset = _decode_integer(block, offset, 7)
    end = offset + length
    if end > len(block):
        raise IndexError("a string that is cut off")
    return block[start:end], end
