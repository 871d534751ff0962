"""Keys with which anybody can sign: each is used for a forged token, and then refused when it is loaded."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from oidc_factories import (
    b64,
    b64_integer,
    certificate_pem,
    jwk,
    jwks,
    make_token,
    private_key,
    to_pem,
    verify_signature,
)

from authkit.errors import TokenError
from authkit.oidc import ALGORITHMS, KeySourceError, StaticKeys, VerificationKey, parse_jwks
from authkit.oidc.keys import jwk_set as jwkset
from authkit.oidc.keys import strength
from authkit.oidc.tokens.jws import split_token

# --- RSA moduli whose factors are plain to see -------------------------------------------------

PRIME_1024 = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD"
    "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF",
    16,
)
"""The prime of the Second Oakley Group (RFC 2409 section 6.2)."""

PRIME_2048 = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD"
    "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F"
    "83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B"
    "E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510"
    "15728E5A8AACAA68FFFFFFFFFFFFFFFF",
    16,
)
"""The prime of the 2048-bit MODP Group (RFC 3526 section 3)."""

NEIGHBOUR = PRIME_1024 - 544
"""The next smaller prime."""

RSA: dict[str, tuple[int, int]] = {
    "prime": (PRIME_2048, PRIME_2048 - 1),
    "twice a prime": (2 * PRIME_2048, PRIME_2048 - 1),
    "a power of two": (2**2047, 2**2046),
    "the square of a prime": (PRIME_1024**2, PRIME_1024 * (PRIME_1024 - 1)),
    "a multiple of 751": (751 * PRIME_2048, 750 * (PRIME_2048 - 1)),
    "two neighbouring primes": (PRIME_1024 * NEIGHBOUR, (PRIME_1024 - 1) * (NEIGHBOUR - 1)),
}
"""Modulus, and the order of the group that whoever knows the factors signs with."""

SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")
"""DigestInfo of SHA-256 (RFC 8017 section 9.2)."""


def rsa_key(n: int, e: int = 65537) -> rsa.RSAPublicKey:
    """The public key of these numbers."""
    return rsa.RSAPublicNumbers(e, n).public_key()


def forge_rsa(n: int, order: int, message: bytes) -> bytes:
    """Sign with RS256, from the factors alone (RFC 8017 section 8.2)."""
    length = (n.bit_length() + 7) // 8
    digest = SHA256_PREFIX + hashlib.sha256(message).digest()
    padded = b"\0\1" + b"\xff" * (length - len(digest) - 3) + b"\0" + digest
    return pow(int.from_bytes(padded, "big"), pow(65537, -1, order), n).to_bytes(length, "big")


# --- Ed25519 points of small order -------------------------------------------------------------

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
L = 2**252 + 27742317777372353535851937790883648493
Point = tuple[int, int]


def add(a: Point, b: Point) -> Point:
    """The sum of two points (RFC 8032 section 5.1.4, in affine coordinates)."""
    (x1, y1), (x2, y2) = a, b
    t = D * x1 * x2 * y1 * y2
    return (
        (x1 * y2 + x2 * y1) * pow(1 + t, -1, P) % P,
        (y1 * y2 + x1 * x2) * pow(1 - t, -1, P) % P,
    )


def multiply(point: Point, factor: int) -> Point:
    """A multiple of a point."""
    result = (0, 1)
    while factor:
        if factor & 1:
            result = add(result, point)
        point, factor = add(point, point), factor >> 1
    return result


def find_x(y: int) -> int | None:
    """One of the x of this y, `None` if there is none."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    for candidate in (x, x * pow(2, (P - 1) // 4, P) % P):
        if candidate * candidate % P == square:
            return candidate
    return None


def points_of_small_order() -> Iterator[Point]:
    """The eight points whose order divides 8, found by multiplying any point with L."""
    y, generator = 2, (0, 1)
    while multiply(generator, 4) == (0, 1):
        y += 1
        x = find_x(y)
        generator = (0, 1) if x is None else multiply((x, y), L)
    for factor in range(8):
        yield multiply(generator, factor)


def encodings_of_small_order() -> list[bytes]:
    """Every 32 bytes that decode to such a point, by rules however lax."""
    ys = {y for _, y in points_of_small_order()}
    spellings = [y for y in (*ys, *(y + P for y in ys)) if y < 2**255]
    return sorted((y | sign << 255).to_bytes(32, "little") for y in spellings for sign in (0, 1))


BASE = (4 * pow(5, -1, P) % P).to_bytes(32, "little")
"""The base point, encoded (RFC 8032 section 5.1)."""

