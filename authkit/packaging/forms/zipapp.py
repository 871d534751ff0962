"""An executable for machines that have Python: the plugin and what it imports, without an interpreter.

The launcher finds the interpreter (`launcher/python.go`), which verifies itself first (`machine.py`).
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from authkit.packaging.confinement.runpaths import remove_outer_runpaths
from authkit.packaging.errors import PackagingError
from authkit.packaging.forms import machine
from authkit.packaging.forms.executable import Executable, write_executable
from authkit.packaging.interpreter.bytecode import compile_all
from authkit.packaging.interpreter.libraries import glibc_version
from authkit.packaging.interpreter.program import original_interpreter
from authkit.packaging.project import Project
from authkit.packaging.tree import Tree, add_packages, load_plugin, serving_module

__all__ = ["build_zipapp"]

_MAIN = "main.py"
_PACKAGES = "site-packages"

_CODE = """

if __name__ == "__main__":
    require({version!r}, {suffix!r}, {glibc!r})
sys.path[:] = [each for each in sys.path if os.path.exists(each)]
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), {packages!r}))

from {module} import serve

if __name__ == "__main__":
    serve({plugin!r})
"""


def build_zipapp(
    project: Project, output: Path, *, keep: Iterable[str] = (), find_links: Iterable[Path] = ()
) -> Executable:
    """Build the executable `NAME-VERSION` in the folder `output`, in the place of one of that name.

    It runs with the minor version of Python, and on the kind of machine, that builds it. The same project,
    lock, version of the interpreter and compiler make the same file, with SOURCE_DATE_EPOCH or without.
    `keep` are distributions of `tree.LEFT_OUT` that go in nevertheless.

    Raises:
        PackagingError: something cannot be had, compiled, or loaded from what was packed.
    """
    if sys.platform != "linux" or sys.implementation.name != "cpython":
        raise PackagingError("a plugin can be packed on Linux, with CPython")
    with tempfile.TemporaryDirectory(prefix="authkit-build-") as folder:
        return write_executable(_build_tree(project, Path(folder) / "tree", keep, find_links), output)


def _build_tree(project: Project, tree: Path, keep: Iterable[str], find_links: Iterable[Path]) -> Tree:
    packages = tree / _PACKAGES
    add_packages(project, packages, keep=keep, find_links=find_links)
    remove_outer_runpaths(tree)
    interpreter = original_interpreter()
    compile_all(tree, interpreter, {})
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    suffix = machine.find_suffix()
    glibc = glibc_version(tree) if "gnu" in suffix else ""
    values = {"version": version, "suffix": suffix, "glibc": glibc, "packages": _PACKAGES}
    values |= {"plugin": project.plugin, "module": serving_module(project)}
    # Not compiled: an interpreter of another version must be able to say so.
    code = Path(machine.__file__).read_text() + _CODE.format(**values)
    (tree / _MAIN).write_text(code)
    loaded = load_plugin(project, interpreter, tree / _MAIN, {})
    return Tree(
        name=loaded.name,
        version=loaded.version,
        kind=loaded.kind,
        folder=tree,
        packages=packages,
        python=version,
        main=_MAIN,
        glibc=glibc,
        needs=f"CPython {version} ({suffix})" + (f" and glibc {glibc} or later" if glibc else ""),
    )
