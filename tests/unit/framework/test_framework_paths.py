"""Path templates."""

from __future__ import annotations

import pytest

from authkit.framework import PathTemplate
from authkit.framework.routing.patterns import expand_pattern


@pytest.mark.parametrize(
    ("template", "path", "captures"),
    [
        ("config", "config", {}),
        ("role/{name}", "role/a", {"name": "a"}),
        ("role/{name}", "role/a-b.c", {"name": "a-b.c"}),
        ("user/{name:at}", "user/a@b.c", {"name": "a@b.c"}),
        ("x/{rest:path}", "x/a/b c", {"rest": "a/b c"}),
        ("a/{x}/b/{y}", "a/1/b/2", {"x": "1", "y": "2"}),
        ("v1.0/x", "v1.0/x", {}),
    ],
)
def test_match(template: str, path: str, captures: dict[str, str]) -> None:
    """A path that fits yields its fields."""
    assert PathTemplate.parse(template).match(path) == captures


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("config", "config/"),
        ("config", "config\n"),
        ("config", "xconfig"),
        ("role/{name}", "role/"),
        ("role/{name}", "role/a/b"),
        ("role/{name}", "role/a\n"),
        ("role/{name}", "role/-a"),
        ("role/{name}", "role/a-"),
        ("role/{name}", "role/é"),
        ("role/{name}", "role/a@b"),
        ("v1.0/x", "v1x0/x"),
        ("x/{rest:path}", "x/a\nb"),
    ],
)
def test_no_match(template: str, path: str) -> None:
    """The whole path must fit, in ASCII; a dot is a dot."""
    assert PathTemplate.parse(template).match(path) is None


def test_lists_take_a_trailing_slash() -> None:
    """Hosts append a slash to the path of a list, but not when they ask for help."""
    template = PathTemplate.parse("role", optional_slash=True)
    assert template.match("role") == template.match("role/") == {}
    assert template.match("role//") is None
    assert template.go_pattern == "^role/?$"


def test_go_spelling() -> None:
    """Help shows the pattern as a Go plugin would have it."""
    assert PathTemplate.parse("role/{name}").go_pattern == r"^role/(?P<name>\w(([\w-.]+)?\w)?)$"
    assert PathTemplate.parse("v1.0/{x:path}").go_pattern == r"^v1\.0/(?P<x>.+)$"


@pytest.mark.parametrize(
    "text", ["", "/a", "a/", "a{b", "a/{b}/{b}", "a/{B}", "a/{b:odd}", "a b", "a*", "a/(b)"]
)
def test_what_is_no_template_is_refused(text: str) -> None:
    """Mistakes show when the class is defined."""
    with pytest.raises(ValueError):
        PathTemplate.parse(text)


def test_regex_of_ones_own() -> None:
    """A group that takes no part in the match is empty, as in Go."""
    template = PathTemplate.from_regex(r"creds(?:/(?P<name>\w+))?")
    assert template.match("creds") == {"name": ""}
    assert template.match("creds/a") == {"name": "a"}
    assert template.match("creds/é") is None
    assert template.match("creds\n") is None
    assert template.go_pattern == r"^creds(?:/(?P<name>\w+))?$"
    with pytest.raises(ValueError, match="plain text"):
        template.special_patterns()


@pytest.mark.parametrize(
    ("pattern", "go_pattern"),
    [
        ("^a$", "^a$"),
        ("a", "^a$"),
        (r"a\$", r"^a\$$"),
        ("a|b", "^(?:a|b)$"),
        ("^a$|^b$", "^(?:^a$|^b$)$"),
        ("(?:a|b)", "^(?:a|b)$"),
        (r"a[(|]|b", r"^(?:a[(|]|b)$"),
        (r"a\|b[]|]", r"^a\|b[]|]$"),
    ],
)
def test_a_regex_is_anchored_once(pattern: str, go_pattern: str) -> None:
    """Anchors belong to the whole pattern; the SDK would give each end to one alternative."""
    template = PathTemplate.from_regex(pattern)
    assert template.go_pattern == go_pattern
    assert template.match("abc") is template.match("xb") is None


@pytest.mark.parametrize(
    "pattern", ["", "^$", "(", "(?P<a>x)(?P<a>y)", r"[\w-.]", "[[:alpha:]]", "/a", "(?u)a", "(?L)a"]
)
def test_regexes_that_mean_nothing_or_another_thing(pattern: str) -> None:
    """What Python reads otherwise than Go, or not at all, is refused when it is declared."""
    with pytest.raises(ValueError):
        PathTemplate.from_regex(pattern)


def test_special_patterns() -> None:
    """A field is one whole segment; a list ends with a slash; hosts have no pattern for anything else."""
    assert PathTemplate.parse("login").special_patterns() == ("login",)
    assert PathTemplate.parse("login/{name}/x").special_patterns() == ("login/+/x",)
    assert PathTemplate.parse("keys", optional_slash=True).special_patterns() == ("keys", "keys/")
    assert PathTemplate.from_regex("a|b/c").special_patterns() == ("a", "b/c")
    for text in ("login/{rest:path}", "login/a-{name}"):
        with pytest.raises(ValueError):
            PathTemplate.parse(text).special_patterns()
    for pattern in ("a[0-9]", "a/(?P<x>.+)"):
        with pytest.raises(ValueError):
            PathTemplate.from_regex(pattern).special_patterns()


@pytest.mark.parametrize(
    ("pattern", "variants"),
    [
        ("role/?", ("role",)),
        (r"creds(?:/(?P<name>\w+))?", ("creds/{name}", "creds")),
        ("a|b(c|d)?", ("a", "bc", "bd", "b")),
        (r"^v1\.0/(?P<x>[])(]+)/end$", ("v1.0/{x}/end",)),
        (r"\Aa\Z", ("a",)),
        ("a??b", ("ab", "b")),
        ("a{", None),
        ("raw/[a-z]+", None),
        ("a.*", None),
        ("a{2}", None),
        (r"\d", None),
        (r"\{x\}", None),
        ("(?P<x>a)*", None),
        ("(?i:a)", None),
        ("(a?)?+", None),
        ("(b|c)?" * 7, None),
    ],
)
def test_what_a_regex_stands_for(pattern: str, variants: tuple[str, ...] | None) -> None:
    """Text, alternatives and options become paths; anything else outside a named group has no such form."""
    assert expand_pattern(pattern) == variants
