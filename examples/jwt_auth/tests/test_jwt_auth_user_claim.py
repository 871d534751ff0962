"""Names of users, put together from claims."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jwt_auth.user_claim import compose_user_name, verify_user_claim

from authkit.errors import TokenError, UserError


@pytest.mark.parametrize(
    ("user_claim", "claims", "name"),
    [
        ("sub", {"sub": "ann"}, "ann"),
        ("{repository}:{ref}", {"repository": "acme/shop", "ref": "main"}, "acme/shop:main"),
        ("gh-{repository}:{ref}!", {"repository": "a", "ref": "b"}, "gh-a:b!"),
        ("{/a/b}@{sub}", {"a": {"b": "x"}, "sub": "y"}, "x@y"),
        ("{sub}", {"sub": "ann"}, "ann"),
        ("{iss}|{sub}", {"iss": "https://ci", "sub": "a|b"}, "https://ci|a|b"),
    ],
)
def test_names(user_claim: str, claims: dict[str, Any], name: str) -> None:
    """A plain claim is itself, a template is filled in; pointers work as for a plain claim."""
    verify_user_claim(user_claim)
    assert compose_user_name(claims, user_claim, json_pointer=True) == name


@pytest.mark.parametrize("user_claim", ["", "{a}{b}", "{a}:{b}{c}", "{a", "a}", "{}", "{{a}}", "{a}:{b:}{"])
def test_refused_when_written(user_claim: str) -> None:
    """Templates that would compose mistakable names, or none, never get into a role."""
    with pytest.raises(UserError, match=r"user.claim"):
        verify_user_claim(user_claim)


@pytest.mark.parametrize(
    "claims",
    [
        {"a": "x:y", "b": "z"},
        {"a": "", "b": "z"},
        {"a": "x", "b": ""},
        {"a": "x"},
        {"a": "x", "b": 5},
        {"a": None, "b": "z"},
    ],
)
def test_refused_at_login(claims: dict[str, Any]) -> None:
    """A claim that is missing, no text, empty, or holds the separator names nobody."""
    with pytest.raises(TokenError):
        compose_user_name(claims, "{a}:{b}", json_pointer=False)


@settings(deadline=None)
@given(st.lists(st.text(":-x", max_size=4), min_size=4, max_size=4), st.text(":-", min_size=1, max_size=3))
def test_two_users_never_have_one_name(values: list[str], separator: str) -> None:
    """Whatever the values and the separator: equal names mean equal claims."""
    names = []
    for first, second in (values[:2], values[2:]):
        try:
            names.append(compose_user_name({"a": first, "b": second}, f"{{a}}{separator}{{b}}", False))
        except TokenError:
            return
    assert (names[0] == names[1]) == (values[:2] == values[2:])
