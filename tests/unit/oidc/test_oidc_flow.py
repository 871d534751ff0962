"""Logins at a provider: what is sent to it, how often, and what is made of its answers."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from datetime import timedelta

import httpx
import pytest
from oidc_factories import NOW, Clock, jwk, make_token, private_key, said
from oidc_login_provider import ACCESS_TOKEN, CLIENT, CODE, ISSUER, REQUEST, FakeProvider, half_hash
from oidc_provider import LoopbackProvider, certificate, server_context

from authkit.errors import LoginError, TokenError
from authkit.masking import Secret
from authkit.oidc import (
    AuthorizationRequest,
    ClientAuthentication,
    DiscoveredKeys,
    EndpointError,
    Leeways,
    OAuthError,
    OIDCClient,
    ProviderError,
    TokenSet,
    known_code,
    new_nonce,
    new_state,
    new_verifier,
)
from authkit.oidc.client import endpoints
from authkit.oidc.http.network import Network
from authkit.values import asdict, replace

CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
"""Of the verifier of the requests here, as RFC 7636, appendix B, has both."""

CANNOT = "unable to exchange auth code with provider: oauth2: cannot fetch token: "


async def test_a_code_becomes_claims():
    """A code is exchanged, its ID token verified, and userinfo added."""
    provider = FakeProvider()
    provider.claims["c_hash"] = half_hash(CODE)
    client = provider.client()
    tokens = await client.exchange(CODE, REQUEST)
    claims = await client.verify_id_token(
        tokens.id_token, REQUEST, access_token=tokens.access_token, code=CODE
    )
    claims = await client.add_userinfo(tokens.access_token, claims)
    await client.close()
    assert (claims["sub"], claims["groups"]) == ("ann", ["red"])
    assert (tokens.access_token.reveal(), tokens.expires_in, tokens.refresh_token) == (
        ACCESS_TOKEN,
        3600,
        None,
    )
    assert provider.forms() == [
        {
            "grant_type": "authorization_code",
            "code": CODE,
            "redirect_uri": REQUEST.redirect_uri,
            "code_verifier": REQUEST.verifier,
        }
    ]
    assert provider.requests[-1].headers["authorization"] == f"Bearer {ACCESS_TOKEN}"


# --- the authorization URL -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("endpoint", "changes", "url"),
    [
        (
            "/authorize",
            {},
            (
                "/authorize?client_id=client-1&code_challenge=CHALLENGE&code_challenge_method=S256"
                "&nonce=n_12345678901234567890&redirect_uri=http%3A%2F%2Flocalhost%3A8250%2Foidc%2Fcallback"
                "&response_type=code&scope=openid&state=st_12345678901234567890"
            ),
        ),
        (
            "/authorize?p=b2c&a=1",
            {"scopes": ("profile", "groups"), "max_age": 60, "response_mode": "form_post"},
            (
                "/authorize?p=b2c&a=1&client_id=client-1&code_challenge=CHALLENGE&code_challenge_method=S256"
                "&max_age=60&nonce=n_12345678901234567890"
                "&redirect_uri=http%3A%2F%2Flocalhost%3A8250%2Foidc%2Fcallback&response_mode=form_post"
                "&response_type=code&scope=openid+profile+groups&state=st_12345678901234567890"
            ),
        ),
        (
            "/authorize",
            {"scopes": ("profile", "openid"), "response_mode": "query", "state": "a,ns=b/c&d"},
            (
                "/authorize?client_id=client-1&code_challenge=CHALLENGE&code_challenge_method=S256"
                "&nonce=n_12345678901234567890&redirect_uri=http%3A%2F%2Flocalhost%3A8250%2Foidc%2Fcallback"
                "&response_type=code&scope=profile+openid&state=a%2Cns%3Db%2Fc%26d"
            ),
        ),
        (
            "/authorize",
            {"response_types": ("code", "id_token")},
            (
                "/authorize?client_id=client-1&nonce=n_12345678901234567890"
                "&redirect_uri=http%3A%2F%2Flocalhost%3A8250%2Foidc%2Fcallback&response_mode=form_post"
                "&response_type=id_token&scope=openid&state=st_12345678901234567890"
            ),
        ),
    ],
)
async def test_where_a_browser_is_sent(endpoint, changes, url):
    """Parameters are sorted by name, after those that the endpoint has itself."""
    provider = FakeProvider()
    provider.metadata["authorization_endpoint"] = ISSUER + endpoint
    found = await provider.client().authorization_url(replace(REQUEST, **changes))
    assert found == ISSUER + url.replace("CHALLENGE", CHALLENGE)


async def test_a_provider_without_browsers_cannot_begin():
    """Its metadata name no such endpoint."""
    provider = FakeProvider()
    del provider.metadata["authorization_endpoint"]
    with pytest.raises(EndpointError, match="has no authorization endpoint"):
        await provider.client().authorization_url(REQUEST)


def test_random_values_are_those_of_the_official_plugin():
    """In form and length, and never the same again."""
    for make, prefix, length in [(new_state, "st_", 20), (new_nonce, "n_", 20), (new_verifier, "", 43)]:
        made = {make() for _ in range(100)}
        assert len(made) == 100
        for text in made:
            rest = text.removeprefix(prefix)
            assert len(text) == len(prefix) + length == len(prefix) + len(rest)
            assert rest.isascii()
            assert rest.isalnum()


def test_a_request_survives_in_plain_form():
    """It can be kept as JSON, and its repr holds nothing to continue the login with."""
    kept = json.dumps(asdict(REQUEST))
    found = json.loads(kept)
    lists = ("scopes", "audiences", "response_types")
    assert AuthorizationRequest(**{**found, **{name: tuple(found[name]) for name in lists}}) == REQUEST
    assert not any(text in repr(REQUEST) for text in (REQUEST.state, REQUEST.nonce, REQUEST.verifier))


# --- codes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (
            replace(REQUEST, response_types=("id_token",)),
            "request should not be using the implicit flow: invalid OIDC flow",
        ),
        (replace(REQUEST, created=NOW - 598), "authentication request is expired: invalid parameter"),
        (replace(REQUEST, created=float("nan")), "authentication request is expired: invalid parameter"),
    ],
)
async def test_a_code_nobody_asked_for_is_not_sent(request_, text):
    """The provider hears nothing of it."""
    provider = FakeProvider()
    with pytest.raises(LoginError) as caught:
        await provider.client().exchange(CODE, request_)
    assert said(caught.value) == text
    assert provider.requests == []


async def test_a_login_has_ten_minutes():
    """But for one second."""
    provider = FakeProvider()
    assert await provider.client().exchange(CODE, replace(REQUEST, created=NOW - 597))


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500, 503, 307])
@pytest.mark.parametrize("body", ['{"error": "invalid_client"}', "<html>"])
@pytest.mark.parametrize("methods", [None, ["client_secret_basic", "client_secret_post"]])
async def test_a_code_is_sent_once(status, body, methods):
    """Whatever comes back: another try could use up what the first has not."""
    provider = FakeProvider()
    provider.metadata["token_endpoint_auth_methods_supported"] = methods
    provider.answers["/token"] = (status, body)
    with pytest.raises(EndpointError):
        await provider.client().exchange(CODE, REQUEST)
    assert provider.count("/token") == 1


async def test_words_of_the_provider_are_for_the_log(caplog):
    """Quoted, on one line, and cut; the caller reads the code."""
    provider = FakeProvider()
    words = 'x"\n\x1b[31m' + "<script>" * 100
    provider.answers["/token"] = (400, json.dumps({"error": "invalid_grant", "error_description": words}))
    with pytest.raises(OAuthError) as caught:
        await provider.client().exchange(CODE, REQUEST)
    error = caught.value
    assert error.code == "invalid_grant"
    assert said(error) == 'unable to exchange auth code with provider: oauth2: "invalid_grant"'
    assert error.detail.startswith('the provider says "invalid_grant": "x\\"\\n\\u001b[31m<script>')
    assert len(error.detail) < 300
    assert error.detail.isprintable()
    assert isinstance(error, ProviderError)


async def test_the_body_of_a_failure_is_for_the_log():
    """Cut; that of a success is not, since it may hold tokens."""
    provider = FakeProvider()
    provider.answers["/token"] = (502, "<html>\n" + "x" * 10_000)
    with pytest.raises(EndpointError) as caught:
        await provider.client().exchange(CODE, REQUEST)
    assert caught.value.detail.startswith('not valid JSON: "<html>\\nxxx')
    assert len(caught.value.detail) < 300
    provider.answers["/token"] = (200, f"access_token={ACCESS_TOKEN}")
    with pytest.raises(EndpointError) as caught:
        await provider.client().exchange(CODE, REQUEST)
    assert caught.value.detail == "not valid JSON"


@pytest.mark.parametrize(
    ("code", "known"),
    [
        ("access_denied", "access_denied"),
        ("ACCESS_DENIED", "access_denied"),
        ("login_required", "login_required"),
        ("<script>", "unknown_error"),
        ("", "unknown_error"),
    ],
)
def test_only_known_codes_are_shown(code, known):
    """Anybody can send a browser back with a text of their own."""
    assert known_code(code) == known


async def test_a_silent_provider_is_given_up(monkeypatch):
    """Its answer may come later: the code stays sent once."""
    monkeypatch.setattr(endpoints, "REQUEST_TIMEOUT", 0.02)
    provider, is_gone = FakeProvider(), asyncio.Event()

    async def never(request):
        try:
            await asyncio.Event().wait()
        finally:
            is_gone.set()

    provider.answers["/token"] = never
    with pytest.raises(EndpointError) as caught:
        await provider.client().exchange(CODE, REQUEST)
    assert said(caught.value) == CANNOT + "context deadline exceeded"
    assert caught.value.detail == "no answer within 0.02 s"
    assert is_gone.is_set()
    assert provider.count("/token") == 1


async def test_a_dripping_provider_is_given_up(monkeypatch):
    """The limit is for the whole answer, not for the next byte of it."""
    monkeypatch.setattr(endpoints, "REQUEST_TIMEOUT", 0.05)
    provider = FakeProvider()

    class Drip(httpx.AsyncByteStream):
        async def __aiter__(self):
            while True:
                await asyncio.sleep(0)
                yield b""

    async def drip(request):
        return httpx.Response(200, stream=Drip())

    provider.answers["/token"] = drip
    with pytest.raises(EndpointError, match="context deadline exceeded"):
        await provider.client().exchange(CODE, REQUEST)


async def test_a_connection_that_breaks_is_a_failure():
    """After which the code is not sent again."""
    provider = FakeProvider()

    async def break_off(request):
        raise httpx.RemoteProtocolError("gone")

    provider.answers["/token"] = break_off
    with pytest.raises(EndpointError) as caught:
        await provider.client().exchange(CODE, REQUEST)
    assert said(caught.value) == CANNOT + "no usable answer"
    assert caught.value.detail == "RemoteProtocolError: gone"
    assert provider.count("/token") == 1


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(3600, 3600), ("3600", 3600), (1.5, 1), (-1, 0), ("x", 0), (None, 0), (True, 0), (1e300, 0), ([1], 0)],
)
async def test_a_lifetime_is_a_number_or_not_there(given, seconds):
    """Some providers send text; nobody is locked out by nonsense."""
    provider = FakeProvider()
    provider.tokens["expires_in"] = given
    assert (await provider.client().exchange(CODE, REQUEST)).expires_in == seconds


async def test_nothing_secret_is_shown():
    """Not by a repr, and not in a log."""
    provider = FakeProvider()
    provider.tokens["refresh_token"] = "a refresh token of the provider"
    tokens = await provider.client().exchange(CODE, REQUEST)
    assert repr(tokens) == "TokenSet()"
    assert tokens.refresh_token == Secret("a refresh token of the provider")


async def test_requests_are_not_logged_with_what_they_carry(caplog):
    """Not even at the finest level."""
    provider = FakeProvider()
    client = provider.client(ClientAuthentication.by_secret(Secret("secret-of-client"), "client_secret_post"))
    with caplog.at_level(logging.DEBUG):
        tokens = await client.exchange(CODE, REQUEST)
        await client.add_userinfo(tokens.access_token, {"sub": "ann"})
    for secret in (CODE, ACCESS_TOKEN, "secret-of-client", REQUEST.verifier):
        assert secret not in caplog.text


# --- ID tokens without a code ----------------------------------------------------------------------


async def test_an_id_token_from_the_browser():
    """In the implicit flow there is nothing to compare hashes with; everything else counts."""
    provider = FakeProvider()
    provider.claims["at_hash"] = "of an access token that nobody has"
    client, request = provider.client(), replace(REQUEST, response_types=("id_token",))
    claims = await client.verify_id_token(provider.id_token, request, implicit=True)
    assert claims["sub"] == "ann"
    provider.claims["nonce"] = "of another login"
    with pytest.raises(TokenError) as caught:
        await client.verify_id_token(provider.id_token, request, implicit=True)
    assert caught.value.code == "id_token_nonce_mismatch"


async def test_an_id_token_that_no_request_led_to():
    """That of a device or a refresh has no nonce; whom it is about may be said."""
    provider = FakeProvider()
    del provider.claims["nonce"]
    client = provider.client()
    claims = await client.verify_id_token(Secret(provider.id_token), None, subject="ann")
    assert claims["sub"] == "ann"
    with pytest.raises(TokenError) as caught:
        await client.verify_id_token(provider.id_token, None, subject="bob")
    assert caught.value.code == "id_token_subject_mismatch"
    provider.claims |= {"aud": [CLIENT, "api"], "azp": CLIENT}
    assert await client.verify_id_token(provider.id_token, None, audiences=["api"])
    with pytest.raises(TokenError, match="for none of the bound audiences"):
        await client.verify_id_token(provider.id_token, None, audiences=["other"])
    with pytest.raises(TypeError):
        await client.verify_id_token(provider.id_token, None, audiences="api")
    provider.claims |= {"aud": "client-2", "azp": "client-2"}
    with pytest.raises(TokenError, match="for another client"):
        await client.verify_id_token(provider.id_token, None)


@pytest.mark.parametrize(
    ("bounds", "claims", "text"),
    [
        ({"profile": "at+jwt"}, {}, "token is no at+jwt"),
        ({"profile": "id_token"}, {"iat": ...}, "missing claims of a id_token: iat"),
        ({"profile": "jwt-svid"}, {}, "not a SPIFFE ID"),
        ({"leeways": Leeways(clock_skew=timedelta(seconds=-1))}, {"iat": NOW + 30}, "token not yet valid"),
        ({"leeways": Leeways(not_before=timedelta(seconds=-1))}, {"iat": ...}, "token not yet valid"),
    ],
    ids=str,
)
async def test_an_id_token_that_a_role_does_not_take(bounds, claims, text):
    """Kind and leeways of a role bound an ID token too; without them the same token is taken."""
    provider = FakeProvider()
    changed = provider.claims | claims
    provider.claims = {name: value for name, value in changed.items() if value is not ...}
    client = provider.client()
    assert await client.verify_id_token(provider.id_token, REQUEST)
    with pytest.raises(TokenError) as caught:
        await client.verify_id_token(provider.id_token, REQUEST, **bounds)
    assert text in said(caught.value)


@pytest.mark.parametrize(
    ("announced", "issuer", "required", "text"),
    [
        (True, ISSUER, True, ""),
        (True, "https://evil.example", True, "of another issuer"),
        (True, "https://evil.example", False, "of another issuer"),
        (True, ISSUER + "/", False, "of another issuer"),
        (True, "", True, "names no issuer"),
        (True, "", False, ""),
        (False, "", True, ""),
        ("yes", "", True, ""),
        (False, ISSUER, True, ""),
        (False, "https://evil.example", True, "of another issuer"),
    ],
)
async def test_the_issuer_of_a_response(announced, issuer, required, text):
    """It is compared whenever it came, and required where the provider announces it and nothing drops it."""
    provider = FakeProvider()
    provider.metadata["authorization_response_iss_parameter_supported"] = announced
    asked = provider.client().verify_response_issuer(issuer, is_required=required)
    if not text:
        await asked
        return
    with pytest.raises(TokenError, match=text):
        await asked


async def test_keys_that_rotate_in_the_middle_of_a_login():
    """A new key id is found without a restart."""
    provider, clock = FakeProvider(), Clock()
    keys = DiscoveredKeys(ISSUER, timer=clock, transport=httpx.MockTransport(provider._answer))
    client = OIDCClient(
        keys, client_id=CLIENT, authentication=ClientAuthentication.none(), now=lambda: NOW + 1
    )
    assert await client.verify_id_token(provider.id_token, REQUEST)
    provider.keys = [jwk("rsa-other", kid="two")]
    provider.signed = {"kid": "two", "key": private_key("rsa-other")}
    clock.advance(11)
    assert await client.verify_id_token(provider.id_token, REQUEST)
    await client.close()


async def test_keys_that_cannot_be_had_are_a_failed_login():
    """With what the official plugin says."""
    provider = FakeProvider()
    provider.answers["/.well-known/openid-configuration"] = (503, "")
    for call in (
        lambda client: client.authorization_url(REQUEST),
        lambda client: client.exchange(CODE, REQUEST),
        lambda client: client.verify_id_token("x", REQUEST),
        lambda client: client.add_userinfo(Secret("x"), {"sub": "ann"}),
        lambda client: client.refresh(Secret("x")),
        lambda client: client.authorize_device(),
        lambda client: client.poll_device(Secret("x")),
    ):
        with pytest.raises(EndpointError) as caught:
            await call(provider.client())
        assert said(caught.value) == ("error getting provider for login operation: 503 Service Unavailable")


# --- userinfo --------------------------------------------------------------------------------------


async def test_a_provider_without_userinfo_adds_nothing():
    """The claims are the ID token's then."""
    provider = FakeProvider()
    del provider.metadata["userinfo_endpoint"]
    assert await provider.client().add_userinfo(Secret("x"), {"sub": "ann"}) == {"sub": "ann"}


