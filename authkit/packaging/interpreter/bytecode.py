"""Compiled modules in the place of their sources: the same bytes for the same source."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from authkit.packaging.programs import run

__all__ = ["compile_all"]

# Paths in tracebacks begin at the tree: where it was built says nothing, and differs.
_COMPILE = """
import compileall, py_compile, sys
ok = compileall.compile_dir(
    sys.argv[1], maxlevels=100, quiet=1, legacy=True, stripdir=sys.argv[1],
    invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
)
sys.exit(not ok)
"""


def compile_all(tree: Path, program: Path, environment: Mapping[str, str]) -> None:
    """Compile every module of a tree with the interpreter that will run it, and remove the sources.

    Raises:
        PackagingError: a module is not valid Python.
    """
    command: list[str | Path] = [program, "-S", "-s", "-P", "-B", "-c", _COMPILE, tree]
    # Iteration over sets is the same in each run.
    fixed = {**environment, "PYTHONHASHSEED": "0"}
    run(command, "the modules can't be compiled", environment=fixed)
    for source in tree.rglob("*.py"):
        source.unlink()
