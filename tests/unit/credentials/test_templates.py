"""Text templates: what Go makes of them, what is refused, and what none may cost."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
import username_templates
from hypothesis import given
from hypothesis import strategies as st

from authkit.credentials.templates import MAX_DEPTH, MAX_TEMPLATE, Template, TemplateError
from authkit.credentials.templates.functions import FUNCTIONS
from authkit.credentials.templates.go_time import format_time

CASES = username_templates.read_recording()


@pytest.mark.parametrize("case", CASES["same"], ids=lambda case: case["template"])
def test_the_name_is_that_of_go(case: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Or there is none on both sides. tests/live/test_go_templates.py recorded what Go says."""
    username_templates.fix_functions(monkeypatch)
    names: list[str | None] = []
    for fields in CASES["fields"]:
        try:
            names.append(username_templates.apply(str(case["template"]), *fields))
        except TemplateError:
            names.append(None)
    assert names == case["names"]


@pytest.mark.parametrize("template", CASES["refused here"])
def test_some_of_go_is_refused(template: str) -> None:
    """With a text that says the line."""
    with pytest.raises(TemplateError, match=r"^unable to (parse|apply) template: line 1: "):
        username_templates.apply(template, "d", "role")


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("a\n\n{{ foo }}", 'line 3: function "foo" not defined; there are and, base64, '),
        ("{{ .Role }}", 'line 1: unknown field ".Role": there are .DisplayName, .RoleName'),
        ("{{ range .RoleName }}{{ end }}", "line 1: {{range}} is not supported"),
        ("{{ $x := 1 }}", "line 1: variables are not supported"),
        (
            "{{ .RoleName | truncate 8.5 }}",
            "line 1: 8.5: only decimal numbers of up to 18 digits are supported",
        ),
        ("{{ 'a' }}", "line 1: character constants are not supported: write a string in double quotes"),
        ("{{ if .RoleName }}x", "line 1: {{end}} expected for {{if}}, found the end of the template"),
        ("{{ .RoleName", "line 1: an action has no closing }}"),
        ('{{ "x }}', "line 1: a string has no closing quote"),
        ("{{ (uuid }}", 'line 1: ) expected, found "}}"'),
        ("{{ uuid) }}", 'line 1: }} expected, found ")"'),
        ("{{ with .RoleName }}{{ .DisplayName }}{{ end }}", "inside {{with}} write $.DisplayName"),
        ('{{ "\\q" }}', "line 1: unknown escape \\q"),
        ("{{ uppercase(uuid) }}", 'line 1: a space is missing before "("'),
        ("{{ uuid | .RoleName }}", "line 1: only a function can follow a |"),
    ],
)
def test_a_refusal_says_what_to_change(template: str, text: str) -> None:
    """To an operator who has the template before them."""
    with pytest.raises(TemplateError) as caught:
        username_templates.apply(template)
    assert str(caught.value).startswith("unable to parse template: ")
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ truncate 8 }}", "truncate: wrong number of arguments: want 2, got 1"),
        ("{{ eq 1 }}", "eq: wrong number of arguments: want at least 2, got 1"),
        ('{{ truncate "8" "x" }}', "truncate: wrong type of argument: want int, got string"),
        ("{{ truncate true `x` }}", "truncate: wrong type of argument: want int, got bool"),
        ('{{ printf "%d" "x" }}', "printf: %d does not fit a value of type string"),
        ('{{ printf "%s" "x" "y" }}', "printf: more arguments than the format has verbs"),
        ('{{ printf "%*d" 1 }}', "printf: %* is not supported"),
        ('{{ decode_hex "ff" }}', "decode_hex: the result is not UTF-8"),
        ("{{ and }}", "and: needs at least 1 argument"),
    ],
)
def test_a_failure_names_the_function(template: str, text: str) -> None:
    """And its line."""
    with pytest.raises(TemplateError, match=re.escape(f"unable to apply template: line 2: {text}")):
        username_templates.apply("\n" + template)


def test_a_character_is_cut_off_whole() -> None:
    """A database refuses a name that is not UTF-8."""
    for size, text in enumerate(["a", "a", "aé", "aé", "aé", "aé", "aé😀"], start=1):
        assert username_templates.apply(f"{{{{truncate {size} .RoleName}}}}", role_name="aé😀") == text
    assert (
        len(username_templates.apply("{{truncate_sha256 10 .RoleName}}", role_name="éé" * 9).encode()) == 10
    )


def test_random_texts_differ() -> None:
    """62 characters, each about as often as the others."""
    drawn = username_templates.apply("{{random 62000}}")
    assert re.fullmatch("[a-zA-Z0-9]*", drawn)
    assert all(700 < drawn.count(character) < 1300 for character in set(drawn))
    assert len(set(drawn)) == 62
    assert len({username_templates.apply("{{uuid}}") for _ in range(50)}) == 50
    assert re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", username_templates.apply("{{uuid}}"))


