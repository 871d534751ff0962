"""The provider with fault switches is a good one while they are off, and each of them does what it says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import jwt
import pytest
from faulty_provider import (
    DEVICE_GRANT,
    EVIL_ISSUER,
    EVIL_TEXT,
    Fault,
    FaultyProvider,
    challenge_of,
    half_hash,
)
from identity_provider import DISCOVERY, serve

CALLBACK = "http://127.0.0.1:9/callback"
VERIFIER = "a-verifier-of-43-characters-or-more-1234567"
IMPATIENCE_SECONDS = 0.2


@pytest.fixture
def provider() -> Iterator[FaultyProvider]:
    """A good provider."""
    with serve(FaultyProvider()) as running:
        yield running


@dataclass
class Login:
    """What a client gets to see of one login; it verifies nothing."""

    provider: FaultyProvider
    timeout: float = 10.0
    back: dict[str, str] = field(default_factory=dict)

    @property
    def metadata(self) -> dict[str, Any]:
        """The discovery document."""
        return dict(self.get(DISCOVERY).json())

    @property
    def keys(self) -> dict[str, Any]:
        """The public keys by their ids."""
        return {entry["kid"]: entry for entry in self.get("/keys").json()["keys"]}

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Read something."""
        return httpx.get(f"{self.provider.url}{path}", headers=headers, timeout=self.timeout)

    def post(self, path: str = "/token", auth: Any = ..., **form: str) -> httpx.Response:
        """Send a form as the client, or with another authentication."""
        provider = self.provider
        known = (provider.client_id, provider.client_secret) if auth is ... else auth
        return httpx.post(f"{provider.url}{path}", data=form, auth=known, timeout=self.timeout)

    def begin(self, **changes: str) -> dict[str, str]:
        """Be sent to the provider and back."""
        usual = {
            "client_id": self.provider.client_id,
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": "openid",
            "state": "a-state",
            "nonce": "a-nonce",
            "code_challenge": challenge_of(VERIFIER),
            "code_challenge_method": "S256",
        }
        url = httpx.URL(f"{self.provider.url}/authorize", params=usual | changes)
        self.back = self.provider.log_in(str(url))
        return self.back

    def exchange(self, **changes: Any) -> httpx.Response:
        """Send the code."""
        form = {
            "grant_type": "authorization_code",
            "code": self.back["code"],
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
        }
        return self.post(**(form | changes))

    def tokens(self) -> dict[str, Any]:
        """Log in from begin to end."""
        self.begin()
        return dict(self.exchange().raise_for_status().json())

    def claims(self) -> dict[str, Any]:
        """Return the claims of a whole login's ID token; its signature is good, whatever they say."""
        tokens = self.tokens()
        key = jwt.PyJWK(self.keys["one"])
        decoded = jwt.decode_complete(
            tokens["id_token"],
            key,
            algorithms=["RS256"],
            options={"verify_aud": False, "verify_exp": False, "verify_sub": False},
        )
        return dict(decoded["payload"])

    def userinfo(self) -> httpx.Response:
        """Return the answer of the userinfo endpoint after a whole login."""
        return self.get("/userinfo", authorization=f"Bearer {self.tokens()['access_token']}")


def is_page(response: httpx.Response, status: int) -> bool:
    """Whether this is a page for people."""
    return (
        response.status_code == status
        and response.headers["content-type"] == "text/html"
        and EVIL_TEXT in response.text
    )


def oauth_error(response: httpx.Response) -> str:
    """Return the error code of a refusal."""
    assert response.status_code in (400, 401), response.text
    return str(response.json()["error"])


def poll_device(login: Login) -> httpx.Response:
    """Begin the login of a device that is confirmed, and ask for its tokens."""
    code = login.post("/device", scope="openid").json()["device_code"]
    login.provider.approve_devices()
    return login.post(grant_type=DEVICE_GRANT, device_code=code)


def exchanged(login: Login) -> httpx.Response:
    """Return the answer to a good code."""
    login.begin()
    return login.exchange()


def header(login: Login) -> dict[str, Any]:
    """Return the ID token's header."""
    return dict(jwt.get_unverified_header(login.tokens()["id_token"]))


def is_forged(login: Login) -> bool:
    """Whether the ID token says a published key's id and was signed with another one."""
    token = login.tokens()["id_token"]
    key = jwt.PyJWK(login.keys[jwt.get_unverified_header(token)["kid"]])
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, key, algorithms=["RS256"], audience=login.provider.client_id)
    return True


def is_slow(login: Login) -> bool:
    """Whether the token endpoint lets an impatient client wait; the other endpoints do not."""
    login.begin()
    assert login.metadata
    login.timeout = IMPATIENCE_SECONDS
    with pytest.raises(httpx.ReadTimeout):
        login.exchange()
    return True


