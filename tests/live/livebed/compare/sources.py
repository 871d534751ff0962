"""The two sources: how many lines they have, and which names of their framework they use."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = ["count_lines", "go_names", "python_names"]

COMMENT = re.compile(r"\s*(//|#|$)")
GO_TEXT = re.compile(r'//[^\n]*|"(?:[^"\\\n]|\\.)*"|`[^`]*`')
GO_NAME = re.compile(r"(?<!\w)(?:([a-z]\w*)\.)?([A-Z]\w*)")
GO_PACKAGES = frozenset(
    {"context", "fmt", "http", "log", "os", "slices", "strings", "subtle", "sync", "time"}
)
GO_METHODS = frozenset({"Error", "Lock", "Unlock", "RLock", "RUnlock"})
"""What is of Go's standard library: packages, and methods of its types."""
PYTHON_STANDARD = frozenset({"clear", "lower"})
"""Methods of Python's own types."""


def count_lines(files: Iterable[Path]) -> int:
    """Return how many lines are neither blank nor a comment. Docstrings count: they are help for clients."""
    return sum(not COMMENT.match(line) for file in files for line in file.read_text().splitlines())


def go_names(files: Iterable[Path]) -> list[str]:
    """Return the exported names of other modules in Go sources, those of the standard library left out.

    Names of a package have it in front; fields and methods have not.
    """
    code = "\n".join(GO_TEXT.sub("", file.read_text()) for file in files)
    own = set(re.findall(r"^(?:\t|type )([A-Z]\w*)\s+\S+(?:\s*| {)$", code, re.MULTILINE))
    packages = set(re.findall(r"([a-z]\w*)\"$", "\n".join(file.read_text() for file in files), re.MULTILINE))
    found = set()
    for package, name in GO_NAME.findall(code):
        if package in GO_PACKAGES or name in GO_METHODS | own:
            continue
        found.add(f"{package}.{name}" if package in packages else name)
    return sorted(found, key=alphabetical)


def python_names(file: Path) -> list[str]:
    """Return the names of authkit in a Python source: imported, given as keywords, asked of objects."""
    tree = ast.parse(file.read_text())
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "authkit"
        for alias in node.names
    }
    found = imported | set(used_members(tree, imported))
    return sorted(found - own_names(tree) - PYTHON_STANDARD, key=alphabetical)


def alphabetical(name: str) -> tuple[str, str]:
    """Return by what names are sorted: without case at first, so that no two are equal."""
    return name.lower(), name


def used_members(tree: ast.Module, imported: set[str]) -> Iterator[str]:
    """Yield attributes of anything, keywords of what is imported, and methods without a decorator."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name):
                yield name
            case ast.Call(func=ast.Name(id=name), keywords=keywords) if name in imported:
                yield from (each.arg for each in keywords if each.arg)
            case ast.ClassDef(keywords=keywords):
                yield from (each.arg for each in keywords if each.arg)
            case ast.AsyncFunctionDef(name=name, decorator_list=[]):
                yield name


def own_names(tree: ast.Module) -> set[str]:
    """Return what the source itself declares in its classes and on its objects."""
    declared = set()
    for node in ast.walk(tree):
        match node:
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                declared.add(name)
            case ast.Assign(targets=[ast.Attribute(attr=name)]):
                declared.add(name)
    return declared
