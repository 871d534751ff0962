"""What `make compare` makes of sources and figures: scripts/live/compare measures them."""

from __future__ import annotations

from pathlib import Path

import pytest
from livebed.bench.bed import GO
from livebed.compare.packing import Form
from livebed.compare.page import (
    PAGE,
    PARTS,
    describe_sources,
    read_part,
    show_figures,
    show_forms,
    write_part,
)
from livebed.compare.running import AUTHKIT
from livebed.compare.sources import count_lines, go_names, python_names

GO_SOURCE = """
package main

import (
	"strings"

	"example.com/sdk/framework"
)

// Team is not a Name of the framework.
type Team struct {
	framework.Base

	PIN string
}

func (t *Team) check(req *framework.Request) bool {
	text := "A Text of its own"
	return strings.EqualFold(t.PIN, req.Storage.Get(text)) // Comment
}
"""
PYTHON_SOURCE = '''
"""A module."""

from collections import Counter

from authkit import Role, Secret, field, login


class Team(Role, name="team"):
    # a comment
    pin: Secret = field(help="The PIN.")

    async def start(self):
        self.seen = Counter()

    @login("login")
    async def log_in(self, call):
        self.seen.clear()
        return call.role_name
'''


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A copy of the page."""
    copy = tmp_path / "why.md"
    copy.write_text(PAGE.read_text())
    return copy


def test_names_of_a_go_source(tmp_path: Path) -> None:
    """Types of the framework with their package, members without; nothing of the author's or of Go itself."""
    file = tmp_path / "main.go"
    file.write_text(GO_SOURCE)
    assert go_names([file]) == ["framework.Base", "framework.Request", "Get", "Storage"]
    assert count_lines([file]) == 13


def test_names_of_a_python_source(tmp_path: Path) -> None:
    """What is imported, given by keyword, asked of objects, or has a meaning as a method."""
    file = tmp_path / "team.py"
    file.write_text(PYTHON_SOURCE)
    assert python_names(file) == ["field", "help", "login", "name", "Role", "role_name", "Secret", "start"]
    assert count_lines([file]) == 11


def test_the_page_counts_the_sources_as_they_are() -> None:
    """Whoever changes one of them writes the page anew: `scripts/live/compare --part sources`."""
    assert read_part(PAGE, "sources") == describe_sources()


def test_the_page_has_a_place_for_every_part(page: Path) -> None:
    """One part is replaced, and all others stay."""
    before = {part: read_part(page, part) for part in PARTS}
    write_part(page, "running", "new")
    assert {part: read_part(page, part) for part in PARTS} == before | {"running": "new"}


def test_a_table_has_ratios_to_go() -> None:
    """What is smaller in Python than in Go is below 1."""
    rows = show_figures("one machine", {"seconds": {AUTHKIT: 2.0, GO: 8.0}}).splitlines()
    assert rows[0] == "one machine"
    assert [cell.strip() for cell in rows[-1].split("|")[1:-1]] == ["seconds", "2", "**0.25**", "8"]


def test_a_form_that_is_not_built_has_no_size() -> None:
    """A launcher of a virtual environment is not all that goes onto a server."""
    forms = [Form("venv", 0.1, None, 200, 16), Form("packed", 23, 9, 290, 2)]
    rows = [
        [cell.strip() for cell in row.split("|")[1:-1]] for row in show_forms("", forms).splitlines()[-2:]
    ]
    assert rows == [["venv", "-", "-", "200 ms", "16 ms"], ["packed", "23.0 MB", "9 s", "290 ms", "2 ms"]]
