"""The certified provider of the live tests answers as the tests of browser logins take for granted."""

from __future__ import annotations

import base64
import hashlib
import time
import uuid
from typing import Any

import httpx
import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from livebed.oidc_person import Person, log_in_on, query_of
from livebed.oidc_provider import OIDCProvider
from playwright.sync_api import Browser, expect

CALLBACK = "http://127.0.0.1:9/callback"
"""Nobody listens there, and nobody is sent there."""
VERIFIER = "a-verifier-of-43-characters-or-more-1234567"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@pytest.fixture(scope="module")
def provider(oidc_provider: OIDCProvider) -> OIDCProvider:
    """A provider that sends people back to nowhere."""
    oidc_provider.allow_redirects(CALLBACK)
    return oidc_provider


@pytest.fixture(scope="module")
def key(provider: OIDCProvider) -> rsa.RSAPrivateKey:
    """The key of the client `private_key_jwt`."""
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = pyjwt.get_algorithm_by_name("RS256").to_jwk(made.public_key(), as_dict=True)
    provider.trust_client_keys({**public, "kid": "ours", "alg": "RS256", "use": "sig"})
    return made


def login_url(provider: OIDCProvider, client_id: str, **changes: str) -> str:
    """Return the URL with which a login begins."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
    usual = {
        "client_id": client_id,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "openid email groups",
        "state": "a-state",
        "nonce": "a-nonce",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    return str(httpx.URL(f"{provider.url}/auth", params=usual | changes))


def ask(
    provider: OIDCProvider,
    client_id: str,
    key: rsa.RSAPrivateKey,
    fields: dict[str, str],
    path: str = "token",
) -> httpx.Response:
    """Send a form as this client, which shows who it is in its own way."""
    form, basic = {"client_id": client_id, **fields}, None
    if client_id == "client_secret_basic":
        basic = (client_id, provider.secret)
    elif client_id == "client_secret_post":
        form["client_secret"] = provider.secret
    elif client_id == "private_key_jwt":
        now = int(time.time())
        claims = {"iss": client_id, "sub": client_id, "aud": provider.url, "iat": now, "exp": now + 60}
        claims["jti"] = str(uuid.uuid4())
        form["client_assertion_type"] = ASSERTION
        form["client_assertion"] = pyjwt.encode(claims, key, algorithm="RS256", headers={"kid": "ours"})
    return httpx.post(f"{provider.url}/{path}", data=form, auth=basic, trust_env=False)


def code_grant(code: str) -> dict[str, str]:
    """Return the form that exchanges a code."""
    return {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
    }


def get_code(provider: OIDCProvider, client_id: str, **changes: str) -> str:
    """Log in as ann; return the code with which she is sent back."""
    with Person(provider) as ann:
        return query_of(ann.log_in(login_url(provider, client_id, **changes)))["code"]


def get_json(provider: OIDCProvider, path: str, access_token: str = "") -> dict[str, Any]:
    """Read a document, of the user when there is a token."""
    headers = {"Authorization": f"Bearer {access_token}"} if access_token else {}
    response = httpx.get(f"{provider.url}/{path}", headers=headers, trust_env=False)
    decoded: dict[str, Any] = response.raise_for_status().json()
    return decoded


def claims_of(provider: OIDCProvider, id_token: str, client_id: str) -> dict[str, Any]:
    """Return the claims of an ID token, verified with what the provider publishes now."""
    keys = pyjwt.PyJWKSet.from_dict(get_json(provider, "jwks"))
    signer = keys[pyjwt.get_unverified_header(id_token)["kid"]]
    claims: dict[str, Any] = pyjwt.decode(
        id_token, signer, algorithms=["RS256"], audience=client_id, issuer=provider.url
    )
    return claims


@pytest.mark.parametrize(
    "client_id", ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"]
)
def test_code_flow(provider: OIDCProvider, key: rsa.RSAPrivateKey, client_id: str) -> None:
    """Every client gets its tokens, a code is good for one exchange, email and groups are in userinfo."""
    code = get_code(provider, client_id)
    tokens = ask(provider, client_id, key, code_grant(code)).raise_for_status().json()
    claims = claims_of(provider, tokens["id_token"], client_id)
    assert (claims["sub"], claims["nonce"]) == ("ann", "a-nonce")
    assert get_json(provider, "me", tokens["access_token"]) == {
        "sub": "ann",
        "email": "ann@example.com",
        "email_verified": True,
        "groups": ["dev", "ops"],
    }
    again = ask(provider, client_id, key, code_grant(code))
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("client_id", ["client_secret_basic", "client_secret_post", "private_key_jwt"])
def test_wrong_client_authentication(provider: OIDCProvider, key: rsa.RSAPrivateKey, client_id: str) -> None:
    """A client that does not show who it is gets nothing."""
    response = httpx.post(
        f"{provider.url}/token", data={"client_id": client_id, **code_grant("x")}, trust_env=False
    )
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")


def test_the_verifier_is_needed(provider: OIDCProvider, key: rsa.RSAPrivateKey) -> None:
    """A client without a secret has PKCE alone, and it counts."""
    wrong = code_grant(get_code(provider, "none")) | {"code_verifier": VERIFIER[::-1]}
    response = ask(provider, "none", key, wrong)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")


def test_form_post(provider: OIDCProvider) -> None:
    """A code, and an ID token without one, come as a form when that is asked for."""
    for client_id, changes in {
        "client_secret_basic": {"response_mode": "form_post"},
        "implicit": {"response_mode": "form_post", "response_type": "id_token"},
    }.items():
        with Person(provider) as ann:
            back = ann.log_in(login_url(provider, client_id, **changes))
        assert (back.method, str(back.url)) == ("POST", CALLBACK)
        given = query_of(back)
        assert given["state"] == "a-state"
        if client_id == "implicit":
            claims = claims_of(provider, given["id_token"], client_id)
            assert (claims["email"], claims["groups"]) == ("ann@example.com", ["dev", "ops"])
        else:
            assert given["code"]


def test_somebody_says_no(provider: OIDCProvider) -> None:
    """Without consent the client learns that access is denied."""
    with Person(provider) as ann:
        back = ann.log_in(login_url(provider, "none"), allow=False)
    assert query_of(back)["error"] == "access_denied"


def test_device_flow(provider: OIDCProvider, key: rsa.RSAPrivateKey) -> None:
    """A device asks in vain until somebody has confirmed its code."""
    asked = ask(provider, "client_secret_basic", key, {"scope": "openid email"}, "device/auth")
    device = asked.raise_for_status().json()
    poll = {"grant_type": DEVICE_GRANT, "device_code": device["device_code"]}
    early = ask(provider, "client_secret_basic", key, poll)
    assert (early.status_code, early.json()["error"]) == (400, "authorization_pending")
    with Person(provider, "bob") as bob:
        bob.confirm_device(device["verification_uri_complete"])
    tokens = ask(provider, "client_secret_basic", key, poll).raise_for_status().json()
    assert claims_of(provider, tokens["id_token"], "client_secret_basic")["sub"] == "bob"


def test_refresh(provider: OIDCProvider, key: rsa.RSAPrivateKey) -> None:
    """A refresh token is good once; groups are those of now; who is gone gets nothing more."""
    tokens = ask(provider, "none", key, code_grant(get_code(provider, "none"))).raise_for_status().json()

    def refresh(token: str) -> httpx.Response:
        return ask(provider, "none", key, {"grant_type": "refresh_token", "refresh_token": token})

    try:
        provider.set_accounts(ann={"groups": ["ops"]})
        renewed = refresh(tokens["refresh_token"]).raise_for_status().json()
        assert get_json(provider, "me", renewed["access_token"])["groups"] == ["ops"]
        assert renewed["refresh_token"] != tokens["refresh_token"]
        provider.set_accounts(bob={"groups": []})
        assert refresh(renewed["refresh_token"]).json()["error"] == "invalid_grant"
    finally:
        provider.set_accounts(ann={"groups": ["dev", "ops"]}, bob={"groups": ["dev"]})


def test_a_refresh_token_is_good_once(provider: OIDCProvider, key: rsa.RSAPrivateKey) -> None:
    """Who sends a refresh token again loses its successor as well."""
    tokens = ask(provider, "none", key, code_grant(get_code(provider, "none"))).raise_for_status().json()
    first = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    second = ask(provider, "none", key, first).raise_for_status().json()
    assert ask(provider, "none", key, first).json()["error"] == "invalid_grant"
    after = {"grant_type": "refresh_token", "refresh_token": second["refresh_token"]}
    assert ask(provider, "none", key, after).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("keep", [True, False])
def test_rotation(provider: OIDCProvider, key: rsa.RSAPrivateKey, keep: bool) -> None:
    """A new signing key comes in between code and token; old keys stay published, or do not."""
    before = {entry["kid"] for entry in get_json(provider, "jwks")["keys"]}
    code = get_code(provider, "none")
    provider.rotate_keys(keep=keep)
    tokens = ask(provider, "none", key, code_grant(code)).raise_for_status().json()
    after = {entry["kid"] for entry in get_json(provider, "jwks")["keys"]}
    assert pyjwt.get_unverified_header(tokens["id_token"])["kid"] in after - before
    assert (before <= after) is keep
    assert claims_of(provider, tokens["id_token"], "none")["sub"] == "ann"


def test_requests_are_counted(provider: OIDCProvider, key: rsa.RSAPrivateKey) -> None:
    """What was asked for is known by the time that the answer is there."""
    before = provider.count("POST", "/token")
    ask(provider, "none", key, code_grant("unknown"))
    assert provider.count("POST", "/token") == before + 1


def test_device_pages_in_a_browser(provider: OIDCProvider, key: rsa.RSAPrivateKey, browser: Browser) -> None:
    """Somebody types the code of a device; no page asks for anything from elsewhere."""
    device = ask(provider, "none", key, {"scope": "openid"}, "device/auth").raise_for_status().json()
    page = browser.new_context().new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(device["verification_uri"])
    page.get_by_placeholder("Enter code").fill("AAAA-AAAA")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_have_text("This code is not known.")
    page.get_by_placeholder("Enter code").fill(device["user_code"])
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("code")).to_have_text(device["user_code"])
    page.get_by_role("button", name="Confirm").click()
    log_in_on(page, "bob")
    expect(page.get_by_role("heading")).to_have_text("Device signed in")
    assert [url for url in asked if not url.startswith(provider.url)] == []
    poll = {"grant_type": DEVICE_GRANT, "device_code": device["device_code"]}
    page.context.close()
    assert ask(provider, "none", key, poll).json()["token_type"] == "Bearer"
