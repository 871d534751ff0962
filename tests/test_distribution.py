"""The name of the distribution is `vault-authkit`: `authkit` on the Python index is another project."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

FOREIGN = re.compile(
    r"""\b(?:install|add|pipx\ run|uvx)\b[^\n\#`]*?`?   # a command, or a sentence that tells to install
        (?<![\w./-])authkit(?:-jwt-auth)?        # the name itself, not the end of a path or of another name
        (?:\[[\w,]*\])?
        (?=[\s'"`;,:]|$)""",
    re.VERBOSE,
)


def shown_texts() -> Iterator[tuple[str, int, str]]:
    """Yield path, number and text of each line of what users read or run: docs, templates, code."""
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "authkit").rglob("*.*")]:
        if path.suffix in (".py", ".md", ".jinja", ".html"):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                yield str(path.relative_to(ROOT)), number, line
    for path in [*(ROOT / "examples").rglob("*.md"), *(ROOT / "examples").rglob("*.py")]:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            yield str(path.relative_to(ROOT)), number, line


@pytest.mark.parametrize(
    "line",
    [
        "pip install authkit",
        "    pip install 'authkit[dev]'",
        "install authkit with its extra `dev`",
        "uv add authkit-jwt-auth",
    ],
)
def test_the_search_finds_the_name_of_another_project(line: str) -> None:
    """Commands and sentences alike."""
    assert FOREIGN.search(line)


@pytest.mark.parametrize("line", ["pip install '/path/to/authkit[dev]'", "pip install vault-authkit"])
def test_the_search_leaves_paths_and_our_own_name(line: str) -> None:
    """A checkout may lie in a folder of any name."""
    assert not FOREIGN.search(line)


def test_no_text_tells_to_install_another_project() -> None:
    """It would be fetched, and executed."""
    found = [
        f"{path}:{number}: {line.strip()}" for path, number, line in shown_texts() if FOREIGN.search(line)
    ]
    assert not found


@pytest.mark.skipif(not (ROOT / "authkit").is_dir(), reason="the source is out of reach (scripts/test_wheel)")
def test_no_project_depends_on_another_project() -> None:
    """Neither the example nor a project that `authkit new` writes."""
    example = tomllib.loads((ROOT / "examples/jwt_auth/pyproject.toml").read_text())["project"]
    assert (example["name"], example["dependencies"]) == ("vault-authkit-jwt", ["vault-authkit"])
    template = (ROOT / "authkit/cli/project/pyproject.toml.jinja").read_text()
    assert re.findall(r'"([\w-]*authkit[^"]*)"', template) == ["vault-authkit", "vault-authkit[dev]"]


def test_the_wheel_is_named_so() -> None:
    """The name in pyproject.toml, and of what is installed here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["name"] == "vault-authkit"
    try:
        installed = distribution("vault-authkit")
    except LookupError:
        pytest.skip("authkit is used from a checkout here, without being installed")
    assert installed.version == project["version"]