FORGED = BASE + (1).to_bytes(32, "little")
"""R = B, S = 1: valid under each key A with hA = 0, whatever the message (RFC 8032 section 5.1.7)."""


def forge_ed25519() -> Iterator[str]:
    """Tokens, one of which each key of small order verifies: a key of order 8 takes one in eight."""
    for number in range(200):
        head, _, _ = make_token({"sub": "root", "n": number}, algorithm="EdDSA").rpartition(".")
        yield f"{head}.{b64(FORGED)}"


# --- the attacks -------------------------------------------------------------------------------


def is_verified(token: str, key: VerificationKey) -> bool:
    """Whether a login takes this token."""
    try:
        verify_signature(split_token(token), [key], ALGORITHMS)
    except TokenError:
        return False
    return True


def unchecked(key: rsa.RSAPublicKey | ed25519.Ed25519PublicKey) -> VerificationKey:
    """A key as if nothing were looked at when it is loaded."""
    if isinstance(key, rsa.RSAPublicKey):
        return VerificationKey(key, "RSA", "", key.key_size)
    return VerificationKey(key, "OKP", "Ed25519", 256)


@pytest.mark.parametrize("name", RSA)
def test_a_modulus_with_plain_factors_is_refused(name: str) -> None:
    """Anybody signs for such a key, and the signature would verify; the key is not taken."""
    n, order = RSA[name]
    head, _, _ = make_token({"sub": "root"}).rpartition(".")
    token = f"{head}.{b64(forge_rsa(n, order, head.encode()))}"
    # OpenSSL 3 loads an even modulus and then verifies nothing with it; that is luck, and not asserted.
    assert n % 2 == 0 or is_verified(token, unchecked(rsa_key(n)))
    with pytest.raises(ValueError, match="anybody can sign"):
        VerificationKey.from_public_key(rsa_key(n))


def test_there_are_eight_points_of_small_order_in_fourteen_spellings() -> None:
    """Counted by arithmetic of this test's own: eight points, five y of them, and y = p and p + 1."""
    assert len(set(points_of_small_order())) == 8
    assert len(encodings_of_small_order()) == 14


@pytest.mark.parametrize("encoded", encodings_of_small_order(), ids=bytes.hex)
def test_a_point_of_small_order_is_refused(encoded: bytes) -> None:
    """One signature fits any message, or one in eight; no spelling of such a key is taken."""
    key = ed25519.Ed25519PublicKey.from_public_bytes(encoded)
    assert any(is_verified(token, unchecked(key)) for token in forge_ed25519())
    with pytest.raises(ValueError, match="Ed25519"):
        VerificationKey.from_public_key(key)


def test_the_list_of_small_order_is_complete() -> None:
    """It is what this test's own arithmetic finds."""
    assert {y for _, y in points_of_small_order()} == strength._SMALL_ORDER


def roca_modulus() -> int:
    """A modulus of the form of CVE-2017-15361: each prime is k * M + 65537**a modulo M."""
    primorial = 1
    for prime in strength._ROCA:
        primorial *= prime
    primes = []
    for a in (5, 9):
        start = (2**1023 + 2**1022) // primorial * primorial + pow(65537, a, primorial)
        primes.append(next(p for p in range(start, start + 10**6 * primorial, primorial) if is_prime(p)))
    return primes[0] * primes[1]


def is_prime(number: int) -> bool:
    """Fermat's test to base 2, after a cheap one: enough for numbers that nobody chose."""
    return number & 1 == 1 and pow(2, number - 1, number) == 1


def test_a_key_of_the_roca_flaw_is_refused() -> None:
    """Whatever its factors are: they can be computed from the form alone."""
    n = roca_modulus()
    with pytest.raises(ValueError, match="CVE-2017-15361"):
        VerificationKey.from_public_key(rsa_key(n))


@pytest.mark.parametrize("encoded", [2, 7, P + 3, P + 18 | 1 << 255])
def test_what_is_no_point_is_refused(encoded: int) -> None:
    """An encoding of no point of the curve, and one that RFC 8032 does not allow."""
    key = ed25519.Ed25519PublicKey.from_public_bytes(encoded.to_bytes(32, "little"))
    with pytest.raises(ValueError, match="Ed25519 key is not"):
        VerificationKey.from_public_key(key)


@pytest.mark.parametrize("e", [3, 17, 65537])
def test_an_ordinary_rsa_key_is_taken(e: int) -> None:
    """The rules refuse no key that was made as it should be."""
    n = private_key("rsa").public_key().public_numbers().n
    assert VerificationKey.from_public_key(rsa_key(n, e)).size == 2048


def test_ordinary_ed25519_keys_are_taken() -> None:
    """A hundred of them."""
    for _ in range(100):
        assert VerificationKey.from_public_key(ed25519.Ed25519PrivateKey.generate().public_key())


