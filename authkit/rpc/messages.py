"""gRPC on top of HTTP/2 streams: heads of calls, messages, statuses. No I/O.

The facts are those of grpc/grpc, doc/PROTOCOL-HTTP2.md ("gRPC over HTTP2"), named PROTOCOL here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from struct import Struct

from authkit.errors import RPCError, StatusCode
from authkit.rpc.http2.frames import encode_headers
from authkit.values import Value, field

__all__ = [
    "MessageReader",
    "RequestHead",
    "ResponseHead",
    "encode_message",
    "encode_prefix",
    "encode_request_head",
    "encode_response_head",
    "encode_trailers",
    "parse_request_head",
    "parse_response_head",
    "parse_timeout",
    "verify_message_size",
    "whole_message",
]

PREFIX = Struct(">BL")
"""Compressed flag and length in front of each message (PROTOCOL, Length-Prefixed-Message)."""

MAX_STATUS_MESSAGE = 4096
"""Characters of a status message sent; it is a line for a log, and travels in headers."""

_CONTENT_TYPE = re.compile(rb"application/grpc(?:$|[+;])")
_TIMEOUT = re.compile(rb"([0-9]{1,8})([HMSmun])")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_NAME = re.compile(rb"[0-9a-z_.!#$%&'*+^`|~-]+")
_FORBIDDEN = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"})
"""Fields that HTTP/2 has no place for (RFC 9113 section 8.2.2)."""

_REQUEST_PSEUDO = frozenset({b":method", b":scheme", b":path", b":authority"})
"""All that a request may have (RFC 9113 section 8.3.1)."""

_RESERVED = frozenset({b"content-type", b"te", b"user-agent", b"grpc-encoding", b"grpc-accept-encoding"})
"""Fields that are the protocol's own and not metadata."""


# --- requests ----------------------------------------------------------------------------------


class RequestHead(Value, frozen=True):
    """The header block of a call, as a server reads it."""

    path: str
    metadata: Mapping[str, Sequence[str]] = field(default_factory=dict)
    is_malformed: bool = False
    """It breaks a rule of HTTP: the stream is reset (RFC 9113 section 8.1.1)."""
    http_status: int = 200
    """Other than 200: it is HTTP, but no gRPC; answered with this status."""
    is_compressed: bool = False
    """Its messages may be compressed, with something that nobody here knows."""
    are_trailers: bool = False
    """It may end a request, and not begin one: it has no pseudo-header (RFC 9113 section 8.1)."""


def parse_request_head(fields: Sequence[tuple[bytes, bytes]]) -> RequestHead:
    """Read the header block of a call, or its trailers. Never raises."""
    pseudo, regular, is_ordered = _split(fields)
    if is_ordered and not pseudo:
        return RequestHead("", is_malformed=True, are_trailers=True)
    method, path = pseudo.get(b":method"), pseudo.get(b":path", b"")
    is_complete = method is not None and b":scheme" in pseudo and path != b""
    if not is_ordered or not is_complete or not pseudo.keys() <= _REQUEST_PSEUDO:
        return RequestHead("", is_malformed=True)
    text = path.decode("ascii", "replace")
    if method != b"POST":
        return RequestHead(text, http_status=405)
    content_type = next((value for name, value in regular if name == b"content-type"), b"")
    if _CONTENT_TYPE.match(content_type) is None:
        return RequestHead(text, http_status=415)
    encoding = next((value for name, value in regular if name == b"grpc-encoding"), b"identity")
    return RequestHead(text, _metadata(regular), is_compressed=encoding != b"identity")


def encode_request_head(
    path: str, authority: str, metadata: Sequence[tuple[str, str]], *, secure: bool, timeout: float | None
) -> bytes:
    """Return the header block of a call. The metadata is verified already."""
    fields = [
        (b":method", b"POST"),
        (b":scheme", b"https" if secure else b"http"),
        (b":path", path.encode("ascii")),
        (b":authority", authority.encode("ascii")),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
        (b"user-agent", b"grpc-python-authkit"),
    ]
    if timeout is not None:
        fields.append((b"grpc-timeout", _encode_timeout(timeout)))
    fields += [(name.encode("ascii"), value.encode("ascii")) for name, value in metadata]
    return encode_headers(fields)


