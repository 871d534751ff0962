"""Logins in a browser, against a provider that does wrong what a test wishes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from faulty_provider import EVIL_TEXT, Fault, FaultyProvider
from identity_provider import serve
from jwt_auth import JWTAuth
from jwt_auth.issuer import JWTIssuer
from jwt_auth_keys import public_pem
from jwt_auth_mounts import JWTMount

from authkit.errors import LogicalError, LoginError, NotFoundError, PermissionDeniedError, UserError
from authkit.logical import Auth, BackendConfig, Operation, Response

CALLBACK = "http://localhost:8250/oidc/callback"
WEB = "https://vault.example/ui/vault/auth/jwt/oidc/callback"
DIRECT = "https://vault.example/v1/auth/jwt/oidc/callback"
ROLE: dict[str, Any] = {
    "role_type": "oidc",
    "user_claim": "sub",
    "allowed_redirect_uris": [CALLBACK, WEB, DIRECT],
    "token_policies": "p",
}


@pytest.fixture
def idp() -> Iterator[FaultyProvider]:
    """A good provider."""
    with serve(FaultyProvider()) as running:
        yield running


class Browser:
    """A mount, and somebody with a browser."""

    def __init__(self, mount: JWTMount, idp: FaultyProvider) -> None:
        self.mount = mount
        self.idp = idp

    async def configure(self, **config: Any) -> None:
        """Write a configuration for the provider's client."""
        client = {"oidc_client_id": self.idp.client_id, "oidc_client_secret": self.idp.client_secret}
        await self.mount.write("config", {"oidc_discovery_url": self.idp.url, **client} | config)

    async def write_role(self, **fields: Any) -> None:
        """Write the role `web`."""
        await self.mount.write("role/web", ROLE | fields)

    async def begin(self, redirect_uri: str = CALLBACK, **fields: Any) -> Mapping[str, Any]:
        """Ask where to go."""
        answer = await self.mount.write(
            "oidc/auth_url", {"role": "web", "redirect_uri": redirect_uri, "client_nonce": "n"} | fields
        )
        assert answer is not None
        assert answer.data is not None
        return answer.data

    async def come_back(self, data: Mapping[str, Any], **fields: Any) -> Response:
        """Come back with what the provider has given."""
        body = {"client_nonce": "n", **data, **fields}
        answer = await self.mount.request(Operation.READ, "oidc/callback", body)
        assert answer is not None
        return answer

    async def log_in(self, **fields: Any) -> Auth:
        """Do all of it."""
        begun = await self.begin()
        auth = (await self.come_back(self.idp.log_in(begun["auth_url"]), **fields)).auth
        assert auth is not None
        return auth

    async def refusal(self, **fields: Any) -> str:
        """Return why it is refused, without the reference."""
        with pytest.raises(LoginError) as caught:
            await self.log_in(**fields)
        return caught.value.public.partition(" (reference ")[0]


@pytest.fixture
async def browser(bare: JWTMount, idp: FaultyProvider) -> Browser:
    """A mount for browsers, and somebody with one."""
    browser = Browser(bare, idp)
    await browser.configure()
    await browser.write_role()
    return browser


def html(answer: Response) -> str:
    """Return the page in an answer."""
    assert answer.raw is not None
    assert answer.raw.content_type == "text/html; charset=utf-8"
    return answer.raw.body.decode()


# --- the usual login ---------------------------------------------------------------------------


async def test_a_login(browser: Browser) -> None:
    """Somebody goes to the provider and comes back with a token; userinfo adds what the ID token lacks."""
    await browser.write_role(groups_claim="groups", claim_mappings={"email": "mail"})
    auth = await browser.log_in()
    assert auth.alias is not None
    assert (auth.alias.name, auth.metadata) == ("ann", {"role": "web", "mail": "ann@example.com"})
    assert [each.name for each in auth.group_aliases] == ["dev", "ops"]
    assert auth.policies == ("p",)
    status = await browser.mount.read("status")
    assert status is not None
    assert status["logins"] == {"allowed": 1, "denied": {}}


async def test_what_the_provider_is_asked(browser: Browser) -> None:
    """With PKCE, a nonce, the role's scopes, and only what the mount is configured for."""
    await browser.write_role(oidc_scopes="email,groups", max_age="1h")
    asked = parse_qs(urlsplit((await browser.begin())["auth_url"]).query)
    assert list(asked) == sorted(asked)
    assert asked["scope"] == ["openid email groups"]
    assert (asked["code_challenge_method"], asked["max_age"], asked["redirect_uri"]) == (
        ["S256"],
        ["3600"],
        [CALLBACK],
    )
    assert "response_mode" not in asked