def test_a_key_that_is_seen_again_is_not_tested_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The expensive test is made once for a modulus."""
    strength._find_weakness.cache_clear()
    counted: list[int] = []
    power = strength._fermat_power
    monkeypatch.setattr(strength, "_fermat_power", lambda n: counted.append(n) or power(n))
    for _ in range(3):
        assert parse_jwks(jwks(jwk("rsa"))).keys
        assert StaticKeys.from_pem([to_pem(private_key("rsa").public_key())])
    assert len(counted) == 1


def test_the_work_for_one_document_is_bounded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Keys after those that cost too much are ignored, visibly."""
    monkeypatch.setattr(jwkset, "MAX_RSA_WORK", 2 * 2060**3)
    found = parse_jwks(jwks(jwk("p256"), jwk("rsa"), jwk("rsa", kid="b"), jwk("rsa", kid="c"), jwk("p384")))
    assert [key.kid for key in found.keys] == ["p256", "rsa", "b"]
    assert "key 3 and those after it are ignored" in caplog.text


# --- the same keys on the ways that lead in ----------------------------------------------------


@pytest.mark.parametrize("name", RSA)
async def test_weak_rsa_keys_are_refused_on_every_way(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """In a key set, as PEM, and in a certificate; those two when they are loaded, and when they are used."""
    n, _ = RSA[name]
    entry = {"kty": "RSA", "kid": "weak", "n": b64_integer(n), "e": "AQAB"}
    assert [key.kid for key in parse_jwks(jwks(entry, jwk("p256"))).keys] == ["p256"]
    assert "key 0 of the key set is skipped: anybody can sign with this RSA key" in caplog.text
    for pem in (to_pem(rsa_key(n)), certificate_pem(rsa_key(n))):
        keys = StaticKeys.from_pem([pem])
        with pytest.raises(ValueError, match="anybody can sign with this RSA key"):
            await keys.load()
        with pytest.raises(KeySourceError, match="anybody can sign with this RSA key"):
            await keys.find_keys(None)


async def test_the_test_of_static_keys_leaves_the_event_loop_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator of one mount would stop all others for seconds with two long keys."""
    tested_in: list[threading.Thread] = []
    monkeypatch.setattr(
        "authkit.oidc.keys.key.require_rsa", lambda key: tested_in.append(threading.current_thread())
    )
    keys = StaticKeys.from_pem([to_pem(private_key("rsa").public_key())])
    assert tested_in == []
    assert await keys.find_keys(None)
    assert await keys.find_keys(None)
    (thread,) = tested_in
    assert thread is not threading.main_thread()


@pytest.mark.parametrize("encoded", encodings_of_small_order(), ids=bytes.hex)
def test_points_of_small_order_are_refused_on_every_way(
    encoded: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """In a key set, as PEM, and in a certificate."""
    entry = {"kty": "OKP", "crv": "Ed25519", "kid": "weak", "x": b64(encoded)}
    assert [key.kid for key in parse_jwks(jwks(entry, jwk("p256"))).keys] == ["p256"]
    assert "Ed25519" in caplog.text
    key = ed25519.Ed25519PublicKey.from_public_bytes(encoded)
    for pem in (to_pem(key), certificate_pem(key)):
        with pytest.raises(ValueError, match="Ed25519"):
            StaticKeys.from_pem([pem])


# --- points of the curves of NIST, which have no small subgroups -------------------------------


def ec_spki(curve: bytes, point: bytes) -> str:
    """A public key as PEM, with any parameters and any point (RFC 5480)."""
    algorithm = der(0x30, bytes.fromhex("06072a8648ce3d0201") + curve)
    encoded = base64.encodebytes(der(0x30, algorithm + der(3, b"\0" + point))).decode()
    return f"-----BEGIN PUBLIC KEY-----\n{encoded}-----END PUBLIC KEY-----\n"


def der(tag: int, content: bytes) -> bytes:
    """One value in DER."""
    size = len(content)
    length = bytes((size,)) if size < 128 else b"\x82" + size.to_bytes(2, "big")
    return bytes((tag,)) + length + content


P256 = bytes.fromhex("06082a8648ce3d030107")
P256_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
P256_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
P256_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B


def integer(number: int, length: int = 32) -> bytes:
    """A number in big-endian order."""
    return number.to_bytes(length, "big")


def test_a_point_that_is_written_by_hand_is_taken() -> None:
    """So that the refusals below are those of the points."""
    point = private_key("p256").public_key().public_numbers()
    assert StaticKeys.from_pem([ec_spki(P256, b"\4" + integer(point.x) + integer(point.y))])


def wrong_points() -> dict[str, bytes]:
    """Encodings of what is no public key (SEC 1 section 3.2.2.1)."""
    point = private_key("p256").public_key().public_numbers()
    x, y = integer(point.x), integer(point.y)
    return {
        "infinity": b"\0",
        "infinity in full": b"\4" + bytes(64),
        "beside the curve": b"\4" + x + integer(point.y ^ 1),
        "hybrid with the other sign": bytes((6 + (1 - point.y % 2),)) + x + y,
        "too long": b"\4" + x + y + b"\0",
        "x beyond the field": b"\4" + integer(P256_P) + y,
        "compressed, beside the curve": b"\2" + integer(4 if find_y(4) is None else 5),
    }


def find_y(x: int) -> int | None:
    """The y of this x on P-256, `None` if there is none."""
    square = (x**3 - 3 * x + P256_B) % P256_P
    y = pow(square, (P256_P + 1) // 4, P256_P)
    return y if y * y % P256_P == square else None


@pytest.mark.parametrize("name", wrong_points())
def test_what_is_no_point_of_a_nist_curve_is_refused(name: str) -> None:
    """As a static key."""
    with pytest.raises(ValueError, match="does not contain any valid public keys"):
        StaticKeys.from_pem([ec_spki(P256, wrong_points()[name])])


def test_a_generator_of_the_attackers_choice_is_refused() -> None:
    """CVE-2020-0601: with Q itself as the generator the private key of Q is 1."""
    numbers = private_key("p256").public_key().public_numbers()
    q = b"\4" + integer(numbers.x) + integer(numbers.y)
    prime_field = der(0x30, bytes.fromhex("06072a8648ce3d0101") + der(2, b"\0" + integer(P256_P)))
    curve = der(0x30, der(4, integer(P256_P - 3)) + der(4, integer(P256_B)))
    order = der(2, b"\0" + integer(P256_N))
    parameters = der(0x30, der(2, b"\1") + prime_field + curve + der(4, q) + order + der(2, b"\1"))
    with pytest.raises(ValueError, match=r"does not contain any valid public keys|use an RSA"):
        StaticKeys.from_pem([ec_spki(parameters, q)])


@pytest.mark.parametrize("name", ["p256", "p384", "p521"])
def test_coordinates_beyond_the_field_are_refused(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """A point has one spelling: x and y are below p."""
    prime = {"p256": P256_P, "p384": 2**384 - 2**128 - 2**96 + 2**32 - 1, "p521": 2**521 - 1}[name]
    numbers = private_key(name).public_key().public_numbers()
    length = {"p256": 32, "p384": 48, "p521": 66}[name]
    spelled = numbers.x + prime if numbers.x + prime < 2 ** (8 * length) else prime
    assert not parse_jwks(jwks(jwk(name, x=b64_integer(spelled, length)))).keys
    assert "key 0 of the key set is skipped" in caplog.text


class Exponent:
    """An RSA key with an exponent that the library of keys would refuse by itself."""

    key_size = 2048

    def __init__(self, e: int) -> None:
        self.e = e

    def public_numbers(self) -> Exponent:
        """Return what is asked for it."""
        return self


@pytest.mark.parametrize(
    ("e", "is_taken"),
    [(1, False), (2, False), (65536, False), (3, True), (2**31 - 1, True), (2**31 + 1, False)],
)
def test_an_exponent_is_looked_at_here_too(e: int, is_taken: bool) -> None:
    """The check does not depend on that of the library, which another version may not have."""
    key: Any = Exponent(e)
    if is_taken:
        strength.require_rsa_form(key)
    else:
        with pytest.raises(ValueError, match="public exponent"):
            strength.require_rsa_form(key)


@pytest.mark.parametrize("e", [1, 2, 65536])
def test_an_exponent_that_is_none_is_refused(e: int) -> None:
    """With 1 each padded message is its own signature (RFC 8017 section 3.1)."""
    n = private_key("rsa").public_key().public_numbers().n
    numbers = der(0x30, der(2, b"\0" + integer(n, 256)) + der(2, integer(e, 3)))
    algorithm = der(0x30, bytes.fromhex("06092a864886f70d0101010500"))
    encoded = base64.encodebytes(der(0x30, algorithm + der(3, b"\0" + numbers))).decode()
    with pytest.raises(ValueError, match=r"public exponent|does not contain any valid"):
        StaticKeys.from_pem([f"-----BEGIN PUBLIC KEY-----\n{encoded}-----END PUBLIC KEY-----\n"])
    assert not parse_jwks(jwks(jwk("rsa", e=b64_integer(e)))).keys
