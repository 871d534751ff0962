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

from authkit.rpc.frames import ConnectionFailure, ErrorCode, split_timeout

__all__ = ["HeaderDecoder", "Headers"]

T = TypeVar("T")

MAX_REMEMBERED = 512
"""Blocks in the dictionary: each method of each mount has one."""

MAX_REMEMBERED_BYTES = 4096
"""A longer block is decoded each time: nobody fills our memory with large ones."""

MAX_LIST_BYTES = 256 * 1024
"""Decoded size of one block, by the rule of RFC 9113 section 6.5.2."""

TIMEOUT = b"grpc-timeout"

MAX_TIMEOUT = 127
"""Octets of an encoded timeout that is taken out without decoding: its length is then one octet."""


class Headers(NamedTuple, Generic[T]):
    """A decoded block."""

    parsed: T
    """What the layer above made of it. Shared by equal blocks."""
    timeout: bytes | None
    """The value of `grpc-timeout`, which differs from call to call."""


class HeaderDecoder(Generic[T]):
    """Decodes the blocks of one direction of one connection, in their order."""

    def __init__(self, parse: Callable[[Sequence[tuple[bytes, bytes]]], T]) -> None:
        self._parse = parse
        self._decoder = Decoder(max_header_list_size=MAX_LIST_BYTES)
        self._is_stateless = False
        self._known: dict[bytes, T] = {}

    def expect_stateless(self) -> None:
        """The peer has acknowledged that its table has size 0."""
        self._decoder.max_allowed_table_size = 0
        # Not left to the size update that is due: grpc's C core writes the trailers of a call that it
        # refuses without one (grpcio 1.85, chttp2).
        self._decoder.header_table_size = 0
        self._is_stateless = True

    def decode(self, block: bytes) -> Headers[T]:
        """Return the headers of a block.

        Raises:
            ConnectionFailure: it cannot be decoded (RFC 9113 section 4.3), or is too large.
        """
        if not self._is_stateless:
            return self._decode(block)[0]
        parsed = self._known.get(block)
        if parsed is not None:
            return Headers(parsed, None)
        try:
            rest, timeout = split_timeout(block)
            parsed = self._known.get(rest)
            if parsed is not None and timeout is not None and len(timeout) <= MAX_TIMEOUT:
                return Headers(parsed, _string(timeout))
        except (IndexError, HPACKError) as error:
            raise _undecodable() from error
        headers, has_timeout = self._decode(block)
        if len(rest) <= MAX_REMEMBERED_BYTES and has_timeout == (timeout is not None):
            if len(self._known) >= MAX_REMEMBERED:
                del self._known[next(iter(self._known))]
            self._known[rest] = headers.parsed
        return headers

    def _decode(self, block: bytes) -> tuple[Headers[T], bool]:
        try:
            fields = [(bytes(name), bytes(value)) for name, value in self._decoder.decode(block, raw=True)]
        except OversizedHeaderListError as error:
            raise ConnectionFailure(ErrorCode.ENHANCE_YOUR_CALM, "a header list is too large") from error
        except (HPACKError, IndexError, ValueError) as error:
            raise _undecodable() from error
        timeouts = [value for name, value in fields if name == TIMEOUT]
        others = [field for field in fields if field[0] != TIMEOUT]
        # More than one is nobody's intention; the first counts, as for any other caller.
        return Headers(self._parse(others), timeouts[0] if timeouts else None), len(timeouts) == 1


def _undecodable() -> ConnectionFailure:
    return ConnectionFailure(ErrorCode.COMPRESSION_ERROR, "a header block cannot be decoded")


def _string(encoded: bytes) -> bytes:
    """Decode a string literal that has a length of one octet (RFC 7541 section 5.2)."""
    return bytes(decode_huffman(encoded[1:])) if encoded[0] & 0x80 else encoded[1:]
