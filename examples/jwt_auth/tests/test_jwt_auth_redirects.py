"""Where browsers may come back to."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jwt_auth.browser.redirects import for_form_post, is_allowed, mount_of, take_namespace

WEB = "https://vault.example:8200/ui/vault/auth/oidc/oidc/callback"


@pytest.mark.parametrize(
    ("uri", "allowed", "expected"),
    [
        (WEB, WEB, True),
        ("https://VAULT.example:8200/ui/vault/auth/oidc/oidc/callback", WEB, True),
        ("HTTPS://vault.example:8200/ui/vault/auth/oidc/oidc/callback", WEB, True),
        ("https://vault.example:8200/UI/vault/auth/oidc/oidc/callback", WEB, False),
        ("https://vault.example/ui/vault/auth/oidc/oidc/callback", WEB, False),
        ("http://vault.example:8200/ui/vault/auth/oidc/oidc/callback", WEB, False),
        (WEB + "?x=1", WEB, False),
        (WEB + "#x", WEB, False),
        (WEB + "/", WEB, False),
        ("https://vault.example:8200@evil.example/ui/vault/auth/oidc/oidc/callback", WEB, False),
        ("https://evil.example/", WEB, False),
        ("http://localhost:8250/oidc/callback", "http://localhost:8250/oidc/callback", True),
        ("http://localhost:9999/oidc/callback", "http://localhost:8250/oidc/callback", True),
        ("http://localhost/oidc/callback", "http://localhost:8250/oidc/callback", True),
        ("http://127.0.0.1:9/oidc/callback", "http://127.0.0.1/oidc/callback", True),
        ("http://127.9.9.9:9/oidc/callback", "http://127.9.9.9/oidc/callback", True),
        ("http://[::1]:9/oidc/callback", "http://[::1]/oidc/callback", True),
        ("http://127.0.0.1:9/oidc/callback", "http://localhost:9/oidc/callback", False),
        ("http://localhost:9/oidc/other", "http://localhost:9/oidc/callback", False),
        ("https://localhost:9/oidc/callback", "http://localhost:9/oidc/callback", False),
        ("http://localhost.evil.example:8250/oidc/callback", "http://localhost:8250/oidc/callback", False),
        ("http://localhost:8250\\@evil.example/oidc/callback", "http://localhost:8250/oidc/callback", False),
        ("http://localhost:x/oidc/callback", "http://localhost:8250/oidc/callback", False),
        ("http://[::1/oidc/callback", "http://localhost:8250/oidc/callback", False),
        ("", WEB, False),
        ("/oidc/callback", WEB, False),
        ("javascript:alert(1)", WEB, False),
        ("http://local\nhost:8250/oidc/callback", "http://localhost:8250/oidc/callback", False),
        ("http://[::1]evil.com/cb", "http://[::1]:1/cb", False),
        ("http://[::1].evil.com:80/cb", "http://[::1]:1/cb", False),
        ("http://[::1]@evil.com/cb", "http://[::1]:1/cb", False),
        ("http://evil.com[::1]:1/cb", "http://[::1]:1/cb", False),
        ("http://[::1%25eth0]:1/cb", "http://[::1%25eth0]:1/cb", False),
        ("http://[0:0:0:0:0:0:0:1]:1/cb", "http://[::1]:1/cb", False),
        ("http://[v1.x]/cb", "http://[v1.x]/cb", False),
        ("http://localhost:/cb", "http://localhost:1/cb", False),
        ("http://localhost:0/cb", "http://localhost:1/cb", False),
        ("http://localhost.:1/cb", "http://localhost:1/cb", False),
        ("http://127.1:1/cb", "http://127.0.0.1:1/cb", False),
        ("http://0x7f000001:1/cb", "http://127.0.0.1:1/cb", False),
        ("http://LOCALHOST:2/cb", "http://localhost:1/cb", True),
        ("http://loc%61lhost:1/cb", "http://localhost:1/cb", False),
        ("http://loc\u0430lhost:1/cb", "http://localhost:1/cb", False),
        ("http://localhost\u3002:1/cb", "http://localhost:1/cb", False),
        ("http:localhost:1/cb", "http://localhost:1/cb", False),
        ("http:///localhost:1/cb", "http://localhost:1/cb", False),
        ("http://localhost:1\t/cb", "http://localhost:1/cb", False),
        ("http://localhost:1/x/../cb", "http://localhost:1/cb", False),
        ("http://localhost:1/%63b", "http://localhost:1/cb", False),
        ("http://localhost:1//cb", "http://localhost:1/cb", False),
        ("http://localhost:1/cb;x", "http://localhost:1/cb", False),
        ("https://vault.example./cb", "https://vault.example/cb", False),
        ("https://user@vault.example/cb", "https://user@vault.example/cb", False),
        ("https://vault.example:443/cb", "https://vault.example/cb", False),
        ("com.example.app:/done", "com.example.app:/done", True),
        ("com.example.app:/other", "com.example.app:/done", False),
        ("com.example.app://host/done", "com.example.app:/done", False),
    ],
)
def test_redirects(uri: str, allowed: str, expected: bool) -> None:
    """The port alone is free, and only at loopback addresses; an entry that is no URL hides no other."""
    assert is_allowed(uri, [allowed]) is expected
    assert is_allowed(uri, ["http://[::1", "", allowed]) is expected
    assert not is_allowed(uri, [])


ALLOWED = [WEB, "http://localhost:8250/cb", "http://[::1]:1/cb", "http://127.0.0.1/cb", "https://a.example/"]
PIECES = [
    "http",
    "https",
    "HTTP",
    ":",
    "//",
    "/",
    "localhost",
    "[::1]",
    "127.0.0.1",
    "vault.example",
    "evil.com",
]
PIECES += [
    ":8250",
    ":1",
    ":",
    "@",
    "[",
    "]",
    "\\",
    "%",
    "?",
    "#",
    ".",
    "..",
    "\t",
    " ",
    "/cb",
    "a.example",
    "%25",
]


def origin(uri: str) -> tuple[str, str, int | None]:
    """Return the origin as another parser reads it, without the port at this machine's own addresses."""
    url = httpx.URL(uri)
    is_local = url.host in ("localhost", "::1", "127.0.0.1")
    return url.scheme, url.host, None if is_local else url.port


