"""The page, as a browser without scripts sees it: what is shown, and who is turned away."""

from __future__ import annotations

import contextlib
import html
import re
from collections.abc import AsyncIterator

import pytest
from page_browser import PIN, ROOT, Browser, serve_page, write_to
from shared_pin import SharedPIN, Team

from authkit import Backend, Identity, LoginCall, LoginError, LowerStr, Secret, Str, login
from authkit.framework import Answer, read, write
from authkit.host.mount_overview import Field
from authkit.host.page.application import Page
from authkit.host.page.sessions import COOKIE, MAX_SESSIONS, Sessions
from authkit.host.server.core import Core

EVIL = "<script>alert(1)</script>"
CHECKS = [
    {"name": "role", "passed": True, "expected": "dev"},
    {"name": "PIN", "passed": False, "error": "it is another"},
]


class ExplainedPIN(SharedPIN, name="explained_pin", version="0.1.0"):
    """Log in with a PIN, and be told why not."""

    @login("login")
    async def log_in(self, call: LoginCall, team: Team, member: LowerStr, pin: Secret) -> Identity:
        """Let nobody in."""
        raise LoginError("wrong PIN (reference abcd2345)")

    @write("explain")
    async def explain(self, role: Str = "", pin: Str = "") -> Answer:
        """Say what a login would do."""
        return Answer({"allowed": False, "checks": CHECKS, "error": f"no: {EVIL}"})

    @read("explain/{reference}")
    async def explain_denial(self, reference: Str) -> Answer | None:
        """Say why a login was denied."""
        return Answer({"role": "dev", "checks": CHECKS}) if reference == "abcd2345" else None


@contextlib.asynccontextmanager
async def opened(sessions: Sessions | None = None) -> AsyncIterator[Browser]:
    """Serve two mounts with a role each."""
    async with serve_page(sessions, shared_pin=SharedPIN, explained_pin=ExplainedPIN) as (browser, core):
        await write_to(core, "sys/auth/team/pin", type="shared_pin", description=EVIL)
        await write_to(core, "sys/auth/explained", type="explained_pin")
        for mount in ("team/pin", "explained"):
            await write_to(core, f"auth/{mount}/role/dev", pin=PIN, token_policies="dev", token_ttl="90m")
        yield browser


async def test_everything_else_leads_to_the_page() -> None:
    """As on a Vault server."""
    async with opened() as browser:
        for path in ("/", "/ui", "/nowhere"):
            response = await browser.http.get(path)
            assert (response.status_code, response.headers["Location"]) == (307, "/ui/")


async def test_nobody_sees_anything_without_a_token() -> None:
    """Every address shows the sign-in form, and a wrong token opens nothing."""
    async with opened() as browser:
        for path in ("/ui/", "/ui/mount?path=team/pin/", "/ui/login?path=team/pin/"):
            assert "Open the server" in await browser.open(path)
            assert "team/pin" not in browser.text
        assert "doesn't know this token" in await browser.send("/ui/sign-in", {"token": "hvs.wrong"})
        assert browser.status == 403
        assert COOKIE not in browser.http.cookies
        await browser.send("/ui/login?path=team/pin/", {"role": "dev", "member": "ann", "pin": PIN})
        assert browser.status == 403


