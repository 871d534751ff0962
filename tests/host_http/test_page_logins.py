"""Logins on the page: the form, the provider and back, renewals and revocations, and the form of a role."""

from __future__ import annotations

import contextlib
import html
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from page_browser import PIN, ROOT, Browser, serve_page, write_to
from shared_pin import SharedPIN

from authkit import (
    AuthMethod,
    Bool,
    Collection,
    CommaList,
    Identity,
    LoginCall,
    LoginError,
    Map,
    Role,
    Secret,
    Singleton,
    Str,
    field,
    login,
    read,
    write,
)
from authkit.auth import grant
from authkit.framework import Call, Model
from authkit.host.mount_overview import Field
from authkit.host.page.forms import changes, form_text
from authkit.host.page.sessions import BROWSER_LOGIN_SECONDS, LOGIN_COOKIE, Sessions
from authkit.host.server.core import Core, HostRequest
from authkit.logical import Response

CODE = "the-code-of-the-provider"
EVIL = "<script>alert(1)</script>"


class Config(Model):
    """The configuration."""

    default_role: Str = ""


class People(Role):
    """People of the provider."""

    role_type: Str = field(default="oidc", allowed=("oidc", "jwt"), help="The kind of login.")
    allowed_redirect_uris: CommaList = ()
    bound: Map = field(default={}, help="What is bound.")
    role: Str = field(default="", help="A setting that is called as the field with the name is.")
    loud: Bool = False
    key: Secret = field(default="", help="A secret of the role.")


class AtProvider(AuthMethod, name="at_provider", version="0.1.0"):
    """Log in at a provider, with the paths of the JWT backend."""

    config = Singleton(Config, "config")
    roles = Collection(People, "role/{name}")

    @write("oidc/auth_url", unauthenticated=True)
    async def auth_url(
        self, role: Str = "", redirect_uri: Str = "", client_nonce: Str = ""
    ) -> dict[str, str]:
        """Tell where to send the browser."""
        people = await self.roles.get(role)
        if redirect_uri not in people.allowed_redirect_uris:
            return {"auth_url": ""}
        query = {"state": f"st_{client_nonce}", "redirect_uri": redirect_uri, **people.bound}
        return {"auth_url": f"{query.pop('at', 'https://idp.example')}/authorize?{urlencode(query)}"}

    @read("oidc/callback", unauthenticated=True)
    async def callback(
        self,
        call: Call,
        state: Annotated[Str, field(default="", query=True)],
        code: Annotated[Secret, field(default="", query=True)],
        client_nonce: Annotated[Str, field(default="", query=True)],
        error: Annotated[Str, field(default="", query=True)],
    ) -> Response:
        """Log in who comes back."""
        if error or code.reveal() != CODE or state != f"st_{client_nonce}":
            raise LoginError(f"Vault login failed. {error} {EVIL}")
        people = await self.roles.get("people")
        return grant(Identity(name="ann"), people, "people", call.connection)

    @login("login")
    async def log_in(self, call: LoginCall, people: People, zeta: Str, alpha: Str = "") -> Identity:
        """Log in with two fields."""
        return Identity(name=zeta)


@contextlib.asynccontextmanager
async def opened(sessions: Sessions | None = None, **role: Any) -> AsyncIterator[tuple[Browser, Core]]:
    """Serve a mount at which people log in by browser, and one with a PIN; sign in."""
    async with serve_page(sessions, at_provider=AtProvider, shared_pin=SharedPIN) as (browser, core):
        await write_to(core, "sys/auth/sso", type="at_provider")
        await write_to(core, "sys/auth/pin", type="shared_pin")
        uri = f"{browser.http.base_url}/ui/vault/auth/sso/oidc/callback".replace("//ui", "/ui")
        await write_to(core, "auth/sso/role/people", allowed_redirect_uris=uri, **role)
        await write_to(core, "auth/pin/role/dev", pin=PIN, token_policies="dev", token_ttl="90m")
        await browser.sign_in()
        yield browser, core


@dataclass
class Sent:
    """Where a browser was sent."""

    url: str
    state: str
    nonce: str


