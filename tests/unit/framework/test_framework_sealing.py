"""Sealed texts: what opens them, what does not, and that the limits of the cipher are kept."""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from itertools import product

import pytest
from gcm_forgery import forge
from hypothesis import given
from hypothesis import strategies as st

from authkit.errors import SealedTextError
from authkit.framework import Sealer
from authkit.framework.stored import sealing
from authkit.framework.stored.sealing import MAX_DATA_BYTES, read_key_id

KEY = os.urandom(32)
HEADER = 21
"""Bytes before the nonce: version, key id, salt."""


def raw(text: str) -> bytes:
    """Return the bytes of a text."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def text_of(data: bytes) -> str:
    """Return bytes as a text."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


@given(data=st.binary(max_size=200), context=st.binary(max_size=50))
def test_what_was_sealed_opens(data: bytes, context: bytes) -> None:
    """In another process too; two texts of the same data have nothing in common."""
    one, other = Sealer(KEY, purpose="p", mount="m"), Sealer(KEY, purpose="p", mount="m")
    text = one.seal(data, context=context)
    assert other.open(text, context=context) == data
    assert one.seal(data, context=context) != text


def test_everything_is_bound() -> None:
    """Another key, purpose, mount, key id or context does not open a text; nor does any split of them."""
    text = Sealer(KEY, purpose="p", mount="m", key_id=b"0001").seal(b"x", context=b"c")
    assert read_key_id(text) == b"0001"
    choices = product(
        (KEY, os.urandom(32)), ("p", "q", "pm"), ("m", "", "n"), (b"0001", b"0002"), (b"c", b"")
    )
    opened = []
    for key, purpose, mount, key_id, context in choices:
        try:
            Sealer(key, purpose=purpose, mount=mount, key_id=key_id).open(text, context=context)
        except SealedTextError:
            continue
        opened.append((key, purpose, mount, key_id, context))
    assert opened == [(KEY, "p", "m", b"0001", b"c")]


@given(position=st.integers(0, 10_000), bit=st.integers(0, 5))
def test_a_changed_text_does_not_open(position: int, bit: int) -> None:
    """Whichever bit it is, that of the header included."""
    sealer = Sealer(KEY, purpose="p")
    text = sealer.seal(b"some data")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    place = position % len(text)
    changed = alphabet[alphabet.index(text[place]) ^ 1 << bit]
    with pytest.raises(SealedTextError):
        sealer.open(text[:place] + changed + text[place + 1 :])


@pytest.mark.parametrize(
    "text", ["", "A", "AQ", "A" * 100, "AQ" + "A" * 60, "é" * 100, "AQ==", " " * 100, "AQ" * 100_000, "\0"]
)
def test_other_texts_do_not_open(text: str) -> None:
    """Whatever somebody sends."""
    with pytest.raises(SealedTextError):
        Sealer(KEY, purpose="p").open(text)
    with pytest.raises(SealedTextError):
        Sealer(KEY, purpose="p").open(Sealer(KEY, purpose="p").seal(b"x") + "=")


def test_no_nonce_is_used_twice() -> None:
    """What anybody may choose is only the data: key and nonce are random for each text."""
    sealer = Sealer(KEY, purpose="p")
    heads = {
        raw(sealer.seal(b"the same data", context=b"the same login"))[: HEADER + 12] for _ in range(1000)
    }
    assert len(heads) == 1000


def test_two_texts_forge_no_third() -> None:
    """Two texts under one nonce give the key of the tags away; two of a sealer do not."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    cipher, nonce = AESGCM(KEY), bytes(12)
    known, other, wanted = b"a" * 31 + b"b", b"a" * 31 + b"c", b"admin"
    forged = forge(cipher.encrypt(nonce, known, None), cipher.encrypt(nonce, other, None), known, wanted)
    assert cipher.decrypt(nonce, forged, None) == wanted

    sealer = Sealer(KEY, purpose="p")
    one, two = raw(sealer.seal(b"known" * 3)), raw(sealer.seal(b"other" * 3))
    start = HEADER + 12
    forged = forge(one[start:], two[start:], b"known" * 3, wanted)
    with pytest.raises(SealedTextError):
        sealer.open(text_of(one[:start] + forged))


def test_the_number_of_texts_under_one_key_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """After it, and in each process, another derived key seals; every text opens."""
    monkeypatch.setattr(sealing, "MAX_SEALINGS", 3)
    one, other = Sealer(KEY, purpose="p"), Sealer(KEY, purpose="p")
    texts = [one.seal(b"x") for _ in range(7)] + [other.seal(b"x")]
    salts = [raw(text)[5:HEADER] for text in texts]
    assert [salts.count(salt) for salt in dict.fromkeys(salts)] == [3, 3, 1, 1]
    assert {other.open(text) for text in texts} == {b"x"}


def test_wrong_sealers() -> None:
    """Keys of another length, no purpose, more data than fits."""
    for key, purpose, key_id in ((b"short", "p", bytes(4)), (KEY, "", bytes(4)), (KEY, "p", b"1")):
        with pytest.raises(ValueError, match="a sealer has"):
            Sealer(key, purpose=purpose, key_id=key_id)
    with pytest.raises(TypeError, match="only bytes can be sealed, not str: encode a text"):
        Sealer(KEY, purpose="p").seal("x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="too many to seal"):
        Sealer(KEY, purpose="p").seal(bytes(MAX_DATA_BYTES + 1))
    largest = Sealer(KEY, purpose="p").seal(bytes(MAX_DATA_BYTES))
    assert Sealer(KEY, purpose="p").open(largest) == bytes(MAX_DATA_BYTES)
