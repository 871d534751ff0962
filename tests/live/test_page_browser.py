"""The page in a real browser: somebody signs in and logs in, in light and dark, on a phone and at a desk.

Needs Debian's chromium (scripts/live/browser installs it) and no server. AUTHKIT_SCREENSHOTS names a folder
in which to keep what was seen.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from canaries import canary
from livebed.devserver import JWT_PROJECT, SHARED_PIN, DevServer
from livebed.oidc_person import log_in_on
from livebed.oidc_provider import OIDCProvider, why_no_provider
from livebed.server import ROOT_TOKEN
from livebed.tokens import Issuer, usual_issuer
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect

PIN = canary("pin")
EVIL = "<img src=x onerror=alert(1)> & 'more'"
LONG = "a-role-whose-name-somebody-has-made-rather-long-indeed"
SIZES = {"phone": (390, 844), "desk": (1280, 800)}
MIN_CONTRAST = 4.5
"""Of text and what is behind it (WCAG 2.2, 1.4.3)."""

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
LOW_CONTRAST = """least => {
  const numbers = color => color.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
      .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
      .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = element => {
    for (let each = element; each; each = each.parentElement) {
      const color = numbers(getComputedStyle(each).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const low = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !element.checkVisibility()) continue;
    const [a, b] = [light(numbers(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < least) low.push([walker.currentNode.textContent.trim(), ratio]);
  }
  return low;
}"""


@pytest.fixture(scope="module")
def shown() -> Iterator[DevServer]:
    """A development server with something to see."""
    with DevServer(None, SHARED_PIN, f"jwt={JWT_PROJECT}") as server:
        client = server.client
        client.write("sys/auth/eu/people", type="shared_pin", description=EVIL)
        for role in ("dev", LONG):
            client.write(f"auth/eu/people/role/{role}", pin=PIN, token_policies="dev,ops", token_ttl="90m")
        yield server


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    """What the system prefers."""
    return str(request.param)


EXPECTED = ("Failed to load resource: the server responded", "Autofocus processing was blocked")
"""What the browser says of a refusal, and where a test fills a form before the page has its focus."""


@pytest.fixture(params=SIZES)
def size(request: pytest.FixtureRequest) -> str:
    """What the page is seen on."""
    return str(request.param)


@pytest.fixture
def page(browser: Browser, shown: DevServer, scheme: str, size: str) -> Iterator[Page]:
    """The page, not signed in. Nothing may be loaded from elsewhere, and no policy be violated."""
    context = new_context(browser, shown, scheme, size)
    opened = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.goto("/ui/")
    yield opened
    assert {url for url in asked if not url.startswith(shown.client.address)} == set()
    assert [text for text in said if not any(each in text for each in EXPECTED)] == []
    context.close()


def new_context(browser: Browser, shown: DevServer, scheme: str, size: str) -> BrowserContext:
    """Open a browser of its own, which prefers a scheme and has a size."""
    width, height = SIZES[size]
    return browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": width, "height": height},
        base_url=shown.client.address,
    )


def look(page: Page, name: str) -> None:
    """Check what holds for every view, and keep a picture if somebody wants one."""
    page.wait_for_load_state("load")  # with the style sheet
    assert page.locator("h1").count() == 1
    for landmark in ("banner", "main", "contentinfo"):
        expect(page.get_by_role(landmark)).to_have_count(1)  # type: ignore[arg-type]
    assert page.evaluate(OVERFLOW) == 0, f"{name} is wider than the screen"
    assert page.evaluate(LOW_CONTRAST, MIN_CONTRAST) == []
    for box in page.locator("input:not([type=hidden]), textarea, select, button").all():
        assert box.evaluate("e => e.labels?.length || e.textContent.trim()"), (
            f"{name}: a field without a label"
        )
    folder = os.environ.get("AUTHKIT_SCREENSHOTS")
    if folder:
        size = next(name for name, (width, _) in SIZES.items() if page.viewport_size["width"] == width)
        dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
        path = Path(folder) / f"{name}-{size}-{'dark' if dark else 'light'}.png"
        page.screenshot(path=path, full_page=True)


def sign_in(page: Page) -> None:
    """Show the root token."""
    page.get_by_label("Token").fill(ROOT_TOKEN)
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Mounts")


def test_somebody_logs_in(page: Page, shown: DevServer) -> None:
    """From the sign-in form to the token of a login, and back out."""
    look(page, "sign-in")
    page.get_by_label("Token").fill("wrong")
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("alert")).to_contain_text("doesn't know this token")
    look(page, "wrong-token")
    sign_in(page)
    expect(page.get_by_text(EVIL)).to_be_visible()
    look(page, "mounts")
    page.get_by_role("link", name="eu/people/").click()
    look(page, "mount")
    page.get_by_role("link", name="Log in with the role dev").click()
    look(page, "login")
    page.get_by_label("member").fill("ann")
    page.get_by_label("pin").fill("guess")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("permission denied")
    expect(page.get_by_label("member")).to_have_value("ann")
    expect(page.get_by_label("role", exact=True)).to_have_value("dev")
    look(page, "refused")
    page.get_by_label("pin").fill(PIN)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Logged in")
    token = page.locator("code.whole")
    expect(token).to_be_hidden()
    look(page, "granted")
    page.get_by_text("show", exact=True).click()
    expect(token).to_be_visible()
    look(page, "revealed")
    known = shown.client.write("auth/token/lookup", token=token.inner_text())["data"]
    assert known["display_name"] == "eu-people-dev/ann"
    expect(page.get_by_text("dev/ann at auth/eu/people/")).to_be_visible()
    page.get_by_role("button", name="Renew").click()
    expect(page.get_by_role("status")).to_have_text("Renewed")
    assert page.locator("code.whole").count() == 0
    look(page, "renewed")
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("status")).to_have_text("Revoked")
    look(page, "revoked")
    expect(page.get_by_role("link", name="Back to eu/people/")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token")).to_be_visible()
    with pytest.raises(Error, match="ERR_CACHE_MISS"):
        page.go_back()  # the browser has kept nothing


def test_a_token_is_typed_into_a_text_area(page: Page) -> None:
    """JSON Web Tokens are long; a mount without roles says how to write one."""
    sign_in(page)
    page.get_by_role("link", name="jwt/").click()
    expect(page.get_by_text("vault write auth/jwt/role/NAME")).to_be_visible()
    look(page, "no-roles")
    page.get_by_role("link", name="Log in").click()
    page.get_by_label("jwt").fill("not.a.token")
    look(page, "jwt")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    look(page, "jwt-refused")


def test_a_role_is_written(page: Page, shown: DevServer) -> None:
    """On a form with help for each field; the token's settings are folded."""
    sign_in(page)
    page.get_by_role("link", name="eu/people/").click()
    page.get_by_role("link", name="New role").click()
    page.get_by_label("Name").fill("on-call")
    page.get_by_label("pin").fill(PIN)
    expect(page.get_by_label("token_ttl")).to_be_hidden()
    look(page, "role")
    page.get_by_text("Tokens", exact=True).click()
    page.get_by_label("token_ttl").fill("soon")
    page.get_by_role("button", name="Write the role").click()
    expect(page.get_by_role("alert")).to_contain_text("token_ttl")
    look(page, "role-refused")
    page.get_by_label("pin").fill(PIN)
    expect(page.get_by_label("token_ttl")).to_have_value("soon")
    page.get_by_label("token_ttl").fill("1h")
    page.get_by_role("button", name="Write the role").click()
    expect(page.get_by_role("status")).to_have_text("The role on-call is written")
    look(page, "role-written")
    shown.client.delete("auth/eu/people/role/on-call")


@pytest.fixture(scope="module")
def explained(shown: DevServer) -> Issuer:
    """A mount of the JWT example at `ci`, with a role and an issuer."""
    issuer = usual_issuer()
    shown.client.write("sys/auth/ci", type="jwt")
    shown.client.write("auth/ci/config", jwt_validation_pubkeys=issuer.public_pem)
    shown.client.write(
        "auth/ci/role/build", role_type="jwt", user_claim="sub", bound_audiences="vault", token_policies="dev"
    )
    return issuer


def test_a_login_is_explained(page: Page, explained: Issuer) -> None:
    """Each check with what was expected and what the token had, failed ones open."""
    sign_in(page)
    page.get_by_role("link", name="ci/", exact=True).click()
    page.get_by_role("link", name="Log in with the role build").click()
    page.get_by_label("jwt", exact=True).fill(explained.token(aud="another-service"))
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name="Why?").click()
    expect(page.get_by_role("heading", name="The login is denied.")).to_be_visible()
    expect(page.get_by_text('["another-service"]')).to_be_visible()
    look(page, "explained")
    page.get_by_role("link", name="Back to the login").click()
    expect(page.get_by_label("role", exact=True)).to_have_value("build")


@pytest.fixture(scope="module")
def provider(shown: DevServer) -> Iterator[OIDCProvider]:
    """A certified provider, at which people of the mount `sso` log in."""
    if why := why_no_provider():
        pytest.skip(why)
    with OIDCProvider() as running:
        callback = f"{shown.client.address}/ui/vault/auth/sso/oidc/callback"
        running.allow_redirects(callback)
        client = shown.client
        client.write("sys/auth/sso", type="jwt", description="People of the company")
        client.write(
            "auth/sso/config",
            oidc_discovery_url=running.url,
            oidc_client_id="client_secret_basic",
            oidc_client_secret=running.secret,
            default_role="people",
        )
        client.write(
            "auth/sso/role/people",
            role_type="oidc",
            user_claim="sub",
            allowed_redirect_uris=callback,
            oidc_scopes="email",
            claim_mappings={"email": "email"},
            token_policies="dev",
        )
        yield running


@pytest.fixture
def anywhere(browser: Browser, shown: DevServer, scheme: str, size: str) -> Iterator[Page]:
    """The page, signed in, in a browser that may go to the provider."""
    context = new_context(browser, shown, scheme, size)
    opened = context.new_page()
    opened.goto("/ui/")
    sign_in(opened)
    yield opened
    context.close()


def test_somebody_logs_in_at_the_provider(anywhere: Page, shown: DevServer, provider: OIDCProvider) -> None:
    """There and back by the button of the role; the page is not left for a command."""
    page = anywhere
    page.get_by_role("link", name="sso/").click()
    page.get_by_role("link", name="Log in with the role people").click()
    look(page, "browser-login")
    page.get_by_role("button", name="Log in at the provider").click()
    log_in_on(page, "ann")
    expect(page.get_by_role("status")).to_have_text("Logged in")
    expect(page.get_by_text("ann@example.com").first).to_be_visible()
    look(page, "came-back")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("This login cannot be completed")
    look(page, "spoiled")
    page.get_by_role("link", name="To the mounts").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Mounts")


def test_somebody_does_not_consent(anywhere: Page, provider: OIDCProvider) -> None:
    """The page says so, and the button is there to begin again."""
    page = anywhere
    page.goto("/ui/login?path=sso/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Log in with the role people")
    page.get_by_role("button", name="Log in at the provider").click()
    log_in_on(page, "ann", allow=False)
    expect(page.get_by_role("alert")).to_contain_text("access_denied")
    look(page, "not-consented")
    page.goto("/v1/auth/sso/oidc/callback?state=st_expired&code=x")
    expect(page.get_by_role("heading", level=1)).to_have_text("The server answered 400")
    look(page, "api-refused")


def test_the_keyboard_is_enough(page: Page) -> None:
    """The first stop skips the header; every stop can be seen; Enter sends the form."""
    expect(page.get_by_label("Token")).to_be_focused()
    page.keyboard.type(ROOT_TOKEN)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Mounts")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    focused = page.locator(":focus")
    first = page.locator("main a").first.inner_text()
    expect(focused).to_have_text(first)
    assert focused.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(first)