async def begin(browser: Browser) -> Sent:
    """Press the button of the role."""
    assert "Log in at the provider" in await browser.open("/ui/login?path=sso/&role=people")
    text = await browser.send("/ui/browser-login?path=sso/", {"role": "people"})
    found = re.search(r'content="0; url=(https://idp\.example/[^"]*)"', text)
    assert found, text
    state = parse_qs(urlsplit(found[1]).query)["state"][0]
    return Sent(found[1], state, state.removeprefix("st_"))


async def come_back(browser: Browser, mount: str = "sso", **query: str) -> str:
    """Return from the provider as a browser does: the strict cookie of the session is not sent."""
    kept = dict(browser.http.cookies)
    headers = {"Cookie": f"{LOGIN_COOKIE}={kept.get(LOGIN_COOKIE, '')}"}
    browser.http.cookies.clear()
    answer = await browser.http.get(
        f"/ui/vault/auth/{mount}/oidc/callback", params=query, headers=headers | {"Accept": "text/html"}
    )
    browser.http.cookies.update(kept)
    return browser.keep(answer)


async def test_a_browser_goes_to_the_provider_and_comes_back() -> None:
    """The token is in the page; the nonce is in no page, the code in no answer, and no redirect is needed."""
    async with opened() as (browser, _):
        sent = await begin(browser)
        assert browser.status == 200
        text = await come_back(browser, state=sent.state, code=CODE)
        assert browser.status == 200
        assert re.search(r'class="whole">hvs\.[^<]+<', text)
        assert "Logged in" in text
        assert CODE not in text
        assert "ann at auth/sso/" in text
        # The forms of the page belong to the session that has begun.
        accessor = re.search(r'name="accessor" value="([^"]+)"', text)
        assert accessor
        assert "Revoked" in await browser.send("/ui/revoke?path=sso/", {"accessor": accessor[1]})


async def test_the_cookie_of_a_login_is_for_the_way_back_only() -> None:
    """A provider's redirect brings it, scripts and other addresses do not get it."""
    async with opened() as (browser, _):
        await browser.open("/ui/login?path=sso/&role=people")
        found = re.search(r'name="form_secret" value="([^"]*)"', browser.text)
        assert found
        response = await browser.http.post(
            "/ui/browser-login?path=sso/",
            data={"form_secret": found[1], "role": "people"},
            headers={"Origin": str(browser.http.base_url).rstrip("/")},
        )
        cookie = response.headers["Set-Cookie"].lower()
        for part in ("httponly", "samesite=lax", "path=/ui/vault/auth/", f"max-age={BROWSER_LOGIN_SECONDS}"):
            assert part in cookie


@pytest.mark.parametrize("mistake", ["error", "wrong code"])
async def test_a_login_that_the_provider_refuses_is_a_page(mistake: str) -> None:
    """With the reason, and the button to begin again."""
    async with opened() as (browser, _):
        sent = await begin(browser)
        query = {"error": "access_denied"} if mistake == "error" else {"code": "guessed"}
        text = await come_back(browser, state=sent.state, **query)
        assert browser.status == 400
        assert "Vault login failed." in text
        assert html.escape(EVIL) in browser.text
        assert "Log in at the provider" in text


@pytest.mark.parametrize("mistake", ["replayed", "expired", "forged", "mount", "signed out", "stranger"])
async def test_a_spoiled_login_is_a_page(mistake: str) -> None:
    """It grants nothing, says what may have happened, and leads back."""
    now = [0.0]
    async with opened(Sessions(lambda: now[0])) as (browser, _):
        sent = await begin(browser)
        state, mount = sent.state, "sso"
        if mistake == "replayed":
            await come_back(browser, state=state, code=CODE)
        elif mistake == "expired":
            now[0] = BROWSER_LOGIN_SECONDS + 1.0
        elif mistake == "forged":
            state = "st_of_an_attacker"
        elif mistake == "mount":
            mount = "pin"
        elif mistake == "signed out":
            await browser.open("/ui/")
            await browser.send("/ui/sign-out", {})
        else:
            browser.http.cookies.delete(LOGIN_COOKIE)
        text = await come_back(browser, mount, state=state, code=CODE)
        assert browser.status == 400
        assert "This login cannot be completed" in text
        assert "hvs." not in text
        assert 'href="/ui/"' in text


