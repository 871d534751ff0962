"""Claim access, bound claims and identity."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oidc_factories import said

from authkit.errors import TokenError
from authkit.logical import JSONNumber
from authkit.oidc import (
    Leeways,
    get_claim,
    groups_from_claim,
    metadata_from_claims,
    user_name,
    verify_bound_claims,
)

CLAIMS = {
    "name": "ann",
    "empty": "",
    "none": None,
    "zero": 0,
    "no": False,
    "https://example.com/groups": ["g"],
    "/odd": "plain",
    "": "nameless",
    "a/b": "slash",
    "m~n": "tilde",
    "~1": "escaped",
    "nested": {"deep": {"er": "x"}, "list": ["p", {"q": 7}], "": "blank", "null": None},
}


def refusal(call, *arguments):
    """The text of the `TokenError` of a call that must fail."""
    with pytest.raises(TokenError) as caught:
        call(*arguments)
    return said(caught.value)


# --- access ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", "ann"),
        ("empty", ""),
        ("zero", 0),
        ("no", False),
        ("none", None),
        ("missing", None),
        ("NAME", None),
        ("nested.deep", None),
        ("nested/deep", None),
        ("https://example.com/groups", ["g"]),
        ("", "nameless"),
        ("/name", "ann"),
        ("/", "nameless"),
        ("/odd", None),
        ("//odd", None),
        ("/~1odd", "plain"),
        ("/a~1b", "slash"),
        ("/m~0n", "tilde"),
        ("/~01", "escaped"),
        ("/nested/deep/er", "x"),
        ("/nested/deep", {"er": "x"}),
        ("/nested/", "blank"),
        ("/nested/null", None),
        ("/nested/null/x", None),
        ("/nested/missing/x", None),
        ("/nested/list/0", "p"),
        ("/nested/list/1/q", 7),
        ("/nested/list/2", None),
        ("/nested/list/-1", None),
        ("/nested/list/-", None),
        ("/nested/list/00", None),
        ("/nested/list/+0", None),
        ("/nested/list/\u0660", None),
        ("/nested/list/" + "9" * 5000, None),
        ("/nested/list/q", None),
        ("/name/0", None),
        ("/zero/x", None),
    ],
)
def test_a_claim_is_found_by_name_or_pointer(name, value):
    """A leading slash makes a pointer; whatever leads nowhere is no value."""
    assert get_claim(CLAIMS, name) == value


def test_a_pointer_that_leads_nowhere_is_logged(caplog):
    """An operator can see which pointer it was; a plain key is not worth a line."""
    caplog.set_level(logging.DEBUG)
    get_claim(CLAIMS, "missing")
    assert caplog.messages == []
    get_claim(CLAIMS, "/nested/missing")
    assert caplog.messages == ['no value at the JSON pointer "/nested/missing" in the claims']


@given(st.text(alphabet="/~01-+na😀 "))
def test_any_name_finds_something_or_nothing(name):
    """No name causes an exception."""
    get_claim(CLAIMS, name)
    get_claim({"n": [[["a"]]]}, name)


# --- user --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claim", "pointer", "name"),
    [
        ("name", False, "ann"),
        ("name", True, "ann"),
        ("empty", False, ""),
        ("/odd", False, "plain"),
        ("/nested/deep/er", True, "x"),
    ],
)
def test_a_user_is_named_by_a_claim(claim, pointer, name):
    """The claim is a plain key unless the role says pointer."""
    assert user_name(CLAIMS, claim, pointer) == name


@pytest.mark.parametrize(
    ("claim", "pointer", "text"),
    [
        ("missing", False, 'claim "missing" not found in token'),
        ("none", False, 'claim "none" not found in token'),
        ("/nested/deep/er", False, 'claim "/nested/deep/er" not found in token'),
        ("/odd", True, 'claim "/odd" not found in token'),
        ("zero", False, 'claim "zero" could not be converted to string'),
        ("no", False, 'claim "no" could not be converted to string'),
        ("nested", False, 'claim "nested" could not be converted to string'),
        ("/nested/list", True, 'claim "/nested/list" could not be converted to string'),
        ('q"uote', False, 'claim "q\\"uote" not found in token'),
    ],
)
def test_without_a_text_there_is_no_user(claim, pointer, text):
    """A missing claim and one that is no text are refused."""
    assert refusal(user_name, CLAIMS, claim, pointer) == text


# --- groups ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "groups"),
    [
        (["b", "a", "b"], ["b", "a", "b"]),
        (["", "a", ""], ["a"]),
        ([], []),
        ("a", ["a"]),
        ("a,b", ["a,b"]),
        ("", []),
    ],
)
def test_groups_are_texts(value, groups):
    """Order and duplicates stay, empty names go, one text is a list of one."""
    assert groups_from_claim({"groups": value}, "groups") == groups
    assert groups_from_claim({"x": {"groups": value}}, "/x/groups") == groups


def test_without_a_groups_claim_there_are_no_groups():
    """A role need not have groups."""
    assert groups_from_claim({"": ["a"]}, "") == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, 'failed to fetch groups: "groups" claim not found in token'),
        ({"a": 1}, '"groups" claim could not be converted to string list'),
        (5, "value 5 in groups claim could not be parsed as string"),
        (True, "value true in groups claim could not be parsed as string"),
        (["a", 5], "value 5 in groups claim could not be parsed as string"),
        (["a", None], "value null in groups claim could not be parsed as string"),
        (["a", ["b"]], 'value ["b"] in groups claim could not be parsed as string'),
        ([{"a": 1}], 'value {"a": 1} in groups claim could not be parsed as string'),
    ],
)
def test_other_groups_are_refused(value, text):
    """One wrong element refuses the login."""
    assert refusal(groups_from_claim, {"groups": value}, "groups") == text


def test_a_long_value_is_not_repeated_whole():
    """A message stays short."""
    assert len(refusal(groups_from_claim, {"groups": [["x" * 10_000]]}, "groups")) < 200


# --- metadata ----------------------------------------------------------------------------------


def test_metadata_is_mapped_from_claims():
    """Claims with a value give metadata under their key; others give none."""
    mappings = {
        "name": "who",
        "/nested/deep/er": "where",
        "missing": "m",
        "/no/where": "n",
        "none": "o",
        "empty": "e",
    }
    assert metadata_from_claims(CLAIMS, mappings) == {"who": "ann", "where": "x", "e": ""}
    assert metadata_from_claims(CLAIMS, {}) == {}


@pytest.mark.parametrize("claim", ["zero", "no", "nested", "/nested/list"])
def test_metadata_is_text(claim):
    """A value of another type is refused."""
    assert (
        refusal(metadata_from_claims, CLAIMS, {claim: "k"}) == f"error converting claim '{claim}' to string"
    )


# --- bound claims ------------------------------------------------------------------------------


def matches(actual, expected, kind="string"):
    """Whether a claim with this value satisfies this bound value."""
    try:
        verify_bound_claims({"c": actual}, {"c": expected}, kind)
    except TokenError as error:
        if said(error) != 'claim "c" does not match any associated bound claim values':
            raise
        return False
    return True


@pytest.mark.parametrize(
    ("actual", "expected", "result"),
    [
        ("a", "a", True),
        ("a", ["x", "a"], True),
        ("a", ("x", "a"), True),
        (["x", "a"], "a", True),
        (["x", "a"], ["b", "a"], True),
        ("", "", True),
        ("a", "A", False),
        ("a", "a ", False),
        ("ab", "a*", False),
        (["x"], ["b", "a"], False),
        ([], ["a"], False),
        ("a", [], False),
        ([], [], False),
        (True, True, True),
        (False, False, True),
        (True, False, False),
        (True, "true", False),
        ("true", True, False),
        (True, 1, False),
        (1, True, False),
        (0, False, False),
        ([True], [True], True),
        (5, 5, True),
        (-5, -5, True),
        (5, 6, False),
        ("5", 5, False),
        (5, "5", False),
        ([5, 6], 6, True),
        ([5], [6, 5], True),
        (2**70, 2**70, True),
        ([2**70 + 1], 2**70 + 1, True),
        (2**70, 2**70 + 1, False),
        (2**53 + 1, 2**53, False),
        (5.0, 5, True),
        (1e3, 1000, True),
        ([5.0], 5, True),
        (5.9, 5, False),
        (5.9, 5.9, False),
        (-0.0, 0, True),
        (float(2**53), 2**53, False),
        (1e300, int(1e300), False),
        (5, 5.0, False),
        (5, JSONNumber("5.0"), False),
        (5.0, JSONNumber("5.0"), False),
        (1000, JSONNumber("1e3"), False),
        ([["a"]], "a", False),
        ([{"a": 1}, "b"], "b", True),
        ([None], "a", False),
        (["a"], [None], False),
        ([None], [None], False),
        ([5.5], [None], False),
        (["a"], [["a"]], False),
        (["a"], [{"a": 1}, "a"], True),
    ],
)
def test_values_match_when_equal_and_of_one_kind(actual, expected, result):
    """Text, bool and integer match only their own kind; some value of each side must be equal."""
    assert matches(actual, expected) is result


@pytest.mark.parametrize(
    ("pattern", "text", "result"),
    [
        ("", "", True),
        ("", "a", False),
        ("*", "", True),
        ("*", "anything\nat all", True),
        ("**", "x", True),
        ("a", "a", True),
        ("a", "A", False),
        ("a*", "abc", True),
        ("a*", "a", True),
        ("a*", "ba", False),
        ("*c", "abc", True),
        ("*c", "cb", False),
        ("*b*", "abc", True),
        ("*b*", "ac", False),
        ("a*c", "abc", True),
        ("a*c", "ac", True),
        ("a*c", "abcd", False),
        ("aa*aa", "aaa", False),
        ("aa*aa", "aaaa", True),
        ("a*b*c", "a-b-c", True),
        ("a*b*c", "a-c-b", False),
        ("*ab*ab*", "ab-ab", True),
        ("*ab*ab*", "ab-a", False),
        ("*a*a", "a", False),
        ("a?c", "abc", False),
        ("[ab]", "a", False),
        ("a.c", "abc", False),
        ("a\\*", "a\\b", True),
        ("*" * 50 + "b", "a" * 5000, False),
    ],
)
def test_a_star_stands_for_any_run(pattern, text, result):
    """Nothing but the star is special, and no pattern takes long."""
    assert matches(text, pattern, "glob") is result


@pytest.mark.parametrize(
    ("actual", "expected", "result"),
    [
        (["x", "team-a"], ["no", "team-*"], True),
        ([5, True, None, "b"], ["b"], True),
        (5, "*", False),
        (True, "*", False),
        ([], "*", False),
        ("a", [], False),
    ],
)
def test_glob_looks_at_texts_only(actual, expected, result):
    """Values that are no text are passed over."""
    assert matches(actual, expected, "glob") is result


@pytest.mark.parametrize("expected", [5, True, ["a", 5], [None], [["a"]], 1.5])
@pytest.mark.parametrize("actual", ["a", "z", 5])
def test_a_pattern_that_is_no_text_is_refused(expected, actual):
    """Such a role lets nobody in, whatever the token says."""
    text = refusal(verify_bound_claims, {"c": actual}, {"c": expected}, "glob")
    assert text.startswith("received claim is not a glob string: ")


@pytest.mark.parametrize("kind", ["string", "glob"])
@pytest.mark.parametrize(
    ("claims", "bound", "text"),
    [
        ({}, {"c": "a"}, 'claim "c" is missing'),
        ({"c": None}, {"c": "a"}, 'claim "c" is missing'),
        ({"c": None}, {"c": None}, 'claim "c" is missing'),
        ({}, {"/c/d": "a"}, 'claim "/c/d" is missing'),
        ({"c": {"a": 1}}, {"c": "a"}, "received claim is not a string, bool, int or list: an object"),
        ({"c": {"a": 1}}, {"c": {"a": 1}}, "received claim is not a string, bool, int or list: an object"),
        ({"c": "a"}, {"c": {"a": 1}}, "bound claim is not a string, bool, int or list: an object or null"),
        ({"c": "a"}, {"c": None}, "bound claim is not a string, bool, int or list: an object or null"),
        ({"c": "sesame"}, {"c": "a"}, 'claim "c" does not match any associated bound claim values'),
        (
            {"c": "a", "d": "b"},
            {"c": "a", "d": "x"},
            'claim "d" does not match any associated bound claim values',
        ),
    ],
)
def test_each_bound_claim_must_hold(kind, claims, bound, text):
    """One that is missing, of another kind or different refuses; its value is not repeated."""
    assert refusal(verify_bound_claims, claims, bound, kind) == text


def test_bound_claims_hold_together():
    """Plain keys and pointers may be mixed; nothing bound asks nothing."""
    bound = {"name": "ann", "/nested/list/1/q": [7], "https://example.com/groups": ["g", "h"], "no": False}
    verify_bound_claims(CLAIMS, bound, "string")
    verify_bound_claims(CLAIMS, {}, "string")


@pytest.mark.parametrize("kind", ["", "regex", "String", "GLOB"])
def test_an_unknown_kind_is_refused(kind):
    """A kind that nobody implements never counts as satisfied, not even without bound claims."""
    with pytest.raises(ValueError, match="invalid 'bound_claims_type'"):
        verify_bound_claims(CLAIMS, {}, kind)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=5,
)


@given(VALUES, VALUES, st.sampled_from(["string", "glob"]))
def test_any_values_match_or_are_refused(actual, expected, kind):
    """No pair of values causes another exception; what matches shares a value."""
    try:
        verify_bound_claims({"c": actual}, {"c": expected}, kind)
    except TokenError:
        return
    if kind == "string":
        left, right = (value if isinstance(value, list) else [value] for value in (actual, expected))
        assert any(one == other for one in left for other in right)


# --- leeways -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "hours"), [("expiration", 24), ("not_before", 24), ("clock_skew", 1)])
def test_leeways_have_maxima(name, hours):
    """An old token must not become valid by a setting; the error names the setting and its maximum."""
    Leeways(**{name: timedelta(hours=hours)}).verify()
    with pytest.raises(ValueError, match=f"^'{name}_leeway' is longer than {hours} h$"):
        Leeways(**{name: timedelta(hours=hours, seconds=1)}).verify()