async def test_a_reload_loses_no_login(browser: Browser, idp: FaultyProvider) -> None:
    """Another process, or node, ends what one has begun; and does not end it twice."""
    begun = await browser.begin()
    back = idp.log_in(begun["auth_url"])
    other = JWTMount(JWTAuth)
    storage, system, events = browser.mount.storage, other.system, other.events
    other.backend = JWTAuth(BackendConfig(storage=storage, system=system, events=events))
    await other.backend.initialize()
    elsewhere = Browser(other, idp)
    assert (await elsewhere.come_back(back)).auth is not None
    for each in (elsewhere, browser):
        with pytest.raises(LoginError, match=r"^Vault login failed\. Expired or missing OAuth state\."):
            await each.come_back(back)
    assert idp.reused == []
    await other.backend.cleanup()


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"state": ""}, "Vault login failed. Expired or missing OAuth state."),
        ({"state": "st_x"}, "Vault login failed. Expired or missing OAuth state."),
        ({"client_nonce": "other"}, "invalid client_nonce"),
        ({"code": ""}, "Vault login failed. No code or id_token received."),
        ({"code": "no_code"}, "Vault login failed. No code or id_token received."),
        ({"error": "access_denied"}, "Vault login failed. access_denied"),
        (
            {"error": "<b>", "error_description": EVIL_TEXT},
            "Vault login failed. An unknown error occurred during OIDC authentication. Check server logs",
        ),
    ],
    ids=str,
)
async def test_what_comes_back_wrong(browser: Browser, fields: dict[str, str], text: str) -> None:
    """Each text is the one that command lines and web interfaces know; the state is used up."""
    begun = await browser.begin()
    back = browser.idp.log_in(begun["auth_url"])
    with pytest.raises(LoginError) as caught:
        await browser.come_back(back | fields)
    assert caught.value.public.startswith(text)
    assert caught.value.public.rpartition(" (reference ")[1]
    if "state" not in fields:
        with pytest.raises(LoginError, match="Expired or missing OAuth state"):
            await browser.come_back(back)


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault.ISS, "id token issued by a different provider"),
        (Fault.AUD, "invalid authorized party (azp)"),
        (Fault.AUD_SEVERAL, "multiple audiences"),
        (Fault.AZP, "invalid authorized party (azp)"),
        (Fault.NONCE, "invalid id_token nonce"),
        (Fault.NO_NONCE, "invalid id_token nonce"),
        (Fault.AT_HASH, "access_token hash does not match"),
        (Fault.EXPIRED, "token is expired"),
        (Fault.NO_SUB, "missing required claim"),
        (Fault.ALG_NONE, ""),
        (Fault.NO_KID, ""),
        (Fault.UNKNOWN_KID, "failed to verify id token signature"),
        (Fault.SIGNATURE, "failed to verify id token signature"),
        (Fault.TOKEN_INVALID_GRANT, "invalid_grant"),
        (Fault.TOKEN_INVALID_CLIENT, "invalid_client"),
        (Fault.TOKEN_HTML_DESCRIPTION, "invalid_request"),
        (Fault.TOKEN_HTML, ""),
        (Fault.TOKEN_SERVER_ERROR, "503"),
        (Fault.TOKEN_HUGE, ""),
        (Fault.NO_ACCESS_TOKEN, "access_token"),
        (Fault.NO_ID_TOKEN, "id_token is missing"),
    ],
)
async def test_providers_gone_wrong(browser: Browser, fault: Fault, text: str) -> None:
    """Nobody is logged in, the text says why, and holds nothing that the provider made up."""
    browser.idp.faults.add(fault)
    refusal = await browser.refusal()
    assert refusal.startswith('Vault login failed. Error exchanging oidc code: "Provider.Exchange: ')
    assert text in refusal
    assert "<script>" not in refusal
    assert len(browser.idp.forms) == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault.USERINFO_SUB,
        Fault.USERINFO_NO_SUB,
        Fault.USERINFO_ERROR,
        Fault.USERINFO_REFUSED,
        Fault.USERINFO_HTML,
    ],
)
async def test_userinfo_that_is_no_use(browser: Browser, fault: Fault) -> None:
    """It adds nothing; a role that needs what it would say refuses."""
    browser.idp.faults.add(fault)
    assert (await browser.log_in()).metadata == {"role": "web"}
    await browser.write_role(bound_claims={"email": "ann@example.com"})
    assert await browser.refusal() == 'error validating claims: claim "email" is missing'