@given(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=10).map("".join)
    | st.builds(
        lambda entry, at, piece: entry[:at] + piece + entry[at:],
        st.sampled_from(ALLOWED),
        st.integers(0, 60),
        st.sampled_from(PIECES) | st.text(max_size=3),
    )
)
@example("http://[::1]evil.com/cb")
def test_an_allowed_uri_has_an_allowed_origin_for_every_parser(uri: str) -> None:
    """Whatever is put together of what attackers use: httpx reads the same host as the role names."""
    if is_allowed(uri, ALLOWED):
        assert origin(uri) in {origin(each) for each in ALLOWED}
        assert httpx.URL(uri).path in {httpx.URL(each).path for each in ALLOWED}


@pytest.mark.parametrize(
    ("uri", "rest", "namespace"),
    [
        (WEB, WEB, ""),
        (f"{WEB}?namespace=eu/team", WEB, "eu/team"),
        (f"{WEB}?z=1&namespace=eu&a=2", f"{WEB}?a=2&z=1", "eu"),
        (f"{WEB}?namespace=", f"{WEB}?namespace=", ""),
        ("http://[::1", "http://[::1", ""),
    ],
)
def test_the_namespace_is_taken_out(uri: str, rest: str, namespace: str) -> None:
    """What is left is compared with what the role allows."""
    assert take_namespace(uri) == (rest, namespace)


@pytest.mark.parametrize(
    ("uri", "mount"),
    [
        ("https://v/v1/auth/oidc/oidc/callback", "oidc"),
        ("https://v/v1/auth/eu/people/oidc/callback", "eu/people"),
        ("https://v/prefix/v1/auth/oidc/oidc/callback?x=1", "oidc"),
        ("https://v/v1/auth/oidc/oidc/callback/more", ""),
        ("http://localhost:8250/oidc/callback", ""),
        ("https://v/v1/auth//oidc/callback", ""),
        ("http://[::1", ""),
    ],
)
def test_the_mount_of_a_callback(uri: str, mount: str) -> None:
    """Everything between, so that mounts in paths of several parts work."""
    assert mount_of(uri) == mount


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (WEB, "https://vault.example:8200/v1/auth/oidc/oidc/callback"),
        ("https://v/prefix/ui/vault/auth/a/oidc/callback", "https://v/prefix/v1/auth/a/oidc/callback"),
        ("https://gui/vault/auth/a/oidc/callback", "https://gui/vault/auth/a/oidc/callback"),
        ("https://v/gui/vault/auth/a/oidc/callback", "https://v/gui/vault/auth/a/oidc/callback"),
        ("http://localhost:8250/oidc/callback", "http://localhost:8250/oidc/callback"),
        ("http://[::1", "http://[::1"),
    ],
)
def test_a_form_goes_to_the_same_host(uri: str, expected: str) -> None:
    """What the role allows is changed in its path alone."""
    assert for_form_post(uri) == expected
