"""The tables of docs/why.md. All around them is written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from livebed.bench.bed import GO
from livebed.bench.report import NOTHING, aligned, rounded, table
from livebed.compare.packing import Form
from livebed.compare.running import AUTHKIT, Figures
from livebed.compare.sources import count_lines, go_names, python_names
from livebed.marked_pages import read_between, write_between
from livebed.pin_methods import EXAMPLE, GO_FOLDER

__all__ = ["PAGE", "PARTS", "describe_sources", "show_figures", "show_forms", "write_part"]

PAGE = Path(__file__).resolve().parents[4] / "docs" / "why.md"
PARTS = ("sources", "running", "forms", "first-logins")
"""What stands between markers, in the order of the page."""


def markers(part: str) -> tuple[str, str]:
    """Return the lines between which a part stands."""
    return f"<!-- {part}: written by `make compare` -->", f"<!-- end of {part} -->"


def read_part(page: Path, part: str) -> str:
    """Return what a page has of a part."""
    return read_between(page, *markers(part)).strip("\n")


def write_part(page: Path, part: str, text: str) -> None:
    """Write a part into a page.

    Raises:
        ValueError: the page has no place for it.
    """
    write_between(page, *markers(part), f"\n{text}\n")


def describe_sources() -> str:
    """Return how long both sources are, and the names that their authors have to know."""
    files = sorted(GO_FOLDER.glob("*.go"))
    ours, theirs = python_names(EXAMPLE), go_names(files)
    rows = [
        ["lines without blanks and comments", str(count_lines([EXAMPLE])), str(count_lines(files))],
        ["files", "1", str(len(files))],
        ["names of the framework", str(len(ours)), str(len(theirs))],
    ]
    lists = [
        f"{label}: {', '.join(f'`{name}`' for name in names)}."
        for label, names in ((AUTHKIT, ours), ("Go", theirs))
    ]
    return "\n\n".join([aligned(["", AUTHKIT, "Go"], rows), *lists])


def show_figures(about: str, figures: Figures) -> str:
    """Return figures with their ratio to Go's."""
    return f"{about}\n\n{table([AUTHKIT, GO], list(figures.items()))}"


def show_forms(about: str, forms: Sequence[Form]) -> str:
    """Return a row for each form."""
    head = ["form", "size", "build", "start to handshake", "start to refusal"]
    rows = [
        [
            form.name,
            f"{form.megabytes:.1f} MB" if form.build_seconds is not None else NOTHING,
            f"{rounded(form.build_seconds)} s" if form.build_seconds is not None else NOTHING,
            f"{rounded(form.handshake_ms)} ms",
            f"{rounded(form.refusal_ms)} ms",
        ]
        for form in forms
    ]
    return f"{about}\n\n{aligned(head, rows)}"
