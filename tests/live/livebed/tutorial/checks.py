"""What only a person could do at a place of a page: `<!-- check: NAME -->` there."""

from __future__ import annotations

import time

from livebed.browser import CHROMIUM, open_browser

__all__ = ["log_in_on_the_page", "verify_first_login"]

FIRST_LOGIN_SECONDS = 120.0
ADDRESS = "http://127.0.0.1:8200"


def verify_first_login(began: float) -> None:
    """Check that the first login came soon enough after `git clone`.

    Raises:
        AssertionError: it did not.
    """
    seconds = time.monotonic() - began
    assert seconds < FIRST_LOGIN_SECONDS, f"the first login came {seconds:.0f} s after `git clone`"
    print(f"      the first login, {seconds:.0f} s after `git clone`", flush=True)


def log_in_on_the_page() -> None:
    """Sign in with the root token, and log in with the role, in a browser; left out without chromium."""
    if CHROMIUM is None:
        print("      no chromium: left out", flush=True)
        return
    with open_browser() as browser:
        page = browser.new_page(base_url=ADDRESS)
        page.goto("/ui/")
        page.get_by_label("Token").fill("root")
        page.get_by_role("button", name="Open").click()
        page.get_by_role("link", name="team_key/").click()
        page.get_by_role("link", name="Log in with the role dev").click()
        page.get_by_label("user").fill("ann")
        page.get_by_label("key").fill("4711-only-dev-knows")
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("heading", name="Logged in").wait_for()
        print(f"      {page.get_by_role('heading', level=1).inner_text()}", flush=True)
