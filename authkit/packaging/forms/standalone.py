"""An executable for machines without Python: an interpreter, the plugin and what both need."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from authkit.packaging.confinement.openssl import settings_folder, verify_settings_folder
from authkit.packaging.confinement.runpaths import remove_outer_runpaths
from authkit.packaging.errors import PackagingError
from authkit.packaging.forms.executable import Executable, write_executable
from authkit.packaging.interpreter.bytecode import compile_all
from authkit.packaging.interpreter.libraries import copy_libraries, glibc_version
from authkit.packaging.interpreter.program import PROGRAM, copy_interpreter, site_packages
from authkit.packaging.project import Project
from authkit.packaging.tree import Tree, add_packages, load_plugin, serving_module

__all__ = ["build_standalone"]

_MAIN = "main.pyc"

_CODE = """\
import os, sys

os.environ.pop("LD_LIBRARY_PATH", None)  # it was for this process alone
sys.path.append(os.path.join(sys.prefix, "lib", "python%d.%d" % sys.version_info[:2], "site-packages"))

from {module} import serve

if __name__ == "__main__":
    serve({plugin!r})
"""


def build_standalone(
    project: Project, output: Path, *, keep: Iterable[str] = (), find_links: Iterable[Path] = ()
) -> Executable:
    """Build the executable `NAME-VERSION` in the folder `output`, in the place of one of that name.

    The same project, lock, interpreter and compiler make the same file, with SOURCE_DATE_EPOCH or without.
    `keep` are distributions of `tree.LEFT_OUT` that go in nevertheless.

    Raises:
        PackagingError: something cannot be had, compiled, or loaded from what was packed.
    """
    with tempfile.TemporaryDirectory(prefix="authkit-build-") as folder:
        return write_executable(_build_tree(project, Path(folder) / "tree", keep, find_links), output)


def _build_tree(project: Project, tree: Path, keep: Iterable[str], find_links: Iterable[Path]) -> Tree:
    verify_settings_folder(settings_folder())
    copy_interpreter(tree)
    packages = site_packages(tree)
    add_packages(project, packages, keep=keep, find_links=find_links)
    copy_libraries(tree)
    remove_outer_runpaths(tree)
    (tree / "main.py").write_text(_CODE.format(plugin=project.plugin, module=serving_module(project)))
    libraries = {"LD_LIBRARY_PATH": str(tree / "lib")}
    compile_all(tree, tree / PROGRAM, libraries)
    loaded = load_plugin(project, tree / PROGRAM, tree / _MAIN, libraries)
    if outside := [each for each in loaded.searched if not Path(each).is_relative_to(tree)]:
        raise PackagingError(f"the packed interpreter imports from {', '.join(outside)}")
    glibc = glibc_version(tree)
    return Tree(
        name=loaded.name,
        version=loaded.version,
        kind=loaded.kind,
        folder=tree,
        packages=packages,
        libraries=sorted((tree / "lib").glob("*.so*")),
        program=PROGRAM,
        main=_MAIN,
        glibc=glibc,
        needs=f"glibc {glibc} or later",
    )
