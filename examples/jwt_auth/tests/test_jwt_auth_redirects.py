"""Where browsers may come back to."""

from __future__ import annotations

import pytest
from jwt_auth.redirects import is_allowed, mount_of, take_namespace

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
    ],
)
def test_redirects(uri: str, allowed: str, expected: bool) -> None:
    """The port alone is free, and only at loopback addresses; an entry that is no URL hides no other."""
    assert is_allowed(uri, [allowed]) is expected
    assert is_allowed(uri, ["http://[::1", "", allowed]) is expected
    assert not is_allowed(uri, [])


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
