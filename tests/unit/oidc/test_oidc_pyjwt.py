"""Our own parsing and verification of tokens beside PyJWT's, on the same tokens.

What ours accepts PyJWT accepts. Each kind of token that PyJWT accepts and ours refuses is listed with its
reason, and changed tokens show no further kind.
"""

from __future__ import annotations

import base64
import random
import string

import jwt
import pytest
from oidc_factories import KEY_OF, b64, make_token, private_key, sign, verification_key, verify_signature

from authkit.errors import TokenError
from authkit.oidc.tokens.jws import split_token

CLAIMS = {"iss": "https://idp.example", "sub": "ann", "aud": "vault"}
MUTATIONS = 60
"""Of each algorithm's token."""

ALPHABET = string.ascii_letters + string.digits + "-_=.+/ \n"


def is_taken_by_us(token: str, name: str, algorithm: str) -> bool:
    """Whether our own code takes the token."""
    try:
        verify_signature(split_token(token), [verification_key(name)], [algorithm])
    except TokenError:
        return False
    return True


def is_taken_by_pyjwt(token: str, name: str, algorithm: str) -> bool:
    """Whether PyJWT does."""
    try:
        jwt.PyJWS().decode(token, private_key(name).public_key(), algorithms=[algorithm])
    except jwt.PyJWTError:
        return False
    return True


def mutate(token: str, chance: random.Random) -> str:
    """Return the token with one character changed, removed, put in or put elsewhere."""
    where, other = chance.randrange(len(token)), chance.randrange(len(token))
    letter = chance.choice(ALPHABET)
    return chance.choice(
        [
            token[:where] + letter + token[where + 1 :],
            token[:where] + token[where + 1 :],
            token[:where] + letter + token[where:],
            token[:where] + token[other] + token[where + 1 :],
            token[:where],
        ]
    )


@pytest.mark.parametrize(("algorithm", "name"), KEY_OF.items())
def test_both_take_a_good_token(algorithm: str, name: str) -> None:
    """Signed by the right key, with each algorithm of a login."""
    token = make_token(CLAIMS, algorithm=algorithm)
    assert is_taken_by_us(token, name, algorithm)
    assert is_taken_by_pyjwt(token, name, algorithm)


@pytest.mark.parametrize(("algorithm", "name"), KEY_OF.items())
def test_what_ours_takes_pyjwt_takes(algorithm: str, name: str) -> None:
    """One character after the other is changed. White space is the one thing that ours leaves out."""
    chance = random.Random(algorithm)
    token, taken = make_token(CLAIMS, algorithm=algorithm), 0
    for _ in range(MUTATIONS):
        changed = mutate(token, chance)
        bare = "".join(changed.split())
        if is_taken_by_us(changed, name, algorithm):
            taken += 1
            assert is_taken_by_pyjwt(bare, name, algorithm)
        elif is_taken_by_pyjwt(bare, name, algorithm):
            assert is_spelt_otherwise(bare), bare
    assert taken < MUTATIONS / 2


def is_spelt_otherwise(token: str) -> bool:
    """Whether a part is base64url that no encoder writes: padded, with stray characters or stray bits."""
    return any(b64(base64.urlsafe_b64decode(f"{part}==")) != part for part in token.split("."))


def with_header(header: str) -> str:
    """Return a good token with this text as its header."""
    message = f"{b64(header.encode())}.{b64(b'{}')}"
    return f"{message}.{b64(sign(private_key('rsa'), 'RS256', message.encode()))}"


ONLY_PYJWT = {
    "padding, which RFC 7515 section 2 excludes": make_token(CLAIMS) + "==",
    "a parameter twice: two readers may see two tokens (RFC 7515 section 4)": with_header(
        '{"alg": "RS256", "alg": "RS256"}'
    ),
    "a number that is not JSON (RFC 8259 section 6)": with_header('{"alg": "RS256", "x": NaN}'),
    "half a surrogate pair, which is not Unicode (RFC 8259 section 8.2)": with_header(
        r'{"alg": "RS256", "x": "\ud800"}'
    ),
    "more digits than a header needs: converting them takes time": with_header(
        '{"alg": "RS256", "x": ' + "9" * 200 + "}"
    ),
    "nesting that recursive code does not survive": with_header(
        '{"alg": "RS256", "x": ' + "[" * 80 + "]" * 80 + "}"
    ),
}


@pytest.mark.parametrize("token", ONLY_PYJWT.values(), ids=ONLY_PYJWT.keys())
def test_what_only_pyjwt_takes(token: str) -> None:
    """Ours refuses what has more than one reading or more than one spelling."""
    assert is_taken_by_pyjwt(token, "rsa", "RS256")
    assert not is_taken_by_us(token, "rsa", "RS256")
