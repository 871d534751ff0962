"""Header blocks decoded, each distinct one once.

The first SETTINGS of either side announces a dynamic table of size 0. As soon as the peer has
acknowledged that, its blocks depend on no state: equal bytes mean equal headers, and a bounded
dictionary takes the place of decoding. `hpack` decodes every block that is not in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from hpack import Decoder
from hpack.exceptions import HPACKError, OversizedHeaderListError
from hpack.huffman_table import decode_huffman

from authkit.rpc.http2.budget import FREE_FIELDS
from authkit.rpc.http2.frames import ConnectionFailure, ErrorCode, count_size_updates, split_timeout

__all__ = ["MALFORMED", "MAX_LIST_BYTES", "HeaderDecoder", "Headers"]

T = TypeVar("T")

MAX_REMEMBERED_BYTES = 512 * 1024
"""All that is remembered, each block and each of its fields counted as RFC 9113 section 6.5.2 does: some 800
methods of mounts. A field of ten bytes takes 300 in memory, so that the worst is 4 MiB."""

MAX_BLOCK_BYTES = 4096
"""A block that counts for more is decoded each time: nobody drives out the others with a large one."""

MAX_LIST_BYTES = 64 * 1024
"""Decoded size of one block, by the same rule; it is announced. 40 KB of metadata fit."""

MAX_SIZE_UPDATES = 2
"""New table sizes at the start of a block (RFC 7541 section 4.2)."""

FIELD_BYTES = 32
"""What a field counts beyond its name and value (RFC 9113 section 6.5.2)."""

MALFORMED = -1
"""The length of a body that has a `content-length` which is not a number, or two that differ."""

MAX_LENGTH_DIGITS = 19
"""Of a `content-length`: below 2**63, and no number is converted that anybody made long."""

TIMEOUT = b"grpc-timeout"

MAX_TIMEOUT = 127
"""Octets of an encoded timeout that is taken out without decoding: its length is then one octet."""


class Headers(NamedTuple, Generic[T]):
    """A decoded block."""

    parsed: T
    """What the layer above made of it. Shared by equal blocks."""
    timeout: bytes | None = None
    """The value of `grpc-timeout`, which differs from call to call."""
    length: int | None = None
    """The value of `content-length`, or `MALFORMED`."""


class HeaderDecoder(Generic[T]):
    """Decodes the blocks of one direction of one connection, in their order.

    `spend` is told of fields beyond the usual number of a block (see `authkit.rpc.http2.budget`).
    """

    def __init__(
        self, parse: Callable[[Sequence[tuple[bytes, bytes]]], T], spend: Callable[[int], None]
    ) -> None:
        self._parse = parse
        self._spend = spend
        self._decoder = Decoder(max_header_list_size=MAX_LIST_BYTES)
        self._is_stateless = False
        self._known: dict[bytes, tuple[Headers[T], int]] = {}
        self._remembered = 0

    def expect_stateless(self) -> None:
        """The peer has acknowledged that its table has size 0."""
        self._decoder.max_allowed_table_size = 0
        # Does not wait for the size update that is due: grpc's C core writes the trailers of a call that it
        # refuses without one (grpcio 1.85, chttp2).
        self._decoder.header_table_size = 0
        self._is_stateless = True

    def decode(self, block: bytes) -> Headers[T]:
        """Return the headers of a block.

        Raises:
            ConnectionFailure: it cannot be decoded (RFC 9113 section 4.3), or is too large.
        """
        if not self._is_stateless or len(block) > MAX_BLOCK_BYTES:
            return self._read(self._decode(block))
        known = self._known.get(block)
        if known is not None:
            return known[0]
        try:
            rest, timeout = split_timeout(block)
            known = self._known.get(rest)
            if known is not None and timeout is not None and len(timeout) <= MAX_TIMEOUT:
                return Headers(known[0].parsed, _string(timeout), known[0].length)
        except (IndexError, HPACKError) as error:
            raise _undecodable() from error
        fields = self._decode(block)
        headers = self._read(fields)
        # Of several timeouts the walk takes out one alone.
        if known is None and sum(name == TIMEOUT for name, _ in fields) == (timeout is not None):
            self._remember(rest, headers._replace(timeout=None), fields)
        return headers

    def _remember(self, block: bytes, headers: Headers[T], fields: Sequence[tuple[bytes, bytes]]) -> None:
        size = len(block) + FIELD_BYTES + sum(len(name) + len(value) + FIELD_BYTES for name, value in fields)
        if size > MAX_BLOCK_BYTES:
            return
        self._known[block] = headers, size
        self._remembered += size
        while self._remembered > MAX_REMEMBERED_BYTES:
            _, size = self._known.pop(next(iter(self._known)))
            self._remembered -= size

    def _decode(self, block: bytes) -> list[tuple[bytes, bytes]]:
        try:
            if count_size_updates(block, MAX_SIZE_UPDATES) > MAX_SIZE_UPDATES:
                raise _undecodable()
            fields = [(bytes(name), bytes(value)) for name, value in self._decoder.decode(block, raw=True)]
        except OversizedHeaderListError as error:
            raise ConnectionFailure(ErrorCode.ENHANCE_YOUR_CALM, "a header list is too large") from error
        except (HPACKError, IndexError, ValueError) as error:
            raise _undecodable() from error
        self._spend(max(0, len(fields) - FREE_FIELDS))
        return fields

    def _read(self, fields: Sequence[tuple[bytes, bytes]]) -> Headers[T]:
        # More than one timeout is nobody's intention; the first counts, as for any other caller.
        timeout = next((value for name, value in fields if name == TIMEOUT), None)
        parsed = self._parse([field for field in fields if field[0] != TIMEOUT])
        return Headers(parsed, timeout, _find_length(fields))


def _find_length(fields: Sequence[tuple[bytes, bytes]]) -> int | None:
    """Return the length that `content-length` tells (RFC 9110 section 8.6)."""
    values = {value for name, value in fields if name == b"content-length"}
    if not values:
        return None
    value = values.pop()
    is_number = value.isdigit() and len(value) <= MAX_LENGTH_DIGITS
    return int(value) if is_number and not values else MALFORMED


def _undecodable() -> ConnectionFailure:
    return ConnectionFailure(ErrorCode.COMPRESSION_ERROR, "a header block cannot be decoded")


def _string(encoded: bytes) -> bytes:
    """Decode a string literal that has a length of one octet (RFC 7541 section 5.2)."""
    return bytes(decode_huffman(encoded[1:])) if encoded[0] & 0x80 else encoded[1:]
