"""`authkit new`: a plugin project that passes its own tests and runs."""

from __future__ import annotations

import keyword
import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import click
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from authkit.cli.console import CommandError, console
from authkit.values import Value

__all__ = ["KINDS", "check_name", "new", "write_project"]

TEMPLATES = Path(__file__).parent / "project"


class Kind(Value, frozen=True, kw_only=True):
    """What a project can be. Set here."""

    what: str
    """In a sentence, such as `an auth method`."""
    module: str
    """The module of its own, and the name of its template."""
    suffix: str
    """Of its class."""
    catalog: str
    """What a server's catalog calls it."""
    served_by: str = "authkit"
    """The module that has its `serve`."""


KINDS = {
    "auth": Kind(what="an auth method", module="method", suffix="Auth", catalog="auth"),
    "secrets": Kind(what="a secrets engine", module="engine", suffix="Engine", catalog="secret"),
    "database": Kind(
        what="a database plugin",
        module="plugin",
        suffix="Database",
        catalog="database",
        served_by="authkit.database",
    ),
}
FILES = {
    "pyproject.toml": "pyproject.toml.jinja",
    "README.md": "README.md.jinja",
    "Makefile": "Makefile.jinja",
    ".gitignore": "gitignore.jinja",
    "launcher": "launcher.jinja",
    "{package}/__init__.py": "package/init.py.jinja",
    "{package}/__main__.py": "package/main.py.jinja",
    "{package}/{module}.py": "package/{module}.py.jinja",
    "{package}/py.typed": "",
    "tests/test_{package}.py": "tests/test_{module}.py.jinja",
}
"""Each file of a project, and what it is made of; nothing: it is empty."""
EXECUTABLE = "launcher"
NEXT_STEPS = (
    "pip install -e '.[dev]'",
    "python -m pytest",
    "authkit dev .",
)
"""Of every kind."""
NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
MAX_NAME = 40


@click.command()
@click.argument("name")
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="The folder in which the project's own is made; this one by default.",
)
@click.option(
    "--kind",
    type=click.Choice(list(KINDS)),
    default="auth",
    show_default=True,
    help="An auth method, a secrets engine, or a database plugin.",
)
def new(name: str, into: Path, kind: str) -> None:
    """Write a plugin project into a new folder NAME."""
    check_name(name)
    folder = into / name
    write_project(name, folder, kind)
    out = console()
    out.print(f"wrote {folder}: {KINDS[kind].what}, its tests, and a README.")
    out.print("Next:")
    for command in (f"cd {folder}", *NEXT_STEPS):
        out.print(f"    {command}")


def check_name(name: str) -> None:
    """Check that a project, its package and its plugin can have this name.

    Raises:
        CommandError: they can't.
    """
    package = name.replace("-", "_")
    if not NAME.fullmatch(name) or len(name) > MAX_NAME:
        raise CommandError(
            f"{name!r} can't be a project's name: small letters and digits with single - or _ between, "
            f"a letter first, at most {MAX_NAME} characters"
        )
    if keyword.iskeyword(package) or package in {*sys.stdlib_module_names, "tests"} or find_spec(package):
        raise CommandError(f"{name!r} is the name of something in Python already: choose another")


def write_project(name: str, folder: Path, kind: str = "auth") -> None:
    """Write the project: all of it, or nothing. `kind` is one of `KINDS`.

    Raises:
        CommandError: the folder is there already, or can't be made.
    """
    package = name.replace("-", "_")
    chosen = KINDS[kind]
    words = [word.capitalize() for word in package.split("_")]
    values = {
        "name": name,
        "package": package,
        "class_name": "".join(words).removesuffix(chosen.suffix) + chosen.suffix,
        "kind": kind,
        "catalog": chosen.catalog,
        "served_by": chosen.served_by,
        "what": chosen.what,
        "module": chosen.module,
        "title": " ".join(words),
        "interpreter": sys.executable,
    }
    templates = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=False,  # noqa: S701 - source code and Markdown, from a name of letters and digits
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    texts = {
        path.format(**values): templates.get_template(template.format(**values)).render(values)
        if template
        else ""
        for path, template in FILES.items()
    }
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise CommandError(
            f"{folder} is there already, and nothing in it is touched: choose another name"
        ) from None
    except OSError as error:
        raise CommandError(f"{folder} can't be made: {error.strerror}") from None
    try:
        for path, text in texts.items():
            file = folder / path
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        (folder / EXECUTABLE).chmod(0o755)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise CommandError(f"{folder} can't be written: {error.strerror}") from None
