"""Every block of code on every page is run by a test or says why not, and those that are not run are read."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from pages import APART, PAGES, ROOT, TOGETHER, Block, apart, blocks

from authkit.cli.main import cli

SOURCE = pytest.mark.skipif(
    not (ROOT / "authkit").is_dir(), reason="the source is out of reach (scripts/test_wheel)"
)
MAP = "docs/architecture.md"
SHELL_SECONDS = 10
PARTICIPANT = re.compile(r"participant (\w+) as .+")
EVENT = re.compile(r"(\w+)-?->>(\w+): .+")
NOTE = re.compile(r"Note over (\w+): .+")
OPENS = re.compile(r'\w+( "[^"]+")*( =)? \{')
VALUE = r'"[^"]*"|true|false|\d+|\[("[^"]*"(, )?)*\]|\{( \w+ = ("[^"]*"|[\w.]+),?)+ \}'
SETS = re.compile(rf"\w+ *= ({VALUE})")


def everywhere(language: str) -> list[Block]:
    """Return the blocks of all pages in a language."""
    return [block for page in PAGES for block in blocks(page) if block.language == language]


@pytest.mark.parametrize("page", PAGES)
def test_each_block_has_its_test_or_its_reason(page: str) -> None:
    """Write a new block's test, or why none runs it, into tests/pages.py."""
    for block in blocks(page):
        assert block.language, f"{block}: fence the block, and name its language"
        by_itself = [each for each in APART.get(page, ()) if block.text.startswith(each)]
        assert len(by_itself) <= 1, block
        if not by_itself:
            assert any(is_of(block, *entry) for entry in TOGETHER), f"{block}: no test runs it"


def test_no_entry_is_left_over() -> None:
    """Each entry has blocks, and each one that runs by itself is one block."""
    for entry in TOGETHER:
        assert any(is_of(block, *entry) for page in PAGES for block in blocks(page)), entry
    for page, beginnings in APART.items():
        for beginning in beginnings:
            assert apart(page, beginning)


def is_of(block: Block, pages: str, language: str) -> bool:
    """Whether a block is one of an entry."""
    return fnmatch(block.page, pages) and fnmatch(block.language, language)


def test_the_tests_that_run_blocks_are_there() -> None:
    """Each is a function of its file, or a script, and the file names the page."""
    for (pages, _), test in TOGETHER.items():
        text = source_of(test)
        name = pages if pages.startswith("examples/") else Path(pages).stem
        assert "*" in pages or name in text, f"{test} does not name {pages}"
    for beginnings in APART.values():
        for test in beginnings.values():
            if "::" in test:
                source_of(test)


def source_of(test: str) -> str:
    """Return the text of a script, or of the file that has a test."""
    file, _, name = test.partition("::")
    text = (ROOT / file).read_text()
    assert not name or f"def {name}(" in text, test
    return text


@pytest.mark.parametrize("block", everywhere("sh"), ids=str)
def test_commands_can_be_read(block: Block) -> None:
    """By a shell; what they name of this project is there: options, targets, files; JSON in them is JSON."""
    read = subprocess.run(
        ["sh", "-n"], input=block.text, capture_output=True, text=True, timeout=SHELL_SECONDS, check=False
    )
    assert (read.returncode, read.stderr) == (0, "")
    for words in commands(block.text):
        check_names(words)
    for document in re.findall(r"<<END\n(\{.*?)^END$", block.text, re.MULTILINE | re.DOTALL):
        json.loads(document)


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each line that begins with a command of this project, continued lines joined."""
    for line in text.replace("\\\n", " ").splitlines():
        if re.match(r"(authkit|make|scripts/\w+|([A-Z_]+=\S+ )?\.venv/bin/python) ", line):
            yield [word for word in shlex.split(line, comments=True) if not re.match(r"[A-Z_]+=", word)]


def check_names(words: list[str]) -> None:
    """Check what a command names of this project."""
    program, *rest = words
    if program == "authkit":
        shown = CliRunner().invoke(cli, [rest[0], "--help"])
        assert shown.exit_code == 0, rest
        for option in (word.partition("=")[0] for word in rest if word.startswith("--")):
            assert option in shown.output, words
    elif program == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert set(rest) <= set(targets)
    else:
        for file in (word for word in words if word.startswith(("scripts/", "tests/"))):
            assert (ROOT / file).exists(), file
    if "-k" in words and words[words.index("-k") - 1].endswith(".py"):
        place = words.index("-k")
        name = words[place + 1]
        assert name == "NAME" or re.search(rf"\w*{name}", (ROOT / words[place - 1]).read_text())


def check_hcl(text: str) -> None:
    """Check that each line opens a block, sets a value or closes one, and that all are closed."""
    depth = 0
    for line in filter(None, map(str.strip, text.splitlines())):
        assert OPENS.fullmatch(line) or SETS.fullmatch(line) or line == "}", line
        depth += bool(OPENS.fullmatch(line)) - (line == "}")
        assert depth >= 0, line
    assert depth == 0


READERS: dict[str, Callable[[str], object]] = {
    "hcl": check_hcl,
    "json": json.loads,
    "toml": tomllib.loads,
    "yaml": lambda text: list(yaml.safe_load_all(text)),
}


@pytest.mark.parametrize("block", [block for language in READERS for block in everywhere(language)], ids=str)
def test_configuration_can_be_read(block: Block) -> None:
    """As what it says it is."""
    READERS[block.language](block.text)


@pytest.mark.parametrize("wrong", ['a = "b', "a { b = 1 }", "a {", "}\na {", "a {\n}}", "a b"])
def test_wrong_hcl_is_seen(wrong: str) -> None:
    """A quote or a block that is left open, an end of nothing."""
    with pytest.raises(AssertionError):
        check_hcl(wrong)


@pytest.mark.parametrize("block", everywhere("mermaid"), ids=str)
def test_a_diagram_declares_who_takes_part(block: Block) -> None:
    """Whoever sends, receives or has a note is declared, and takes part."""
    kind, *lines = (line.strip() for line in block.text.splitlines())
    assert kind == "sequenceDiagram"
    declared = {found[1] for line in lines if (found := PARTICIPANT.fullmatch(line))}
    used: set[str] = set()
    for line in lines:
        if not PARTICIPANT.fullmatch(line):
            found = EVENT.fullmatch(line) or NOTE.fullmatch(line)
            assert found, line
            used.update(found.groups())
    assert used == declared


@SOURCE
def test_the_map_of_packages_names_what_is_there() -> None:
    """Each package and folder of the architecture is at its place, and no package is missing."""
    above, named = [ROOT / "authkit"], set()
    for line in apart(MAP, "errors base64url").splitlines():
        found = re.match(r"( {0,4})(\w+(?:,? \w+)*) {2,}", line)
        if found:
            depth = len(found[1]) // 2
            places = [above[depth] / name for name in re.split(r",? ", found[2])]
            assert all(place.is_dir() or place.with_suffix(".py").exists() for place in places), line
            above[depth + 1 :] = places[:1]
            named.update(places if depth == 0 else ())
    assert {path.parent for path in (ROOT / "authkit").glob("*/__init__.py")} <= named


@SOURCE
def test_the_parts_of_the_host_s_server_are_there() -> None:
    """Each file that the architecture follows a request through."""
    for line in apart(MAP, "server/core.py").splitlines():
        assert (ROOT / "authkit/host" / line.split()[0]).exists(), line
