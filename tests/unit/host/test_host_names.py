"""Attacks on names: two people that are one for a server, and are told apart here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authkit.auth.policies import find_refused_policy, sanitize_policies
from authkit.names import fold_name, fold_policy


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("Carol", "carol"),
        ("\u212aarl", "karl"),
        ("\u0130van", "ivan"),
        ("\u0399\u03a3", "\u03b9\u03c3"),
        ("\u03b9\u03c2", "\u03b9\u03c2"),
        ("stra\u00dfe", "stra\u00dfe"),
        ("\u1e9e", "\u00df"),
        ("\ud83d\ude00", "\ud83d\ude00"),
    ],
)
def test_names_are_folded_as_go_does(name: str, folded: str) -> None:
    """Taken from Go 1.26 (strings.ToLower), which differs from Python for one character and one context."""
    assert fold_name(name) == folded


@given(st.text())
def test_a_folded_name_is_as_long_and_stays(name: str) -> None:
    """Each character for itself, whatever stands beside it."""
    folded = fold_name(name)
    assert len(folded) == len(name)
    assert folded == "".join(map(fold_name, name))
    assert fold_name(folded) == folded


@pytest.mark.parametrize("blank", [*"\t\n\v\f\r \x85\xa0", "\u1680", "\u2003", "\u2028", "\u202f", "\u3000"])
def test_no_blank_hides_a_policy_of_the_host(blank: str) -> None:
    """Whatever a host removes is removed before a name is compared."""
    assert fold_policy(f"{blank}ROOT{blank}") == "root"
    assert find_refused_policy([f"{blank}Root{blank}"]) == "auth methods cannot create root tokens"
    assert sanitize_policies([f"{blank}Dev{blank}", "dev"]) == ("dev",)


@pytest.mark.parametrize("character", ["\x1c", "\x1f", "\u200b", "\ufeff"])
def test_other_characters_are_part_of_a_policy_s_name(character: str) -> None:
    """Go does not call these white space, though Python does some."""
    assert fold_policy(f"{character}dev") == f"{character}dev"