def parse_timeout(value: bytes) -> float | None:
    """Return a timeout in seconds, `None` when it is not one (PROTOCOL, Timeout)."""
    match = _TIMEOUT.fullmatch(value)
    return None if match is None else int(match[1]) * _UNITS[match[2]]


def _encode_timeout(seconds: float) -> bytes:
    """At least one unit, at most eight digits, the finest unit that fits."""
    for unit, size in ((b"n", 1e-9), (b"u", 1e-6), (b"m", 1e-3), (b"S", 1.0), (b"M", 60.0), (b"H", 3600.0)):
        number = max(int(seconds / size), 1)
        if number < 10**8:
            return b"%d%s" % (number, unit)
    return b"99999999H"


# --- responses ---------------------------------------------------------------------------------


class ResponseHead(Value, frozen=True):
    """A header block of a response, or its trailers, as a client reads it."""

    http_status: int | None
    """`None` in trailers."""
    status: StatusCode | None
    """`None` unless the block ends the call."""
    message: str = ""
    is_grpc: bool = True
    is_malformed: bool = False


def parse_response_head(fields: Sequence[tuple[bytes, bytes]]) -> ResponseHead:
    """Read a header block of a response. Never raises."""
    pseudo, regular, is_ordered = _split(fields)
    if not is_ordered or len(pseudo) > 1 or (pseudo and b":status" not in pseudo):
        return ResponseHead(None, None, is_malformed=True)
    values = dict(regular)
    http = pseudo.get(b":status")
    if http is not None and (len(http) != 3 or not http.isdigit()):
        return ResponseHead(None, None, is_malformed=True)
    return ResponseHead(
        None if http is None else int(http),
        _parse_status(values.get(b"grpc-status")),
        _percent_decode(values.get(b"grpc-message", b"")),
        http is None or _CONTENT_TYPE.match(values.get(b"content-type", b"")) is not None,
    )


def encode_response_head() -> bytes:
    """Return the header block of every response."""
    return encode_headers([(b":status", b"200"), (b"content-type", b"application/grpc")])


def encode_trailers(code: StatusCode, message: str = "", *, alone: bool = False) -> bytes:
    """Return the trailers that end a call; `alone` when nothing came before (Trailers-Only)."""
    fields = [(b":status", b"200"), (b"content-type", b"application/grpc")] if alone else []
    fields.append((b"grpc-status", b"%d" % code))
    if message:
        fields.append((b"grpc-message", _percent_encode(message[:MAX_STATUS_MESSAGE])))
    return encode_headers(fields)


def encode_refusal(http_status: int) -> bytes:
    """Return the header block that refuses a request which is not gRPC (PROTOCOL, Responses)."""
    return encode_headers(
        [
            (b":status", b"%d" % http_status),
            (b"grpc-status", b"%d" % StatusCode.INTERNAL),
            (b"grpc-message", b"not a gRPC request"),
        ]
    )


def _parse_status(value: bytes | None) -> StatusCode | None:
    if value is None:
        return None
    try:
        # Digits alone: `int` takes signs, spaces and underscores too.
        return StatusCode(int(value)) if value.isdigit() else StatusCode.UNKNOWN
    except ValueError:
        return StatusCode.UNKNOWN


def _percent_decode(encoded: bytes) -> str:
    """Wrongly encoded parts stay as they are: a message is never a reason to fail (PROTOCOL)."""
    decoded = _ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode()), encoded)
    return decoded.decode("utf-8", "replace")


def _percent_encode(text: str) -> bytes:
    """Printable ASCII but `%` as it is, all else as %XX of its UTF-8 (PROTOCOL, Percent-Encoded)."""
    return b"".join(
        bytes((octet,)) if 0x20 <= octet <= 0x7E and octet != 0x25 else b"%%%02X" % octet
        for octet in text.encode("utf-8", "replace")
    )


