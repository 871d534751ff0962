"""Every Python block of the documentation runs, and every link in it leads somewhere."""

from __future__ import annotations

import re
import sys
import textwrap
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from pages import ROOT, together

from authkit.testing import RefusedError, Simulator

GUIDES = sorted(path.relative_to(ROOT) for path in [ROOT / "README.md", *ROOT.glob("docs/*.md")])
EXAMPLES = sorted(path.relative_to(ROOT) for path in ROOT.glob("examples/*/README.md"))
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)[^)]*\)")


def python(page: str) -> list[str]:
    """Return the Python blocks of a page."""
    return [block.text for block in together(page, "python")]


@pytest.mark.parametrize("page", GUIDES, ids=str)
def test_code_blocks_run(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of one page, in order, in one module."""
    module = make_module(monkeypatch)
    for block in together(str(page), "python"):
        exec(compile("\n" * (block.line - 1) + block.text, str(page), "exec"), vars(module))


@pytest.mark.parametrize(
    "recipe",
    python("docs/howto-recipes.md"),
    ids=lambda recipe: re.findall(r"^class (\w+)", recipe, re.MULTILINE)[0],
)
def test_recipes_run_alone(recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with its own imports, as somebody copies it."""
    exec(recipe, vars(make_module(monkeypatch)))


def make_module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return an empty module that can be imported during a test."""
    module = ModuleType("documentation")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


@pytest.mark.skipif(not (ROOT / "authkit").is_dir(), reason="the source is out of reach (scripts/test_wheel)")
@pytest.mark.parametrize("page", EXAMPLES, ids=str)
def test_examples_quote_themselves(page: Path) -> None:
    """What an example's page shows stands in its code, line by line; `...` leaves some out."""
    code = {
        line.strip() for path in (ROOT / page).parent.rglob("*.py") for line in path.read_text().splitlines()
    }
    quoted = python(str(page))
    assert quoted
    for line in "".join(quoted).splitlines():
        assert line.strip() in {*code, "..."}


@pytest.mark.parametrize("page", [*GUIDES, *EXAMPLES], ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    """Relative links name files that exist."""
    for target in LINK.findall((ROOT / page).read_text()):
        assert (ROOT / page).parent.joinpath(target).exists(), target


async def test_the_readme_s_method_logs_people_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it stands there, behind the rules of a server."""
    module = make_module(monkeypatch)
    (shown,) = python("README.md")
    exec(shown, vars(module))
    async with Simulator(module.SharedPIN) as vault:
        await vault.write("role/dev", pin="4711-only-the-team-knows", token_policies="dev", token_ttl="1h")
        token = await vault.login(role="dev", member="Ann", pin="4711-only-the-team-knows")
        assert (token.policies, token.metadata["team"]) == (("default", "dev"), "dev")
        with pytest.raises(RefusedError, match="permission denied"):
            await vault.login(role="dev", member="ann", pin="4712")


def test_the_example_s_page_shows_all_of_it() -> None:
    """Below the docstring, which is the page's introduction."""
    (shown,) = python("examples/shared_pin/README.md")
    example = (ROOT / "examples/shared_pin/shared_pin.py").read_text()
    assert example.endswith(f'"""\n\n{shown}')


def test_the_readme_is_one_screen() -> None:
    """What, why, try, read on: everything else is on the pages that it names."""
    assert len((ROOT / "README.md").read_text().splitlines()) <= 72


def test_the_first_page_of_the_site_leads_where_the_readme_does() -> None:
    """Both have a path for authors, for operators and for contributors."""
    readme, index = ((ROOT / page).read_text() for page in ("README.md", "scripts/site/index.md"))
    pages = {target.removeprefix("docs/") for target in LINK.findall(readme) if target.startswith("docs/")}
    assert pages - set(LINK.findall(index)) == set()


def test_the_page_of_dependencies_has_each_of_them() -> None:
    """And no other: those of the package, and those of its extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    needed = {re.split(r"[\[>]", each)[0] for group in groups for each in group}
    rows = re.findall(
        r"^\| (?!package)([\w, -]+) \|", (ROOT / "docs/dependencies.md").read_text(), re.MULTILINE
    )
    assert {name for row in rows for name in row.split(", ")} == needed - {"vault-authkit"}


@pytest.mark.skipif(not (ROOT / "authkit").is_dir(), reason="the source is out of reach (scripts/test_wheel)")
def test_the_main_of_a_go_plugin_is_the_one_that_the_live_tests_run() -> None:
    """What docs/hosts.md shows beside `serve` is compiled, and runs under the same host."""
    (shown,) = together("docs/hosts.md", "go")
    assert shown.text == (ROOT / "tests/live/go/peer/main.go").read_text()


@pytest.mark.skipif(not (ROOT / "authkit").is_dir(), reason="the source is out of reach (scripts/test_wheel)")
def test_the_comparison_quotes_what_is_compared() -> None:
    """Each block of docs/why.md stands in one of the two methods as it is, but for its margin."""
    files = [ROOT / "examples/shared_pin/shared_pin.py", *ROOT.glob("tests/live/go/sharedpin/*.go")]
    sources = {file.suffix: "" for file in files}
    for file in files:
        sources[file.suffix] += file.read_text()
    for language in ("py", "go"):
        quoted = [block.text for block in together("docs/why.md", language)]
        assert quoted
        for text in quoted:
            source = sources[f".{language}"]
            assert text in source or textwrap.indent(text, "    ") in source, text


def test_the_example_stays_small() -> None:
    """A complete auth method in under 60 lines."""
    assert len((ROOT / "examples/shared_pin/shared_pin.py").read_text().splitlines()) < 60


@pytest.mark.skipif(not (ROOT / "authkit").is_dir(), reason="the source is out of reach (scripts/test_wheel)")
def test_the_smallest_database_plugins_stay_small() -> None:
    """As many lines as their page says, and less than 60."""
    page = (ROOT / "docs/howto-database.md").read_text()
    example = (ROOT / "examples/redis_acl/redis_acl/plugin.py").read_text()
    shown, written = len(python("docs/howto-database.md")[0].splitlines()), len(example.splitlines())
    assert f"`PostgreSQL` above | {shown} |" in page
    assert f"its settings included | {written} |" in page
    assert max(shown, written) < 60


def test_the_smallest_engine_stays_small() -> None:
    """As many lines as its page says, and less than 60."""
    page = (ROOT / "docs/howto-secrets.md").read_text()
    block = python("docs/howto-secrets.md")[0]
    engine = block[: block.index("class Service")] + block[block.index("class Accounts") :]
    lines = len(engine.splitlines())
    assert f"without the service | {lines} |" in page
    assert lines < 60


def test_the_threat_table_names_tests_that_exist() -> None:
    """Every test that docs/security.md names is a function or a file of the suite, and each row names one."""
    files = [*ROOT.glob("tests/**/test_*.py"), *ROOT.glob("examples/*/tests/test_*.py")]
    known = {path.name for path in files}
    known |= {name for path in files for name in re.findall(r"def (test_\w+)", path.read_text())}
    page = (ROOT / "docs/security.md").read_text()
    assert set(re.findall(r"\btest_\w+(?:\.py)?", page)) <= known
    attacks = page[page.index("## Attacks that are tested") :]
    rows = [line for line in attacks.splitlines() if line.startswith("| ")]
    threats = rows[: next(place for place, row in enumerate(rows) if row.startswith("| what"))]
    assert len(threats) > 80
    assert [row for row in threats if "`test_" not in row and not row.startswith("| who")] == []
