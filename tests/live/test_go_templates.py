"""Username templates beside those of the SDK in Go: what both accept gives the same name."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from livebed.binaries import find_built
from username_templates import RECORDING, apply, fix_functions, read_recording

from authkit.credentials.templates import TemplateError
from authkit.credentials.templates.functions import FUNCTIONS


class GoTemplates:
    """The program in Go."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def apply(self, template: str, display_name: str, role_name: str) -> bytes | str:
        """Return the name, or the text of the error."""
        question = {"template": template, "display_name": display_name, "role_name": role_name}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer["error"] or base64.b64decode(answer["output"] or "")

    def apply_or_none(self, template: str, display_name: str, role_name: str) -> str | None:
        """Return the name, or `None` for an error."""
        name = self.apply(template, display_name, role_name)
        return name.decode() if isinstance(name, bytes) else None


@pytest.fixture(scope="module")
def go() -> Iterator[GoTemplates]:
    """The program, running, and our functions fixed as its own."""
    path = find_built("templates")
    if path is None:
        pytest.skip("the templates in Go are not built: scripts/live/build templates")
    with (
        pytest.MonkeyPatch.context() as patch,
        subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
    ):
        fix_functions(patch)
        yield GoTemplates(process)


def compare(go: GoTemplates, template: str, display_name: str, role_name: str) -> str | TemplateError:
    """Apply a template on both sides and return ours. What we accept, Go accepts, with the same name."""
    theirs = go.apply(template, display_name, role_name)
    try:
        ours = apply(template, display_name, role_name)
    except TemplateError as error:
        return error
    assert ours.encode() == theirs
    return ours


# --- by hand -----------------------------------------------------------------------------------


def test_the_recording_is_what_go_says(go: GoTemplates) -> None:
    """The unit tests compare with it. AUTHKIT_RECORD=1 writes it, for new templates that have no names."""
    cases = read_recording()
    recorded = [
        {
            "template": case["template"],
            "names": [go.apply_or_none(case["template"], *fields) for fields in cases["fields"]],
        }
        for case in cases["same"]
    ]
    if os.environ.get("AUTHKIT_RECORD"):
        write_recording({**cases, "same": recorded})
    else:
        assert recorded == cases["same"]


def test_what_is_refused_here_works_in_go(go: GoTemplates) -> None:
    """The differences that the package's docstring states."""
    cases = read_recording()
    assert [each for each in cases["refused here"] if isinstance(go.apply(each, "d", "role"), str)] == []


def test_go_cuts_characters_in_two(go: GoTemplates) -> None:
    """The other difference: here they are left out."""
    assert go.apply("{{truncate 2 .RoleName}}", "", "a\u00e9") == b"a\xc3"
    assert apply("{{truncate 2 .RoleName}}", "", "a\u00e9") == "a"


def write_recording(cases: dict[str, Any]) -> None:
    """Write a line for each template."""
    lines = {
        key: ",\n".join(json.dumps(each, ensure_ascii=False) for each in cases[key])
        for key in ("same", "refused here")
    }
    head = f'"origin": {json.dumps(cases["origin"])},\n"fields": {json.dumps(cases["fields"])}'
    RECORDING.write_text(
        "{\n" + ",\n".join([head, *(f'"{key}": [\n{text}\n]' for key, text in lines.items())]) + "\n}\n"
    )


def test_letters_change_case_as_in_go(go: GoTemplates) -> None:
    """One for one, without the special cases of whole words."""
    old = unicodedata.ucd_3_2_0
    letters = "".join(chr(code) for code in range(0x20000) if old.category(chr(code)) not in ("Cn", "Cs"))
    for name in ("uppercase", "lowercase"):
        theirs = go.apply(f"{{{{.DisplayName | {name}}}}}", letters, "")
        assert isinstance(theirs, bytes)
        ours = FUNCTIONS[name].call(letters)
        different = {
            letter
            for letter, here, there in zip(letters, ours, theirs.decode(), strict=True)
            if here != there
        }
        # Unicode 16 gave these two capitals.
        assert different <= {"\u019b", "\u0264"}


# --- generated ---------------------------------------------------------------------------------

SIMPLE = st.sampled_from(["", "a", "bob", "Token-1", "x y", "%s", "{{", "'\"", "0", "-", "_", "ab" * 20])
UNICODE = SIMPLE | st.text(max_size=8) | st.sampled_from(["é", "ßİı", "日本", "ǆ"])