async def test_what_a_role_binds(browser: Browser) -> None:
    """Subject, claims, audiences and addresses, each with its text."""
    for fields, text in (
        ({"bound_subject": "bob"}, "Vault login failed. sub claim does not match bound subject"),
        ({"bound_claims": {"email": "x"}}, 'error validating claims: claim "email" does not match any'),
        (
            {"bound_audiences": "other"},
            'Vault login failed. Error exchanging oidc code: "Provider.Exchange: ',
        ),
        ({"user_claim": "nobody"}, 'claim "nobody" not found in token'),
        ({"max_age": "1s", "bound_subject": "bob"}, "Vault login failed. sub claim"),
    ):
        await browser.write_role(**fields)
        assert (await browser.refusal()).startswith(text)
        await browser.mount.delete("role/web")
    await browser.write_role(token_bound_cidrs="198.51.100.0/24")
    with pytest.raises(PermissionDeniedError):
        await browser.log_in()
    await browser.write_role(token_bound_cidrs="")
    begun = await browser.begin()
    await browser.mount.delete("role/web")
    with pytest.raises(LoginError, match=r"^Vault login failed\. Role could not be found"):
        await browser.come_back(browser.idp.log_in(begun["auth_url"]))


# --- where a login begins ----------------------------------------------------------------------


async def test_a_login_that_cannot_begin(bare: JWTMount, idp: FaultyProvider) -> None:
    """Texts that interfaces wait for, in the official plugin's order."""
    browser = Browser(bare, idp)
    for path in ("oidc/callback", "oidc/poll"):
        with pytest.raises(UserError, match=r"^Vault login failed\. Could not load configuration"):
            await bare.write(path, state="x")
    with pytest.raises(UserError, match=r"^Vault login failed\. Could not load configuration$"):
        await browser.come_back({})
    await browser.configure()
    for fields, text in (
        ({"role": ""}, "missing role"),
        ({"redirect_uri": ""}, "missing redirect_uri"),
        ({}, 'role "web" could not be found'),
    ):
        with pytest.raises(UserError) as caught:
            await browser.begin(**fields)
        assert str(caught.value) == text
    await browser.configure(default_role="web")
    await browser.write_role()
    assert (await browser.begin(role=""))["auth_url"]
    for uri in ("http://localhost:1/other", "https://evil.example/oidc/callback", "nonsense"):
        assert await browser.begin(uri) == {"auth_url": ""}


async def test_a_provider_that_is_down(browser: Browser) -> None:
    """Interfaces are told nothing but that it does not work; the log has it."""
    browser.idp.faults.add(Fault.DISCOVERY_ISSUER)
    await browser.configure(skip_jwks_validation=True, oidc_client_id="other", oidc_client_secret="xxxx")
    assert await browser.begin() == {"auth_url": ""}


async def test_the_namespace_travels_in_the_state(browser: Browser) -> None:
    """As web interfaces want it; the redirect URI is compared without it."""
    url = (await browser.begin(f"{WEB}?namespace=eu"))["auth_url"]
    asked = parse_qs(urlsplit(url).query)
    assert asked["redirect_uri"] == [WEB]
    assert asked["state"][0].endswith(",ns=eu")
    assert (await browser.come_back(browser.idp.log_in(url))).auth is not None


# --- a client without a secret -----------------------------------------------------------------


async def test_a_public_client(browser: Browser) -> None:
    """PKCE alone: nothing is stored that could be stolen."""
    browser.idp.client_secret = ""
    await browser.configure(oidc_client_secret="", oidc_client_authentication="none")
    assert (await browser.log_in()).policies == ("p",)
    assert "client_secret" not in browser.idp.forms[0]


