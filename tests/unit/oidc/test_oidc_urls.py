"""URLs, taken apart and shown; path segments made of what strangers influence; proxies."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from authkit.oidc.http import proxies
from authkit.oidc.http.urls import (
    check_url,
    find_origin,
    hide_credentials,
    is_same_origin,
    path_segment,
    show_url,
    split_url,
)

PARTS = ["http", "https", "://", "//", "[", "]", "::1", "a.example", "evil.com", "@", ":", ":80", ":x", "\\"]
PARTS += [
    "/",
    "?",
    "#",
    "%",
    "%2f",
    "127.0.0.1",
    "localhost",
    ".",
    "..",
    "\t",
    "\n",
    " ",
    "é",
    "user",
    "0x7f.1",
]
PARTS += ["\u3002", "\u2100", "%25eth0", "v1.x", "::ffff:1.2.3.4"]


@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=12).map("".join) | st.text(max_size=40))
@example("http://[::1]evil.com/")
@example("http://[::1].evil.com:80/")
@example("http://a.example\\@evil.com/")
def test_two_parsers_see_one_host(url):
    """What is taken has the same scheme, host and port for httpx, which sends the request."""
    try:
        parts = split_url(url)
    except ValueError:
        return
    try:
        other = httpx.URL(url)
    except httpx.InvalidURL:
        return
    assert parts.hostname is not None
    if parts.hostname.isascii():
        assert (other.scheme, other.host) == (parts.scheme, parts.hostname)
    if parts.scheme in ("http", "https"):
        assert other.port in (parts.port, None)


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1]evil.com/",
        "http://evil.com[::1]/",
        "http://[::1%25eth0]/",
        "http://[v1.x]/",
        "http://[127.0.0.1]/",
        "http://[::g]/",
        "http://a.example:/",
        "http://a.example:0/",
        "http://a.example:65536/",
        "http://a.example:\uff18\uff10/",
        "http://a.example:80:80/",
        "http://a.example\\.evil.com/",
        "http://a.example/\\evil.com",
        "http:a.example",
        "http:///a",
        "//a.example",
        "http://a%2eexample/",
        "http://a.example/\r\n",
        " http://a.example/",
        "http://a.example /",
        "http://us er@a.example/",
        "http://a@b@c.example/",
    ],
)
def test_what_parsers_disagree_on_is_not_a_url(url):
    """Each of them has two hosts, or none, depending on who reads it."""
    with pytest.raises(ValueError) as caught:
        split_url(url)
    assert url not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["http://a", "https://a_b.example:8443/x?y#z", "HTTP://[2001:DB8::1]:80/", "https://bücher.example/"],
)
def test_usual_urls_are_taken(url):
    """As operators write them."""
    assert check_url(url) == urlsplit(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:sesame@a.example:8443/keys?key=sesame#sesame", "https://a.example:8443/keys"),
        ("HTTP://A.example/x", "http://A.example/x"),
        ("user:sesame@a.example/keys", "(not a URL)"),
        ("https://[::1]a/?sesame", "(not a URL)"),
        ("https://[::1]a/#sesame", "(not a URL)"),
        ("no url", "no url"),
        ("", ""),
        ("https://a/" + "x" * 1000, "https://a/" + "x" * 490),
    ],
)
def test_a_url_is_shown_without_what_may_be_secret(url, shown):
    """Scheme, host, port and path; never more."""
    assert show_url(url) == shown


@given(st.text())
def test_showing_never_raises_and_shows_no_control_character(text):
    """Whatever was configured."""
    assert show_url(text).isprintable()
    hide_credentials(text)


@pytest.mark.parametrize(
    ("url", "rest"),
    [
        ("https://u:p@a.example/x?y=z#f", "https://a.example/x?y=z#f"),
        ("https://a.example/x?y=@z", "https://a.example/x?y=@z"),
        ("", ""),
        ("http://[::1", "http://[::1"),
    ],
)
def test_credentials_are_left_out(url, rest):
    """Everything else stays as it is."""
    assert hide_credentials(url) == rest


# --- segments ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "a/b",
        "a\\b",
        "a?b",
        "a#b",
        "a..b",
        "a%2fb",
        "a\nb",
        "a\0b",
        "me",
        "ME",
        " me",
        "\uff4d\uff45",
        "a\uff0fb",
        "a\u2025b",
        "\u2100",
        "x" * 257,
    ],
)
def test_what_could_be_another_path_is_refused(text):
    """Also where a server folds characters first: fullwidth letters, a slash in a ligature."""
    with pytest.raises(ValueError) as caught:
        path_segment(text, reserved={"me"})
    assert len(text) < 2 or text not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "segment"),
    [
        ("ann@acme.example", "ann%40acme.example"),
        ("ann smith", "ann%20smith"),
        ("00u1a2b3", "00u1a2b3"),
        ("zoé+x;y", "zo%C3%A9%2Bx%3By"),
        ("mean", "mean"),
    ],
)
def test_a_usual_name_is_one_segment(text, segment):
    """Encoded wholly."""
    assert path_segment(text, reserved={"me"}) == segment


@given(st.text())
def test_a_segment_is_one_for_every_reader(text):
    """It decodes to what it was, and adds no level to the path."""
    try:
        segment = path_segment(text)
    except ValueError:
        return
    assert unquote(segment) == text
    url = httpx.URL(f"https://a.example/users/{segment}/groups")
    assert url.raw_path.decode() == f"/users/{segment}/groups"
    assert len(url.path.split("/")) == 4
    assert not url.query


# --- proxies -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "no_proxy", "is_direct"),
    [
        ("https://a.example/", "", False),
        ("https://a.example/", "*", True),
        ("https://a.example/", "b.example, A.example", True),
        ("https://x.a.example/", "a.example", True),
        ("https://xa.example/", "a.example", False),
        ("https://a.example/", ".a.example", False),
        ("https://x.a.example/", "*.a.example", True),
        ("https://a.example/", "a.example:443", True),
        ("https://a.example:8443/", "a.example:443", False),
        ("https://10.1.2.3/", "10.0.0.0/8", True),
        ("https://11.1.2.3/", "10.0.0.0/8", False),
        ("https://10.1.2.3/", "10.1.2.3", True),
        ("https://10.1.2.3/", "fd00::/8", False),
        ("https://[fd00::1]/", "fd00::/8", True),
        ("https://[fd00::1]:8443/", "[fd00::1]:8443", True),
        ("https://[fd00::1]/", "[fd00::1]:8443", False),
        ("https://a.example/", "10.0.0.0/8,nonsense[,:80", False),
    ],
)
def test_hosts_that_need_no_proxy(monkeypatch, url, no_proxy, is_direct):
    """The rules are those of Go, which the server goes by."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert proxies.find_proxy(urlsplit(url)) == ("" if is_direct else "http://proxy.example:3128")
    assert proxies.find_proxy(urlsplit(url.replace("https", "http"))) == ""


