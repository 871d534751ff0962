"""A certified OpenID provider as a child process, and somebody who logs in there, with and without a browser.

The provider is oidc-provider from npm (tests/live/provider); scripts/live/provider installs it. Its clients
are named like their way to authenticate: `client_secret_basic`, `client_secret_post`, `private_key_jwt`,
`none`; and `implicit`, for ID tokens without a code. What servers make of its answers is for tests.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
import threading
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

import httpx
from playwright.sync_api import Page

from livebed.processes import wait_until

__all__ = ["OIDCProvider", "Person", "find_provider", "log_in_on", "query_of", "why_no_provider"]

SOURCES = Path(__file__).resolve().parents[1] / "provider"
INSTALL = Path(__file__).resolve().parents[3] / "scripts" / "live" / "provider"
START_SECONDS = 30.0
STOP_SECONDS = 10.0
REQUEST_SECONDS = 20.0
MAX_STEPS = 20
"""Redirects and forms of one login: a provider that goes in circles fails the test."""


@cache
def find_provider() -> Path | None:
    """Return the folder of the installed provider, `None` when it is not installed."""
    found = subprocess.run([str(INSTALL), "--where"], capture_output=True, text=True, check=True, timeout=30)
    return Path(found.stdout.strip()) if found.stdout.strip() else None


def why_no_provider() -> str:
    """Return why tests with the provider cannot run, empty when they can."""
    if shutil.which("node") is None:
        return "no node: the OpenID provider needs it"
    return "" if find_provider() else "the OpenID provider is not installed: run scripts/live/provider"


class OIDCProvider:
    """One provider, on a free loopback port; use it as a context manager."""

    def __init__(self) -> None:
        self.secret = secrets.token_urlsafe(24)
        """Of the two clients that have one."""
        self.url = ""
        """The issuer."""
        self.log_file = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed with the provider)

    def __enter__(self) -> Self:
        folder = find_provider()
        assert folder is not None, why_no_provider()
        node = shutil.which("node")
        assert node is not None
        self.process = subprocess.Popen(
            [node, str(SOURCES / "server.mjs"), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log_file,
            text=True,
            env={"PATH": os.environ["PATH"], "CLIENT_SECRET": self.secret},
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        try:
            wait_until(lambda: self.url or self.process.poll() is not None, "Ready", timeout=START_SECONDS)
            assert self.url, f"the provider ended: {self.log()}"
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("Ready "):
                self.url = line.split()[1]

    def close(self) -> None:
        """End it; its standard input closes, which is enough, and the process is killed if it is not."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(STOP_SECONDS)
            raise
        finally:
            self.reader.join(STOP_SECONDS)
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.log_file.close()

    def log(self) -> str:
        """Return what it has complained about so far."""
        self.log_file.seek(0)
        return self.log_file.read()

    def count(self, method: str, path: str) -> int:
        """Return how often this was asked for, such as `POST /token`."""
        asked = httpx.get(f"{self.url}/control", timeout=REQUEST_SECONDS, trust_env=False).json()
        return sum(entry == f"{method} {path}" for entry in asked)

    # --- what can be changed while it runs -------------------------------------------------------

    def allow_redirects(self, *uris: str) -> None:
        """Let its clients have these redirect URIs, and no others."""
        self._control(redirect_uris=list(uris))

    def trust_client_keys(self, *keys: dict[str, Any]) -> None:
        """Take assertions of `private_key_jwt` signed with these (public, as entries of a key set)."""
        self._control(client_keys=list(keys))

    def set_accounts(self, **accounts: dict[str, Any]) -> None:
        """Know these people, by name with their claims, and no others. At first: `ann` and `bob`."""
        self._control(accounts=accounts)

    def rotate_keys(self, *, keep: bool = True) -> None:
        """Sign with a new key from now on, and publish the old ones as well or not."""
        self._control(rotate="keep" if keep else "drop")

    def _control(self, **wanted: Any) -> None:
        response = httpx.post(f"{self.url}/control", json=wanted, timeout=REQUEST_SECONDS, trust_env=False)
        assert response.status_code == httpx.codes.NO_CONTENT, f"{response.text} {self.log()}"


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