async def test_a_client_with_a_key(browser: Browser) -> None:
    """It signs with the key of the mount, whose public half alone is there for the provider."""
    with pytest.raises(NotFoundError):
        await browser.mount.read("oidc/jwks")
    browser.idp.client_secret = ""
    await browser.configure(oidc_client_secret="", oidc_client_authentication="private_key_jwt")
    await browser.log_in()
    form = browser.idp.forms[0]
    assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    answer = await browser.mount.request(Operation.READ, "oidc/jwks")
    assert answer is not None
    assert answer.raw is not None
    import jwt

    (entry,) = jwt.PyJWKSet.from_json(answer.raw.body.decode()).keys
    claims = jwt.decode(
        form["client_assertion"], entry, algorithms=["ES256"], audience=f"{browser.idp.url}/token"
    )
    assert (claims["iss"], claims["sub"]) == (browser.idp.client_id, browser.idp.client_id)
    assert b'"d"' not in answer.raw.body


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"oidc_client_authentication": "none"}, "'oidc_client_secret' is not used with"),
        ({"oidc_client_authentication": "private_key_jwt"}, "'oidc_client_secret' is not used with"),
        ({"oidc_client_secret": ""}, "both 'oidc_client_id' and 'oidc_client_secret' must be set for OIDC"),
        (
            {"oidc_client_id": "", "oidc_client_secret": "", "oidc_client_authentication": "none"},
            "'oidc_client_id' must be set for OIDC",
        ),
    ],
)
async def test_configurations_of_clients_that_contradict_themselves(
    browser: Browser, config: dict[str, str], text: str
) -> None:
    """They are refused when they are written."""
    with pytest.raises(UserError) as caught:
        await browser.configure(**config)
    assert str(caught.value).startswith(text)


# --- forms -------------------------------------------------------------------------------------


async def post(browser: Browser, data: Mapping[str, str]) -> Response:
    """Have the provider's form sent to the server."""
    answer = await browser.mount.write("oidc/callback", data)
    assert answer is not None
    return answer


@pytest.mark.parametrize("types", ["code", "id_token"])
async def test_a_form_and_a_web_interface(browser: Browser, types: str) -> None:
    """The page tells the interface's window a state, with which it then has its token, once."""
    await browser.configure(oidc_response_mode="form_post", oidc_response_types=types)
    url = (await browser.begin(WEB, client_nonce=""))["auth_url"]
    asked = parse_qs(urlsplit(url).query)
    assert asked["redirect_uri"] == [WEB.replace("ui/vault", "v1")]
    assert asked["response_mode"] == ["form_post"]
    page = html(await post(browser, browser.idp.log_in(url)))
    import json
    import re

    found = re.search(r"postMessage\((\{.*\}), window\.origin\)", page)
    assert found is not None
    message = json.loads(found[1])
    assert (message["source"], message["path"], message["code"]) == ("oidc-callback", "jwt", "no_code")
    back = {"state": message["state"], "code": "no_code", "client_nonce": ""}
    assert (await browser.come_back(back)).auth is not None
    with pytest.raises(LoginError, match="Expired or missing OAuth state"):
        await browser.come_back(back)


async def test_forms_that_are_refused(browser: Browser) -> None:
    """A mount that expects none, a state of nobody, a redirect elsewhere, a token of another login."""
    answer = await post(browser, {"state": "x"})
    assert answer.raw is not None
    assert (answer.raw.status, answer.raw.body) == (405, b"")
    await browser.configure(oidc_response_mode="form_post", oidc_response_types="id_token")
    page = await post(browser, {"state": EVIL_TEXT, "id_token": EVIL_TEXT})
    assert page.raw is not None
    assert page.raw.status == 400
    assert "Expired or missing OAuth state." in html(page)
    assert "<script>" not in html(page)
    refused = await browser.begin()
    browser.idp.faults = {Fault.AUTHORIZATION_HTML}
    page = await post(browser, browser.idp.log_in(refused["auth_url"]))
    assert "server_error" in html(page)
    assert "<script>" not in html(page)
    browser.idp.faults = set()
    mine, other = await browser.begin(), await browser.begin()
    stolen = browser.idp.log_in(other["auth_url"]) | {"state": browser.idp.log_in(mine["auth_url"])["state"]}
    assert "Token verification failed" in html(await post(browser, stolen))
    assert await browser.mount.storage.list("oidc/posted/") == []
    assert "Invalid redirect path." in html(await post(browser, browser.idp.log_in(mine["auth_url"])))


# --- straight to the server, and on another device ---------------------------------------------


