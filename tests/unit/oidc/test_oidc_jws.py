"""Compact JWS: splitting and signatures."""

from __future__ import annotations

import json
import string

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from hypothesis import example, given, settings
from hypothesis import strategies as st
from oidc_factories import (
    HASHES,
    KEY_OF,
    b64,
    make_token,
    private_key,
    public_pem,
    said,
    sign,
    verification_key,
    verify_signature,
)

from authkit.errors import LoginError, TokenError
from authkit.oidc import ALGORITHMS
from authkit.oidc.tokens.checks import NO_RECORD
from authkit.oidc.tokens.jws import (
    MAX_TOKEN_CHARACTERS,
    MAX_TRIED_KEYS,
    UnverifiedToken,
    find_signer,
    split_token,
)
from authkit.oidc.tokens.verifier import verify_signer
from authkit.values import replace

MALFORMED = "error verifying token signature: oidc: malformed jwt: "
NO_KEY = "error verifying token signature: failed to verify id token signature"


def split_or_reason(text):
    """The token and no reason, or no token and the reason; any other exception passes through."""
    try:
        return split_token(text), ""
    except TokenError as error:
        return None, said(error)


def refusal(call, *arguments, **options):
    """The `TokenError` of a call that must fail."""
    with pytest.raises(TokenError) as caught:
        call(*arguments, **options)
    assert isinstance(caught.value, LoginError)
    assert str(caught.value) == caught.value.public
    return caught.value


