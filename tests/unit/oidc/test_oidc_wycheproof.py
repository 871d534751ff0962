"""Wycheproof vectors for JOSE: invalid ones are refused, valid ones are taken or refused by a named rule."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from oidc_factories import verify_signature

from authkit.errors import TokenError
from authkit.oidc import ALGORITHMS, parse_jwks
from authkit.oidc.tokens.jws import split_token

FOLDER = next(
    parent / "vectors/wycheproof" for parent in Path(__file__).parents if (parent / "vectors").is_dir()
)
FILES = ("json_web_crypto_test", "json_web_key_test", "json_web_signature_test")

REFUSED_BY_POLICY: dict[str, dict[str, set[int]]] = {
    "no HMAC: a public key must never serve as a shared secret": {
        "json_web_crypto_test": {1, 48},
        "json_web_key_test": {2, 13, 14, 15},
        "json_web_signature_test": {1, 348, 352, 357, 358, 359, 372, 373, 376, 377},
    },
    "no encryption: a login token is signed": {"json_web_crypto_test": {50, 67}},
    "an empty payload is detached content, and holds no claims": {
        "json_web_signature_test": {259, 264, 268, 272, 320, 325},
    },
    "a key published for one algorithm (PS256) serves no other (PS384)": {
        "json_web_signature_test": {346, 350}
    },
    "a key published for an algorithm that does not exist (ES521) serves none": {
        "json_web_signature_test": {347, 351}
    },
}
"""Valid vectors that a login refuses, by the reason."""


def load(name: str) -> dict[str, Any]:
    """One file."""
    content: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return content


def vectors() -> Iterator[Any]:
    """Each vector with the keys that it is to be checked with."""
    for name in FILES:
        for group in load(name)["testGroups"]:
            keys = group.get("public") or group["private"]
            document = json.dumps(keys if "keys" in keys else {"keys": [keys]}).encode()
            for test in group["tests"]:
                yield pytest.param(name, document, test, id=f"{name}-{test['tcId']}-{test['comment']}")


def is_accepted(document: bytes, token: Any) -> bool:
    """Whether a login takes this token from a provider with these keys."""
    text = token if isinstance(token, str) else json.dumps(token)
    try:
        unverified = split_token(text)
        verify_signature(unverified, parse_jwks(document).find(unverified.kid), ALGORITHMS)
    except TokenError:
        return False
    return True


@pytest.mark.parametrize(("name", "document", "test"), list(vectors()))
def test_wycheproof(name: str, document: bytes, test: dict[str, Any]) -> None:
    """No false accept; no refusal but those that are policy."""
    policy = {number for files in REFUSED_BY_POLICY.values() for number in files.get(name, ())}
    expected = test["result"] == "valid" and test["tcId"] not in policy
    assert is_accepted(document, test.get("jws") or test.get("jwe")) == expected


@pytest.mark.parametrize("name", FILES)
def test_wycheproof_files_are_complete(name: str) -> None:
    """Nothing is left out, and every refusal that is policy is one of a valid vector."""
    content = load(name)
    tests = [test for group in content["testGroups"] for test in group["tests"]]
    assert len(tests) == content["numberOfTests"]
    valid = {test["tcId"] for test in tests if test["result"] == "valid"}
    assert all(files.get(name, set()) <= valid for files in REFUSED_BY_POLICY.values())