async def poll(browser: Browser, state: str, **fields: str) -> Auth:
    """Ask how a login has ended."""
    answer = await browser.mount.write("oidc/poll", {"state": state, "client_nonce": "n"} | fields)
    assert answer is not None
    assert answer.auth is not None
    return answer.auth


async def pending(browser: Browser, state: str) -> str:
    """Return why there is no token yet, or never."""
    with pytest.raises((UserError, LoginError)) as caught:
        await poll(browser, state)
    return str(caught.value).partition(" (reference ")[0]


async def test_a_direct_login(browser: Browser) -> None:
    """The browser is asked first; the client gets the token, once."""
    await browser.write_role(callback_mode="direct", poll_interval="2s")
    begun = await browser.begin(DIRECT)
    assert begun["poll_interval"] == "2"
    assert await pending(browser, begun["state"]) == "authorization_pending"
    back = browser.idp.log_in(begun["auth_url"])
    page = html(await browser.come_back(back))
    assert "Did you begin this login?" in page
    assert "192.0.2.1" in page
    assert browser.idp.forms == []
    assert await pending(browser, begun["state"]) == "authorization_pending"
    assert "Logged in" in html(await browser.come_back(back, confirmation="1"))
    reloaded = await browser.come_back(back, confirmation="1")
    assert "Expired or missing OAuth state." in html(reloaded)
    assert (await poll(browser, begun["state"])).policies == ("p",)
    assert await pending(browser, begun["state"]) == "authorization_pending"
    again = await browser.come_back(back, confirmation="1")
    assert "Expired or missing OAuth state." in html(again)


async def test_a_direct_login_that_fails(browser: Browser) -> None:
    """The browser and the client are told, the one on a page."""
    await browser.write_role(callback_mode="direct", oidc_disable_confirmation=True, bound_subject="bob")
    begun = await browser.begin(DIRECT)
    answer = await browser.come_back(browser.idp.log_in(begun["auth_url"]))
    assert answer.raw is not None
    assert answer.raw.status == 400
    assert "sub claim does not match bound subject" in html(answer)
    assert (
        await pending(browser, begun["state"]) == "Vault login failed. sub claim does not match bound subject"
    )


async def test_somebody_else_asks_about_a_login(browser: Browser) -> None:
    """Then it is over for everybody."""
    await browser.write_role(callback_mode="direct", oidc_disable_confirmation=True)
    begun = await browser.begin(DIRECT)
    with pytest.raises(LoginError, match="invalid client_nonce"):
        await poll(browser, begun["state"], client_nonce="other")
    assert "Expired" in html(await browser.come_back(browser.idp.log_in(begun["auth_url"])))
    for state in ("", "x"):
        assert await pending(browser, state) == "Vault login failed. Expired or missing OAuth state."


async def test_modes_that_need_more(browser: Browser) -> None:
    """A client that waits has to have made up a nonce; a form cannot be confirmed."""
    await browser.write_role(callback_mode="direct")
    with pytest.raises(UserError, match=r"^missing client_nonce$"):
        await browser.begin(DIRECT, client_nonce="")
    await browser.configure(oidc_response_mode="form_post")
    with pytest.raises(UserError, match="needs the response mode 'query'"):
        await browser.begin(DIRECT)


async def test_a_login_on_a_device(browser: Browser) -> None:
    """The client shows where to go and asks; the token is verified, but for the nonce."""
    await browser.write_role(callback_mode="device")
    begun = await browser.begin("")
    assert begun["auth_url"] == f"{browser.idp.url}/verify?user_code=BCDF-GHJK"
    assert begun["poll_interval"] == "1"
    assert await pending(browser, begun["state"]) == "authorization_pending"
    browser.idp.faults.add(Fault.DEVICE_SLOW_DOWN)
    assert await pending(browser, begun["state"]) == "slow_down"
    browser.idp.faults.clear()
    browser.idp.approve_devices()
    auth = await poll(browser, begun["state"])
    assert auth.alias is not None
    assert auth.alias.name == "ann"
    with pytest.raises((UserError, LoginError)):
        await poll(browser, begun["state"])
    browser.idp.used.clear()  # a provider that would log the same device in twice
    assert await pending(browser, begun["state"]) == "Vault login failed. Expired or missing OAuth state."
    with pytest.raises(LoginError, match="Expired or missing OAuth state"):
        await browser.come_back({"state": begun["state"], "code": "x"})


