"""Forge AES-GCM messages from two that were sealed with one nonce (Joux, "Authentication Failures in NIST
version of GCM", 2006).
"""

from __future__ import annotations

__all__ = ["forge"]

BLOCK = 16


def forge(first: bytes, second: bytes, known: bytes, wanted: bytes, associated: bytes = b"") -> bytes:
    """Return what seals `wanted` under the nonce of two ciphertexts (with tags) of one length.

    Args:
        first, second: they differ in their last block alone.
        known: the plaintext of `first`.
        wanted: a plaintext that is no longer.
        associated: the associated data of all three, empty or one block.
    """
    one, other = first[:-BLOCK], second[:-BLOCK]
    last = (len(one) - 1) // BLOCK * BLOCK
    assert one[:last] == other[:last]
    assert one != other
    # Tags differ by (difference of the last blocks) * H^2.
    square = _times(
        _number(first[-BLOCK:]) ^ _number(second[-BLOCK:]),
        _inverse(_number(one[last:]) ^ _number(other[last:])),
    )
    key = _power(square, 1 << 127)  # the square root
    mask = _number(first[-BLOCK:]) ^ _ghash(key, associated, one)
    stream = bytes(a ^ b for a, b in zip(one, known, strict=True))
    sealed = bytes(a ^ b for a, b in zip(stream, wanted, strict=False))
    return sealed + (mask ^ _ghash(key, associated, sealed)).to_bytes(BLOCK, "big")


def _number(block: bytes) -> int:
    return int.from_bytes(block.ljust(BLOCK, b"\0"), "big")


def _ghash(key: int, associated: bytes, sealed: bytes) -> int:
    lengths = (8 * len(associated)).to_bytes(8, "big") + (8 * len(sealed)).to_bytes(8, "big")
    total = 0
    for part in (associated, sealed, lengths):
        for start in range(0, len(part), BLOCK):
            total = _times(total ^ _number(part[start : start + BLOCK]), key)
    return total


def _times(one: int, other: int) -> int:
    """Multiply in the field of GCM (NIST SP 800-38D, section 6.3)."""
    product = 0
    for bit in range(127, -1, -1):
        if one >> bit & 1:
            product ^= other
        other = other >> 1 ^ (0xE1 << 120 if other & 1 else 0)
    return product


def _power(base: int, exponent: int) -> int:
    result = 1 << 127  # one
    while exponent:
        if exponent & 1:
            result = _times(result, base)
        base, exponent = _times(base, base), exponent >> 1
    return result


def _inverse(number: int) -> int:
    return _power(number, (1 << 128) - 2)
