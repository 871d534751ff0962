"""Every Python block of the documentation runs, and every link in it leads somewhere."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    path.relative_to(ROOT)
    for path in [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*/README.md")]
)
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)[^)]*\)")


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_code_blocks_run(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of one page, in order, in one module."""
    module = ModuleType("documentation")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    text = (ROOT / page).read_text()
    for block in BLOCK.finditer(text):
        line = text[: block.start(1)].count("\n")
        exec(compile("\n" * line + block[1], str(page), "exec"), vars(module))


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    """Relative links name files that exist."""
    for target in LINK.findall((ROOT / page).read_text()):
        assert (ROOT / page).parent.joinpath(target).exists(), target


def test_the_readme_s_method_is_the_example() -> None:
    """What the README shows is the file that the tests run."""
    (shown,) = BLOCK.findall((ROOT / "README.md").read_text())
    example = (ROOT / "examples/shared_pin/shared_pin.py").read_text()
    assert shown[shown.index("class Team") :] == example[example.index("class Team") :]


def test_the_example_stays_small() -> None:
    """A complete auth method in under 60 lines."""
    assert len((ROOT / "examples/shared_pin/shared_pin.py").read_text().splitlines()) < 60
