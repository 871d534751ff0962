"""What an executable unpacks: the plugin and what it imports, the same in each form."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from authkit.packaging.errors import PackagingError
from authkit.packaging.kinds import KINDS
from authkit.packaging.lock import install
from authkit.packaging.programs import run
from authkit.packaging.project import Project
from authkit.values import Value

__all__ = ["DEVELOPMENT", "LEFT_OUT", "Loaded", "Tree", "add_packages", "load_plugin", "serving_module"]

LEFT_OUT = ("grpcio",)
"""Distributions that stay out unless they are asked for: the second gRPC engine (19 MB)."""

DEVELOPMENT = ("cli", "deployment", "doctor", "host", "packaging", "testing", "testing_pytest.py")
"""Parts of authkit that a plugin in production does not import."""

_MISSING = re.compile(r"^ModuleNotFoundError: No module named '(?!authkit\b)([^']+)'$", re.MULTILINE)
"""A module that a plugin imports and that is not packed. Modules of authkit are left out on purpose."""

_UNUSED = (
    "*.pyi",
    "*.pyx",
    "*.pxd",
    "*.c",
    "*.h",
    "RECORD",
    "INSTALLER",
    "REQUESTED",
    "direct_url.json",
)
"""Of what was installed: types, sources of extensions, and records that would not be true."""

_LOAD = """
import importlib, json, os, runpy, sys
runpy.run_path(sys.argv[1])
module, _, name = sys.argv[2].partition(":")
plugin = getattr(importlib.import_module(module), name)
if hasattr(plugin, "verify_servable"):
    plugin.verify_servable()
    kind = "database"
else:
    kind = {1: "secret", 2: "auth"}[plugin.factory().backend_type]
print(json.dumps({"name": plugin.name, "version": plugin.version, "kind": kind, "searched": sys.path}))
"""


class Loaded(Value, frozen=True, kw_only=True):
    """What the class of a plugin says when it is loaded from what was packed."""

    name: str
    version: str
    kind: str
    """As catalogs call it."""
    searched: list[str]
    """Where its interpreter imports from."""


class Tree(Value, frozen=True, kw_only=True):
    """A folder with everything that goes into an executable. Paths below it have slashes."""

    name: str
    """What the plugin is called."""
    version: str
    """What the plugin reports."""
    kind: str
    """As catalogs call it: `auth`, `secret` or `database`."""
    folder: Path
    packages: Path
    """The folder of what was installed."""
    libraries: Sequence[Path] = ()
    """Shared libraries that were copied from the machine."""
    program: str = ""
    """The interpreter below the folder; empty if that of the machine runs the plugin."""
    python: str = ""
    """The version that the machine's interpreter must have, such as `3.11`; empty with a `program`."""
    main: str
    """What the interpreter runs, below the folder."""
    glibc: str
    """The oldest version that everything in the folder takes; empty if it needs musl."""
    needs: str
    """What the machine must have, in words."""


def add_packages(
    project: Project, packages: Path, *, keep: Iterable[str], find_links: Iterable[Path]
) -> None:
    """Install the project and what its lock lists, without what no plugin in production needs.

    Raises:
        PackagingError: something cannot be had.
    """
    install(project, packages, without=sorted({*LEFT_OUT} - {*keep}), find_links=find_links)
    shutil.rmtree(packages / "bin", ignore_errors=True)
    for part in DEVELOPMENT:
        path = packages / "authkit" / part
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for pattern in _UNUSED:
        for path in packages.rglob(pattern):
            path.unlink()


def serving_module(project: Project) -> str:
    """Return the module that has the `serve` of the project's plugin."""
    return KINDS["database" if project.is_database else "auth"].served_by


def load_plugin(project: Project, program: Path, main: Path, environment: Mapping[str, str]) -> Loaded:
    """Load the plugin from what was packed.

    Raises:
        PackagingError: it does not load, or is of another kind than the project says.
    """
    command: list[str | Path] = [program, "-I", "-S", "-B", "-c", _LOAD, main, project.plugin]
    what = f"{project.plugin} does not load from what was packed"
    try:
        printed = run(command, what, environment=environment)
    except PackagingError as error:
        missing = _MISSING.search(str(error))
        if missing is None:
            raise
        raise PackagingError(
            f"{what}: there is no module {missing[1]}. Add the package that has it to "
            "`dependencies` in pyproject.toml, and lock again: authkit build --lock"
        ) from error
    loaded = Loaded(**json.loads(printed.splitlines()[-1]))
    if (loaded.kind == "database") is not project.is_database:
        raise PackagingError(
            f"{project.plugin} is a plugin of the kind {loaded.kind}: "
            f'kind = "{loaded.kind}" in [tool.authkit] says so'
        )
    return loaded
