"""Published vectors: the JOSE cookbook (RFC 7520, RFC 7797, RFC 8037) and SPIFFE bundles."""

from __future__ import annotations

import json

import pytest
from oidc_factories import VECTORS, verify_signature

from authkit.errors import TokenError
from authkit.oidc import ALGORITHMS, parse_jwks
from authkit.oidc.tokens.jws import split_token

pytestmark = pytest.mark.skipif(not VECTORS.is_dir(), reason="the folder of published test vectors is absent")


def load(name):
    """One vector file."""
    return json.loads((VECTORS / name).read_text())


def public_set(entry):
    """A key set with the public half of a vector's key."""
    public = {name: value for name, value in entry.items() if name not in ("d", "p", "q", "dp", "dq", "qi")}
    return parse_jwks(json.dumps({"keys": [public]}).encode())


SIGNED = [
    ("jose-cookbook/jws/4_1.rsa_v15_signature.json", "RS256"),
    ("jose-cookbook/jws/4_2.rsa-pss_signature.json", "PS384"),
    ("jose-cookbook/jws/4_3.ecdsa_signature.json", "ES512"),
    ("jose-cookbook/curve25519/jws.json", "EdDSA"),
]


@pytest.mark.parametrize(("name", "algorithm"), SIGNED)
def test_compact_signatures_of_the_cookbook_verify(name, algorithm):
    """Each example verifies with its key, and with that algorithm only."""
    vector = load(name)
    token = split_token(vector["output"]["compact"])
    keys = public_set(vector["input"]["key"]).find(token.kid)
    assert token.algorithm == algorithm
    assert token.payload.decode() == vector["input"]["payload"]
    verify_signature(token, keys, ALGORITHMS)
    with pytest.raises(TokenError):
        verify_signature(token, keys, set(ALGORITHMS) - {algorithm})


@pytest.mark.parametrize(("name", "algorithm"), SIGNED)
def test_signatures_of_the_cookbook_do_not_cover_anything_else(name, algorithm):
    """With another payload the same signature fails."""
    vector = load(name)
    header, _, signature = vector["output"]["compact"].split(".")
    token = split_token(f"{header}.e30.{signature}")
    with pytest.raises(TokenError):
        verify_signature(token, public_set(vector["input"]["key"]).find(token.kid), ALGORITHMS)


@pytest.mark.parametrize("name", ["3_2.ec_private_key", "3_4.rsa_private_key"])
@pytest.mark.parametrize(("vector", "algorithm"), SIGNED)
def test_keys_of_other_examples_do_not_verify(vector, algorithm, name):
    """Unless it is the very key."""
    signed, other = load(vector), load(f"jose-cookbook/jwk/{name}.json")
    token = split_token(signed["output"]["compact"])
    if signed["input"]["key"].get("n", signed["input"]["key"].get("x")) in (other.get("n"), other.get("x")):
        verify_signature(token, public_set(other).keys, [algorithm])
    else:
        with pytest.raises(TokenError):
            verify_signature(token, public_set(other).keys, [algorithm])


def test_encrypted_content_is_refused():
    """A JWE has five parts, or is JSON."""
    output = load("jose-cookbook/curve25519/ecdh-es.json")["output"]
    with pytest.raises(TokenError, match="does not have three parts"):
        split_token(output["compact"])
    for form in ("json", "json_flat"):
        with pytest.raises(TokenError, match="JSON serialisation is not accepted"):
            split_token(json.dumps(output[form]))


def test_the_public_keys_of_the_cookbook_load():
    """RSA and EC public keys are read, secrets and private keys are not."""
    for name in ("3_1.ec_public_key", "3_3.rsa_public_key"):
        assert len(public_set(load(f"jose-cookbook/jwk/{name}.json")).keys) == 1
    for name in (
        "3_2.ec_private_key",
        "3_4.rsa_private_key",
        "3_5.symmetric_key_mac_computation",
        "3_6.symmetric_key_encryption",
    ):
        document = json.dumps({"keys": [load(f"jose-cookbook/jwk/{name}.json")]}).encode()
        assert parse_jwks(document).keys == ()


