"""Logins in a browser, against a provider that does wrong what a test wishes."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Iterator, Mapping
from html import unescape
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from factories import FakeClock
from faulty_provider import EVIL_TEXT, Fault, FaultyProvider, encode
from gcm_forgery import forge
from identity_provider import serve
from jwt_auth import JWTAuth
from jwt_auth.browser.logins import BrowserLogins
from jwt_auth.settings.issuer import JWTIssuer
from jwt_auth_keys import public_pem
from jwt_auth_mounts import JWTMount

from authkit.errors import LogicalError, LoginError, NotFoundError, PermissionDeniedError, UserError
from authkit.logical import Auth, BackendConfig, Connection, Operation, Request, Response
from authkit.values import replace

CALLBACK = "http://localhost:8250/oidc/callback"
WEB = "https://vault.example/ui/vault/auth/jwt/oidc/callback"
DIRECT = "https://vault.example/v1/auth/jwt/oidc/callback"
ROLE: dict[str, Any] = {
    "role_type": "oidc",
    "user_claim": "sub",
    "allowed_redirect_uris": [CALLBACK, WEB, DIRECT],
    "token_policies": "p",
}


def shown(value: object) -> str:
    """Return the same text in every run, for names of test cases."""
    return str(sorted(value) if isinstance(value, set) else value)


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


@pytest.fixture
def clock(browser: Browser) -> FakeClock:
    """A clock that stands still, for everything about browser logins that is counted by time."""
    clock, backend = FakeClock(), browser.mount.backend
    backend.browser = BrowserLogins(browser.mount.storage, backend.mount_id, clock=clock)
    return clock


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
    ids=shown,
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
    claims = jwt.decode(form["client_assertion"], entry, algorithms=["ES256"], audience=browser.idp.url)
    assert (claims["iss"], claims["sub"]) == (browser.idp.client_id, browser.idp.client_id)
    assert b'"d"' not in answer.raw.body


async def test_the_key_of_a_client_is_replaced(browser: Browser) -> None:
    """From then on the new one signs; both are published, and a reload keeps both."""
    browser.idp.client_secret = ""
    await browser.configure(oidc_client_secret="", oidc_client_authentication="private_key_jwt")
    await browser.log_in()
    answer = await browser.mount.write("oidc/jwks/rotate")
    assert answer is not None
    assert answer.data is not None
    await browser.log_in()
    await browser.mount.write("oidc/jwks/rotate", after="1h")
    await browser.log_in()
    import jwt

    signed = [jwt.get_unverified_header(form["client_assertion"])["kid"] for form in browser.idp.forms]
    assert signed[1:] == [answer.data["kid"]] * 2
    shown = await browser.mount.request(Operation.READ, "oidc/jwks")
    assert shown is not None
    assert shown.raw is not None
    kids = [key["kid"] for key in json.loads(shown.raw.body)["keys"]]
    assert kids[:2] == signed[:2]
    assert len(kids) == 3


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


def message_of(answer: Response) -> dict[str, str]:
    """Return what the page tells the window of a web interface."""
    found = re.search(r"postMessage\((\{.*\}), window\.origin\)", html(answer))
    assert found is not None
    message: dict[str, str] = json.loads(found[1])
    return message


def asked_with(url: str) -> dict[str, str]:
    """Return the parameters with which a browser goes to the provider."""
    return dict(parse_qsl(urlsplit(url).query))


TYPES = {"code": "code", "id_token": "id_token", "code,id_token": "id_token"}
"""What a mount can be configured for, and what it asks for then."""


@pytest.mark.parametrize("nonce", ["", "n"])
@pytest.mark.parametrize("types", TYPES)
async def test_a_form_and_a_web_interface(browser: Browser, types: str, nonce: str) -> None:
    """The page tells the interface's window a text, with which it then has its token, once."""
    await browser.configure(oidc_response_mode="form_post", oidc_response_types=types)
    asked = asked_with((await browser.begin(WEB, client_nonce=nonce))["auth_url"])
    assert asked["redirect_uri"] == WEB.replace("ui/vault", "v1")
    assert (asked["response_mode"], asked["response_type"]) == ("form_post", TYPES[types])
    url = f"{browser.idp.url}/authorize?{urlencode(asked)}"
    message = message_of(await post(browser, browser.idp.log_in(url)))
    assert (message["source"], message["path"], message["state"]) == ("oidc-callback", "jwt", asked["state"])
    assert len(message["code"]) > 50
    back = {"state": message["state"], "code": message["code"], "client_nonce": nonce}
    assert (await browser.come_back(back)).auth is not None
    with pytest.raises(LoginError, match="Expired or missing OAuth state"):
        await browser.come_back(back)
    assert await browser.mount.storage.list("oidc/posted/") == []


