"""The table of docs/reliability.md, between two markers. All around it is written by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from livebed.marked_pages import read_between, write_between
from livebed.torture.results import PartResult
from livebed.torture.rows import Row

__all__ = ["BEGIN", "END", "cells_of", "table_of", "write_table"]

BEGIN = "<!-- table: written by `make torture` -->"
END = "<!-- end of the table -->"
COLUMNS = ("part", "load", "fault", "seen", "lost")


def write_table(page: Path, parts: Sequence[str], results: Mapping[str, PartResult]) -> None:
    """Write the rows of these results into a page; rows of parts that have none stay.

    Raises:
        ValueError: the page has no markers.
    """
    table = read_between(page, BEGIN, END)
    lines = []
    for part in parts:
        if part in results:
            lines += [line_of(cells) for cells in cells_of(results[part])]
        else:
            lines += [line for line in table.splitlines() if line.startswith(f"| {part} |")]
    write_between(page, BEGIN, END, "\n".join([*heading(), *lines]))


def table_of(results: Sequence[PartResult]) -> str:
    """Return the table of these results alone."""
    lines = [line_of(cells) for result in results for cells in cells_of(result)]
    return "\n".join([*heading(), *lines])


def cells_of(result: PartResult) -> Iterator[tuple[str, ...]]:
    """Yield the cells of each row of a part."""
    for row in result.rows:
        seen = "; ".join(f"{name}: {show(value)}" for name, value in row.seen.items())
        yield result.part, row.load, row.fault, seen, lost(row)


def lost(row: Row) -> str:
    """Return what was lost: each figure, and why one is not 0."""
    figures = "; ".join(f"{name}: {show(value)}" for name, value in row.lost.items())
    return f"{figures} ({row.reason})" if row.reason else figures


def show(value: float | str) -> str:
    """Return a figure with separators for thousands."""
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def heading() -> list[str]:
    """Return the first two lines."""
    return [line_of(COLUMNS), line_of(["---"] * len(COLUMNS))]


def line_of(cells: Sequence[str]) -> str:
    """Return one line of a table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
