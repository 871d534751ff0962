"""Tokens that nobody should accept, on a real server: each is refused with 400, in time, and logged nowhere.

The fixture `server` looks through the whole log for every token that was sent.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import padding
from livebed.factories import our_plugin
from livebed.mounts import Mount, mount_plugin
from livebed.server import Server
from livebed.tokens import AUDIENCE, ISSUER, Issuer, usual_issuer

SECONDS = 2.0
"""A refusal takes a few milliseconds; a slow machine is no hang."""


@pytest.fixture(scope="module")
def mount(server: Server) -> Iterator[Mount]:
    """A mount of ours whose role maps claims to everything that they can become."""
    plugin = our_plugin(server)
    plugin.register(server.client)
    with mount_plugin(server, plugin, usual_issuer()) as mounted:
        mounted.write_role(groups_claim="groups", claim_mappings={"mail": "mail"}, bound_claims={"team": "a"})
        yield mounted


def claims(**more: Any) -> dict[str, Any]:
    """Return the claims of a token that would be accepted."""
    now = int(time.time())
    usual = {"iss": ISSUER, "sub": "alice", "aud": AUDIENCE, "iat": now, "exp": now + 60}
    return usual | {"groups": ["g"], "mail": "m", "team": "a"} | more


def b64(data: bytes) -> str:
    """Return unpadded base64url."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def signed(payload: bytes, **header: Any) -> str:
    """Return a token with exactly this payload, signed with the right key."""
    return signed_text(json.dumps({"alg": "RS256", **header}).encode(), payload)


def signed_text(header: bytes, payload: bytes) -> str:
    """Return a token with exactly this header and payload, signed with the right key."""
    head = f"{b64(header)}.{b64(payload)}"
    key = usual_issuer().key
    return f"{head}.{b64(key.sign(head.encode(), padding.PKCS1v15(), hashes.SHA256()))}"  # type: ignore[call-arg, arg-type]


def with_member(text: str) -> str:
    """Return a token whose claims end in this text, however little it is JSON."""
    return signed(json.dumps(claims()).encode()[:-1] + b", " + text.encode() + b"}")


def hmac_with_public_key() -> str:
    """Return a token signed with the public key as a shared secret."""
    head = b64(b'{"alg":"HS256"}') + "." + b64(json.dumps(claims()).encode())
    code = hmac.HMAC(usual_issuer().public_pem.encode(), hashes.SHA256())
    code.update(head.encode())
    return f"{head}.{b64(code.finalize())}"


def own_key(**header: Any) -> str:
    """Return a token of an attacker's own key, which the header points at."""
    return pyjwt.encode(claims(), Issuer.rsa("own").key, algorithm="RS256", headers=header)


ATTACKS = {
    "alg none": lambda: b64(b'{"alg":"none"}') + "." + b64(json.dumps(claims()).encode()) + ".",
    "alg none with signature": lambda: signed(json.dumps(claims()).encode(), alg="none"),
    "hmac with the public key": hmac_with_public_key,
    "another kind of key": lambda: pyjwt.encode(claims(), Issuer.ec().key, algorithm="ES256"),
    "jku": lambda: own_key(jku="http://127.0.0.1:1/keys"),
    "x5u": lambda: own_key(x5u="http://127.0.0.1:1/cert"),
    "jwk": lambda: own_key(jwk=Issuer.rsa("own").jwk),
    "kid with a path": lambda: own_key(kid="../../../etc/passwd"),
    "kid with a nul": lambda: own_key(kid="one\x00two"),
    "kid that is no text": lambda: signed(json.dumps(claims()).encode(), kid=5),
    "crit": lambda: signed(json.dumps(claims()).encode(), crit=["exp"]),
    "b64": lambda: signed(json.dumps(claims()).encode(), b64=False),
    "nested header": lambda: signed_text(
        b'{"alg":"RS256","x":' + b"[" * 10_000 + b"]" * 10_000 + b"}", b"{}"
    ),
    "header twice": lambda: signed_text(b'{"alg":"RS256","alg":"none"}', json.dumps(claims()).encode()),
    "nested claims": lambda: with_member('"x": ' + "[" * 10_000 + "]" * 10_000),
    "nested team": lambda: with_member('"team": ' + "[" * 500 + "]" * 500),
    "member twice": lambda: with_member('"sub": "bob"'),
    "NaN": lambda: with_member('"x": NaN'),
    "infinite date": lambda: signed(json.dumps(claims(exp=float("inf"))).encode()),
    "huge number": lambda: with_member('"x": 1e999999'),
    "huge integer as a date": lambda: signed(json.dumps(claims(exp=10**400)).encode()),
    "negative times": lambda: signed(json.dumps(claims(exp=-1, iat=-5)).encode()),
    "bool as a date": lambda: signed(json.dumps(claims(exp=True)).encode()),
    "text as a date": lambda: signed(json.dumps(claims(exp="9999999999")).encode()),
    "invalid UTF-8": lambda: signed(json.dumps(claims()).encode()[:-1] + b', "x": "\xff"}'),
    "half a character as user": lambda: signed(json.dumps(claims(sub="\ud800")).encode()),
    "half a character as group": lambda: signed(json.dumps(claims(groups=["\ud800"])).encode()),
    "half a character as metadata": lambda: signed(json.dumps(claims(mail="\ud800")).encode()),
    "no object": lambda: signed(b"[]"),
    "no JSON": lambda: signed(b"\x00\x01"),
    "empty": lambda: signed(b""),
    "trailing text": lambda: signed(json.dumps(claims()).encode() + b"{}"),
    "two dots": lambda: "..",
    "many dots": lambda: "." * 60_000,
    "a nul": lambda: "\x00",
    # A longer text the host itself refuses, with 500 (Vault 1.21.1: 1 MiB).
    "almost 1 MiB": lambda: signed(json.dumps(claims(x="x" * 700 * 1024)).encode()),
    "JSON serialisation": lambda: json.dumps({"payload": b64(b"{}"), "signatures": []}),
    "encrypted": lambda: ".".join([b64(b'{"alg":"dir","enc":"A256GCM"}'), "", "a", "b", "c"]),
    "group of another kind": lambda: signed(json.dumps(claims(groups={"a": "b"})).encode()),
    "user of another kind": lambda: signed(json.dumps(claims(sub=["alice"])).encode()),
    "team of another kind": lambda: signed(json.dumps(claims(team={"a": "a"})).encode()),
}


def test_the_honest_token(mount: Mount) -> None:
    """The one that all others are made from is accepted."""
    mount.login(jwt=signed(json.dumps(claims()).encode()))


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_token_that_nobody_accepts(mount: Mount, attack: str) -> None:
    """400 with a short text, within the time of any login; the mount lives on."""
    token = ATTACKS[attack]()
    if len(token) > 20:
        mount.client.secrets.append(token)
    started = time.monotonic()
    answer = mount.client.with_token("").raw(
        "POST", f"auth/{mount.path}/login", {"role": "dev", "jwt": token}
    )
    assert time.monotonic() - started < SECONDS
    assert answer.status_code == 400, answer.text
    (text,) = answer.json()["errors"]
    assert len(text) < 500
    assert token not in text
    mount.login(jwt=signed(json.dumps(claims()).encode()))