def test_the_time_is_now() -> None:
    """In seconds, milliseconds, and a layout."""
    before = time.time()
    seconds, millis, date = username_templates.apply(
        '{{unix_time}} {{unix_time_millis}} {{timestamp "2006"}}'
    ).split()
    assert int(before) <= int(seconds) <= time.time()
    assert int(before * 1000) <= int(millis) <= time.time() * 1000
    assert date in {str(datetime.now().year), str(datetime.fromtimestamp(before).year)}


# --- limits ------------------------------------------------------------------------------------

BOMBS = [
    "{{random 100000000}}",
    "{{random 100000}}" * 2,
    '{{printf "%999999999s" .RoleName}}',
    '{{printf "%.999999999s" .RoleName}}',
    '{{replace "" .RoleName .RoleName}}',
    '{{replace "" (random 1000) (random 1000)}}',
    "{{random 60000 | base64 | base64}}",
    "{{sha256 (random 90000)}}" * 20,
    "{{print .RoleName .RoleName}}" * 2000,
    '{{timestamp "' + "January" * 9000 + '"}}',
    "{{eq (random 100000) (random 100000)}}" * 9,
]


@pytest.mark.parametrize("bomb", BOMBS)
def test_no_template_takes_the_process_down(bomb: str) -> None:
    """Each is refused before the text is made that would be too long."""
    with pytest.raises(TemplateError, match=r"longer than 100,000|more than 1,000,000"):
        username_templates.apply(bomb, role_name="r" * 500)


@pytest.mark.parametrize(
    "begin", ["{{if 1}}", "{{with 1}}", "{{if 1}}{{else if 1}}"], ids=["if", "with", "else"]
)
def test_nesting_is_bounded(begin: str) -> None:
    """Well below what the interpreter can do."""
    with pytest.raises(TemplateError, match="inside each other"):
        username_templates.apply(begin * 1000)
    with pytest.raises(TemplateError, match="inside each other"):
        username_templates.apply("{{" + "(" * 10_000)
    assert username_templates.apply("{{" + "(" * MAX_DEPTH + "1" + ")" * MAX_DEPTH + "}}") == "1"


def test_a_template_is_bounded() -> None:
    """At the server's size."""
    assert len(username_templates.apply("x" * (MAX_TEMPLATE - 1))) == MAX_TEMPLATE - 1
    with pytest.raises(TemplateError, match="template too large"):
        Template("é" * (MAX_TEMPLATE // 2), ())


@pytest.mark.parametrize(
    "text", ["{{", "{{(", "{{-", "{{/*", '{{"', "{{` ", "{{ 1", "{{ 1 |", "{{.RoleName}} ", "{{1}}{{"]
)
def test_parsing_takes_linear_time(text: str) -> None:
    """The largest templates are refused, or applied, at once."""
    started = time.process_time()
    for template in (text * ((MAX_TEMPLATE - 1) // len(text)), text + " " * (MAX_TEMPLATE - 1 - len(text))):
        with suppress(TemplateError):
            username_templates.apply(template)
    assert time.process_time() - started < 5


@given(st.text(max_size=60) | st.text('{}()|-."`/*$ if1\n\\', max_size=60))
def test_any_text_is_a_template_or_refused(text: str) -> None:
    """There is one kind of error; what has no action is its own result."""
    try:
        name = username_templates.apply(text, "d", "r")
    except TemplateError:
        return
    if "{{" not in text:
        assert name == text


# --- parts -------------------------------------------------------------------------------------


def test_changes_of_case_keep_the_number_of_characters() -> None:
    """So a limit of a database holds."""
    for name in ("uppercase", "lowercase"):
        changed = str(FUNCTIONS[name].call("straße ŉ ǆ ᾳ ﬁ İ Σς"))
        assert len(changed) == len("straße ŉ ǆ ᾳ ﬁ İ Σς")
    assert FUNCTIONS["uppercase"].call("straße") == "STRAßE"


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        ("2006-01-02 15:04:05-0700", "2026-03-07 16:05:09+0545"),
        ("Monday, January 2; Mon Jan _2 06 __2 002", "Saturday, March 7; Sat Mar  7 26  66 066"),
        ("3:4:5 03PM pm", "4:5:9 04PM pm"),
        (".000 .000000000 ,999 .0 .00x .001", ".120 .120456000 ,12 .1 .12x .003"),
        ("Z07:00 -07 -07:00 Z070000 -07:00:00", "+05:45 +05 +05:45 +054500 +05:45:00"),
        ("MST", "EAST"),
        ("Month Janet _2006 Z", "Month Janet _2026 Z"),
        ("", ""),
    ],
)
def test_layouts_are_those_of_go(layout: str, text: str) -> None:
    """All parts."""
    assert format_time(username_templates.MOMENT, layout) == text


def test_a_moment_in_utc() -> None:
    """`Z` shows it, and no fraction is left of whole seconds."""
    moment = datetime(987, 12, 31, 0, 0, 0, tzinfo=UTC)
    assert format_time(moment, "2006 Z07:00 -0700 MST .999 3 PM") == "0987 Z +0000 UTC  12 AM"
    west = timezone(-timedelta(hours=3, minutes=30))
    assert format_time(moment.replace(tzinfo=west), "-07:00") == "-03:30"
