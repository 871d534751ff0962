"""The reference of the site: it has every field type, every error, every variable and every argument."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import authkit
from authkit import errors
from authkit.framework.fields import annotations
from authkit.wire.api_flags import APIFlags

ROOT = Path(__file__).resolve().parent.parent
CONFIGURATION = (ROOT / "docs/configuration.md").read_text()


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    """Return the module that makes the pages of field types and errors."""
    sys.path.append(str(ROOT / "scripts/site"))
    try:
        import tables
    finally:
        sys.path.remove(str(ROOT / "scripts/site"))
    return tables


def test_every_field_type_is_on_its_page(tables: ModuleType) -> None:
    """With what it takes, and what a handler gets of that."""
    page = tables.field_types()
    names = {name for name in (*annotations.__all__, "Secret") if name[0].isupper()}
    assert names - set(re.findall(r"^## (\w+)$", page, re.MULTILINE)) == set()
    assert '| `"1h"` | `timedelta(seconds=3600)` |' in page
    assert 'Refused: `-5`, `"-5s"`' in page


def test_every_error_is_on_its_page(tables: ModuleType) -> None:
    """In the table with its status, and either there or on the page of `authkit` with its docstring."""
    page = tables.error_classes()
    classes = set(errors.__all__) - {"ErrorKind", "StatusCode"}
    assert set(re.findall(r"^\| \[`(\w+)`\]", page, re.MULTILINE)) == classes
    assert "[`PermissionDeniedError`][authkit.errors.PermissionDeniedError] | 403 |" in page
    for name in errors.__all__:
        assert (f"::: authkit.errors.{name}\n" in page) is (name not in authkit.__all__)


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="git says which files belong to the source")
def test_every_variable_of_the_source_is_documented() -> None:
    """And no other: those of plugins, of the command, of tests and of this repository."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    read = [ROOT / path for path in listed.stdout.split("\0") if path and not path.endswith((".md", ".png"))]
    texts = (path.read_text(errors="replace") for path in read if path.is_file())
    variable = re.compile(r"AUTHKIT_[A-Z_]*[A-Z]")
    assert {name for text in texts for name in variable.findall(text)} == set(variable.findall(CONFIGURATION))


def test_every_argument_of_a_plugin_is_documented() -> None:
    """Those that `serve` takes."""
    arguments = {f"-{name.replace('_', '-')}" for name in APIFlags.__struct_fields__}
    rows = re.findall(r"^\| (`-.*?) \|", CONFIGURATION, re.MULTILINE)
    assert {each.strip("`") for row in rows for each in row.split(", ")} == arguments
