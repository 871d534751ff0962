"""Changelog fragments: their names and texts, and what towncrier makes of them for a release."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
KINDS = {
    kind["directory"]: kind["name"]
    for kind in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"]["type"]
}
NAME = re.compile(rf"\+[a-z0-9-]+\.(?:{'|'.join(KINDS)})(?:\.\d+)?\.md")


def find_problems(folder: Path) -> list[str]:
    """Return a line for each file of a folder that does not make a good entry of the changelog."""
    problems = []
    for path in sorted(folder.glob("[!.]*")):
        text = path.read_text()
        if not NAME.fullmatch(path.name):
            problems.append(f"{path.name}: not named like +short-name.added.md; kinds are {', '.join(KINDS)}")
        if not text.strip():
            problems.append(f"{path.name}: empty")
        if re.search(r"^(?:#|- )", text, re.MULTILINE):
            problems.append(f"{path.name}: a heading, or a list; it becomes one entry of a list itself")
    return problems


def run_towncrier(folder: Path, *arguments: str) -> str:
    """Return what `towncrier build` prints for a folder."""
    command = [sys.executable, "-m", "towncrier", "build", "--dir", str(folder), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a folder with what a release reads of this checkout, without fragments."""
    (tmp_path / "scripts").mkdir()
    for name in ("pyproject.toml", "CHANGELOG.md", "scripts/release"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "examples/jwt_auth").mkdir(parents=True)
    (tmp_path / "changelog.d").mkdir()
    return tmp_path


def test_the_fragments_of_this_checkout_are_good() -> None:
    """Each has a kind and a text, and all of them are in the draft."""
    assert find_problems(ROOT / "changelog.d") == []
    draft = run_towncrier(ROOT, "--draft")
    for path in (ROOT / "changelog.d").glob("[!.]*"):
        assert f"- {path.read_text().splitlines()[0]}\n" in draft


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("+door.new.md", "A door.", "not named like"),
        ("door.added.md", "A door.", "not named like"),
        ("+Door.added.md", "A door.", "not named like"),
        ("+door.added", "A door.", "not named like"),
        ("+door.added.md", " \n", "empty"),
        ("+door.added.md", "# A door\n\nIt opens.", "a heading"),
        ("+door.added.md", "- A door.", "a list"),
    ],
)
def test_a_bad_fragment_is_found(repository: Path, name: str, text: str, problem: str) -> None:
    """The line names the file."""
    (repository / "changelog.d" / name).write_text(text)
    (found,) = find_problems(repository / "changelog.d")
    assert found.startswith(f"{name}: ")
    assert problem in found


def test_a_release_takes_the_fragments(repository: Path) -> None:
    """What users have to do comes first. The notes of the release are what was written."""
    before = (repository / "CHANGELOG.md").read_text()
    (repository / "changelog.d/+wall.fixed.md").write_text("A wall.\n")
    (repository / "changelog.d/+door.do.md").write_text("Close the door,\nand lock it.\n")
    for path in ("pyproject.toml", "examples/jwt_auth/pyproject.toml"):
        settings = (ROOT / path).read_text()
        (repository / path).write_text(
            re.sub(r'^version = ".*"$', 'version = "9.0.0"', settings, flags=re.MULTILINE)
        )
    run_towncrier(repository, "--version", "9.0.0", "--date", "2026-12-01", "--yes")
    assert list((repository / "changelog.d").glob("*.md")) == []
    after = (repository / "CHANGELOG.md").read_text()
    assert [line for line in before.splitlines() if line not in after.splitlines()] == []
    assert re.findall(r"^## .*$", after, re.MULTILINE) == [
        "## 9.0.0 (2026-12-01)",
        *re.findall(r"^## .*$", before, re.MULTILINE),
    ]
    notes = [sys.executable, repository / "scripts/release", "notes", "v9.0.0"]
    assert subprocess.run(notes, capture_output=True, text=True, check=True).stdout == (
        f"### {KINDS['do']}\n\n- Close the door,\n  and lock it.\n\n### {KINDS['fixed']}\n\n- A wall.\n"
    )