@pytest.mark.parametrize("types", TYPES)
async def test_a_form_and_a_command_line(browser: Browser, types: str) -> None:
    """It posts what it got with its nonce, ignores the answer, and comes back with the code alone."""
    await browser.configure(oidc_response_mode="form_post", oidc_response_types=types)
    form = browser.idp.log_in((await browser.begin())["auth_url"])
    answer = await post(browser, {**form, "client_nonce": "n"})
    assert answer.raw is not None
    assert (answer.raw.status, answer.raw.body) == (204, b"")
    assert (await browser.come_back({"state": form["state"], "code": form.get("code", "")})).auth is not None


@pytest.mark.parametrize("text", ["no_code", ""])
@pytest.mark.parametrize("types", TYPES)
async def test_a_click_hands_over_no_login(browser: Browser, types: str, text: str) -> None:
    """Who began a login that somebody else's browser ends gets nothing, whatever the mount asks for.

    The attacker begins with a nonce; the victim follows the link, logs in, and posts what the provider says.
    """
    await browser.configure(oidc_response_mode="form_post", oidc_response_types=types)
    for nonce in ("n", ""):
        url = (await browser.begin(WEB, client_nonce=nonce))["auth_url"]
        message = message_of(await post(browser, browser.idp.log_in(url)))
        with pytest.raises(LoginError, match="No code or id_token received"):
            await browser.come_back({"state": message["state"], "code": text, "client_nonce": nonce})


async def test_a_page_is_of_use_to_the_client_that_began_alone(browser: Browser) -> None:
    """Who has the text from the page and not the nonce gets nothing, and the state is used up."""
    await browser.configure(oidc_response_mode="form_post", oidc_response_types="id_token")
    message = message_of(await post(browser, browser.idp.log_in((await browser.begin(WEB))["auth_url"])))
    with pytest.raises(LoginError, match="invalid client_nonce"):
        await browser.come_back(message, client_nonce="other")


@pytest.mark.parametrize("types", TYPES)
async def test_a_nonce_that_nobody_asked_for_is_no_proof(browser: Browser, types: str) -> None:
    """A form that shows one to a login without a nonce is answered with the page, as without it."""
    await browser.configure(oidc_response_mode="form_post", oidc_response_types=types)
    form = browser.idp.log_in((await browser.begin(WEB, client_nonce=""))["auth_url"])
    message = message_of(await post(browser, {**form, "client_nonce": "x"}))
    assert (await browser.come_back(message, client_nonce="")).auth is not None


async def test_a_code_of_another_login_has_another_hash(browser: Browser) -> None:
    """An ID token that names a code (`c_hash`) is taken with that code alone."""
    browser.idp.claims["c_hash"] = "another-code"
    assert "code hash failed verification" in await browser.refusal()


@pytest.mark.parametrize("types", TYPES)
async def test_a_wrong_nonce_stores_nothing(browser: Browser, types: str) -> None:
    """A form with it is refused, and nobody collects what it brought."""
    await browser.configure(oidc_response_mode="form_post", oidc_response_types=types)
    form = browser.idp.log_in((await browser.begin())["auth_url"])
    assert "invalid client_nonce" in html(await post(browser, {**form, "client_nonce": "other"}))
    assert await browser.mount.storage.list("oidc/posted/") == []
    with pytest.raises(LoginError, match="No code or id_token received"):
        await browser.come_back({"state": form["state"], "code": ""})


