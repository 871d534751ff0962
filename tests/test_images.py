"""Every picture of the documentation is shown on a page, and made by a command that a page names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pages import PAGES, ROOT

PICTURES = sorted((ROOT / "docs/images").iterdir())
PLOTS = sorted((ROOT / "docs/plots").iterdir())
TEXTS = {page: (ROOT / page).read_text() for page in PAGES}
LIVEBED = "".join(path.read_text() for path in (ROOT / "tests/live/livebed").rglob("*.py"))


@pytest.mark.parametrize("file", [*PICTURES, *PLOTS], ids=lambda file: file.name)
def test_a_picture_is_shown(file: Path) -> None:
    """On a page of docs/."""
    link = f"({file.relative_to(ROOT / 'docs')})"
    assert [page for page, text in TEXTS.items() if link in text]


@pytest.mark.parametrize("file", PICTURES, ids=lambda file: file.name)
def test_a_picture_of_the_page_is_taken_by_the_command(file: Path) -> None:
    """`scripts/live/pictures` copies what its page shows, from views that the tests of the page keep."""
    assert "`scripts/live/pictures`" in TEXTS["docs/page.md"]
    assert f"(images/{file.name})" in TEXTS["docs/page.md"]
    found = re.fullmatch(r"([\w-]+)-(phone|desk)-(light|dark)\.png", file.name)
    assert found
    assert f'"{found[1]}"' in (ROOT / "tests/live/test_page_browser.py").read_text()


@pytest.mark.parametrize("file", PLOTS, ids=lambda file: file.name)
def test_a_plot_is_drawn_by_the_command_of_its_page(file: Path) -> None:
    """By `scripts/live/bench --plots`, or by `make torture`: one of the curves has its name."""
    page, command = (
        ("docs/performance.md", "`scripts/live/bench --plots docs/plots`")
        if f"(plots/{file.name})" in TEXTS["docs/performance.md"]
        else ("docs/reliability.md", "`make torture`")
    )
    assert f"(plots/{file.name})" in TEXTS[page]
    assert command in TEXTS[page]
    load = re.sub(r"-(memory|descriptors|times)$", "", file.stem)
    assert f'"{file.stem}", "' in LIVEBED or f'draw("{load}", "' in LIVEBED