@pytest.mark.parametrize("subject", [None, "", 5])
async def test_claims_without_subject_get_nothing_added(subject):
    """An answer that names nobody would be about them all."""
    provider = FakeProvider()
    provider.userinfo = {"sub": subject, "groups": ["admins"]}
    with pytest.raises(TokenError):
        await provider.client().add_userinfo(Secret("x"), {"sub": subject})


async def test_a_token_that_fits_no_header_is_not_sent():
    """And not repeated either."""
    provider = FakeProvider()
    with pytest.raises(EndpointError) as caught:
        await provider.client().add_userinfo(Secret("a\r\nb"), {"sub": "ann"})
    assert caught.value.public == "userinfo: the access token cannot be sent"
    assert caught.value.detail == "the bearer token is not a line of ASCII text"
    assert provider.count("/userinfo") == 0


async def test_signed_userinfo_is_signed_as_agreed():
    """With an algorithm that ID tokens may have too."""
    provider = FakeProvider(jwk("p256", kid="one"))
    provider.answers["/userinfo"] = (
        200,
        make_token({"sub": "ann"}, algorithm="ES256", kid="one"),
        "Application/JWT; charset=utf-8",
    )
    assert await provider.client(algorithms=["ES256"]).add_userinfo(Secret("x"), {"sub": "ann"})
    with pytest.raises(TokenError, match="userinfo: the token is signed with an algorithm"):
        await provider.client().add_userinfo(Secret("x"), {"sub": "ann"})