async def test_two_forms_with_one_state_forge_no_state(browser: Browser) -> None:
    """Nobody chooses what is sealed under a nonce of a state: posts leave the state as it is.

    Two texts under one nonce would give the key of the tags away, and with it any state.
    """
    await browser.configure(oidc_response_mode="form_post")
    state = asked_with((await browser.begin(WEB))["auth_url"])["state"]
    codes = ["A" * 16, "B" * 16]
    messages = [message_of(await post(browser, {"state": state, "code": code})) for code in codes]
    assert {message["state"] for message in messages} == {state}
    sealed = [message["code"].removeprefix("posted_code_") for message in messages]
    raw = [urlsafe_b64decode(text + "=" * (-len(text) % 4)) for text in (*sealed, state.removeprefix("st_"))]
    assert len({each[:33] for each in raw}) == 3
    forged = forge(raw[0][33:], raw[1][33:], codes[0].encode(), b"[]")
    for head in {each[:33] for each in raw}:
        with pytest.raises(LoginError, match="Expired or missing OAuth state"):
            await browser.come_back({"state": f"st_{encode(head + forged)}", "code": "x"})


@pytest.mark.parametrize(
    ("types", "brought"),
    [
        ("code", {"id_token"}),
        ("code", {"code", "id_token"}),
        ("id_token", {"code"}),
        ("id_token", {"code", "id_token"}),
        ("code,id_token", {"code"}),
        ("code,id_token", {"code", "id_token"}),
        ("code", set()),
        ("id_token", set()),
    ],
    ids=shown,
)
@pytest.mark.parametrize("nonce", ["", "n"])
async def test_a_response_that_was_not_asked_for(
    browser: Browser, types: str, brought: set[str], nonce: str
) -> None:
    """A form with another type of response, or with both, is refused before anything is stored or sealed."""
    await browser.configure(oidc_response_mode="form_post", oidc_response_types=types)
    asked = asked_with((await browser.begin(WEB))["auth_url"])
    given = {"code": browser.idp.remember("code-", asked), "id_token": browser.idp.id_token(asked)}
    form = {"state": asked["state"], **{name: given[name] for name in brought}}
    page = await post(browser, form | ({"client_nonce": nonce} if nonce else {}))
    assert page.raw is not None
    assert page.raw.status == 400
    assert ("This mount does not take" if brought else "No code or id_token received") in html(page)
    assert await browser.mount.storage.list("oidc/posted/") == []
    assert browser.idp.forms == []


@pytest.mark.parametrize(
    ("config", "brought", "text"),
    [
        ({}, {"id_token"}, "taken from a form only"),
        ({}, {"code", "id_token"}, "taken from a form only"),
        ({"oidc_response_mode": "form_post"}, {"id_token"}, "taken from a form only"),
        (
            {"oidc_response_mode": "form_post", "oidc_response_types": "id_token"},
            {"id_token"},
            "taken from a form only",
        ),
        ({"oidc_response_mode": "form_post", "oidc_response_types": "id_token"}, {"code"}, "take a code"),
        (
            {"oidc_response_mode": "form_post", "oidc_response_types": "code,id_token"},
            {"code"},
            "take a code",
        ),
    ],
    ids=shown,
)
async def test_a_get_with_what_was_not_asked_for(
    browser: Browser, config: dict[str, str], brought: set[str], text: str
) -> None:
    """An ID token in a URL, or a code where an ID token is asked for, logs nobody in."""
    await browser.configure(**config)
    asked = asked_with((await browser.begin())["auth_url"])
    given = {"code": browser.idp.remember("code-", asked), "id_token": browser.idp.id_token(asked)}
    with pytest.raises(LoginError, match=text):
        await browser.come_back({"state": asked["state"], **{name: given[name] for name in brought}})
    assert browser.idp.forms == []


