"""The pages of browser logins in a real browser: their policy lets happen what has to, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from jwt_auth.browser.pages import Page as Made
from jwt_auth.browser.pages import confirmation_page, error_page, post_message_page, success_page
from livebed.browser import CHROMIUM, open_browser
from playwright.sync_api import Browser, Page, Route, expect

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: run scripts/live/browser")

ORIGIN = "http://127.0.0.1:1"
"""Nobody listens there; what the browser asks for is answered here."""
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
OPENER = """<!doctype html><title>x</title><script>
  window.got = new Promise(resolve => window.addEventListener('message',
      event => resolve({origin: event.origin, data: event.data})));
  window.open('/popup');
</script>"""
PAGES = {
    "success": success_page(),
    "error": error_page(EVIL, EVIL * 5),
    "confirmation": confirmation_page(
        "2001:db8::1", "a" * 200, {"state": "st_x", "code": EVIL, "confirmation": "proof"}
    ),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless browser with nothing in it."""
    with open_browser() as started:
        yield started


def serve(page: Page, answers: dict[str, str]) -> tuple[list[str], list[str]]:
    """Answer requests with these documents; return what is asked for, and what goes wrong meanwhile."""
    asked: list[str] = []
    said: list[str] = []

    def answer(route: Route) -> None:
        path = route.request.url.removeprefix(ORIGIN)
        asked.append(path)
        body = answers.get(path.partition("?")[0])
        route.fulfill(status=404 if body is None else 200, content_type="text/html", body=body or "")

    page.context.route("**/*", answer)
    page.context.on("console", lambda message: said.append(message.text))
    page.context.on("weberror", lambda error: said.append(str(error.error)))
    page.on("dialog", lambda dialog: (said.append("dialog"), dialog.dismiss()))
    return asked, said


@pytest.mark.parametrize("size", [(390, 844), (1280, 800)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_pages(browser: Browser, name: str, scheme: str, size: tuple[int, int]) -> None:
    """Nothing is loaded, nothing runs, nothing is wider than the screen, and there is one button at most."""
    made: Made = PAGES[name]
    width, height = size
    context = browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light", viewport={"width": width, "height": height}
    )
    page = context.new_page()
    asked, said = serve(page, {"/callback": made.html})
    page.goto(f"{ORIGIN}/callback")
    assert page.evaluate(OVERFLOW) == 0
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == made.html.count("<script>")
    if name == "confirmation":
        page.get_by_role("button", name="I began it: log in").click()
        page.wait_for_url("**/callback?state=st_x&code=*&confirmation=proof")
    folder = os.environ.get("AUTHKIT_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"oidc-page-{name}-{width}-{scheme}.png", full_page=True)
    assert [path for path in asked if not path.startswith(("/callback", "/favicon"))] == []
    assert [text for text in said if not text.startswith("Failed to load resource")] == []
    context.close()


@pytest.mark.parametrize(
    "attributes", ["", "sandbox", 'sandbox="allow-scripts"', 'sandbox="allow-scripts allow-forms"']
)
def test_a_framed_question_does_nothing(browser: Browser, attributes: str) -> None:
    """On a mount that lets no header out: nothing is shown, and no click confirms anything."""
    context = browser.new_context()
    page = context.new_page()
    outer = f"<!doctype html><iframe {attributes} src='/callback?state=st_x' width=700 height=700></iframe>"
    asked, _ = serve(page, {"/": outer, "/callback": PAGES["confirmation"].html})
    page.goto(f"{ORIGIN}/")
    frame = page.frame_locator("iframe")
    expect(frame.locator("#alone")).to_be_visible()
    expect(frame.locator("#question")).to_be_hidden()
    expect(frame.locator("button")).to_be_disabled()
    for place in range(20, 700, 40):
        page.mouse.click(80, place)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert [path for path in asked if "confirmation" in path] == []
    context.close()


def test_the_opener_gets_the_message(browser: Browser) -> None:
    """A web interface's own window, and no window of another origin."""
    context = browser.new_context()
    page = context.new_page()
    popup = post_message_page(EVIL, "st_x", "no_code")
    _, said = serve(page, {"/": OPENER, "/popup": popup.html})
    page.goto(f"{ORIGIN}/")
    assert page.evaluate("window.got") == {
        "origin": ORIGIN,
        "data": {"source": "oidc-callback", "path": EVIL, "code": "no_code", "state": "st_x"},
    }
    assert [text for text in said if not text.startswith("Failed to load resource")] == []
    context.close()
