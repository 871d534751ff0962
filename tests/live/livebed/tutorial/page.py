"""A page of the tutorial as the steps that a reader takes.

docs/architecture.md has the forms of its blocks. Anything else is an error, so that nothing is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

__all__ = ["FIRST", "Check", "Commands", "File", "PageError", "Shown", "Step", "read_page"]

FIRST = "First terminal"
REFUSED = "Refused"
SERVERS = ("Second terminal", "Third terminal")
PART = re.compile(
    r'^```(?P<language>\w*)(?: title="(?P<title>[^"\n]+)")?\n(?P<text>.*?)^```$'
    r"|^<!-- check: (?P<check>[^\n]+) -->$",
    re.MULTILINE | re.DOTALL,
)


class PageError(Exception):
    """A page has a block that is none of a tutorial's."""


@dataclass(frozen=True)
class Commands:
    """Lines to type in a terminal, each a whole command."""

    terminal: str
    lines: tuple[str, ...]
    is_server: bool
    """The last one runs on."""
    is_refused: bool
    """The last one has to fail."""
    shown: str | None = None
    """What they print, `None` where the page does not say."""


@dataclass(frozen=True)
class Shown:
    """What appears in a terminal whose server runs."""

    terminal: str
    text: str


@dataclass(frozen=True)
class File:
    """A file to write, as a whole."""

    name: str
    text: str


@dataclass(frozen=True)
class Check:
    """What a person does or sees at this place."""

    name: str


Step = Commands | Shown | File | Check


def read_page(path: Path, places: Mapping[str, str] | None = None) -> list[Step]:
    """Return the steps of a page in their order; `places` has what stands for some of its words.

    Raises:
        PageError: a block is none of the forms of this module.
    """
    text = path.read_text()
    for word, place in (places or {}).items():
        text = text.replace(word, place)
    steps: list[Step] = []
    for part in PART.finditer(text):
        place = f"{path.name}:{text.count(chr(10), 0, part.start()) + 1}"
        if part["check"]:
            steps.append(Check(part["check"]))
        elif part["language"] == "text" and not part["title"]:
            last = steps[-1] if steps else None
            if not isinstance(last, Commands) or last.shown is not None:
                raise PageError(f"{place}: output, but not of commands")
            steps[-1] = replace(last, shown=part["text"])
        else:
            steps.append(read_block(part["language"], part["title"], part["text"], place))
    return steps


def read_block(language: str, title: str | None, text: str, place: str) -> Step:
    """Return what a block is that stands for itself.

    Raises:
        PageError: it is none of the forms of this module.
    """
    if language == "sh" and title in {None, REFUSED, *SERVERS}:
        terminal = title if title in SERVERS else FIRST
        lines = tuple(read_commands(text))
        return Commands(terminal or FIRST, lines, title in SERVERS, title == REFUSED)
    if language == "text" and title in SERVERS:
        return Shown(title or "", text)
    if title and language not in {"sh", "text"}:
        return File(title, text)
    raise PageError(f"{place}: a block {language!r} titled {title!r} is none of a tutorial's")


def read_commands(text: str) -> Iterator[str]:
    """Yield each command of a block; a backslash at the end of a line continues it."""
    for command in re.findall(r"(?:[^\n]*\\\n)*[^\n]+", text):
        if command.strip():
            yield command