async def test_a_provider_that_does_not_post(browser: Browser) -> None:
    """On a mount for forms a code comes by GET only from a client that shows the nonce it began with."""
    await browser.configure(oidc_response_mode="form_post")
    back = browser.idp.log_in((await browser.begin(WEB, client_nonce=""))["auth_url"])
    with pytest.raises(LoginError, match="No code or id_token received"):
        await browser.come_back(back, client_nonce="")
    assert browser.idp.forms == []
    assert (await browser.log_in()).policies == ("p",)


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
    mine, other = await browser.begin(WEB), await browser.begin(WEB)
    stolen = browser.idp.log_in(other["auth_url"]) | {"state": browser.idp.log_in(mine["auth_url"])["state"]}
    assert "Token verification failed" in html(await post(browser, stolen))
    elsewhere = await browser.begin()
    form = browser.idp.log_in(elsewhere["auth_url"])
    assert "Invalid redirect path." in html(await post(browser, form))
    assert await browser.mount.storage.list("oidc/posted/") == []
    await browser.write_role(callback_mode="direct")
    await browser.configure()
    state = (await browser.begin(DIRECT))["state"]
    await browser.configure(oidc_response_mode="form_post")
    assert "has changed since" in html(await post(browser, {"state": state, "code": "x"}))


async def test_nobody_comes_back_for_a_device(browser: Browser) -> None:
    """Neither by GET nor by POST, whatever they bring: only its client's polls end such a login."""
    await browser.configure(oidc_response_mode="form_post")
    await browser.write_role(callback_mode="device")
    state = (await browser.begin(""))["state"]
    for nonce in ("", "n"):
        page = await post(browser, {"state": state, "code": "x", "client_nonce": nonce})
        assert "Expired or missing OAuth state." in html(page)
        with pytest.raises(LoginError, match="Expired or missing OAuth state"):
            await browser.come_back({"state": state, "code": "x", "client_nonce": nonce})
    browser.idp.approve_devices()
    assert (await poll(browser, state)).policies == ("p",)


@pytest.mark.parametrize("nonce", ["", "another"])
async def test_a_device_s_token_is_for_its_client(browser: Browser, nonce: str) -> None:
    """Who has the state of somebody else's login, without the nonce, ends it, and gets no token."""
    await browser.write_role(callback_mode="device")
    state = (await browser.begin(""))["state"]
    browser.idp.approve_devices()
    with pytest.raises((UserError, LoginError)):
        await poll(browser, state, client_nonce=nonce)
    assert await pending(browser, state) == "Vault login failed. Expired or missing OAuth state."


async def test_nobody_polls_for_a_client(browser: Browser) -> None:
    """A login whose browser comes back to its client has no other end."""
    state = asked_with((await browser.begin())["auth_url"])["state"]
    assert await pending(browser, state) == "Vault login failed. Expired or missing OAuth state."


# --- terms that change -------------------------------------------------------------------------


CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "mode": ({"callback_mode": "direct"}, {}),
    "age": ({"max_age": "1h"}, {}),
    "policies": ({"token_policies": "q"}, {}),
    "bound": ({"bound_claims": {"email": "x"}}, {}),
    "confirmation": ({"oidc_disable_confirmation": True}, {}),
    "response type": ({}, {"oidc_response_mode": "form_post", "oidc_response_types": "id_token"}),
    "algorithms": ({}, {"jwt_supported_algs": "RS256"}),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("mode", ["client", "direct", "device"])
async def test_a_login_ends_when_its_terms_change(browser: Browser, mode: str, change: str) -> None:
    """On every way in, with a text that says what to do; a new login goes by the new terms."""
    await browser.write_role(callback_mode=mode)
    begun = await browser.begin("" if mode == "device" else DIRECT)
    role, config = CHANGES[change]
    if change == "mode" and mode == "direct":
        role = {"callback_mode": "client"}
    await browser.write_role(**{"callback_mode": mode, **role})
    await browser.configure(**config)
    if mode == "device":
        assert "has changed since this login began, begin again" in await pending(browser, begun["state"])
        return
    back = browser.idp.log_in(begun["auth_url"])
    with pytest.raises(LoginError, match="has changed since this login began, begin again"):
        await browser.come_back(back)
    if mode == "direct" and role.get("callback_mode") != "client":
        assert "has changed since this login began" in await pending(browser, begun["state"])
    assert browser.idp.forms == []