async def test_the_root_token_opens_the_page() -> None:
    """The session is a cookie that no script and no other site gets; the token is in no page."""
    async with opened() as browser:
        await browser.open("/ui/")
        origin = str(browser.http.base_url).rstrip("/")
        response = await browser.http.post("/ui/sign-in", data={"token": ROOT}, headers={"Origin": origin})
        cookie = response.headers["Set-Cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert "path=/ui/" in cookie
        assert ROOT not in cookie
        text = await browser.open("/ui/")
        assert "team/pin/" in text
        assert ROOT not in text
        assert html.escape(EVIL) in browser.text


class Shelf(Backend, name="shelf", version="1.2.0"):
    """A secrets engine with nothing in it."""


async def test_secrets_engines_are_listed() -> None:
    """By name and version, with the command that says more."""
    async with serve_page(shelf=Shelf) as (browser, core):
        await write_to(core, "sys/mounts/books", type="shelf", description="What is <read>")
        text = await browser.sign_in()
        assert "books/" in text
        assert "shelf v1.2.0" in text
        assert "vault path-help books/" in text
        assert "&lt;read&gt;" in browser.text
        assert "No plugin is enabled" not in text


async def test_a_mount_shows_its_roles() -> None:
    """Each with a link to its login form; the configuration stands below."""
    async with opened() as browser:
        await browser.sign_in()
        text = await browser.open("/ui/mount?path=team%2Fpin%2F")
        assert "/ui/login?path=team%2Fpin%2F&role=dev" in text
        assert "Configuration" in text


async def test_a_login_grants_a_token() -> None:
    """The token is masked until it is asked for; its policies, lifetime and entity stand beside."""
    async with opened() as browser:
        await browser.sign_in()
        form = await browser.open("/ui/login?path=team%2Fpin%2F&role=dev")
        assert 'value="dev"' in form
        assert "token_ttl" in form
        assert PIN not in form
        text = await browser.send("/ui/login?path=team/pin/", {"role": "dev", "member": "ann", "pin": PIN})
        token = re.search(r'class="whole">(hvs\.[^<]+)<', text)
        assert token
        assert f"<summary><code>{token[1][:8]}…</code>" in text
        assert text.count(token[1]) == 1
        for shown in ("1 h 30 min", "default, dev", "dev/ann at auth/team/pin/"):
            assert shown in text


async def test_a_refused_login_says_why() -> None:
    """The form comes back with what isn't secret."""
    async with opened() as browser:
        await browser.sign_in()
        await browser.open("/ui/login?path=team/pin/&role=dev")
        text = await browser.send(
            "/ui/login?path=team/pin/", {"role": "dev", "member": "ann", "pin": "guess"}
        )
        assert browser.status == 400
        assert "permission denied" in text
        assert 'value="ann"' in text
        assert "guess" not in text


async def test_an_explanation_is_shown_where_there_is_one() -> None:
    """A mount whose plugin explains logins has a button for it; others have none."""
    async with opened() as browser:
        await browser.sign_in()
        assert 'name="explain"' not in await browser.open("/ui/login?path=team/pin/&role=dev")
        assert 'name="explain"' in await browser.open("/ui/login?path=explained/&role=dev")
        fields = {"role": "dev", "member": "ann", "pin": "guess", "explain": "1"}
        text = await browser.send("/ui/login?path=explained/", fields)
        assert re.search(r"role\s*<span class=\"mark\">passed", text)
        assert re.search(r"PIN\s*<span class=\"mark\">failed", text)
        assert html.escape(EVIL) in browser.text


async def test_a_denial_is_explained_by_its_reference() -> None:
    """The refusal links to it; an unknown reference is told."""
    async with opened() as browser:
        await browser.sign_in()
        await browser.open("/ui/login?path=explained/&role=dev")
        fields = {"role": "dev", "member": "ann", "pin": "guess"}
        text = await browser.send("/ui/login?path=explained/", fields)
        link = re.search(r'href="(/ui/explain[^"]*)">Why', text)
        assert link
        assert "it is another" in await browser.open(link[1])
        await browser.open("/ui/explain?path=explained/&reference=../config")
        assert browser.status == 404


@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        ({"Origin": "http://evil.example"}, {}),
        ({"Origin": "null"}, {}),
        ({"Origin": ""}, {}),
        ({"Origin": "http://127.0.0.1"}, {}),
        ({}, {"form_secret": "guess"}),
        ({}, {"form_secret": ""}),
        ({}, {"form_secret": "é"}),
    ],
)
async def test_another_site_s_form_does_nothing(headers: dict[str, str], fields: dict[str, str]) -> None:
    """Wrong or missing origin, wrong or missing secret: refused, although the cookie is right."""
    async with opened() as browser:
        await browser.sign_in()
        await browser.open("/ui/login?path=team/pin/&role=dev")
        login = {"role": "dev", "member": "ann", "pin": PIN}
        text = await browser.send("/ui/login?path=team/pin/", login | fields, **headers)
        assert browser.status == 403
        assert "hvs." not in text


