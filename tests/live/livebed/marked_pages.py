"""Tables of pages that commands write, between two markers. All around them is written by hand."""

from __future__ import annotations

from pathlib import Path

__all__ = ["read_between", "write_between"]


def read_between(page: Path, begin: str, end: str) -> str:
    """Return what stands between two lines of a page.

    Raises:
        ValueError: the page has no such lines.
    """
    return split(page, begin, end)[1]


def write_between(page: Path, begin: str, end: str, text: str) -> None:
    """Replace what stands between two lines of a page.

    Raises:
        ValueError: the page has no such lines.
    """
    before, _, after = split(page, begin, end)
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def split(page: Path, begin: str, end: str) -> tuple[str, str, str]:
    before, has_begin, rest = page.read_text().partition(f"{begin}\n")
    inside, has_end, after = rest.partition(end)
    if not has_begin or not has_end:
        raise ValueError(f"{page} has no place for the table: {begin} and {end}")
    return before, inside, after