@pytest.mark.parametrize(
    ("url", "other", "same"),
    [
        ("https://a.example", "https://a.example:443/x?y", True),
        ("http://a.example:80", "http://A.example/", True),
        ("https://a.example", "http://a.example", False),
        ("https://a.example", "https://a.example:8443", False),
        ("https://a.example", "https://b.a.example", False),
        ("https://a.example", "https://a.example.evil.example", False),
        ("https://a.example", "https://a.example@evil.example", False),
        ("https://[::1]", "https://[::1]:443/x", True),
        ("https://a.example", "//a.example", False),
        ("ftp://a.example", "ftp://a.example", False),
        ("", "", False),
    ],
)
def test_a_secret_goes_to_the_same_origin_alone(url: str, other: str, same: bool) -> None:
    """Scheme, host and port decide; what is not a URL is of no origin, not even of its own."""
    assert is_same_origin(url, other) is same
    assert is_same_origin(other, url) is same


def test_an_origin_is_told_without_what_is_secret_in_its_url() -> None:
    """The error of a URL that is none does not repeat it."""
    assert find_origin("https://a.example/x") == ("https", "a.example", 443)
    with pytest.raises(ValueError, match="URL") as refused:
        find_origin("ftp://user:hunter2@a.example")
    assert "hunter2" not in str(refused.value)