# --- refresh and devices ---------------------------------------------------------------------------


async def test_a_refresh():
    """It need not bring an ID token, and a new refresh token only if the old one is void."""
    provider = FakeProvider()
    provider.answers["/token"] = (200, json.dumps({"access_token": "new", "refresh_token": "next"}))
    tokens = await provider.client().refresh(Secret("old"))
    assert tokens == TokenSet(
        access_token=Secret("new"), id_token=Secret(""), refresh_token=Secret("next"), expires_in=0
    )
    assert provider.forms() == [{"grant_type": "refresh_token", "refresh_token": "old"}]


async def test_a_refresh_that_is_refused():
    """`invalid_grant` is for good."""
    provider = FakeProvider()
    provider.answers["/token"] = (400, '{"error": "invalid_grant"}')
    with pytest.raises(OAuthError) as caught:
        await provider.client().refresh(Secret("old"))
    assert caught.value.code == "invalid_grant"
    assert said(caught.value) == 'unable to refresh with provider: oauth2: "invalid_grant"'


DEVICE = {
    "device_code": "a-device-code",
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://issuer.example/activate",
    "verification_uri_complete": "https://issuer.example/activate?c=WDJB-MJHT",
    "expires_in": 900,
    "interval": 7,
}


async def test_a_login_on_a_device():
    """It begins with a code for people, and is polled for until it has ended."""
    provider = FakeProvider()
    provider.answers["/device"] = (200, json.dumps(DEVICE))
    client = provider.client(ClientAuthentication.none())
    device = await client.authorize_device(["profile"])
    assert provider.forms("/device") == [{"client_id": CLIENT, "scope": "openid profile"}]
    assert device.device_code.reveal() == "a-device-code"
    assert (device.user_code, device.interval, device.expires_in) == ("WDJB-MJHT", 7, 900)
    assert device.verification_uri == "https://issuer.example/activate"
    assert device.complete_uri == "https://issuer.example/activate?c=WDJB-MJHT"
    assert "WDJB" not in repr(device)
    for code in ("authorization_pending", "slow_down", "expired_token", "access_denied"):
        provider.answers["/token"] = (400, json.dumps({"error": code}))
        with pytest.raises(OAuthError) as caught:
            await client.poll_device(device.device_code)
        assert caught.value.code == code
    del provider.answers["/token"]
    assert (await client.poll_device(device.device_code)).access_token.reveal() == ACCESS_TOKEN
    assert provider.forms()[-1] == {
        "client_id": CLIENT,
        "device_code": "a-device-code",
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
    }


