"""What other people's code may rely on."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import get_type_hints

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import types

import authkit

PUBLIC_PACKAGES = [
    "authkit",
    "authkit.logical",
    "authkit.framework",
    "authkit.auth",
    "authkit.database",
    "authkit.oidc",
    "authkit.credentials",
    "authkit.rpc",
    "authkit.testing",
    "authkit.values",
]


@pytest.mark.parametrize("name", PUBLIC_PACKAGES)
def test_all_is_honest(name: str) -> None:
    """Everything in `__all__` is there, once, and none of it is private."""
    module = importlib.import_module(name)
    exported = list(module.__all__)
    assert sorted(set(exported)) == sorted(exported)
    for item in exported:
        assert not item.startswith("_")
        assert getattr(module, item) is not None


def test_the_package_lists_its_names() -> None:
    """Names that are imported late are listed all the same, and a misspelt one is an AttributeError."""
    assert set(authkit.__all__) <= set(dir(authkit))
    with pytest.raises(AttributeError, match="no attribute 'server'"):
        authkit.server  # noqa: B018


def test_the_package_is_typed() -> None:
    """Type checkers read our annotations."""
    assert (Path(authkit.__file__).parent / "py.typed").exists()


def test_type_checkers_and_the_interpreter_see_the_same_names() -> None:
    """The imports that only type checkers read name exactly what `__all__` promises."""
    tree = ast.parse(Path(authkit.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    imported = {
        (node.module, alias.name)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert {name for _, name in imported} == set(authkit.__all__)
    for module, name in imported:
        assert getattr(authkit, name) is getattr(importlib.import_module(str(module)), name)


def test_no_public_name_is_hidden_by_a_module() -> None:
    """Importing a module binds its name in the package: it must not be the name of something else."""
    modules = {path.stem for path in Path(authkit.__file__).parent.iterdir()}
    assert not modules & set(authkit.__all__)


def functions_of(item: object) -> Iterator[object]:
    """Yield a function, or a class with its methods and properties."""
    yield item
    if isinstance(item, type):
        for base in item.__mro__:
            if not base.__module__.startswith("authkit"):
                continue
            for attribute, member in vars(base).items():
                if attribute.startswith("_") and attribute != "__init__":
                    continue
                member = getattr(member, "fget", None) or getattr(member, "__func__", member)
                if inspect.isfunction(member) and member.__module__.startswith("authkit"):
                    yield member


LATE = {"httpx": httpx, "PublicKeyTypes": types.PublicKeyTypes, "PublicKey": types.PublicKeyTypes}
"""Names of other packages, which are imported when they are first needed."""


@pytest.mark.parametrize("package", PUBLIC_PACKAGES)
def test_every_annotation_can_be_resolved(package: str) -> None:
    """`help()`, and tools that make reference pages, see types and not only their names."""
    module = importlib.import_module(package)
    unresolved = []
    for name in module.__all__:
        item = getattr(module, name)
        for each in functions_of(item) if inspect.isclass(item) or inspect.isfunction(item) else ():
            try:
                get_type_hints(each, localns=LATE)
            except NameError as error:
                unresolved.append(f"{name}: {getattr(each, '__qualname__', each)}: {error}")
    # Nothing is imported before a plugin has seen the cookie of its host.
    assert not [each for each in unresolved if not each.startswith("serve: ")]