FILES = [
    "jws/4_1.rsa_v15_signature.json",
    "jws/4_2.rsa-pss_signature.json",
    "jws/4_3.ecdsa_signature.json",
    "jws/4_4.hmac-sha2_integrity_protection.json",
    "jws/4_5.signature_with_detached_content.json",
    "jws/4_6.protecting_specific_header_fields.json",
    "jws/4_7.protecting_content_only.json",
    "jws/4_8.multiple_signatures.json",
    "curve25519/jws.json",
    "rfc7797/hmac-sha2_b64_false.json",
    "rfc7797/4.2.hmac-sha2_b64_false.json",
]


@pytest.mark.parametrize("name", FILES)
def test_json_serialisations_of_the_cookbook_are_refused(name):
    """Neither the general nor the flattened JSON form is taken, however many signatures it has."""
    output = load(f"jose-cookbook/{name}")["output"]
    forms = [output[form] for form in ("json", "json_flat") if form in output]
    assert forms
    for form in forms:
        with pytest.raises(TokenError, match="JSON serialisation is not accepted"):
            split_token(json.dumps(form))


@pytest.mark.parametrize(
    "name",
    [
        "jws/4_4.hmac-sha2_integrity_protection.json",
        "jws/4_5.signature_with_detached_content.json",
        "rfc7797/hmac-sha2_b64_false.json",
    ],
)
def test_mac_detached_and_unencoded_content_is_refused(name):
    """Compact forms that are no login token are refused while splitting."""
    output = load(f"jose-cookbook/{name}")["output"]
    with pytest.raises(TokenError):
        split_token(output["compact"])


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("jwks_valid_1", ["C6vs25welZOx6WksNYfbMfiw9l96pMnD"]),
        ("jwks_valid_2", ["C6vs25welZOx6WksNYfbMfiw9l96pMnD", "gHTCunJbefYtnZnTctd84xeRWyMrEsWD"]),
        ("jwks_missing_kid", ["C6vs25welZOx6WksNYfbMfiw9l96pMnD", None]),
        ("spiffebundle_valid_1", ["C6vs25welZOx6WksNYfbMfiw9l96pMnD"]),
        (
            "spiffebundle_valid_2",
            [
                "IRsID4VIM3T11TsK43Ny1DgCD5UNWhva",
                "qjwWkiMpkHzIxsSrAsLxSZ2WZ8AyMESx",
                "uNhqAaPI7NDn7IHOsa2ac1BF4O5qGxjZ",
                "y3UHKFp0WqPpG7gVr3FKieiEzwH8fTMm",
                "mbrcuIaIUUapdCCmhQon4xJSicDmAVfK",
                "cHPeHMMEtvTeSMBc20DzPPhkF41BN2WJ",
            ],
        ),
        (
            "spiffebundle_valid_with_wit",
            ["IRsID4VIM3T11TsK43Ny1DgCD5UNWhva", "qjwWkiMpkHzIxsSrAsLxSZ2WZ8AyMESx"],
        ),
        ("spiffebundle_multiple_x509", ["C6vs25welZOx6WksNYfbMfiw9l96pMnD"]),
        ("spiffebundle_missing_kid", [None]),
    ],
)
def test_spiffe_key_sets_are_read(name, found):
    """JWT keys are found; keys of X.509 and WIT authorities are left out."""
    key_set = parse_jwks((VECTORS / "spiffe" / f"{name}.json").read_bytes())
    assert [key.kid for key in key_set.keys] == found


def test_all_spiffe_bundles_are_read_or_refused():
    """No bundle, valid or broken, causes another exception than `ValueError`."""
    for path in sorted((VECTORS / "spiffe").glob("*.json")):
        if path.stem == "spiffebundle_no_keys":
            with pytest.raises(ValueError, match="list of keys"):
                parse_jwks(path.read_bytes())
        else:
            assert all(key.curve == "P-256" for key in parse_jwks(path.read_bytes()).keys)
