"""The direction of imports: one way, from the bottom of the house to the top."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "authkit"

BOTTOM = {"errors", "masking", "names", "printable", "threads", "values"}

MAY_IMPORT: dict[str, set[str]] = {
    "live_values": set(),
    "masking": {"live_values"},
    "printable": set(),
    "errors": set(),
    "names": set(),
    "threads": {"errors"},
    "values": set(),
    "logical": BOTTOM,
    "framework": {*BOTTOM, "logical"},
    "auth": {*BOTTOM, "logical", "framework"},
    "oidc": BOTTOM,
    "rpc": {"errors", "values"},
    "plugin": {*BOTTOM, "rpc"},
    "wire": {*BOTTOM, "logical", "rpc", "plugin"},
    "serving": {*BOTTOM, "logical", "rpc", "plugin", "wire"},
    "host": {*BOTTOM, "logical", "framework", "auth", "rpc", "plugin", "wire"},
    "doctor": {*BOTTOM, "logical", "rpc", "plugin", "wire", "host"},
    "testing": {"errors", "values", "logical", "host"},
    "testing_pytest": {"testing"},
    "cli": {"printable", "values", "host", "doctor"},
}
"""What each part may import of the others. The package's own __init__ only names homes."""


def imports_of(path: Path) -> Iterator[str]:
    """Yield the parts of authkit that a file imports, wherever in it and for whatever purpose."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "authkit" and len(parts) > 1:
                yield parts[1]


def test_every_part_has_its_place() -> None:
    """A new folder or module at the top has to be put into the order."""
    found = {path.stem for path in PACKAGE.iterdir() if path.suffix in ("", ".py") and path.stem[0] != "_"}
    assert found == set(MAY_IMPORT)


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_imports_go_one_way(part: str) -> None:
    """No part imports one above or beside it."""
    home = PACKAGE / part
    files = list(home.rglob("*.py")) if home.is_dir() else [home.with_suffix(".py")]
    assert files
    for path in files:
        foreign = set(imports_of(path)) - {part} - MAY_IMPORT[part]
        assert not foreign, f"{path.relative_to(PACKAGE)} imports {foreign}"


@pytest.mark.parametrize("part", ["rpc", "plugin"])
def test_transport_knows_no_word_of_vault(part: str) -> None:
    """Names of Vault's services and variables are for the layers above.

    Comments and docstrings may name the host on which a fact was observed, and the notice for
    somebody who starts a plugin by hand says where it belongs.
    """
    for path in (PACKAGE / part).rglob("*.py"):
        tree = ast.parse(path.read_text())
        documentation = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        } | {
            id(after.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef)
            for after in node.body
            if isinstance(after, ast.Expr)
        }
        texts = [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in documentation
        ]
        if path.name != "handshake.py":
            assert not [text for text in texts if "vault" in text.lower() or text.startswith("/pb.")], path
