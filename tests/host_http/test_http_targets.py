"""Paths, queries and host names of requests."""

from __future__ import annotations

import pytest

from authkit.host.http.targets import (
    MalformedTargetError,
    clean,
    host_name,
    is_own_name,
    read_path,
    read_query,
)


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ("/v1/a%2Fb%20c", "/v1/a/b c"),
        ("/v1/a+b", "/v1/a+b"),
        ("/v1/%C3%A9", "/v1/é"),
        ("/v1/%ff", "/v1/\ufffd"),
    ],
)
def test_paths_are_decoded(raw: str, path: str) -> None:
    """Escapes are undone, also those of slashes; a plus is a plus."""
    assert read_path(raw) == path


@pytest.mark.parametrize("raw", ["/v1/a%zz", "/v1/a%", "/v1/a%00", "/v1/a%0Ab", "/v1/a%E2%80%8B"])
def test_malformed_paths_are_refused(raw: str) -> None:
    """A broken escape, and characters that can't be seen."""
    with pytest.raises(MalformedTargetError):
        read_path(raw)


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("/v1/a", "/v1/a"),
        ("/v1/a/", "/v1/a/"),
        ("/v1//a", "/v1/a"),
        ("/v1/a/../b/", "/v1/b/"),
        ("/v1/./a", "/v1/a"),
        ("/../../v1", "/v1"),
        ("//evil.example/x", "/evil.example/x"),
        ("/", "/"),
        ("", "/"),
        ("/v1/%2e%2e/x", "/v1/%2e%2e/x"),
    ],
)
def test_paths_are_cleaned(raw: str, cleaned: str) -> None:
    """Nothing leads out of the path, or to another host; an escaped dot stays what it is."""
    assert clean(raw) == cleaned


def test_queries_are_read_as_in_go() -> None:
    """Pairs with a semicolon or a broken escape vanish; a name may come twice, or without a value."""
    query = read_query("a=1&a=2&b+c=%20&list&x;y=1&z=%zz&&=")
    assert query == {"a": ["1", "2"], "b c": [" "], "list": [""], "": [""]}


@pytest.mark.parametrize(
    ("authority", "name"),
    [("localhost:8200", "localhost"), ("[::1]:8200", "::1"), ("[::1]", "::1"), ("A.Example", "a.example")],
)
def test_the_name_in_a_host_header(authority: str, name: str) -> None:
    """Port and brackets aren't part of it."""
    assert host_name(authority) == name


@pytest.mark.parametrize("authority", ["localhost:1", "a.localhost", "127.0.0.1:8200", "[::1]:1", "10.0.0.7"])
def test_names_that_no_dns_can_take_over(authority: str) -> None:
    """Addresses and localhost are ours."""
    assert is_own_name(authority)


@pytest.mark.parametrize(
    "authority",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example:8200",
        "xlocalhost",
        "",
        "[x",
        "[::1].evil.example",
    ],
)
def test_names_that_somebody_else_may_own(authority: str) -> None:
    """Every other name is a stranger's until it is named."""
    assert not is_own_name(authority)
    assert is_own_name("build7:8200", frozenset({"build7"}))