async def test_a_login_on_a_device_of_an_early_provider():
    """Which says url for uri, and leaves the interval to RFC 8628."""
    provider = FakeProvider()
    provider.answers["/device"] = (
        200,
        json.dumps({"device_code": "a", "user_code": "b", "verification_url": "https://issuer.example/d"}),
    )
    device = await provider.client().authorize_device()
    assert (device.verification_uri, device.complete_uri) == ("https://issuer.example/d", "")
    assert (device.interval, device.expires_in) == (5, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"device_code": ""},
        {"user_code": None},
        {"user_code": "x" * 65},
        {"user_code": "\x1b[2J"},
        {"verification_uri": "javascript:alert(1)"},
        {"verification_uri": ""},
        {"verification_uri": "https://issuer.example/" + "x" * 2048},
        {"verification_uri_complete": "file:///etc/passwd"},
        {"verification_uri": "https://issuer.example/\x1b[2J"},
    ],
)
async def test_what_people_would_be_shown_is_looked_at(change):
    """They open it, or their command line does."""
    provider = FakeProvider()
    provider.answers["/device"] = (200, json.dumps(DEVICE | change))
    with pytest.raises(EndpointError) as caught:
        await provider.client().authorize_device()
    assert caught.value.public == "the provider's answer cannot be used"


