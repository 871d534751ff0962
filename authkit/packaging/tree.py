"""What a standalone plugin unpacks: an interpreter, its libraries, the plugin and what that imports."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from authkit.packaging.confinement.openssl import settings_folder, verify_settings_folder
from authkit.packaging.confinement.runpaths import remove_outer_runpaths
from authkit.packaging.errors import PackagingError
from authkit.packaging.interpreter.bytecode import compile_all
from authkit.packaging.interpreter.libraries import copy_libraries
from authkit.packaging.interpreter.program import PROGRAM, copy_interpreter, site_packages
from authkit.packaging.lock import install
from authkit.packaging.programs import run
from authkit.packaging.project import Project
from authkit.values import Value

__all__ = ["DEVELOPMENT", "LEFT_OUT", "MAIN", "Plugin", "build_tree"]

MAIN = "main.pyc"
"""What the interpreter runs."""

LEFT_OUT = ("grpcio",)
"""Distributions that stay out unless they are asked for: the second gRPC engine (19 MB)."""

DEVELOPMENT = ("cli", "deployment", "doctor", "host", "packaging", "testing", "testing_pytest.py")
"""Parts of authkit that a plugin in production does not import."""

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

_MAIN = """\
import os, sys

os.environ.pop("LD_LIBRARY_PATH", None)  # it was for this process alone
sys.path.append(os.path.join(sys.prefix, "lib", "python%d.%d" % sys.version_info[:2], "site-packages"))

from authkit import serve

if __name__ == "__main__":
    serve({plugin!r})
"""

_LOAD = """
import importlib, json, os, runpy, sys
runpy.run_path(sys.argv[1])
module, _, name = sys.argv[2].partition(":")
plugin = getattr(importlib.import_module(module), name)
plugin.factory()
print(json.dumps([plugin.name, plugin.version, sys.path]))
"""


class Plugin(Value, frozen=True):
    """What the class of a plugin says."""

    name: str
    version: str


def build_tree(
    project: Project, tree: Path, *, keep: Iterable[str] = (), find_links: Iterable[Path] = ()
) -> Plugin:
    """Make the tree in a new folder, load the plugin from it, and return what it is.

    `keep` are distributions of `LEFT_OUT` that go in nevertheless.

    Raises:
        PackagingError: something cannot be had, or the plugin does not load from what was packed.
    """
    verify_settings_folder(settings_folder())
    copy_interpreter(tree)
    packages = site_packages(tree)
    install(project, packages, without=sorted({*LEFT_OUT} - {*keep}), find_links=find_links)
    shutil.rmtree(packages / "bin", ignore_errors=True)
    for part in DEVELOPMENT:
        path = packages / "authkit" / part
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for pattern in _UNUSED:
        for path in packages.rglob(pattern):
            path.unlink()
    copy_libraries(tree)
    remove_outer_runpaths(tree)
    (tree / "main.py").write_text(_MAIN.format(plugin=project.plugin))
    compile_all(tree)
    return _load(project, tree)


def _load(project: Project, tree: Path) -> Plugin:
    command: list[str | Path] = [tree / PROGRAM, "-I", "-S", "-B", "-c", _LOAD, tree / MAIN, project.plugin]
    environment = {"LD_LIBRARY_PATH": str(tree / "lib")}
    what = f"{project.plugin} does not load from what was packed"
    name, version, searched = json.loads(run(command, what, environment=environment).splitlines()[-1])
    if outside := [each for each in searched if not Path(each).is_relative_to(tree)]:
        raise PackagingError(f"{what}: the interpreter imports from {', '.join(outside)}")
    return Plugin(name, version)