async def test_a_secret_can_be_replaced_in_mid_login(browser: Browser) -> None:
    """It has no part in who may log in."""
    begun = await browser.begin()
    browser.idp.client_secret = "another secret"
    await browser.configure()
    assert (await browser.come_back(browser.idp.log_in(begun["auth_url"]))).auth is not None


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


def confirmed_by(page: str) -> dict[str, str]:
    """Return what the button of a confirmation page sends."""
    return {name: unescape(value) for name, value in re.findall(r'name="([^"]+)" value="([^"]*)"', page)}


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
    confirmed = confirmed_by(page)
    assert "Logged in" in html(await browser.come_back(confirmed))
    reloaded = await browser.come_back(confirmed)
    assert "Expired or missing OAuth state." in html(reloaded)
    assert (await poll(browser, begun["state"])).policies == ("p",)
    assert await pending(browser, begun["state"]) == "authorization_pending"
    again = await browser.come_back(confirmed)
    assert "Expired or missing OAuth state." in html(again)


@pytest.mark.parametrize("value", ["0", "1", "false", "true", "yes", "x"])
async def test_only_its_page_confirms_a_direct_login(browser: Browser, value: str) -> None:
    """No fixed word counts, and a page for one code confirms no other."""
    await browser.write_role(callback_mode="direct")
    begun = await browser.begin(DIRECT)
    back = browser.idp.log_in(begun["auth_url"])
    assert "Did you begin" in html(await browser.come_back(back, confirmation=value))
    own = confirmed_by(html(await browser.come_back(back | {"code": "of the attacker"})))
    assert "Did you begin" in html(await browser.come_back(own | {"code": back["code"]}))
    assert browser.idp.forms == []


@pytest.mark.parametrize("destination", ["iframe", "frame", "object", "embed", "empty"])
async def test_a_frame_confirms_nothing(browser: Browser, destination: str) -> None:
    """Where the mount passes the browser's header on, neither page nor answer is for a frame."""
    await browser.write_role(callback_mode="direct")
    back = browser.idp.log_in((await browser.begin(DIRECT))["auth_url"])
    confirmed = confirmed_by(html(await browser.come_back(back)))
    for data in (back, confirmed):
        request = Request(
            operation=Operation.READ,
            path="oidc/callback",
            data=data,
            has_data=True,
            connection=Connection(remote_addr="192.0.2.1"),
            headers={"Sec-Fetch-Dest": [destination]},
        )
        answer = await browser.mount.backend.handle_request(request)
        assert answer is not None
        assert "does not work inside another page" in html(answer)
    assert "Logged in" in html(await browser.come_back(confirmed))


@pytest.mark.parametrize("mode", ["client", "direct"])
@pytest.mark.parametrize("mistake", ["expired", "error"])
async def test_a_person_reads_a_page_of_what_is_spoiled(browser: Browser, mode: str, mistake: str) -> None:
    """A browser that opened the address gets a page with the reference, a client JSON."""
    await browser.write_role(callback_mode=mode)
    begun = await browser.begin(DIRECT)
    state = dict(parse_qsl(urlsplit(begun["auth_url"]).query))["state"]
    data = {
        "state": state if mistake == "error" else "st_gone",
        "client_nonce": "n",
        "error": "access_denied",
    }

    def request(**headers: str) -> Request:
        return Request(
            operation=Operation.READ,
            path="oidc/callback",
            data=data,
            has_data=True,
            connection=Connection(remote_addr="192.0.2.1"),
            headers={name.replace("_", "-"): [value] for name, value in headers.items()},
        )

    if mode == "client" or mistake == "expired":
        with pytest.raises(LoginError, match=r"\(reference "):
            await browser.mount.backend.handle_request(request(Accept="*/*"))
    answer = await browser.mount.backend.handle_request(request(Sec_Fetch_Dest="document"))
    assert answer is not None
    assert answer.raw is not None
    assert answer.raw.status == 400
    assert "(reference " in html(answer)


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


