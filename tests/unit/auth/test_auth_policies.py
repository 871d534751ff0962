"""Policies: cleaned, compared, refused."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from authkit.auth import equivalent_policies, sanitize_policies
from authkit.auth.policies import find_refused_policy


@pytest.mark.parametrize(
    ("given", "clean"),
    [
        ([], ()),
        (["", " "], ()),
        ([" b ", "A", "a"], ("a", "b")),
        (["x", "ROOT"], ("root",)),
        (["default", "a"], ("a", "default")),
    ],
    ids=[
        "nothing",
        "drops empties",
        "trims, lower-cases, sorts, each once",
        "root swallows",
        "default stays",
    ],
)
def test_sanitize(given: Sequence[str], clean: tuple[str, ...]) -> None:
    """Names are as a host keeps them."""
    assert sanitize_policies(given) == clean


def test_sanitize_can_add_default() -> None:
    """`default` comes beside the others, but not beside root."""
    assert sanitize_policies(["z"], add_default=True) == ("default", "z")
    assert sanitize_policies([], add_default=True) == ("default",)
    assert sanitize_policies(["root"], add_default=True) == ("root",)


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ([], [], True),
        ([], ["default"], True),
        (["a", "b"], ["B", "a", "a", "default"], True),
        (["a"], ["a", "b"], False),
        (["a"], [], False),
        (["a"], [" a"], False),
    ],
    ids=[
        "nothing",
        "default does not count",
        "sets without case",
        "one more",
        "one less",
        "names are not trimmed",
    ],
)
def test_equivalent(first: Sequence[str], second: Sequence[str], same: bool) -> None:
    """Two lists are compared as sets."""
    assert equivalent_policies(first, second) is same
    assert equivalent_policies(second, first) is same


def test_refused() -> None:
    """Three names are the host's own."""
    assert find_refused_policy(["a", "roots", "default"]) is None
    assert find_refused_policy(["a", " Root"]) == "auth methods cannot create root tokens"
    assert find_refused_policy(["Control-Group "]) == 'cannot assign policy "control-group"'
    assert find_refused_policy(["response-wrapping"]) == 'cannot assign policy "response-wrapping"'


def test_one_text_is_not_a_list_of_policies() -> None:
    """Its characters would be compared, and none of them is refused."""
    for compare in (
        lambda: equivalent_policies("root", ["r", "o", "t"]),
        lambda: find_refused_policy("root"),
    ):
        with pytest.raises(TypeError, match="is one text where a collection is meant"):
            compare()
    with pytest.raises(TypeError, match="is one text where a collection is meant"):
        equivalent_policies(["r", "o", "t"], "root")
