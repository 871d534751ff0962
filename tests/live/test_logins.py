"""Refused logins, keys fetched from a URL, and secrets that must not be logged, on a real server."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from identity_provider import serve_provider
from livebed.client import ServerError
from livebed.mounts import Mount
from livebed.processes import wait_until
from livebed.tokens import Issuer

Forgery = Callable[[Issuer], str]


def unsigned(issuer: Issuer) -> str:
    """Return a token of algorithm none with a signature of nothing."""
    _, body, _ = issuer.token().split(".")
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).rstrip(b"=").decode()
    return f"{none}.{body}."


def signed_with_public_key(issuer: Issuer) -> str:
    """Return an HMAC token whose secret is the public key, which verifiers that trust `alg` accept."""
    claims = jwt.decode(issuer.token(), options={"verify_signature": False})
    header = {"alg": "HS256", "typ": "JWT"}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    hmac = jwt.get_algorithm_by_name("HS256")
    # PyJWT refuses to take a PEM for a secret, an attacker does not.
    signature = hmac.sign(b".".join(parts), issuer.public_pem.encode())
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def cut(issuer: Issuer) -> str:
    """Return a token without its signature part."""
    return issuer.token().rpartition(".")[0]


BAD_TOKENS: dict[str, tuple[Forgery, str]] = {
    "expired": (lambda i: i.token(iat=1, nbf=1, exp=2), "expired"),
    "not yet valid": (lambda i: i.token(nbf=int(time.time()) + 3600), "error validating token"),
    "without any time": (lambda i: i.token(without=("iat", "nbf", "exp")), "error validating token"),
    "of another issuer": (lambda i: i.token(iss="https://evil.example"), "issuer"),
    "for another audience": (lambda i: i.token(aud="somebody"), "audience"),
    "without audience": (lambda i: i.token(without=("aud",)), "audience"),
    "without user claim": (lambda i: i.token(without=("sub",)), '"sub"'),
    "signed by a stranger": (lambda _: Issuer.rsa().token(), "signature"),
    "signed by a stranger of another kind": (lambda _: Issuer.ec().token(), "error validating token"),
    "not signed": (unsigned, "error validating token"),
    "signed with the public key": (signed_with_public_key, "error validating token"),
    "cut": (cut, "error validating token"),
    "no token at all": (lambda _: "words without any dot", "error validating token"),
}


@pytest.mark.parametrize("kind", BAD_TOKENS)
def test_bad_token_is_refused(mount: Mount, kind: str) -> None:
    """A token that proves nothing is the caller's mistake: 400, a text that says why, and no token."""
    forge, text = BAD_TOKENS[kind]

    with pytest.raises(ServerError) as refused:
        mount.login(jwt=forge(mount.issuer))

    assert refused.value.status == 400
    assert text in refused.value.text


BAD_BODIES: dict[str, tuple[dict[str, object], str]] = {
    "unknown role": ({"role": "nobody", "jwt": "a.b.c"}, 'role "nobody" could not be found'),
    "no role": ({"jwt": "a.b.c"}, "missing role"),
    "no token": ({"role": "dev"}, "missing token"),
    "empty token": ({"role": "dev", "jwt": ""}, "missing token"),
    "nothing": ({}, "missing role"),
}


@pytest.mark.parametrize("kind", BAD_BODIES)
def test_incomplete_login_is_refused(mount: Mount, kind: str) -> None:
    """A login without its parts is refused with 400 and says which part."""
    body, text = BAD_BODIES[kind]

    with pytest.raises(ServerError) as refused:
        mount.client.with_token("").write(f"auth/{mount.path}/login", **body)

    assert refused.value.status == 400
    assert text in refused.value.text


@pytest.mark.parametrize("body", [b"", b"[]", b'"text"', b'{"role": ["dev"], "jwt": {"a": 1}}'])
def test_body_of_another_shape_is_refused(mount: Mount, body: bytes) -> None:
    """Whatever a stranger sends as a body, the answer is 400 and the mount goes on."""
    response = mount.client.with_token("").raw("POST", f"auth/{mount.path}/login", body)

    assert response.status_code == 400
    assert mount.login()["policies"] == ["default"]


