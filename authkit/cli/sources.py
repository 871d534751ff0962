"""What `authkit dev` is asked to run: a file, a class or a project, and the launcher that a server starts.

Nothing of a plugin is imported here: an error in its code belongs into the plugin's process and its log.
Watching the source: `watching.py`.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from authkit.cli.console import CommandError
from authkit.database.cookie import COOKIE_KEY
from authkit.host.supervisor.executable import MAX_FIRST_LINE_BYTES
from authkit.packaging.errors import PackagingError
from authkit.packaging.project import PLUGIN_CLASS, read_project
from authkit.packaging.whole_files import write_whole
from authkit.plugin.environment import STALL_VARIABLE
from authkit.values import Value, replace

__all__ = ["Source", "find_source", "write_launcher"]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
STALL_SECONDS = "0.5"
"""A plugin in development warns of a handler that keeps its event loop for longer."""


class Source(Value, frozen=True):
    """One plugin in development. Set by `find_source`."""

    name: str
    """Its name in the catalog, and its mount path."""
    launcher: str
    """The text of the file that the server starts."""
    watched: tuple[Path, ...]
    """Files and folders whose change means a reload."""
    is_database: bool = False
    """Whether it is known to be a database plugin."""
    executable: Path | None = None
    """What the launcher only passes on to, and `authkit doctor` should look at."""


def find_source(argument: str) -> Source:
    """Return the source named by `[NAME=]PLUGIN`.

    Raises:
        CommandError: nothing that could be started.
    """
    name, equals, target = argument.partition("=")
    if not equals:
        name, target = "", argument
    path = Path(target)
    if path.is_dir():
        source = _from_project(path.resolve())
    elif path.is_file():
        source = _from_file(path.resolve())
    elif PLUGIN_CLASS.fullmatch(target):
        source = _from_class(target, Path.cwd())
    else:
        raise CommandError(
            f"{target!r} is not a plugin: give an executable, a .py file, a project's folder, or module:Class"
        )
    source = replace(source, name=name or source.name)
    if not NAME.fullmatch(source.name):
        raise CommandError(f"{source.name!r} can't be a plugin's name: choose one with NAME={target}")
    return source


def write_launcher(source: Source, folder: Path) -> Path:
    """Write the launcher, and return its path."""
    file = folder / source.name
    write_whole(file, os.fsencode(source.launcher), mode=0o700)
    return file


def _from_file(path: Path) -> Source:
    name = re.sub(r"\W", "_", path.stem)
    if path.suffix == ".py":
        code = f"import runpy\nrunpy.run_path({str(path)!r}, run_name='__main__')\n"
        return Source(name, _python(path.parent, code), (path.parent,))
    if not os.access(path, os.X_OK):
        raise CommandError(f"{path} is not executable: chmod +x {path}")
    quoted = "'" + str(path).replace("'", "'\\''") + "'"
    return Source(name, f'#!/bin/sh\nexec {quoted} "$@"\n', (path,), executable=path)


def _from_class(target: str, folder: Path) -> Source:
    """Return the source of a class. A launcher serves it as what its host starts it as, by the cookie."""
    module = target.partition(":")[0]
    package = folder / module.partition(".")[0]
    watched = package if package.is_dir() else package.with_suffix(".py")
    code = (
        f"if {COOKIE_KEY!r} in os.environ:\n    from authkit.database import serve\n"
        f"else:\n    from authkit import serve\nserve({target!r})\n"
    )
    return Source(module.rpartition(".")[2], _python(folder, code), (watched,))


def _from_project(folder: Path) -> Source:
    """Return the plugin that a project's `[tool.authkit]` names."""
    try:
        project = read_project(folder)
    except PackagingError as error:
        raise CommandError(str(error)) from None
    target = project.plugin
    home = folder / "src" if (folder / "src").is_dir() else folder
    source = _from_class(target, home)
    name = target.partition(":")[0].partition(".")[0]
    return replace(source, name=name, is_database=project.is_database)


def _python(folder: Path, code: str) -> str:
    """Return a launcher of this interpreter: it sees the folder, and no PYTHON* variables."""
    shebang = f"#!{sys.executable} -I"
    if len(os.fsencode(shebang)) > MAX_FIRST_LINE_BYTES or any(map(str.isspace, sys.executable)):
        raise CommandError(f"the path of {sys.executable} is too long or has spaces: use another environment")
    watch = f"import os\nos.environ.setdefault({STALL_VARIABLE!r}, {STALL_SECONDS!r})\n"
    return f"{shebang}\n{watch}import sys\nsys.path.insert(0, {str(folder)!r})\n{code}"