@pytest.mark.parametrize(
    ("role", "text"),
    [
        ({"bound": {"response_mode": "form_post"}}, "use vault login -method=oidc"),
        ({"bound": {"redirect_uri": "https://other.example"}}, "callback_mode=client"),
        ({"bound": {"state": ""}}, "callback_mode=client"),
        ({"bound": {"at": "javascript:alert(1)//"}}, "not a web address"),
        ({"bound": {"at": "https://[::"}}, "callback_mode=client"),
    ],
)
async def test_a_login_that_the_page_cannot_end_does_not_begin(role: dict[str, Any], text: str) -> None:
    """What the browser would come back with needs a script, or it would come back elsewhere."""
    async with opened(**role) as (browser, _):
        await browser.open("/ui/login?path=sso/&role=people")
        assert text in await browser.send("/ui/browser-login?path=sso/", {"role": "people"})
        assert browser.status == 400


async def test_a_role_that_does_not_allow_the_page_says_what_to_add() -> None:
    """The redirect URI, to be copied."""
    async with opened() as (browser, core):
        await write_to(core, "auth/sso/role/people", allowed_redirect_uris="http://localhost:8250/x")
        await browser.open("/ui/login?path=sso/&role=people")
        text = await browser.send("/ui/browser-login?path=sso/", {"role": "people"})
        assert re.search(r"http://127\.0\.0\.1:\d+/ui/vault/auth/sso/oidc/callback", text)
        assert "allowed_redirect_uris" in text


