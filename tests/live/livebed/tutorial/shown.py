"""What a page shows, compared with what is there: blanks in a row are one, empty lines do not count.

`...` in a line is any text, and a line of nothing else is any number of lines.
"""

from __future__ import annotations

import re

__all__ = ["has_appeared", "is_as_shown"]

VARIES = "..."


def is_as_shown(shown: str, output: str) -> bool:
    """Whether an output is what a page shows, from its first line to its last."""
    return re.fullmatch(pattern(shown), normalize(output)) is not None


def has_appeared(shown: str, output: str) -> int:
    """Return how many lines there are up to the end of what a page shows; 0: it is not all there."""
    found = re.search(f"^{pattern(shown)}", normalize(output), re.MULTILINE)
    if found is None:
        return 0
    wanted = found.end()
    lines = output.splitlines(keepends=True)
    return next(count for count in range(len(lines) + 1) if len(normalize("".join(lines[:count]))) >= wanted)


def normalize(text: str) -> str:
    """Return the lines that have something in them, each with one blank between its words."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "".join(f"{line}\n" for line in lines if line)


def pattern(shown: str) -> str:
    """Return the expression for normalized output."""
    return "".join(
        r"(?:[^\n]*\n)*?" if line == VARIES else ".*?".join(map(re.escape, line.split(VARIES))) + r"\n"
        for line in normalize(shown).splitlines()
    )