async def test_somebody_else_asks_about_a_login_that_has_ended(browser: Browser) -> None:
    """Its client learns how, and has its token."""
    await browser.write_role(callback_mode="direct", oidc_disable_confirmation=True)
    begun = await browser.begin(DIRECT)
    assert "Logged in" in html(await browser.come_back(browser.idp.log_in(begun["auth_url"])))
    with pytest.raises(LoginError, match="invalid client_nonce"):
        await poll(browser, begun["state"], client_nonce="other")
    assert (await poll(browser, begun["state"])).policies == ("p",)


async def test_strangers_who_ask_make_nobody_forget_a_failure(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They begin logins and ask with another nonce, without end; a client still learns why its own failed."""
    monkeypatch.setattr("jwt_auth.browser.outcomes.MAX_FAILURES", 2)
    browser.mount.backend.browser = BrowserLogins(browser.mount.storage, browser.mount.backend.mount_id)
    await browser.write_role(callback_mode="direct", oidc_disable_confirmation=True)
    begun = await browser.begin(DIRECT)
    await browser.come_back({"state": begun["state"], "error": "access_denied"})
    for _ in range(3):
        other = await browser.begin(DIRECT)
        with pytest.raises(LoginError, match="invalid client_nonce"):
            await poll(browser, other["state"], client_nonce="other")
    assert "access_denied" in await pending(browser, begun["state"])


async def test_modes_that_need_more(browser: Browser) -> None:
    """A client that waits has to have made up a nonce; a form cannot be confirmed."""
    await browser.write_role(callback_mode="direct")
    with pytest.raises(UserError, match=r"^missing client_nonce$"):
        await browser.begin(DIRECT, client_nonce="")
    await browser.configure(oidc_response_mode="form_post")
    with pytest.raises(UserError, match="needs the response mode 'query'"):
        await browser.begin(DIRECT)


async def test_a_login_on_a_device(browser: Browser, clock: FakeClock) -> None:
    """The client shows where to go and asks; the token is verified, but for the nonce."""
    await browser.write_role(callback_mode="device")
    begun = await browser.begin("")
    assert begun["auth_url"] == f"{browser.idp.url}/verify?user_code=BCDF-GHJK"
    assert begun["poll_interval"] == "1"
    assert await pending(browser, begun["state"]) == "authorization_pending"
    browser.idp.faults.add(Fault.DEVICE_SLOW_DOWN)
    clock.advance(1)
    assert await pending(browser, begun["state"]) == "slow_down"
    browser.idp.faults.clear()
    browser.idp.approve_devices()
    clock.advance(6)
    auth = await poll(browser, begun["state"])
    assert auth.alias is not None
    assert auth.alias.name == "ann"
    with pytest.raises((UserError, LoginError)):
        await poll(browser, begun["state"])
    clock.advance(6)
    browser.idp.used.clear()  # a provider that would log the same device in twice
    assert await pending(browser, begun["state"]) == "Vault login failed. Expired or missing OAuth state."
    with pytest.raises(LoginError, match="Expired or missing OAuth state"):
        await browser.come_back({"state": begun["state"], "code": "x"})
    # After a reload, and on another node.
    browser.idp.used.clear()
    browser.mount.backend.browser = BrowserLogins(browser.mount.storage, browser.mount.backend.mount_id)
    assert await pending(browser, begun["state"]) == "Vault login failed. Expired or missing OAuth state."


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


async def test_a_refresh_token_of_an_earlier_version(browser: Browser) -> None:
    """Its key is gone: the renewal is refused, and says what to do; so is one bound to somebody else."""
    await browser.write_role(renew_at_provider=True)
    auth = await browser.log_in()
    kept = auth.internal_data
    for change in ({"refresh": "b2xkIHRleHQ"}, {"sub": "bob"}):
        changed = json.loads(json.dumps(kept, default=dict))
        assert replace_in(changed, change)
        with pytest.raises(UserError, match=r"cannot be opened any more, log in again"):
            await browser.mount.renew(replace(auth, internal_data=changed))
    assert len(browser.idp.forms) == 1


def replace_in(record: Any, change: dict[str, str]) -> bool:
    """Replace members wherever they are in nested mappings; return whether all were found."""
    if not isinstance(record, dict):
        return False
    if change.keys() <= record.keys():
        record.update(change)
        return True
    return any(replace_in(value, change) for value in record.values())


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
