"""The package as a whole."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import authkit.oidc

LATE = {"cryptography", "httpx", "jwt", "grpc"}
MODULES = sorted(Path(authkit.oidc.__file__).parent.glob("*.py"))


def test_every_public_name_is_there():
    """The list of public names is sorted, complete and true."""
    assert all(hasattr(authkit.oidc, name) for name in authkit.oidc.__all__)
    assert len(set(authkit.oidc.__all__)) == len(authkit.oidc.__all__)


@pytest.mark.parametrize(
    "path", [path for path in MODULES if path.stem != "signatures"], ids=lambda path: path.stem
)
def test_nothing_heavy_is_imported_at_start(path):
    """A plugin prints its handshake before any of these libraries is loaded."""
    # Only statements at the top of a module run at import; those for type checkers never do.
    tops = ast.parse(path.read_text()).body
    names = [alias.name for node in tops if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in tops if isinstance(node, ast.ImportFrom)]
    assert not {name.partition(".")[0] for name in names} & LATE
    assert "authkit.oidc.signatures" not in names
