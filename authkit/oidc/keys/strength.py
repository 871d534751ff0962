"""Weak public keys, whose signatures can be forged, are refused when they are loaded.

Each rule names its source. A key that passes may still be weak: only its owner knows how it was made.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd, isqrt, prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

__all__ = ["MAX_RSA_BITS", "MIN_RSA_BITS", "require_ed25519", "require_rsa", "require_rsa_form"]

MIN_RSA_BITS = 2048
"""RFC 7518 section 3.3. vault-plugin-auth-jwt takes shorter keys; those can be factored."""

MAX_RSA_BITS = 8192
"""Go's crypto/tls takes no longer ones either (CVE-2023-29409); the first test of one takes over a second."""

MAX_RSA_EXPONENT = 2**31 - 1
"""As Go has it; the time of a verification grows with the exponent."""

CLOSE_PRIME_ROUNDS = 100
"""Baseline Requirements of the CA/Browser Forum, section 6.1.1.3: rounds of Fermat's method."""

MAX_REMEMBERED = 1024
"""Moduli that are not tested again when their document or configuration is read again: 1 MiB."""


def require_rsa(key: RSAPublicKey) -> None:
    """Refuse a modulus that is known to be factored easily, and a key that is slow to verify with.

    The first test of a modulus takes 12 to 28 ms for 2048 bits, and eight times that for twice the bits: call
    it in a thread. Other threads go on meanwhile.

    Raises:
        ValueError: the key is too weak or too slow.
    """
    require_rsa_form(key)
    weakness = _find_weakness(key.public_numbers().n)
    if weakness:
        raise ValueError(f"anybody can sign with this RSA key: {weakness}")


def require_rsa_form(key: RSAPublicKey) -> None:
    """Check what can be seen of an RSA key without work: its length and its exponent.

    Raises:
        ValueError: the key is too short, too long, or too slow.
    """
    if key.key_size < MIN_RSA_BITS:
        raise ValueError(f"RSA keys of less than {MIN_RSA_BITS} bits are not accepted")
    if key.key_size > MAX_RSA_BITS:
        raise ValueError(f"RSA keys of more than {MAX_RSA_BITS} bits are not accepted")
    numbers = key.public_numbers()
    # An even exponent is no exponent of RSA, and with 1 each message is its own signature (RFC 8017, 3.1).
    if numbers.e < 3 or not numbers.e & 1:
        raise ValueError("RSA keys with a public exponent that is even or below 3 are not accepted")
    if numbers.e > MAX_RSA_EXPONENT:
        raise ValueError("RSA keys with a public exponent above 2**31 are not accepted")


def require_ed25519(key: Ed25519PublicKey) -> None:
    """Refuse what is not a point in the encoding of RFC 8032, and points of small order.

    Raises:
        ValueError: the key is refused.
    """
    encoded = int.from_bytes(key.public_bytes_raw(), "little")
    y = encoded & (2**255 - 1)
    # Section 5.1.3. OpenSSL reduces y, so that a point would have more than one spelling.
    if y >= _P:
        raise ValueError("this Ed25519 key is not encoded as RFC 8032 asks for")
    if y in _SMALL_ORDER:
        raise ValueError("anybody can sign with this Ed25519 key: it is a point of small order")
    if pow((y * y - 1) * (_D * y * y + 1), (_P - 1) // 2, _P) != 1:
        raise ValueError("this Ed25519 key is not a point of the curve")


# --- RSA ---------------------------------------------------------------------------------------

_SMALL_FACTORS = prod(n for n in range(2, 752) if all(n % d for d in range(2, isqrt(n) + 1)))
"""The primes below 752, multiplied (NIST SP 800-89 section 5.3.3)."""

_ROCA = {
    p: frozenset(pow(65537, power, p) for power in range(p))
    for p in (11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157)
}
"""What a modulus with the flaw of CVE-2017-15361 leaves when divided by these primes: powers of 65537.

Nemec and others, "The Return of Coppersmith's Attack" (CCS 2017), section 2; these are the primes up to 167
of which 65537 is no generator, as in the authors' tool roca-detect. Any other key is mistaken for
one with the flaw once in 2**27.8.
"""


@lru_cache(MAX_REMEMBERED)
def _find_weakness(n: int) -> str:
    """Return why `n` is easy to factor; empty if no known reason applies."""
    if gcd(n, _SMALL_FACTORS) > 1:
        return "its modulus has a factor below 752"
    if all(n % prime in powers for prime, powers in _ROCA.items()):
        return "its modulus has the form of CVE-2017-15361 (ROCA)"
    if _has_close_primes(n):
        return "the primes of its modulus are too close to each other"
    if gcd(_fermat_power(n) - 1, n) > 1:
        return "its modulus is a prime, a power of a prime, or no harder to factor"
    return ""


def _has_close_primes(n: int) -> bool:
    """Return whether Fermat's method factors `n` in `CLOSE_PRIME_ROUNDS` (CVE-2022-26320)."""
    start = isqrt(n - 1) + 1  # rounded up, so that the square of a prime is found as well
    for middle in range(start, start + CLOSE_PRIME_ROUNDS):
        square = middle * middle - n
        if isqrt(square) ** 2 == square:
            return True
    return False


def _fermat_power(n: int) -> int:
    """Return 2**(n - 1) modulo `n`, for an odd `n`.

    It is 1 for a prime, and 1 modulo p for a power of p, by Fermat's little theorem: that a modulus is
    composite and no power of a prime is what SP 800-89 section 5.3.3 asks for. Where it is 1
    modulo one factor alone, the greatest common divisor is that factor.
    """
    power = 1
    # No slower than `pow`, which would keep every other thread waiting for as long as it takes.
    for bit in bin(n - 1)[2:]:
        power = (power * power << (bit == "1")) % n
    return power


# --- Ed25519 (RFC 8032 section 5.1) ------------------------------------------------------------

_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P

_SMALL_ORDER = frozenset(
    {
        0,
        1,
        2707385501144840649318225287225658788936804267575313519463743609750303402022,
        55188659117513257062467267217118295137698188065244968500265048394206261417927,
        _P - 1,
    }
)
"""The y of the points of order 1, 2, 4 and 8 (libsodium, ed25519_ref10.c, ge25519_has_small_order; Chalkias
and others, "Taming the Many EdDSAs", 2020)."""