def with_header(header):
    """A token of this header, given as an object or as raw bytes."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return f"{b64(raw)}.{b64(b'{}')}.{b64(b'signature')}"


# --- splitting ---------------------------------------------------------------------------------


def test_a_token_is_taken_apart():
    """All four parts are as they were in the text."""
    text = make_token({"sub": "ann"}, kid="one")
    token = split_token(text)
    assert (token.algorithm, token.kid, token.type) == ("RS256", "one", "JWT")
    assert token.payload == b'{"sub": "ann"}'
    assert token.signing_input.decode() == text.rpartition(".")[0]
    assert b64(token.signature) == text.rpartition(".")[2]


def test_a_token_shows_nothing_of_itself():
    """The representation holds neither claims nor signature."""
    assert repr(split_token(make_token())) == "UnverifiedToken()"


@pytest.mark.parametrize("whitespace", ["\n", " ", "\t", "\r\n", "\v", "\f"])
def test_ascii_whitespace_is_ignored(whitespace):
    """A token from a file, or one broken into lines, is the same token."""
    text = make_token()
    broken = whitespace + whitespace.join([text[:7], text[7:50], text[50:]]) + whitespace
    assert split_token(broken) == split_token(text)


@pytest.mark.parametrize("kid", ["", None])
def test_an_empty_kid_is_none(kid):
    """An empty or null `kid` header counts as absent."""
    assert split_token(with_header({"alg": "RS256", "kid": kid})).kid is None


def test_keys_in_the_header_are_ignored():
    """`jwk`, `jku`, `x5u` and `x5c` change nothing, whatever they hold."""
    header = {"alg": "RS256", "jwk": {"kty": "oct"}, "jku": "https://evil.example", "x5u": 7, "x5c": [None]}
    token = split_token(make_token(header=header, key=private_key("rsa-other")))
    assert said(refusal(verify_signature, token, [verification_key("rsa")], ALGORITHMS)) == NO_KEY


THREE_PARTS = "go-jose/go-jose: compact JWS format must have three parts"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", THREE_PARTS),
        ("   \n", THREE_PARTS),
        ("abc", THREE_PARTS),
        ("a.b", THREE_PARTS),
        ("a.b.c.d", THREE_PARTS),
        ("a.b.c.d.e", THREE_PARTS),
        ("..", "header is empty"),
        (json.dumps({"payload": "e30", "signatures": []}), "JSON serialisation is not accepted"),
        ('  {"payload":"e30","protected":"e30","signature":"e30"}', "JSON serialisation is not accepted"),
        ("é.e30.e30", "not ASCII text"),
        ("e30.e30.e30\u00a0", "not ASCII text"),
        ("e30.e30.e3\u0660", "not ASCII text"),
        ("e30.e30.\ud800", "not ASCII text"),
        ("a" * (MAX_TOKEN_CHARACTERS + 1), f"longer than {MAX_TOKEN_CHARACTERS} characters"),
        (" " * (MAX_TOKEN_CHARACTERS + 1), f"longer than {MAX_TOKEN_CHARACTERS} characters"),
        ("e30=.e30.e30", "header is not base64url"),
        ("e3\x000.e30.e30", "header is not base64url"),
        ("e\x1c30.e30.e30", "header is not base64url"),
    ],
)
def test_what_is_no_compact_jws_is_refused(text, reason):
    """Other serialisations, other alphabets and anything too long are refused by their form."""
    assert said(refusal(split_token, text)) == MALFORMED + reason


@pytest.mark.parametrize(
    ("part", "change", "reason"),
    [
        (1, lambda part: "", "payload is empty"),
        (1, lambda part: part + "=", "payload is not base64url"),
        (1, lambda part: part[:-1] + "+", "payload is not base64url"),
        (2, lambda part: "", "signature is empty"),
        (2, lambda part: part + "==", "signature is not base64url"),
        (2, lambda part: part[:-1] + "x", "signature is not base64url"),
        (2, lambda part: part + "AAA", "signature is not base64url"),
    ],
)
def test_broken_parts_are_refused(part, change, reason):
    """Detached content, missing signatures, padding and stray bits are refused."""
    parts = make_token().split(".")
    parts[part] = change(parts[part])
    assert said(refusal(split_token, ".".join(parts))) == MALFORMED + reason


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b"[]", "header: not a JSON object"),
        (b"\xff", "header: not UTF-8"),
        (b"{", "header: not valid JSON"),
        (b'{"alg":"none","alg":"RS256"}', "header: a member name occurs twice"),
        (b'{"alg":"RS256","kid":"a","kid":"b"}', "header: a member name occurs twice"),
        (b'{"alg":"RS256","x":NaN}', "header: NaN is not valid JSON"),
        (b'{"alg":"RS256","x":' + b"[" * 10_000 + b"]" * 10_000 + b"}", "header: nested too deeply"),
        ({}, "header parameter alg is not a string"),
        ({"ALG": "RS256"}, "header parameter alg is not a string"),
        ({"alg": None}, "header parameter alg is not a string"),
        ({"alg": ["RS256"]}, "header parameter alg is not a string"),
        ({"alg": "RS256", "kid": 7}, "header parameter kid is not a string"),
        ({"alg": "RS256", "kid": True}, "header parameter kid is not a string"),
        ({"alg": "RS256", "kid": ["a"]}, "header parameter kid is not a string"),
        ({"alg": "RS256", "crit": ["b64"], "b64": False}, "critical header parameters are not supported"),
        ({"alg": "RS256", "crit": []}, "critical header parameters are not supported"),
        ({"alg": "RS256", "crit": ["exp"]}, "critical header parameters are not supported"),
        ({"alg": "RS256", "b64": False}, "critical header parameters are not supported"),
        ({"alg": "RS256", "b64": 1}, "critical header parameters are not supported"),
    ],
)
def test_bad_headers_are_refused(header, reason):
    """A header must be one unambiguous JSON object without anything that we do not understand."""
    assert said(refusal(split_token, with_header(header))) == MALFORMED + reason


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "", "HS256", "HS512", "rs256", "RS1", "Ed25519", "ES256K", "dir"]
)
def test_other_algorithms_are_refused(algorithm):
    """`none`, HMAC and everything else outside the ten is refused while splitting."""
    expected = " ".join(f'"{name}"' for name in ALGORITHMS)
    reason = f'unexpected signature algorithm "{algorithm}"; expected [{expected}]'
    assert said(refusal(split_token, with_header({"alg": algorithm}))) == MALFORMED + reason


def test_a_long_algorithm_is_not_repeated():
    """What a message repeats of a stranger's header is short."""
    assert len(said(refusal(split_token, with_header({"alg": "x" * 10_000})))) < 300


@settings(deadline=None)
@given(st.text() | st.text(alphabet=string.ascii_letters + string.digits + '-_.={}" \n'))
@example("e30.e30.e30")
def test_any_text_is_a_token_or_refused(text):
    """No text whatsoever causes another exception."""
    token, reason = split_or_reason(text)
    assert isinstance(token, UnverifiedToken) or reason.startswith(MALFORMED)


@settings(deadline=None)
@given(st.binary(max_size=200), st.binary(min_size=1, max_size=50), st.binary(min_size=1, max_size=50))
def test_any_parts_are_a_token_or_refused(header, payload, signature):
    """No content of well-formed parts causes another exception."""
    token, reason = split_or_reason(f"{b64(header)}.{b64(payload)}.{b64(signature)}")
    if token is None:
        assert reason.startswith(MALFORMED)
    else:
        assert (token.payload, token.signature) == (payload, signature)