def literals(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Strings as Go writes them."""
    quoted = texts.map(lambda text: json.dumps(text, ensure_ascii=False).replace("\\/", "/"))
    return quoted | texts.filter(lambda text: "`" not in text and "\r" not in text).map("`{}`".format)


def arguments(texts: st.SearchStrategy[str], *, cuts: bool) -> st.SearchStrategy[str]:
    """Operands of all types, mostly such as fit."""
    spaces = st.sampled_from([" ", "  ", "\n", "\t"])
    fields = st.sampled_from([".DisplayName", ".RoleName", "$.RoleName"])
    numbers = st.integers(-2, 70).map(str)
    leaves = fields | literals(texts) | numbers | st.sampled_from(["true", "false", "unix_time", "uuid"])

    def calls(operands: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        one = [
            "uppercase",
            "lowercase",
            "sha256",
            "base64",
            "hex",
            "not",
            "len",
            "print",
            "timestamp",
            "and",
            "or",
        ]
        two = ["eq", "ne", "lt", "le", "gt", "ge", "and", "or", "print", "glob", "eq"]
        sized = ["truncate", "truncate_sha256"] if cuts else []
        commands = st.one_of(
            st.builds("{}{}{}".format, st.sampled_from(one), spaces, operands),
            st.builds("{} {}{}{}".format, st.sampled_from(two), operands, spaces, operands),
            st.builds("{} {} {}".format, st.sampled_from([*sized, "print"]), numbers, operands),
            st.builds("random {}".format, numbers),
            st.builds("replace {} {} {}".format, literals(texts), literals(texts), operands),
            st.builds(
                "printf {} {} {}".format,
                st.lists(VERBS | texts.map(lambda text: text.replace("%", "")), max_size=4)
                .map("".join)
                .map(json.dumps),
                operands,
                operands,
            ),
        )
        stages = [
            *one,
            "replace `a` `b`",
            "printf `%s`",
            "printf `%5.2v|`",
            "eq 1",
            *(f"{name} 9" for name in sized),
        ]
        piped = st.builds(
            "{} | {}".format,
            operands | commands,
            st.lists(st.sampled_from(stages), min_size=1, max_size=3).map("|".join),
        )
        return (commands | piped).map("({})".format)

    return st.recursive(leaves, calls, max_leaves=6)


VERBS = st.sampled_from(
    ["%s", "%v", "%d", "%q", "%x", "%X", "%t", "%5s", "%-8v|", "%.3s", "%05d", "%7.2q", "%%", "%-05d"]
)
OPENINGS, CLOSINGS = (
    st.sampled_from(["{{", "{{ ", "{{- ", "{{-\n"]),
    st.sampled_from(["}}", " }}", " -}}", "\t-}}"]),
)


IS_STRICTER = re.compile(r"printf: |inside \{\{with\}\}")
"""Where a generated template is refused here alone: complaints in a name, fields in a branch not taken."""


VALUES = [(SIMPLE, arguments(SIMPLE, cuts=True)), (UNICODE, arguments(UNICODE, cuts=False))]
"""Where texts are cut, they are ASCII: Go cuts characters in two."""


@st.composite
def questions(draw: st.DrawFn) -> tuple[str, str, str]:
    """A template of the supported part, mostly right, and its fields."""
    texts, operands = draw(st.sampled_from(VALUES))

    def action(inside: str) -> str:
        return draw(OPENINGS) + inside + draw(CLOSINGS)

    def nodes(depth: int) -> str:
        parts = []
        for kind in draw(
            st.lists(st.sampled_from(["text", "value", "value", "comment", "if", "with"]), max_size=4)
        ):
            if kind == "text":
                parts.append(draw(texts).replace("{{", " {"))
            elif kind == "value":
                parts.append(action(draw(operands)))
            elif kind == "comment":
                parts.append(draw(st.sampled_from(["{{/* c */}}", "{{- /* c */}}", "{{/* }} */ -}}"])))
            elif depth:
                parts += action(f"{kind} {draw(operands)}"), nodes(depth - 1)
                if draw(st.booleans()):
                    parts += action(f"else {kind} {draw(operands)}"), nodes(depth - 1)
                if draw(st.booleans()):
                    parts += action("else"), nodes(depth - 1)
                parts.append(action("end"))
        return "".join(parts)

    return nodes(2), draw(texts), draw(texts)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(question=questions())
def test_generated_templates(go: GoTemplates, question: tuple[str, str, str]) -> None:
    """Both give the same, or both refuse, but for the complaints that Go writes into a name."""
    ours = compare(go, *question)
    theirs = go.apply(*question)
    if isinstance(ours, TemplateError) and isinstance(theirs, bytes):
        assert IS_STRICTER.search(str(ours)), (question, ours, theirs)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    question=questions(),
    changes=st.lists(
        st.tuples(st.integers(0, 400), st.sampled_from([*'{}()|-.$"`/* \n,:=a1', "", "}}", "{{"])),
        min_size=1,
        max_size=3,
    ),
)
def test_damaged_templates(
    go: GoTemplates, question: tuple[str, str, str], changes: list[tuple[int, str]]
) -> None:
    """What Go refuses, we refuse."""
    template, display_name, role_name = question
    for position, text in changes:
        position %= len(template) + 1
        template = template[:position] + text + template[position + 1 :]
    compare(go, template, display_name, role_name)