async def test_another_site_can_t_sign_a_browser_in() -> None:
    """Not even with a good token: somebody would act in a session that isn't theirs."""
    async with opened() as browser:
        await browser.open("/ui/")
        await browser.send("/ui/sign-in", {"token": ROOT}, Origin="http://evil.example")
        assert browser.status == 403
        assert COOKIE not in browser.http.cookies


async def test_a_name_that_points_here_opens_nothing() -> None:
    """DNS rebinding: the address is ours, the name is not."""
    async with opened() as browser:
        response = await browser.http.get("/ui/", headers={"Host": "evil.example"})
        assert response.status_code == 403


async def test_forms_are_bounded_and_forms() -> None:
    """Neither JSON nor megabytes."""
    async with opened() as browser:
        await browser.open("/ui/")
        origin = {"Origin": str(browser.http.base_url).rstrip("/")}
        big = await browser.http.post("/ui/sign-in", data={"token": "x" * 2_000_000}, headers=origin)
        assert big.status_code == 413
        as_json = await browser.http.post("/ui/sign-in", json={"token": ROOT}, headers=origin)
        assert as_json.status_code == 415
        broken = await browser.http.post(
            "/ui/sign-in",
            content=b"token=%zz",
            headers=origin | {"Content-Type": "application/x-www-form-urlencoded"},
        )
        assert broken.status_code == 400


async def test_signing_out_ends_the_session() -> None:
    """The cookie that somebody kept is worth nothing."""
    async with opened() as browser:
        await browser.sign_in()
        kept = browser.http.cookies[COOKIE]
        assert "Open the server" in await browser.send("/ui/sign-out", {})
        browser.http.cookies.set(COOKIE, kept, path="/ui/")
        assert "Open the server" in await browser.open("/ui/")


async def test_what_is_not_there_is_not_found() -> None:
    """Addresses, mounts, and paths of mounts."""
    async with opened() as browser:
        await browser.sign_in()
        for path in ("/ui/nope", "/ui/mount?path=nope/", "/ui/login?path=nope/"):
            await browser.open(path)
            assert browser.status == 404


async def test_a_token_that_has_ended_is_told() -> None:
    """The page shows what the server answers."""
    async with opened() as browser:
        await browser.sign_in()
        http = browser.http
        created = await http.post("/v1/auth/token/create", json={}, headers={"X-Vault-Token": ROOT})
        token = created.json()["auth"]["client_token"]
        await browser.send("/ui/sign-out", {})
        await browser.send("/ui/sign-in", {"token": token})
        await http.post("/v1/auth/token/revoke-self", headers={"X-Vault-Token": token})
        assert "The server answered 403" in await browser.open("/ui/")


@pytest.mark.parametrize("kind", ["string", "object", "boolean"])
async def test_names_of_fields_are_text(kind: str) -> None:
    """They come from the mount's own document: none of them ends an attribute, or begins an element."""
    field = Field(name='x"><meta http-equiv=refresh content="0;url=//evil">', help=EVIL, kind=kind)
    page = Page(Core(root_token=ROOT))
    shown = page._templates.get_template("macros.html").module.input(field)  # type: ignore[attr-defined]
    assert "<meta" not in shown
    assert EVIL not in shown
    assert 'aria-describedby="help-x&#34;' in shown


def test_sessions_end() -> None:
    """After their time, and the oldest when there are too many."""
    now = [0.0]
    sessions = Sessions(lambda: now[0])
    first = sessions.open("t")
    session = sessions.find(first)
    assert session is not None
    assert session.token == "t"
    assert "t'" not in repr(session)
    now[0] = 9 * 3600.0
    assert sessions.find(first) is None
    keys = [sessions.open("t") for _ in range(MAX_SESSIONS + 1)]
    assert sessions.find(keys[0]) is None
    assert all(map(sessions.find, keys[1:]))
