"""Secrets are compared in constant time: nowhere with `==`, which ends at the first difference."""

from __future__ import annotations

import ast
import hmac
from collections.abc import Iterator
from pathlib import Path

import pytest

from authkit.masking import Secret, is_secret_name

ROOT = Path(__file__).parents[3]
SOURCES = [
    path
    for folder in ("authkit", "examples")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if not {"tests", "pb"} & set(path.relative_to(ROOT).parts)
]
COMPARISONS = (ast.Eq, ast.NotEq, ast.In, ast.NotIn)

NO_SECRETS = {
    ("authkit/host/backends/database/roles.py", "RSA_PRIVATE_KEY"),  # a type of credentials
    ("authkit/host/server/leases.py", "token"),  # the key of a record
    ("authkit/host/server/mount_requests.py", "token"),  # the client's own token in its own header
    ("authkit/testing/provider_contract.py", "secret"),  # a test looks for it in texts
    ("authkit/testing/server.py", "token"),  # the root token that tests are given
    ("authkit/testing/server.py", "ROOT_TOKEN"),
    ("examples/shared_pin/shared_pin.py", "pin"),  # both are of the type Secret
}
"""What looks like one and is compared all the same."""


def _names(node: ast.expr) -> Iterator[str]:
    """Return the names by which one side of a comparison could be a secret."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "reveal":
        yield "reveal()"
    elif isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.Name):
        yield node.id


def _compared(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Compare) or not isinstance(node.ops[0], COMPARISONS):
            continue
        sides = [node.left, *node.comparators]
        # A word of the code is no secret, and that something is empty may be known.
        if any(isinstance(side, ast.Constant) for side in sides):
            continue
        if isinstance(node.ops[0], ast.In | ast.NotIn):
            sides = sides[:1]
        yield from (
            name for side in sides for name in _names(side) if name == "reveal()" or is_secret_name(name)
        )


@pytest.mark.skipif(not (ROOT / "authkit").is_dir(), reason="the source is out of reach (scripts/test_wheel)")
def test_no_secret_is_compared_step_by_step() -> None:
    """A new comparison uses `hmac.compare_digest`, or two values of the type `Secret`."""
    found = {(str(path.relative_to(ROOT)), name) for path in SOURCES for name in _compared(path)}
    assert found == NO_SECRETS


@pytest.mark.parametrize(("left", "right"), [("a" * 40, "a" * 40), ("a" * 40, "b"), ("", "a"), ("é", "e")])
def test_secrets_are_compared_in_constant_time(
    left: str, right: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever they are, the whole of them is compared by the library's function."""
    asked = []

    def compare(one: bytes, other: bytes) -> bool:
        asked.append((one, other))
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert (Secret(left) == Secret(right)) is (left == right)
    assert (Secret(left) != Secret(right)) is (left != right)
    assert asked == [(left.encode(), right.encode())] * 2