@pytest.mark.parametrize("fault", [Fault.AUD, Fault.ISS, Fault.SIGNATURE, Fault.EXPIRED, Fault.DEVICE_DENIED])
async def test_a_device_is_verified(browser: Browser, fault: Fault) -> None:
    """As every ID token is."""
    await browser.write_role(callback_mode="device")
    begun = await browser.begin("")
    browser.idp.approve_devices()
    browser.idp.faults.add(fault)
    text = await pending(browser, begun["state"])
    assert text not in ("authorization_pending", "slow_down")
    if fault is Fault.DEVICE_DENIED:
        assert text == "authorization failed: access_denied"


# --- renewal -----------------------------------------------------------------------------------


async def test_a_token_that_lives_as_long_as_the_provider_says(browser: Browser) -> None:
    """Each renewal asks it, with the token of the last one; groups are those of then."""
    await browser.write_role(renew_at_provider=True, groups_claim="groups")
    auth = await browser.log_in()
    kept = str(auth.internal_data)
    assert "refresh-" not in kept
    browser.idp.userinfo["groups"] = ["dev"]
    renewed = await browser.mount.renew(auth)
    assert [each.name for each in renewed.group_aliases] == ["dev"]
    again = await browser.mount.renew(renewed)
    assert len(browser.idp.forms) == 3
    assert browser.idp.reused == []
    browser.idp.faults.add(Fault.TOKEN_INVALID_GRANT)
    with pytest.raises(LogicalError, match=r"not renewed at the provider: .*invalid_grant"):
        await browser.mount.renew(again)


async def test_renewals_that_are_refused(browser: Browser) -> None:
    """Somebody else, another audience, what the role binds by now, a token of another mount."""
    await browser.write_role(renew_at_provider=True)
    auth = await browser.log_in()
    for fault in (Fault.AUD, Fault.SIGNATURE):
        browser.idp.faults = {fault}
        with pytest.raises(UserError, match=r"^not renewed at the provider: "):
            await browser.mount.renew(await browser_login(browser))
    browser.idp.faults = set()
    auth = await browser.log_in()
    browser.idp.sub = "mallory"
    with pytest.raises(UserError, match=r"^not renewed at the provider: "):
        await browser.mount.renew(auth)
    browser.idp.sub = "ann"
    auth = await browser.log_in()
    await browser.write_role(bound_claims={"email": "bob@example.com"})
    with pytest.raises(UserError, match=r"^not renewed at the provider: error validating claims"):
        await browser.mount.renew(auth)


async def browser_login(browser: Browser) -> Auth:
    """Log in at a provider that is good for as long as that takes."""
    faults, browser.idp.faults = browser.idp.faults, set()
    try:
        return await browser.log_in()
    finally:
        browser.idp.faults = faults


async def test_other_logins_are_renewed_as_ever(browser: Browser) -> None:
    """Without asking anybody."""
    auth = await browser.log_in()
    await browser.mount.renew(auth)
    assert len(browser.idp.forms) == 1


async def test_old_logins_are_forgotten(browser: Browser) -> None:
    """What is stored of them goes with the minute's work; a login that has just ended well stays known."""
    await browser.log_in()
    (known,) = await browser.mount.storage.list("oidc/spent/")
    await browser.mount.backend.browser.forget_old()
    assert await browser.mount.storage.list("oidc/spent/") == [known]


async def test_attack_a_browser_login_as_a_user_of_another_issuer(browser: Browser) -> None:
    """On a mount with several issuers a browser login names no user and no group of another one either."""
    await browser.log_in()
    fields = {"bound_issuer": "https://ci", "jwt_validation_pubkeys": public_pem("ci")}
    with pytest.raises(UserError, match=r"^role 'web' has to be changed before there can be another issuer"):
        await browser.mount.write("issuer/ci", fields)
    await browser.mount.backend.issuers.put("ci", JWTIssuer(**fields))
    assert (await browser.refusal()).startswith("role 'web' cannot be used: 'user_claim' has to begin with")
    await browser.write_role(user_claim="{iss}|{sub}")
    auth = await browser.log_in()
    assert auth.alias is not None
    assert auth.alias.name.startswith(f"{browser.idp.url}|")
    await browser.write_role(user_claim="sub", shares_users_across_issuers=True)
    assert (await browser.log_in()).alias is not None
    with pytest.raises(UserError, match="'groups_claim' is not for mounts with several issuers"):
        await browser.write_role(groups_claim="groups")
