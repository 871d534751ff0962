"""Somebody who logs in at the certified provider, with a browser and without one."""

from __future__ import annotations

from contextlib import suppress
from html.parser import HTMLParser
from typing import Self
from urllib.parse import urljoin, urlsplit

import httpx
from playwright.sync_api import Page

from livebed.oidc_provider import REQUEST_SECONDS, OIDCProvider

__all__ = ["Person", "log_in_on", "query_of"]

MAX_STEPS = 20
"""Redirects and forms of one login: a provider that goes in circles fails the test."""


class Person:
    """Somebody with a simple browser, which keeps cookies and follows the redirects of the provider.

    It never leaves the provider's site by itself: the request with which the provider sends it elsewhere is
    returned unsent, for the test to carry to its place or to change.
    """

    def __init__(self, provider: OIDCProvider, name: str = "ann") -> None:
        self.provider = provider
        self.name = name
        self.http = httpx.Client(timeout=REQUEST_SECONDS, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.http.close()

    def log_in(self, url: str, *, allow: bool = True) -> httpx.Request:
        """Open a login's URL, sign in, consent (or deny); return the request to the client's redirect URI.

        Raises:
            AssertionError: the provider showed an error, or a page that nobody knows.
        """
        last = self._go(self.http.build_request("GET", url), "Deny" if not allow else "Allow")
        assert isinstance(last, httpx.Request), f"the login ended at the provider: {last}"
        return last

    def go_to_command(self, request: httpx.Request) -> None:
        """Send the browser back to a command line, which may exit before its page has arrived whole."""
        with suppress(httpx.RemoteProtocolError):
            self.http.send(request)

    def confirm_device(self, url: str) -> None:
        """Open a device's verification URL with its code in it, confirm the code, sign in and consent."""
        last = self._go(self.http.build_request("GET", url), "Allow")
        assert last == "Device signed in", f"the login ended with {last}"

    def _go(self, request: httpx.Request, answer: str) -> httpx.Request | str:
        for _ in range(MAX_STEPS):
            if not str(request.url).startswith(f"{self.provider.url}/"):
                return request
            response = self.http.send(request)
            if response.next_request is not None:
                request = response.next_request
                continue
            form = read_page(response.text)
            assert form.title != "Error", response.text
            if form.title == "Device signed in":
                return form.title
            request = self._submit(response, form, answer)
        raise AssertionError(f"the login went on for {MAX_STEPS} steps")

    def _submit(self, response: httpx.Response, page: PageReader, answer: str) -> httpx.Request:
        # Without a title the provider has sent the form that a script would send: `form_post`, or a code.
        wanted = {"Sign in": "Sign in", "Consent": answer, "Confirm device": "Confirm"}.get(page.title)
        form = page.find_form(wanted)
        fields = form.fields | ({"account": self.name} if page.title == "Sign in" else {})
        return self.http.build_request("POST", urljoin(str(response.url), form.action), data=fields)


class Form:
    """A form of a page: where it goes, its fields with their values, and the texts of its buttons."""

    def __init__(self, action: str) -> None:
        self.action = action
        self.fields: dict[str, str] = {}
        self.buttons: list[str] = []


class PageReader(HTMLParser):
    """The title of a page and its forms, as far as a login needs them."""

    def __init__(self) -> None:
        super().__init__()
        self.title = ""
        self.forms: list[Form] = []
        self.named: dict[str, Form] = {}
        self.open: list[str] = []
        self.button_of: Form | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take down forms and fields."""
        given = {name: value or "" for name, value in attrs}
        self.open.append(tag)
        if tag == "form":
            self.forms.append(Form(given["action"]))
            self.named[given.get("id", "")] = self.forms[-1]
        elif tag == "input" and self.forms and "name" in given:
            self.forms[-1].fields[given["name"]] = given.get("value", "")
        elif tag == "button":
            self.button_of = self.named.get(given["form"]) if "form" in given else self.forms[-1]

    def handle_data(self, data: str) -> None:
        """Take down the texts of title and buttons."""
        within = self.open[-1] if self.open else ""
        if within == "h1":
            self.title += data
        elif within == "button" and self.button_of is not None:
            self.button_of.buttons.append(data.strip())

    def handle_endtag(self, tag: str) -> None:
        """Close the element; the provider's own pages leave some open."""
        while self.open and self.open.pop() != tag:
            continue

    def find_form(self, button: str | None) -> Form:
        """Return the form that the button sends, the only form when there is none to choose by."""
        chosen = [form for form in self.forms if button is None or button in form.buttons]
        assert len(chosen) == 1, f"{len(chosen)} forms with {button!r} on {self.title!r}"
        return chosen[0]


def read_page(text: str) -> PageReader:
    """Read a page."""
    reader = PageReader()
    reader.feed(text)
    return reader


def log_in_on(page: Page, name: str = "ann", *, allow: bool = True) -> None:
    """Sign in and consent (or deny) on the provider's pages, in a browser that has opened a login's URL."""
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Allow" if allow else "Deny").click()


def query_of(request: httpx.Request) -> dict[str, str]:
    """Return the parameters with which somebody is sent back: of the query, or of the form posted."""
    text = request.content.decode() if request.method == "POST" else urlsplit(str(request.url)).query
    return dict(httpx.QueryParams(text))
