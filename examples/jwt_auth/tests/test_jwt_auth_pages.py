"""The pages of browser logins: what they say, and that nobody's text becomes a part of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jwt_auth.browser.pages import (
    MAX_SHOWN,
    Page,
    confirmation_page,
    error_page,
    is_in_frame,
    is_opened_in_window,
    post_message_page,
    raw_page,
    success_page,
)

HOSTILE = st.text() | st.sampled_from(
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "</script><!--<script>",
        "' onmouseover='x",
        "&lt;b&gt;",
        "\u2028\u2029\u202e",
        "]]>",
    ]
)


class Reader(HTMLParser):
    """The tags of a page with their attributes, and its texts."""

    def __init__(self, page: Page) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.values: dict[str, str] = {}
        self.scripts: list[str] = []
        self.text = ""
        self.feed(page.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        found = dict(attrs)
        self.tags.append((tag, tuple(found)))
        if tag == "input":
            self.values[str(found["name"])] = str(found["value"])

    def handle_data(self, data: str) -> None:
        """Note it."""
        if self.tags and self.tags[-1][0] == "script" and data.strip() and not self.scripts:
            self.scripts.append(data)
        self.text += data


MAKERS: dict[str, Callable[[str, str], Page]] = {
    "error": error_page,
    "confirmation": lambda one, other: confirmation_page(one, other, {"state": one, "code": other}),
    "message": lambda one, other: post_message_page(one, other, "no_code"),
}


@pytest.mark.parametrize("kind", MAKERS)
@given(one=HOSTILE, other=HOSTILE)
def test_texts_stay_texts(kind: str, one: str, other: str) -> None:
    """The tags and attributes are those of a page with harmless texts, whatever stands in it."""
    harmless, page = Reader(MAKERS[kind]("a", "b")), Reader(MAKERS[kind](one, other))
    inputs = [tag for tag in page.tags if tag[0] == "input"]
    assert [tag for tag in page.tags if tag[0] != "input"] == [
        tag for tag in harmless.tags if tag[0] != "input"
    ]
    assert all(attributes == ("type", "name", "value") for _, attributes in inputs)


@given(mount=HOSTILE, state=HOSTILE)
def test_the_message_is_what_web_interfaces_wait_for(mount: str, state: str) -> None:
    """One script, which the policy allows and no other."""
    page = post_message_page(mount, state, "no_code")
    (script,) = Reader(page).scripts
    found = re.fullmatch(r"window\.opener\?\.postMessage\((\{.*\}), window\.origin\);", script)
    assert found is not None
    assert json.loads(found[1]) == {
        "source": "oidc-callback",
        "path": mount,
        "code": "no_code",
        "state": state,
    }
    assert script.isascii()
    assert "script-src 'sha256-" in page.policy
    assert "unsafe" not in page.policy


def test_a_confirmation_says_who_and_what() -> None:
    """Where the login was begun, for which role; its button sends the request again, with the proof."""
    fields = {"state": "st_x", "code": "c&d", "error": "", "confirmation": "proof"}
    page = confirmation_page("10.1.2.3", "admin", fields)
    read = Reader(page)
    assert "10.1.2.3" in read.text
    assert "admin" in read.text
    assert read.values == {"state": "st_x", "code": "c&d", "confirmation": "proof"}
    assert "form-action 'self'" in page.policy
    assert "unknown address" in Reader(confirmation_page("", "x", {})).text


def test_a_question_is_hidden_until_it_stands_alone() -> None:
    """Without its script, as in a frame that forbids scripts, nothing is shown and no button works."""
    page = confirmation_page("a", "b", {})
    tags = Reader(page).tags
    assert ("div", ("id", "hidden")) in tags
    assert ("button", ("type", "disabled")) in tags
    assert "window.top===window.self" in Reader(page).scripts[0]
    assert "script-src 'sha256-" in page.policy


@pytest.mark.parametrize(
    ("headers", "is_framed"),
    [
        ({}, False),
        ({"Sec-Fetch-Dest": ["document"]}, False),
        ({"Sec-Fetch-Dest": ["iframe"]}, True),
        ({"sec-fetch-dest": ["empty"]}, True),
        ({"Sec-Fetch-Dest": ["document", "iframe"]}, True),
        ({"Other": ["iframe"]}, False),
    ],
)
def test_what_a_browser_says_it_loads(headers: dict[str, list[str]], is_framed: bool) -> None:
    """Only a page in a window may ask; a browser that says nothing is believed to show one."""
    assert is_in_frame(headers) is is_framed


@pytest.mark.parametrize(
    ("headers", "is_opened"),
    [
        ({}, False),
        ({"Sec-Fetch-Dest": ["document"]}, True),
        ({"Sec-Fetch-Dest": ["empty"], "Accept": ["*/*"]}, False),
        ({"accept": ["text/html,application/xhtml+xml"]}, True),
        ({"Accept": ["application/json"]}, False),
    ],
)
def test_who_reads_the_answer(headers: dict[str, list[str]], is_opened: bool) -> None:
    """A person who opened the address, or a client of the API, which sends neither header."""
    assert is_opened_in_window(headers) is is_opened


@pytest.mark.parametrize(
    "page",
    [success_page(), error_page("a", "b"), confirmation_page("a", "b", {}), post_message_page("a", "b", "c")],
)
def test_every_page(page: Page) -> None:
    """In a language, with one heading and one main part, nothing from elsewhere; a policy says so."""
    tags = [tag for tag, _ in Reader(page).tags]
    assert (tags.count("h1"), tags.count("main"), tags.count("title")) == (1, 1, 1)
    assert '<html lang="en">' in page.html
    assert not {"link", "img", "iframe", "a"} & set(tags)
    assert page.policy.startswith("default-src 'none'; base-uri 'none'; style-src 'sha256-")
    assert tags.count("script") == ("script-src" in page.policy)
    raw = raw_page(page, 400)
    assert (raw.status, raw.cache_control) == (400, "no-store")
    assert raw.headers["Content-Security-Policy"] == f"{page.policy}; frame-ancestors 'none'"


def test_long_texts_are_cut() -> None:
    """A page is no place for a megabyte."""
    assert len(error_page("a", "x" * 1_000_000).html) < len(error_page("a", "").html) + MAX_SHOWN + 10
    assert "x…" in error_page("a", "x" * 1_000_000).html