async def test_what_a_browser_opens_of_the_api_is_a_page_when_it_is_refused() -> None:
    """Such as the callback of a direct login; clients of the API get the JSON that a Vault server sends."""
    async with opened() as (browser, _):
        path = "/v1/auth/sso/oidc/callback?error=access_denied"
        page = await browser.http.get(path, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
        assert page.status_code == 400
        assert page.headers["Content-Type"].startswith("text/html")
        assert "Vault login failed." in browser.keep(page)
        assert html.escape(EVIL) in page.text
        java = {"Accept": "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"}
        for headers in (
            {},
            {"Accept": "application/json"},
            java | {"X-Vault-Token": ROOT},
            java | {"Authorization": "Bearer hvs.unknown"},
            java | {"X-Vault-Request": "true"},
        ):
            answer = await browser.http.get(path, headers=headers)
            assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/json")
            assert answer.json()["errors"]


async def test_fields_stand_as_they_are_declared() -> None:
    """The role first, required ones next; nobody has to know the alphabet."""
    async with opened(role_type="jwt") as (browser, _):
        text = await browser.open("/ui/login?path=sso/&role=people")
        assert re.findall(r'<(?:input|textarea)[^>]* name="(\w+)"', text)[-3:] == ["role", "zeta", "alpha"]
        assert "Log in at the provider" not in text


async def test_the_role_is_filled_in() -> None:
    """The only one; of several the default one of the configuration."""
    async with opened(role_type="jwt") as (browser, core):
        assert 'value="people"' in await browser.open("/ui/login?path=sso/")
        await write_to(core, "auth/sso/role/others", role_type="jwt")
        text = await browser.open("/ui/login?path=sso/")
        assert 'name="role" type="text" autocomplete="off" spellcheck="false" value=""' in text
        assert '<option value="others">' in text
        await write_to(core, "auth/sso/config", default_role="others")
        assert 'spellcheck="false" value="others"' in await browser.open("/ui/login?path=sso/")


async def test_a_token_is_renewed_and_revoked() -> None:
    """The token is shown at the login only; what was done is told, with a way back."""
    async with opened() as (browser, core):
        await browser.open("/ui/login?path=pin/&role=dev")
        text = await browser.send("/ui/login?path=pin/", {"role": "dev", "member": "ann", "pin": PIN})
        token = re.search(r'class="whole">(hvs\.[^<]+)<', text)
        accessor = re.search(r'name="accessor" value="([^"]+)"', text)
        assert token
        assert accessor
        fields = {"accessor": accessor[1], "role": "dev"}
        renewed = await browser.send("/ui/renew?path=pin/", fields)
        assert browser.status == 200
        assert "Renewed" in renewed
        assert "1 h 30 min" in renewed
        assert token[1] not in renewed
        assert "/ui/login?path=pin%2F&role=dev" in renewed
        revoked = await browser.send("/ui/revoke?path=pin/", fields)
        assert "Revoked" in revoked
        assert "/ui/mount?path=pin/" in revoked
        found = await core.handle(HostRequest(method="GET", path="auth/token/lookup-self", token=token[1]))
        assert found.status == 403
        assert "The server answered" in await browser.send("/ui/renew?path=pin/", fields)


async def test_a_role_is_written_and_edited() -> None:
    """Fields are filled with what is stored, secrets are not, and an empty secret stays as it is."""
    async with opened() as (browser, core):
        # A secret that is stored need not be typed again.
        assert re.search(r'name="pin"[^>]* required', await browser.open("/ui/role?path=pin/"))
        assert not re.search(r'name="pin"[^>]* required', await browser.open("/ui/role?path=pin/&role=dev"))
        assert "The role dev is written" in await browser.send("/ui/role?path=pin/&role=dev", {"left": "bob"})
        assert "New role" in await browser.open("/ui/mount?path=sso/")
        form = await browser.open("/ui/role?path=sso/")
        assert '<option value="jwt">' in form
        assert form.index("role_type") < form.index("allowed_redirect_uris") < form.index("token_ttl")
        fields = {
            "role": "ops",
            "role_type": "jwt",
            "allowed_redirect_uris": "http://a, http://b",
            "bound": '{"team": "x"}',
            "loud": "true",
            "key": "a-secret-of-the-role",
            "token_ttl": "1h",
        }
        assert "The role ops is written" in await browser.send("/ui/role?path=sso/", fields)
        edited = await browser.open("/ui/role?path=sso/&role=ops")
        assert "a-secret-of-the-role" not in edited
        for shown in ('value="http://a, http://b"', '{"team": "x"}', '<option value="jwt" selected>'):
            assert shown in edited
        await browser.send(
            "/ui/role?path=sso/&role=ops", fields | {"key": "", "bound": "", "loud": "false", "token_ttl": ""}
        )
        asked = HostRequest(method="GET", path="auth/sso/role/ops", token=ROOT)
        answer = await core.handle(asked)
        assert answer.body
        data = answer.body["data"]
        assert (data["bound"], data["loud"], data["token_ttl"]) == ({}, False, 0)
        assert data["allowed_redirect_uris"] == ["http://a", "http://b"]


async def test_the_role_of_the_address_is_written() -> None:
    """Not the one that a setting names."""
    async with opened() as (browser, core):
        await browser.open("/ui/role?path=sso/&role=people")
        fields = {"role": "admins", "role_type": "jwt"}
        told = await browser.send("/ui/role?path=sso/&role=people", fields)
        assert "The role people is written" in told
        answers = {
            name: await core.handle(HostRequest(method="GET", path=f"auth/sso/role/{name}", token=ROOT))
            for name in ("people", "admins")
        }
        assert answers["people"].body
        assert answers["people"].body["data"]["role"] == "admins"
        assert answers["admins"].status == 404


@pytest.mark.parametrize(
    "elements", [["a", "b"], ["a, b"], ['["admin"]'], ["[a"], [" a"], ["a", ""], ["a\nb"], []]
)
def test_a_list_comes_back_as_it_was(elements: list[str]) -> None:
    """Also with elements that look like something else."""
    listed = Field(name="policies", kind="array")
    text = form_text(listed, elements)
    written = changes([listed], {"policies": text}, {"policies": elements}).get("policies", [])
    assert (written.split(", ") if isinstance(written, str) else written) == elements


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"bound": "{"}, 'bound is not JSON, such as {"key": "value"}'),
        ({"token_ttl": "soon"}, "token_ttl"),
        ({"role_type": "saml"}, "role_type"),
    ],
)
async def test_a_role_that_is_refused_keeps_its_form(fields: dict[str, str], text: str) -> None:
    """With the server's words, and what was typed."""
    async with opened() as (browser, _):
        await browser.open("/ui/role?path=sso/")
        form = {"role": "ops", "allowed_redirect_uris": "http://typed", "key": "typed-secret"}
        shown = await browser.send("/ui/role?path=sso/", form | fields)
        assert browser.status == 400
        assert text in shown
        assert 'value="http://typed"' in shown
        assert "typed-secret" not in shown