async def test_a_provider_without_devices_cannot_begin():
    """With the words of OpenBao's plugin."""
    provider = FakeProvider()
    del provider.metadata["device_authorization_endpoint"]
    with pytest.raises(EndpointError, match=r"has no device authorization endpoint$"):
        await provider.client().authorize_device()


# --- the client ------------------------------------------------------------------------------------


def test_a_client_is_named_and_has_known_algorithms():
    """What cannot work is refused when it is configured."""
    provider = FakeProvider()
    with pytest.raises(ValueError, match="the client's id is empty"):
        provider.client(client_id="")
    with pytest.raises(ValueError, match='unsupported signing algorithm "HS256"'):
        provider.client(algorithms=["RS256", "HS256"])
    with pytest.raises(TypeError):
        provider.client(algorithms="RS256")


async def test_every_request_trusts_what_the_keys_trust(tmp_path):
    """A token endpoint behind the configured CA is reached, over TLS and one request at a time."""
    ca_pem = certificate("ca", "ca", "p384", "p384", is_ca=True)
    tls = server_context(tmp_path, certificate("server", "ca", "p256", "p384", is_ca=False))
    async with LoopbackProvider(tls=tls) as provider:
        provider.documents["/.well-known/openid-configuration"] = lambda: {
            "issuer": provider.url,
            "jwks_uri": f"{provider.url}/keys",
            "token_endpoint": f"{provider.url}/token",
        }
        provider.documents["/token"] = lambda: {"access_token": "a", "id_token": "b"}
        client = OIDCClient(
            DiscoveredKeys(provider.url, ca_pem=ca_pem),
            client_id=CLIENT,
            authentication=ClientAuthentication.none(),
            now=lambda: NOW,
        )
        assert (await client.exchange(CODE, REQUEST)).id_token.reveal() == "b"
        await client.close()
        assert provider.paths == ["/.well-known/openid-configuration", "/token"]


