"""What the commands print: colours on a terminal, plain text elsewhere, and errors of one line.

Plugins, servers and tokens have a say in many of these texts: control characters are escaped in all of them.
"""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn

import click
from rich.console import Console
from rich.text import Text

from authkit.printable import to_printable, to_printable_lines

__all__ = ["PLAIN_WIDTH", "CommandError", "cell", "console", "fail"]

PLAIN_WIDTH = 200
"""Width for files and pipes, so that lines are not wrapped."""


class CommandError(click.ClickException):
    """The command failed. Its one line says why, and what to do."""

    def show(self, file: object = None) -> None:
        """Print the line."""
        print(f"authkit: {to_printable(' '.join(self.message.split()))}", file=sys.stderr)


class _Console(Console):
    """Prints each text on one line."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Escape control characters."""
        return super().render_str(to_printable(text), **options)


def cell(text: str, style: str = "") -> Text:
    """Return a text for a cell of a table, which may have several lines."""
    return Text(to_printable_lines(text), style)


def console(*, stderr: bool = False) -> Console:
    """Return where to print. Rich itself looks at NO_COLOR and whether there is a terminal."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PLAIN_WIDTH
    return _Console(stderr=stderr, width=width, highlight=False, soft_wrap=True, markup=False)


def fail(error: Exception) -> NoReturn:
    """Report an unexpected error on one line. AUTHKIT_DEBUG=1 shows its traceback."""
    if os.environ.get("AUTHKIT_DEBUG"):
        raise error
    kind = type(error).__name__
    CommandError(f"unexpected {kind}: {error} (AUTHKIT_DEBUG=1 shows more)").show()
    sys.exit(1)
