"""What other people's code may rely on."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import authkit

PUBLIC_PACKAGES = [
    "authkit",
    "authkit.logical",
    "authkit.framework",
    "authkit.auth",
    "authkit.oidc",
    "authkit.rpc",
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