def _split(
    fields: Sequence[tuple[bytes, bytes]],
) -> tuple[dict[bytes, bytes], list[tuple[bytes, bytes]], bool]:
    """Separate pseudo-headers from others; the last is whether all keep the rules of HTTP (8.2, 8.3)."""
    pseudo: dict[bytes, bytes] = {}
    regular: list[tuple[bytes, bytes]] = []
    is_well_formed = True
    for name, value in fields:
        is_well_formed &= b"\n" not in value and b"\r" not in value and b"\0" not in value
        if name.startswith(b":"):
            is_well_formed &= not regular and name not in pseudo
            pseudo[name] = value
        else:
            is_well_formed &= _NAME.fullmatch(name) is not None and name not in _FORBIDDEN
            is_well_formed &= name != b"te" or value == b"trailers"  # 8.2.2
            regular.append((name, value))
    return pseudo, regular, is_well_formed


def _metadata(fields: Iterable[tuple[bytes, bytes]]) -> dict[str, list[str]]:
    metadata: dict[str, list[str]] = {}
    for name, value in fields:
        if name not in _RESERVED and not name.endswith(b"-bin"):
            metadata.setdefault(name.decode("ascii"), []).append(value.decode("latin-1"))
    return metadata


# --- messages ----------------------------------------------------------------------------------


def verify_message_size(size: int, limit: int) -> None:
    """Raise RPCError if a message of `size` bytes may not be sent or received.

    Raises:
        RPCError: `RESOURCE_EXHAUSTED`, as go-grpc has it (1.75, rpc_util.go).
    """
    if size > limit:
        raise RPCError(StatusCode.RESOURCE_EXHAUSTED, f"a message of {size} bytes, the limit is {limit}")


def encode_prefix(message: bytes) -> bytes:
    """Return what comes before a message: not compressed, and its length."""
    return PREFIX.pack(0, len(message))


def encode_message(message: bytes) -> bytes:
    """Return a message with its prefix."""
    return encode_prefix(message) + message


def whole_message(data: bytes, limit: int) -> bytes | None:
    """Return the message if `data` is just one of a lawful size, `None` for everything else."""
    size = len(data) - PREFIX.size
    if size < 0 or size > limit or PREFIX.unpack_from(data) != (0, size):
        return None
    return data[PREFIX.size :]


class MessageReader:
    """Puts messages together from pieces of a stream, one at a time, as they are asked for.

    What waits to be taken is kept as it came: a peer that sends empty messages by the thousand fills
    no more memory than it sends bytes.
    """

    __slots__ = ("_data", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._data: bytes | bytearray = b""

    @property
    def buffered(self) -> int:
        """Bytes that wait: messages not taken yet, and one that is not complete."""
        return len(self._data)

    @property
    def is_ready(self) -> bool:
        """Whether `take` has something to say: a message, or that there can be none."""
        data = self._data
        if len(data) < PREFIX.size:
            return False
        flag, length = PREFIX.unpack_from(data)
        return bool(flag) or length > self._limit or len(data) >= PREFIX.size + length

    def add(self, data: bytes) -> None:
        """Append a piece of the stream."""
        if not self._data:
            self._data = data  # nearly always one whole message: not copied
        elif isinstance(self._data, bytearray):
            self._data += data
        else:
            self._data = bytearray().join((self._data, data))

    def take(self) -> bytes | None:
        """Return the next message, `None` while it is not complete.

        Raises:
            RPCError: it is longer than the limit, or compressed.
        """
        data = self._data
        if len(data) < PREFIX.size:
            return None
        end = PREFIX.size + self._length(data)
        if len(data) < end:
            return None
        if isinstance(data, bytes):
            message = data[PREFIX.size : end]
            self._data = bytearray(memoryview(data)[end:]) if len(data) > end else b""
        else:
            message = bytes(memoryview(data)[PREFIX.size : end])
            del data[:end]  # moves the start of the array, not its content
        return message

    def _length(self, data: bytes | bytearray) -> int:
        flag, length = PREFIX.unpack_from(data)
        if flag:
            raise RPCError(StatusCode.UNIMPLEMENTED, "compressed messages are not supported")
        verify_message_size(length, self._limit)
        return int(length)
