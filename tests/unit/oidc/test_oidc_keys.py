"""Keys given as PEM, and which algorithms a key serves."""

from __future__ import annotations

import datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, rsa, x25519
from oidc_factories import (
    KEY_OF,
    certificate_pem,
    make_token,
    private_key,
    private_pem,
    public_pem,
    to_pem,
    verification_key,
    verify_signature,
)

from authkit.oidc import ALGORITHMS, StaticKeys, VerificationKey
from authkit.oidc.keys import key as keys_module
from authkit.oidc.keys.key import MAX_STATIC_KEYS, KeySource, RenewableKeySource
from authkit.oidc.tokens.jws import split_token

NO_KEY = "data does not contain any valid public keys"


@pytest.mark.parametrize(
    ("name", "kty", "curve", "size"),
    [
        ("rsa", "RSA", "", 2048),
        ("p256", "EC", "P-256", 256),
        ("p384", "EC", "P-384", 384),
        ("p521", "EC", "P-521", 521),
        ("ed25519", "OKP", "Ed25519", 256),
    ],
)
async def test_a_public_key_is_taken(name, kty, curve, size):
    """Every type that an algorithm uses is loaded with its properties."""
    (key,) = await StaticKeys.from_pem([public_pem(name)]).find_keys(None)
    assert (key.kty, key.curve, key.size, key.kid, key.algorithm) == (kty, curve, size, None, "")
    assert {algorithm for algorithm in ALGORITHMS if key.is_for(algorithm)} == {
        algorithm for algorithm, owner in KEY_OF.items() if owner == name
    }


@pytest.mark.parametrize("algorithm", ["none", "HS256", "", "RS1", "EdDSA "])
def test_a_key_serves_no_unknown_algorithm(algorithm):
    """Outside the ten algorithms no key fits."""
    assert not any(verification_key(name).is_for(algorithm) for name in ("rsa", "p256", "ed25519"))


async def test_all_keys_are_tried_whatever_the_kid():
    """Static keys have no ids, so that a token's id says nothing."""
    keys = StaticKeys.from_pem([public_pem("p256"), public_pem("rsa")])
    assert len(await keys.find_keys("unknown")) == 2
    token = split_token(make_token(kid="unknown"))
    verify_signature(token, await keys.find_keys(token.kid), ALGORITHMS)
    await keys.close()
    await keys.close()


def test_static_keys_are_a_source_that_cannot_look_again():
    """They satisfy the protocol, and have nothing to renew."""
    source: KeySource = StaticKeys.from_pem([public_pem("rsa")])
    assert not isinstance(source, RenewableKeySource)


@pytest.mark.parametrize("not_after", [datetime.datetime(2021, 1, 1), datetime.datetime(2100, 1, 1)])
async def test_of_a_certificate_the_key_counts(not_after):
    """A certificate gives its key, also when it has expired."""
    keys = StaticKeys.from_pem([certificate_pem(private_key("rsa").public_key(), not_after)])
    verify_signature(split_token(make_token()), await keys.find_keys(None), ALGORITHMS)


@pytest.mark.parametrize("form", ["\r\n{}\r\n", "issuer key\n{}", "   {}", "{}   \n\t\n"])
def test_text_before_and_space_around_a_block_is_ignored(form):
    """A copied key works."""
    assert StaticKeys.from_pem([form.format(public_pem("p256"))])


def test_crlf_line_ends_are_taken():
    """A key from another operating system works."""
    assert StaticKeys.from_pem([public_pem("rsa").replace("\n", "\r\n")])


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: "", NO_KEY),
        (lambda: "garbage", NO_KEY),
        (lambda: "-----BEGIN PUBLIC KEY-----", NO_KEY),
        (lambda: "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----", NO_KEY),
        (lambda: "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", NO_KEY),
        (lambda: "-----BEGIN PUBLIC KEY-----\n?é\n-----END PUBLIC KEY-----", NO_KEY),
        (lambda: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", NO_KEY),
        (lambda: public_pem("rsa").replace("PUBLIC KEY", "CERTIFICATE"), NO_KEY),
        (lambda: public_pem("rsa")[:200], NO_KEY),
        (lambda: public_pem("rsa") + "x", "unexpected trailing data after parsed PEM block"),
        (lambda: public_pem("rsa") + public_pem("p256"), "unexpected trailing data after parsed PEM block"),
        (lambda: public_pem("rsa-1024"), "RSA keys of less than 2048 bits are not accepted"),
        (lambda: public_pem("k1"), "use an RSA, an ECDSA (P-256, P-384, P-521) or an Ed25519 key"),
        (lambda: public_pem("ed448"), "use an RSA, an ECDSA (P-256, P-384, P-521) or an Ed25519 key"),
        (
            lambda: to_pem(x25519.X25519PrivateKey.generate().public_key()),
            "use an RSA, an ECDSA (P-256, P-384, P-521) or an Ed25519 key",
        ),
        (
            lambda: to_pem(dsa.generate_private_key(1024).public_key()),
            "use an RSA, an ECDSA (P-256, P-384, P-521) or an Ed25519 key",
        ),
    ],
)
def test_other_texts_are_refused(make, text):
    """What is not one strong enough public key is refused with its reason."""
    with pytest.raises(ValueError) as caught:
        StaticKeys.from_pem([public_pem("ed25519"), make()])
    assert str(caught.value) == text


@pytest.mark.parametrize("name", ["rsa", "p256", "ed25519"])
def test_private_keys_are_refused_and_not_repeated(name):
    """A private key is refused; nothing of it is in the failure or its causes."""
    pem = private_pem(name)
    with pytest.raises(ValueError) as caught:
        StaticKeys.from_pem([pem])
    assert str(caught.value) == "a private key was given, a public key is expected"
    assert caught.value.__cause__ is None


def test_a_huge_public_exponent_is_refused():
    """An exponent that makes verifying slow is refused."""
    n = private_key("rsa").public_key().public_numbers().n
    with pytest.raises(ValueError, match="public exponent"):
        VerificationKey.from_public_key(rsa.RSAPublicNumbers(2**31 + 1, n).public_key())


def test_the_number_of_keys_is_bounded():
    """No key and too many keys are both refused."""
    pem = public_pem("ed25519")
    assert StaticKeys.from_pem([pem] * MAX_STATIC_KEYS)
    with pytest.raises(ValueError, match="more than 64 public keys"):
        StaticKeys.from_pem([pem] * (MAX_STATIC_KEYS + 1))
    with pytest.raises(ValueError, match="at least one public key"):
        StaticKeys.from_pem([])
    with pytest.raises(TypeError):
        StaticKeys.from_pem(pem)


def test_the_work_for_static_keys_is_bounded(monkeypatch):
    """Long RSA keys, which take long to test, may not be many; others do not count."""
    monkeypatch.setattr(keys_module, "MAX_STATIC_RSA_WORK", 2 * 2048**3)
    rsa_pem, other = public_pem("rsa"), public_pem("p256")
    assert StaticKeys.from_pem([rsa_pem, other, rsa_pem, other])
    with pytest.raises(ValueError, match="too many long RSA keys"):
        StaticKeys.from_pem([rsa_pem, other, rsa_pem, rsa_pem])


def test_too_many_keys_are_refused_before_they_are_loaded(monkeypatch):
    """A list without end costs nothing."""
    monkeypatch.setattr(keys_module, "_load_pem", lambda pem: pytest.fail("loaded"))
    with pytest.raises(ValueError, match="more than 64 public keys"):
        StaticKeys.from_pem([public_pem("rsa")] * (MAX_STATIC_KEYS + 1))
