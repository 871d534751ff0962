"""Names of users, put together from claims."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jwt_auth.settings.user_claim import compose_user_name, verify_user_claim
from jwt_auth_keys import public_pem

from authkit.errors import TokenError, UserError
from authkit.names import fold_name
from authkit.oidc import Issuers, StaticKeys, TokenVerifier


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
@given(
    st.lists(st.text(":-kK\u212a", max_size=4), min_size=4, max_size=4),
    st.text(":-k\u212a", min_size=1, max_size=3),
)
def test_two_users_never_have_one_name(values: list[str], separator: str) -> None:
    """Whatever the values and the separator: names that are equal to a server mean claims that are."""
    names = []
    for first, second in (values[:2], values[2:]):
        try:
            names.append(compose_user_name({"a": first, "b": second}, f"{{a}}{separator}{{b}}", False))
        except TokenError:
            return
    folded = list(map(fold_name, values))
    assert (fold_name(names[0]) == fold_name(names[1])) == (folded[:2] == folded[2:])


@settings(deadline=None)
@given(
    st.lists(st.text("ak|", min_size=1, max_size=3), min_size=2, max_size=2, unique_by=fold_name),
    st.lists(
        st.sampled_from(["{iss}|{sub}", "{iss}|{sub}-{team}", "{iss}|k{team}|{sub}", "sub"]), min_size=2
    ),
    st.lists(st.text("aAkK\u212a|-", min_size=1, max_size=6), min_size=4, max_size=4),
)
def test_two_issuers_never_name_one_user(iss: list[str], templates: list[str], values: list[str]) -> None:
    """Whatever the roles, unless both share their users."""
    keys = StaticKeys.from_pem([public_pem()])
    issuers = Issuers({name: TokenVerifier(keys, issuer=each) for name, each in zip("xy", iss, strict=True)})
    names = []
    for name, each, template, claims in zip("xy", iss, templates, (values[:2], values[2:]), strict=False):
        try:
            everything = {"iss": each, "sub": claims[0], "team": claims[1]}
            names.append(compose_user_name(everything, template, json_pointer=False))
            issuers.verify_user(names[-1], name)
        except TokenError:
            return
    if templates[:2] != ["sub", "sub"]:
        assert fold_name(names[0]) != fold_name(names[1])
