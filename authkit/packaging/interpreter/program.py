"""A copy of the interpreter that builds, with its standard library, without what no server needs."""

from __future__ import annotations

import shutil
import sys
import sysconfig
import zipfile
from collections.abc import Iterable
from pathlib import Path

from authkit.packaging.errors import PackagingError
from authkit.packaging.programs import find_program, run

__all__ = [
    "PROGRAM",
    "copy_interpreter",
    "original_interpreter",
    "site_packages",
    "standard_library",
    "strip",
]

_VERSION = f"python{sys.version_info[0]}.{sys.version_info[1]}"
PROGRAM = f"bin/{_VERSION}"
"""Where the interpreter is, below the folder."""

_NOT_COPIED = (
    *("__pycache__", "site-packages", "dist-packages", "test", "tests", "config-*"),
    *(
        "idlelib",
        "tkinter",
        "turtledemo",
        "turtle.py",
        "ensurepip",
        "venv",
        "lib2to3",
        "pydoc_data",
        "distutils",
    ),
    *("_test*", "_ctypes_test*", "xxlimited*", "xxsubtype*", "_xx*"),
    # Their libraries are large, or under the GPL.
    *("_tkinter*", "_curses*", "readline*", "_gdbm*", "_dbm*", "_crypt*", "nis*"),
)
"""Of the standard library: tests, windows, installers, and modules of terminals and old databases."""


def standard_library(tree: Path) -> Path:
    """Return the folder of the standard library."""
    return tree / "lib" / _VERSION


def site_packages(tree: Path) -> Path:
    """Return the folder of what was installed."""
    return standard_library(tree) / "site-packages"


def copy_interpreter(tree: Path) -> None:
    """Copy the program, its library and the standard library, all without debugging symbols.

    Raises:
        PackagingError: this interpreter cannot be copied.
    """
    if sys.platform != "linux" or sys.implementation.name != "cpython":
        raise PackagingError("a standalone plugin can be built on Linux, with CPython")
    program = tree / PROGRAM
    program.parent.mkdir(parents=True)
    shutil.copyfile(original_interpreter(), program)
    program.chmod(0o755)
    library = standard_library(tree)
    ignore = shutil.ignore_patterns(*_NOT_COPIED)
    shutil.copytree(sysconfig.get_path("stdlib"), library, ignore=ignore, symlinks=False)
    extensions = library / "lib-dynload"
    if not extensions.is_dir():
        shutil.copytree(sysconfig.get_config_var("DESTSHARED"), extensions, ignore=ignore)
    strip([program, *extensions.glob("*.so")])
    # The interpreter takes the first that it finds in its own or any folder above (getpath.py): this one.
    with zipfile.ZipFile(tree / sys.platlibdir / f"{_VERSION.replace('.', '')}.zip", "w"):
        pass


def original_interpreter() -> Path:
    """Return the interpreter that runs. In an environment `sys.executable` is a link to it."""
    return Path(getattr(sys, "_base_executable", sys.executable)).resolve()


def strip(files: Iterable[Path]) -> None:
    """Remove the symbols for debuggers. On a machine without `strip` the files stay larger, no more.

    Raises:
        PackagingError: a file cannot be stripped.
    """
    program = find_program("strip")
    if program is not None:
        for file in files:
            file.chmod(0o755)
            run([program, "--strip-unneeded", file], f"{file.name} can't be stripped")