async def test_a_proxy_is_used_as_for_keys(monkeypatch):
    """Where the environment names one: a site that has to use it can log in. Never for a loopback host."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    async with LoopbackProvider() as provider:
        provider.documents["/token"] = lambda: {"ok": True}
        # An address of this machine that does not count as loopback, to which no proxy would lead anyway.
        url = provider.url.replace("127.0.0.1", "0.0.0.0") + "/token"
        with pytest.raises(endpoints.EndpointError):
            await endpoints.Endpoints(Network()).post(url, {}, {"code": CODE})
        assert provider.paths == []
        assert await endpoints.Endpoints(Network()).post(f"{provider.url}/token", {}, {"code": CODE}) == {
            "ok": True
        }


@pytest.mark.parametrize("member", ["code", "device_code", "client_secret", "refresh_token", "code_verifier"])
@pytest.mark.parametrize("answer", ["error", "error_description"])
async def test_a_provider_that_repeats_a_secret_does_not_make_it_readable(member, answer):
    """Not in the detail either, which operators read: even where it is cut, and whatever it looks like."""
    secret = "a-secret-in-no-known-shape-" + "x" * 30
    said = "about the request with " + "." * 140 + secret
    async with LoopbackProvider() as provider:
        provider.documents["/token"] = lambda: {"error": "invalid_grant", answer: said}
        with pytest.raises(endpoints.EndpointError) as caught:
            await endpoints.Endpoints(Network()).post(f"{provider.url}/token", {}, {member: secret})
    assert "a-secret" not in f"{caught.value.public}{caught.value.detail}"


@pytest.mark.parametrize("repeated", ["a+b secret in no known shape", "a%2Bb+secret+in+no+known+shape"])
async def test_a_provider_that_repeats_a_client_secret_of_http_basic(repeated):
    """Neither as it was sent, nor decoded."""
    pair = base64.b64encode(b"client:a%2Bb+secret+in+no+known+shape").decode()
    async with LoopbackProvider() as provider:
        provider.documents["/token"] = lambda: {"error": "invalid_client", "error_description": repeated}
        with pytest.raises(endpoints.EndpointError) as caught:
            await endpoints.Endpoints(Network()).post(
                f"{provider.url}/token", {"Authorization": f"Basic {pair}"}, {"code": "x"}
            )
    assert "known" not in f"{caught.value.public}{caught.value.detail}"