HEADERS = st.fixed_dictionaries(
    {}, optional={name: st.none() | st.booleans() | st.integers() | st.sampled_from(["RS256", "none", ""])
                  | st.lists(st.text()) for name in ("alg", "kid", "crit", "b64", "jwk")}
)  # fmt: skip


@settings(deadline=None)
@given(HEADERS)
def test_any_header_is_taken_or_refused(header):
    """No header object causes another exception, and none without a known algorithm passes."""
    try:
        token = split_token(with_header(header))
    except TokenError:
        return
    assert token.algorithm in ALGORITHMS
    assert token.kid is None or isinstance(token.kid, str)


# --- signatures --------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_algorithm_verifies_its_own_signatures(algorithm):
    """The right key passes; another message or signature does not."""
    keys = [verification_key(KEY_OF[algorithm])]
    token = split_token(make_token(algorithm=algorithm))
    verify_signature(token, keys, [algorithm])
    flipped = bytes([token.signature[0] ^ 1]) + token.signature[1:]
    for changed in (
        replace(token, signing_input=token.signing_input + b"A"),
        replace(token, signature=flipped),
        replace(token, signature=token.signature[:-1]),
        replace(token, signature=token.signature + b"\0"),
        replace(token, signature=b"\0" * len(token.signature)),
    ):
        assert said(refusal(verify_signature, changed, keys, [algorithm])) == NO_KEY


NAMES = ("rsa", "p256", "p384", "p521", "ed25519")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("name", NAMES)
def test_a_key_serves_only_its_own_algorithms(algorithm, name):
    """A signature made with a key of another type or curve is never accepted."""
    token = split_token(make_token(algorithm=algorithm, key=private_key(name)))
    if KEY_OF[algorithm] == name:
        verify_signature(token, [verification_key(name)], ALGORITHMS)
    else:
        assert said(refusal(verify_signature, token, [verification_key(name)], ALGORITHMS)) == NO_KEY


@pytest.mark.parametrize(("named", "used"), [("RS256", "PS256"), ("PS256", "RS256"), ("RS384", "RS256")])
def test_the_header_decides_how_a_signature_is_read(named, used):
    """The same RSA key with another padding or hash than the header says does not verify."""
    text = make_token(algorithm=used, header={"alg": named})
    assert said(refusal(verify_signature, split_token(text), [verification_key("rsa")], ALGORITHMS)) == NO_KEY


def test_a_public_key_is_no_shared_secret():
    """HS256 with the public key as secret is refused although the MAC is right."""
    text = make_token(algorithm="HS256", key=public_pem("rsa").encode())
    assert "unexpected signature algorithm" in said(refusal(split_token, text))
    forged = UnverifiedToken("HS256", None, None, b"{}", b"x", b"y")
    refusal(verify_signature, forged, [verification_key("rsa")], [*ALGORITHMS, "HS256"])


def test_pss_salts_have_the_length_of_the_hash():
    """A PSS signature with a salt of another length is refused (RFC 7518 section 3.5)."""
    message = ".".join([b64(b'{"alg":"PS256"}'), b64(b"{}")])
    pss = padding.PSS(padding.MGF1(HASHES["256"]), 20)
    signature = private_key("rsa").sign(message.encode(), pss, HASHES["256"])
    token = split_token(f"{message}.{b64(signature)}")
    assert said(refusal(verify_signature, token, [verification_key("rsa")], ALGORITHMS)) == NO_KEY


def test_der_encoded_ecdsa_signatures_are_refused():
    """Only the raw form of two integers is a JWS signature (RFC 7518 section 3.4)."""
    from cryptography.hazmat.primitives.asymmetric import ec

    message = ".".join([b64(b'{"alg":"ES256"}'), b64(b"{}")])
    signature = private_key("p256").sign(message.encode(), ec.ECDSA(HASHES["256"]))
    token = split_token(f"{message}.{b64(signature)}")
    assert said(refusal(verify_signature, token, [verification_key("p256")], ALGORITHMS)) == NO_KEY


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512"])
def test_ecdsa_signatures_have_one_length(algorithm):
    """The same two integers with a zero in front of the second are another signature, and refused."""
    token = split_token(make_token(algorithm=algorithm))
    half = len(token.signature) // 2
    padded = token.signature[:half] + b"\0" + token.signature[half:]
    changed = replace(token, signature=padded)
    keys = [verification_key(KEY_OF[algorithm])]
    assert said(refusal(verify_signature, changed, keys, ALGORITHMS)) == NO_KEY