def is_half(login: Login) -> bool:
    """Whether an answer ends before its end."""
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        login.get(DISCOVERY)
    return True


SEEN: dict[Fault, Callable[[Login], bool]] = {
    Fault.HALF_WRITTEN: is_half,
    Fault.DISCOVERY_ISSUER: lambda login: login.metadata["issuer"] == EVIL_ISSUER,
    Fault.AUTHORIZATION_DENIED: lambda login: login.begin() == {"error": "access_denied", "state": "a-state"},
    Fault.AUTHORIZATION_HTML: lambda login: (
        login.begin() == {"error": "server_error", "error_description": EVIL_TEXT, "state": "a-state"}
    ),
    Fault.AUTHORIZATION_STATE: lambda login: login.begin()["state"] not in ("", "a-state"),
    Fault.AUTHORIZATION_ISSUER: lambda login: login.begin()["iss"] not in ("", login.provider.url),
    Fault.TOKEN_INVALID_GRANT: lambda login: oauth_error(exchanged(login)) == "invalid_grant",
    Fault.TOKEN_INVALID_CLIENT: lambda login: oauth_error(exchanged(login)) == "invalid_client",
    Fault.TOKEN_HTML_DESCRIPTION: lambda login: exchanged(login).json()["error_description"] == EVIL_TEXT,
    Fault.TOKEN_HTML: lambda login: is_page(exchanged(login), 200),
    Fault.TOKEN_SERVER_ERROR: lambda login: is_page(exchanged(login), 503),
    Fault.TOKEN_SLOW: is_slow,
    Fault.TOKEN_HUGE: lambda login: len(exchanged(login).content) == 16 << 20,
    Fault.NO_ACCESS_TOKEN: lambda login: "access_token" not in login.tokens(),
    Fault.NO_ID_TOKEN: lambda login: "id_token" not in login.tokens(),
    Fault.NO_REFRESH_TOKEN: lambda login: "refresh_token" not in login.tokens(),
    Fault.ISS: lambda login: login.claims()["iss"] == EVIL_ISSUER,
    Fault.AUD: lambda login: login.claims()["aud"] == "another-client",
    Fault.AUD_SEVERAL: lambda login: login.claims()["aud"] == [login.provider.client_id, "another-client"],
    Fault.AZP: lambda login: login.claims()["azp"] == "another-client",
    Fault.NONCE: lambda login: login.claims()["nonce"] not in ("", "a-nonce"),
    Fault.NO_NONCE: lambda login: "nonce" not in login.claims(),
    Fault.AT_HASH: lambda login: login.claims()["at_hash"] == half_hash("another access token"),
    Fault.EXPIRED: lambda login: (claims := login.claims())["exp"] < claims["iat"],
    Fault.NO_SUB: lambda login: "sub" not in login.claims(),
    Fault.ALG_NONE: lambda login: header(login)["alg"] == "none" and login.tokens()["id_token"].endswith("."),
    Fault.NO_KID: lambda login: "kid" not in header(login) and set(login.keys) == {"one", "two"},
    Fault.UNKNOWN_KID: lambda login: header(login)["kid"] not in login.keys,
    Fault.SIGNATURE: is_forged,
    Fault.USERINFO_SUB: lambda login: login.userinfo().json()["sub"] == "mallory",
    Fault.USERINFO_NO_SUB: lambda login: "sub" not in login.userinfo().json(),
    Fault.USERINFO_ERROR: lambda login: login.userinfo().status_code == 500,
    Fault.USERINFO_REFUSED: lambda login: oauth_error(login.userinfo()) == "invalid_token",
    Fault.USERINFO_HTML: lambda login: is_page(login.userinfo(), 200),
    Fault.DEVICE_SLOW_DOWN: lambda login: oauth_error(poll_device(login)) == "slow_down",
    Fault.DEVICE_DENIED: lambda login: oauth_error(poll_device(login)) == "access_denied",
}


@pytest.mark.parametrize("fault", Fault)
def test_each_switch_does_what_it_says(provider: FaultyProvider, fault: Fault) -> None:
    """The fault is not there while its switch is off, and is there while it is on."""
    good = Login(provider)
    assert good.claims()["sub"] == "ann"
    assert poll_device(good).is_success
    provider.faults = {fault}
    assert SEEN[fault](Login(provider))


