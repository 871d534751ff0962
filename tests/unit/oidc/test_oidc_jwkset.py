"""JWKS documents."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oidc_factories import b64, b64_integer, jwk, jwks, private_key

from authkit.oidc import parse_jwks
from authkit.oidc.keys.jwk_set import MAX_DOCUMENT_BYTES, MAX_KEYS, MAX_KID_CHARACTERS

LOGGER = "authkit.oidc.keys.jwk_set"


def kids(document):
    """The ids of the usable keys."""
    return [key.kid for key in parse_jwks(document).keys]


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("rsa", ("RSA", "", 2048)),
        ("p256", ("EC", "P-256", 256)),
        ("p384", ("EC", "P-384", 384)),
        ("p521", ("EC", "P-521", 521)),
        ("ed25519", ("OKP", "Ed25519", 256)),
    ],
)
def test_each_kind_of_key_is_loaded(name, form):
    """A published key is the key that it was, with its properties."""
    (key,) = parse_jwks(jwks(jwk(name))).keys
    assert (key.kty, key.curve, key.size) == form
    assert key.kid == name
    assert key.key == private_key(name).public_key()


@pytest.mark.parametrize("use", ["sig", "", None, "jwt-svid", "SIG"])
def test_signing_keys_of_any_spelling_are_used(use):
    """No use at all, or one that is for signing."""
    assert kids(jwks(jwk("p256", use=use))) == ["p256"]


@pytest.mark.parametrize(
    "entry",
    [
        {"use": "enc"},
        {"use": "x509-svid"},
        {"alg": "RSA-OAEP"},
        {"alg": "HS256"},
        {"alg": "none"},
        {"key_ops": ["encrypt"]},
        {"key_ops": ["wrapKey", "deriveBits"]},
        {"key_ops": ["sign"]},
        {"use": "ENC"},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": "AKP", "alg": "ML-DSA-65", "pub": "AAAA"},
        {"kty": "oKp"},
        {"kty": ""},
        {"kty": None},
        {"kty": "EC", "crv": "secp256k1"},
        {"kty": "EC", "crv": "P-192"},
        {"kty": "OKP", "crv": "X25519"},
        {"kty": "OKP", "crv": "Ed448"},
    ],
)
def test_keys_for_something_else_are_skipped_silently(entry, caplog):
    """They are no fault of the provider; the others serve."""
    assert kids(jwks(jwk("rsa", **entry), jwk("p256"))) == ["p256"]
    assert not caplog.records


@pytest.mark.parametrize("operations", [["verify"], ["verify", "encrypt"], ["sign", "verify"], [], None])
def test_other_operations_do_not_matter(operations):
    """Only a list of operations without the one we need says something."""
    assert kids(jwks(jwk("rsa", key_ops=operations))) == ["rsa"]


POINT = jwk("p256")


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (7, "not a JSON object"),
        (None, "not a JSON object"),
        (["kty"], "not a JSON object"),
        ({**POINT, "kty": 7}, "its kty is not a string"),
        ({**POINT, "kid": 7}, "its kid is not a string"),
        ({**POINT, "alg": ["ES256"]}, "its alg is not a string"),
        ({**POINT, "use": {}}, "its use is not a string"),
        ({**POINT, "use": "tls"}, "its use is not known here"),
        ({**POINT, "key_ops": "verify"}, "its key_ops is not a list of strings"),
        ({**POINT, "key_ops": {"verify": 1}}, "its key_ops is not a list of strings"),
        ({**POINT, "key_ops": ["verify", 7]}, "its key_ops is not a list of strings"),
        ({**POINT, "key_ops": [["verify"]]}, "its key_ops is not a list of strings"),
        ({**POINT, "alg": "ES384"}, "its alg is for keys of another type or curve"),
        ({**POINT, "alg": "RS256"}, "its alg is for keys of another type or curve"),
        ({**POINT, "kid": "k" * (MAX_KID_CHARACTERS + 1)}, "its id is too long"),
        ({**POINT, "x": 7}, "its x is not a string"),
        ({**POINT, "x": "é"}, "its x is not base64url"),
        ({**POINT, "x": "+" + POINT["x"][1:]}, "its x is not base64url"),
        ({**POINT, "x": "AAAA"}, "its x or y has another length"),
        ({**POINT, "y": b64(b"\0" + bytes(32))}, "its x or y has another length"),
        ({**POINT, "crv": "P-384"}, "its x or y has another length"),
        ({**POINT, "y": POINT["x"]}, "Invalid EC key"),
        ({**jwk("ed25519"), "x": "AAAA"}, "its x or y has another length"),
        ({"kty": "RSA"}, ""),
        ({**jwk("rsa"), "e": ""}, ""),
        ({**jwk("rsa"), "e": b64_integer(1)}, ""),
        ({**jwk("rsa"), "e": b64_integer(4)}, ""),
        ({**jwk("rsa"), "e": b64_integer(2**31 + 1)}, "RSA keys with a public exponent above"),
        ({**jwk("rsa"), "n": b64_integer(2**16_385 + 1)}, ""),
        ({**jwk("rsa"), "n": "_" * 400_000}, ""),
        (jwk("rsa-1024"), "RSA keys of less than 2048 bits"),
    ],
)
def test_faulty_keys_are_skipped_with_a_line_in_the_log(entry, reason, caplog):
    """One faulty key does not spoil the set."""
    assert kids(jwks(entry, jwk("p384"))) == ["p384"]
    (record,) = caplog.records
    assert (record.name, record.levelname) == (LOGGER, "WARNING")
    assert record.getMessage().startswith(f"key 0 of the key set is skipped: {reason}")
    assert len(record.getMessage()) < 200


@pytest.mark.parametrize("entry", [jwk("rsa", d="c2VzYW1l"), jwk("p256", d="c2VzYW1l"), jwk("ed25519", d="")])
def test_published_private_keys_are_not_used(entry, caplog):
    """Who publishes a private key no longer proves anything with it; it is not repeated."""
    assert kids(jwks(entry)) == []
    assert "it is a private key, and published" in caplog.text
    assert "c2VzYW1l" not in caplog.text


def test_keys_are_found_by_their_exact_id():
    """No other spelling, no key without id; without an id every key."""
    found = parse_jwks(jwks(jwk("rsa", kid="a"), jwk("p256", kid="A"), jwk("p384", kid=...)))
    assert [key.kty for key in found.find("a")] == ["RSA"]
    assert [key.curve for key in found.find("A")] == ["P-256"]
    assert len(found.find("")) == len(found.find("b")) == 0
    assert [key.kid for key in found.find(None)] == ["a", "A", None]


def test_an_id_may_occur_twice():
    """All keys of one id are found."""
    found = parse_jwks(jwks(jwk("rsa", kid="a"), jwk("p256", kid="a"), jwk("rsa", kid="a")))
    assert [key.kty for key in found.find("a")] == ["RSA", "EC", "RSA"]


def test_the_algorithm_of_a_key_is_kept():
    """A key published for one algorithm serves only that."""
    (key,) = parse_jwks(jwks(jwk("rsa", alg="PS384"))).keys
    assert [name for name in ("RS256", "RS384", "PS256", "PS384") if key.is_for(name)] == ["PS384"]


def test_padded_numbers_are_taken():
    """Padding in a key harms nobody."""
    assert kids(jwks({**POINT, "x": POINT["x"] + "=="})) == ["p256"]


def test_members_beside_the_keys_are_ignored():
    """A document may hold more than keys, and keys more than we know."""
    assert kids(jwks(jwk("p256", x5c=["?"], iat=7), spiffe_sequence=1)) == ["p256"]


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"keys": null}',
        b'{"keys": {}}',
        b'{"KEYS": []}',
        b"<html>",
        b"\xff",
        b"[" * 200_000,
        b'{"keys": [' + b"9" * 5000 + b"]}",
    ],
)
def test_other_documents_are_refused(document):
    """What is no key set is refused, without repeating it."""
    with pytest.raises(ValueError, match=r"^the key set is not ") as caught:
        parse_jwks(document)
    assert caught.value.__cause__ is None


def test_an_empty_set_is_a_set():
    """A provider may have no keys."""
    assert kids(jwks()) == []


def test_documents_are_bounded():
    """A document beyond the limit is refused before it is read."""
    with pytest.raises(ValueError, match="larger than"):
        parse_jwks(jwks(padding="x" * MAX_DOCUMENT_BYTES))


def test_the_number_of_keys_is_bounded(caplog):
    """Keys after the first few hundred are ignored, visibly."""
    document = jwks(*[{"kty": "oct"}] * MAX_KEYS, jwk("p256"))
    assert kids(document) == []
    assert "holds 501 keys" in caplog.text


@given(st.binary() | st.builds(lambda keys: json.dumps({"keys": keys}).encode(), st.lists(
    st.dictionaries(st.sampled_from(["kty", "crv", "x", "y", "n", "e", "kid", "use", "alg", "key_ops"]),
                    st.sampled_from(["RSA", "EC", "OKP", "P-256", "Ed25519", "AQAB", "", 7, None, [], {}]))))
)  # fmt: skip
def test_any_document_is_read_or_refused(document):
    """No document whatsoever causes another exception than `ValueError`."""
    try:
        parse_jwks(document)
    except ValueError as error:
        text = str(error)
    else:
        text = ""
    assert len(text) < 100