def test_address_outside_the_role_is_denied(mount: Mount) -> None:
    """A role bound to other addresses denies the login with 403, whatever the token."""
    mount.write_role("far", token_bound_cidrs=["192.0.2.0/24"])
    mount.write_role("near", token_bound_cidrs=["127.0.0.0/8"])

    with pytest.raises(ServerError) as refused:
        mount.login("far")

    assert refused.value.status == 403
    assert mount.login("near")["metadata"] == {"role": "near"}


def test_login_path_only(mount: Mount) -> None:
    """Without a token only the login is open; with one, unknown paths and verbs have their own status."""
    client, stranger = mount.client, mount.client.with_token("")

    assert stranger.raw("GET", f"auth/{mount.path}/config").status_code == 403
    assert stranger.raw("POST", f"auth/{mount.path}/role/dev", {"user_claim": "sub"}).status_code == 403
    assert client.raw("GET", f"auth/{mount.path}/nowhere").status_code == 404
    assert client.raw("DELETE", f"auth/{mount.path}/login").status_code == 405


def test_keys_are_fetched_from_a_url_and_kept(mount: Mount) -> None:
    """Keys come from `jwks_url`, once for many logins, and again when a token names an unknown one."""
    old, new = Issuer.rsa("old"), Issuer.ec("new")
    with serve_provider(old.jwk) as provider:
        mount.configure(jwks_url=provider.keys_url, jwt_validation_pubkeys="")
        for _ in range(5):
            assert mount.login(jwt=old.token())["metadata"] == {"role": "dev"}
        assert len(provider.fetches) <= 2  # one when the configuration is checked, one for the logins

        provider.keys.append(new.jwk)
        # A plugin may wait between two fetches that strangers can cause.
        auth = wait_until(lambda: accepted(mount, new.token()), "the new key", timeout=15, pause=0.5)
        assert auth is not None
        assert auth["metadata"] == {"role": "dev"}
        with pytest.raises(ServerError, match="signature"):
            mount.login(jwt=Issuer.rsa("old").token())


def accepted(mount: Mount, token: str) -> dict[str, Any] | None:
    """Return what a login grants, `None` while it is refused."""
    try:
        return mount.login(jwt=token)
    except ServerError:
        return None


def test_failing_key_server_refuses_new_keys_only(mount: Mount) -> None:
    """While the key server fails, known keys go on working and unknown ones are refused with 400."""
    known = Issuer.rsa("known")
    with serve_provider(known.jwk) as provider:
        mount.configure(jwks_url=provider.keys_url, jwt_validation_pubkeys="")
        mount.login(jwt=known.token())
        provider.answers["/keys"] = (500, "out of order")

        assert mount.login(jwt=known.token())["metadata"] == {"role": "dev"}
        with pytest.raises(ServerError, match="error validating token") as refused:
            mount.login(jwt=Issuer.rsa("unknown").token())

    assert refused.value.status == 400


def test_no_secret_reaches_the_log(mount: Mount) -> None:
    """Neither good nor refused logins leave a token, its signature or a client token in the server's log."""
    good, expired = mount.issuer.token(), mount.issuer.token(iat=1, nbf=1, exp=2)
    mark = mount.server.log_mark()

    auth = mount.login(jwt=good)
    mount.client.write("auth/token/renew", token=auth["client_token"])
    with pytest.raises(ServerError):
        mount.login(jwt=expired)
    mount.client.raw("POST", f"auth/{mount.path}/login", {"role": "nobody", "jwt": good})
    mount.client.raw("POST", f"auth/{mount.path}/login", {"role": {"jwt": good}, "jwt": [good]})

    log = mount.server.log()[mark:]
    for secret in (auth["client_token"], *good.split(".")[1:], *expired.split(".")[1:]):
        assert not re.search(re.escape(secret), log)