def test_good_login(provider: FaultyProvider) -> None:
    """Claims, hash and userinfo fit together when nothing is switched on."""
    login = Login(provider)
    tokens = login.tokens()
    claims = jwt.decode(
        tokens["id_token"],
        jwt.PyJWK(login.keys["one"]),
        algorithms=["RS256"],
        audience=provider.client_id,
        issuer=login.metadata["issuer"],
    )
    assert claims["nonce"] == "a-nonce"
    assert claims["at_hash"] == half_hash(tokens["access_token"])
    told = login.get("/userinfo", authorization=f"Bearer {tokens['access_token']}").json()
    assert told == {"sub": "ann", "email": "ann@example.com", "groups": ["dev", "ops"]}
    assert oauth_error(login.get("/userinfo", authorization="Bearer x")) == "invalid_token"


def test_code_is_good_once(provider: FaultyProvider) -> None:
    """A second use is refused, and noticed."""
    login = Login(provider)
    login.tokens()
    assert provider.reused == []
    assert oauth_error(login.exchange()) == "invalid_grant"
    assert provider.reused == [login.back["code"]]
    assert [form["code"] for form in provider.forms] == [login.back["code"]] * 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"code_verifier": VERIFIER[::-1]},
        {"code_verifier": ""},
        {"redirect_uri": f"{CALLBACK}/"},
        {"code": "code-unknown"},
    ],
)
def test_code_of_somebody_else(provider: FaultyProvider, wrong: dict[str, str]) -> None:
    """Code, verifier and redirect URI belong together; a try that fails does not use the code up."""
    login = Login(provider)
    login.begin()
    assert oauth_error(login.exchange(**wrong)) == "invalid_grant"
    assert login.exchange().is_success


def test_client_authentication(provider: FaultyProvider) -> None:
    """The secret comes in the way of the metadata, and in no other."""
    login = Login(provider)
    login.begin()
    in_form = {"client_id": provider.client_id, "client_secret": provider.client_secret}
    assert oauth_error(login.exchange(auth=("client-1", "guessed"))) == "invalid_client"
    assert oauth_error(login.exchange(auth=None, **in_form)) == "invalid_client"
    provider.client_methods = ("client_secret_post",)
    assert login.metadata["token_endpoint_auth_methods_supported"] == ["client_secret_post"]
    assert oauth_error(login.exchange()) == "invalid_client"
    assert login.exchange(auth=None, **in_form).is_success
    provider.client_secret = ""
    login.begin()
    assert oauth_error(login.exchange(auth=None, client_id="another-client")) == "invalid_client"
    assert login.exchange(auth=None, client_id=provider.client_id).is_success


def test_refresh(provider: FaultyProvider) -> None:
    """A refresh token is good once, and no other code is one."""
    login = Login(provider)
    first = login.tokens()["refresh_token"]
    second = login.post(grant_type="refresh_token", refresh_token=first).json()["refresh_token"]
    assert oauth_error(login.post(grant_type="refresh_token", refresh_token=first)) == "invalid_grant"
    assert login.post(grant_type="refresh_token", refresh_token=second).is_success
    code = login.begin()["code"]
    assert oauth_error(login.post(grant_type="refresh_token", refresh_token=code)) == "invalid_grant"


def test_device(provider: FaultyProvider) -> None:
    """A device waits until somebody has confirmed it."""
    login = Login(provider)
    code = login.post("/device", scope="openid").json()["device_code"]
    poll = {"grant_type": DEVICE_GRANT, "device_code": code}
    assert oauth_error(login.post(**poll)) == "authorization_pending"
    provider.approve_devices()
    assert login.post(**poll).json()["token_type"] == "Bearer"
    assert oauth_error(login.post("/device", auth=None)) == "invalid_client"


def test_implicit_flow(provider: FaultyProvider) -> None:
    """An ID token without a code has no hash of an access token."""
    back = Login(provider).begin(response_type="id_token")
    claims = jwt.decode(back["id_token"], options={"verify_signature": False})
    assert claims["nonce"] == "a-nonce"
    assert "at_hash" not in claims


def test_browser_is_sent_back(provider: FaultyProvider) -> None:
    """The authorization endpoint shows no page."""
    query = {"response_type": "code", "state": "a state", "redirect_uri": CALLBACK}
    answer = httpx.get(f"{provider.url}/authorize", params=query)
    assert answer.status_code == 302
    assert answer.headers["location"].startswith(f"{CALLBACK}?code=code-")
    assert answer.next_request is not None
    assert answer.next_request.url.params["state"] == "a state"


def test_answers_of_a_test_come_first(provider: FaultyProvider) -> None:
    """A test may have any path answer anything, as with every provider of the tests."""
    provider.answers["/token"] = (418, json.dumps({"error": "teapot"}))
    assert Login(provider).post().status_code == 418