def test_the_right_key_is_found_among_others():
    """Keys are tried one after the other."""
    keys = [verification_key(name) for name in ("p256", "rsa-other", "ed25519", "rsa")]
    verify_signature(split_token(make_token()), keys, ALGORITHMS)


def test_no_keys_verify_nothing():
    """Without keys every token is refused."""
    error = refusal(verify_signature, split_token(make_token(kid="k")), [], ALGORITHMS)
    assert said(error) == NO_KEY
    assert error.detail == 'token with alg RS256 and kid "k": 0 keys found, 0 usable'


@pytest.mark.parametrize("algorithms", [[], ["ES256"], ["RS384", "PS256"], ["rs256"]])
def test_only_allowed_algorithms_pass(algorithms):
    """An algorithm outside the allowed ones is refused although the signature is right."""
    error = refusal(verify_signature, split_token(make_token()), [verification_key("rsa")], algorithms)
    assert said(error) == "invalid algorithm (alg) header parameter: token signed with unexpected algorithm"


def test_allowed_algorithms_are_a_collection():
    """A single name in place of a collection is a mistake of the caller, not a pattern."""
    with pytest.raises(TypeError):
        verify_signature(split_token(make_token()), [verification_key("rsa")], "RS256 PS256")


def test_the_number_of_tried_keys_is_bounded():
    """The right key behind too many others is not reached."""
    others = [verification_key("rsa-other")] * (MAX_TRIED_KEYS - 1)
    token = split_token(make_token())
    verify_signature(token, [*others, verification_key("rsa")], ALGORITHMS)
    refusal(
        verify_signature, token, [*others, verification_key("rsa-other"), verification_key("rsa")], ALGORITHMS
    )


def test_a_key_meant_for_one_algorithm_serves_no_other():
    """The `alg` of a published key is respected."""
    token = split_token(make_token(algorithm="PS256"))
    verify_signature(token, [verification_key("rsa", algorithm="PS256")], ALGORITHMS)
    refusal(verify_signature, token, [verification_key("rsa", algorithm="RS256")], ALGORITHMS)


def test_refusals_do_not_repeat_the_token():
    """No text of a refused token holds its claims or its signature."""
    text = make_token({"sub": "sesame"}, key=private_key("rsa-other"), kid="k" * 5000)
    error = refusal(verify_signature, split_token(text), [verification_key("rsa")], ALGORITHMS)
    assert text.split(".")[1] not in said(error) + error.detail
    assert text.split(".")[2] not in said(error) + error.detail
    assert len(error.detail) < 200


def test_signatures_by_hand_match_ours():
    """The factory signs as the standard says: raw ECDSA signatures have exact lengths."""
    assert [len(sign(private_key(KEY_OF[name]), name, b"m")) for name in ("ES256", "ES384", "ES512")] == [
        64,
        96,
        132,
    ]


def test_the_last_signer_counts_only_while_it_is_a_key() -> None:
    """A key that the provider has withdrawn signs nothing any more, whoever signed the token before."""
    token = split_token(make_token())
    withdrawn, others = verification_key("rsa"), [verification_key("rsa-other"), verification_key("p256")]
    assert find_signer(token, others, withdrawn) is None
    assert find_signer(token, others[:1], withdrawn) is None
    assert find_signer(token, [], withdrawn) is None
    assert find_signer(token, [*others, withdrawn], withdrawn) is withdrawn


class Renewed:
    """A source whose provider has other keys now."""

    def __init__(self, before, now):
        self.before, self.now = before, now

    async def find_keys(self, kid):
        """Those of before."""
        return self.before

    async def find_newer_keys(self, kid):
        """Those of now."""
        return self.now


@pytest.mark.parametrize(
    ("before", "now", "is_taken"),
    [
        (["rsa"], [], True),
        (["rsa", "p256"], [], True),
        (["rsa", "rsa-other"], [], False),
        (["rsa-other"], ["rsa"], True),
        (["rsa-other"], ["rsa", "rsa-other"], False),
    ],
)
async def test_a_token_without_key_id_needs_an_issuer_with_one_key(before, now, is_taken) -> None:
    """Of those that fit it, and at the time of its verification (OpenID Connect Core 1.0 section 10.1)."""
    source = Renewed([verification_key(name) for name in before], [verification_key(name) for name in now])
    verifying = verify_signer(split_token(make_token()), source, NO_RECORD, is_kid_needed=True)
    if is_taken:
        assert (await verifying) is not None
    else:
        with pytest.raises(TokenError) as caught:
            await verifying
        assert caught.value.code == "kid_missing"
