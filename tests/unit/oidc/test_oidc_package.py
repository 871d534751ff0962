"""The package as a whole."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import authkit.oidc

LATE = {"cryptography", "httpx", "jwt", "grpc"}
MODULES = sorted(Path(authkit.oidc.__file__).parent.rglob("*.py"))


def test_every_public_name_is_there():
    """The list of public names is sorted, complete and true."""
    assert all(hasattr(authkit.oidc, name) for name in authkit.oidc.__all__)
    assert len(set(authkit.oidc.__all__)) == len(authkit.oidc.__all__)


def test_type_checkers_and_the_interpreter_see_the_same_names():
    """The imports that only type checkers read name exactly what `__all__` promises."""
    (block,) = [node for node in ast.parse(MODULES[0].read_text()).body if isinstance(node, ast.If)]
    seen = {(node.module, alias.name) for node in block.body for alias in node.names}
    assert {name for _, name in seen} == set(authkit.oidc.__all__)
    for module, name in seen:
        assert getattr(authkit.oidc, name) is getattr(importlib.import_module(module), name)


def test_a_misspelt_name_is_an_attribute_error():
    """As in any module; names not used yet are listed all the same."""
    assert set(authkit.oidc.__all__) <= set(dir(authkit.oidc))
    with pytest.raises(AttributeError, match="no attribute 'JwksKeys'"):
        authkit.oidc.JwksKeys  # noqa: B018


HEAVY = {"signatures", "transport"}
"""Modules that are imported where they are first needed."""


@pytest.mark.parametrize(
    "path", [path for path in MODULES if path.stem not in HEAVY], ids=lambda path: path.stem
)
def test_nothing_heavy_is_imported_at_start(path):
    """A plugin prints its handshake before any of these libraries is loaded."""
    # Only statements at the top of a module run at import; those for type checkers never do.
    tops = ast.parse(path.read_text()).body
    names = [alias.name for node in tops if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in tops if isinstance(node, ast.ImportFrom)]
    assert not {name.partition(".")[0] for name in names} & LATE
    assert not {name.rpartition(".")[2] for name in names if name.startswith("authkit.oidc.")} & HEAVY


def test_an_auth_method_is_imported_without_its_cryptography():
    """A plugin that is started to be probed, or before its first login, pays for none of these libraries."""
    code = f"import jwt_auth, sys; jwt_auth.JWTAuth; print(*{sorted(LATE)} & sys.modules.keys())"
    code = code.replace(f"*{sorted(LATE)} &", f"*set({sorted(LATE)}) &")
    example = Path(authkit.oidc.__file__).parents[2] / "examples" / "jwt_auth"
    found = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(example)}, capture_output=True, text=True
    )
    assert (found.stdout.strip(), found.returncode) == ("", 0), found.stderr
