"""What `make torture` makes of its results: files, the table, and the exit status."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from pathlib import Path

import pytest
from livebed.bench.curves import Curve
from livebed.binaries import ServerProgram
from livebed.torture import session
from livebed.torture.bed import Bed
from livebed.torture.catalog import PARTS, find_part
from livebed.torture.clients import Outcome, describe_refusals
from livebed.torture.options import Options, parse
from livebed.torture.page import BEGIN, END, table_of, write_table
from livebed.torture.results import PartResult, Results
from livebed.torture.rows import Part, Row, Size

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
FINE = Row("4 clients", "none", {"logins": 12345, "slowest, s": 0.5}, {"logins": 0, "roles": 0})
BAD = Row("4 clients", "a|b", {}, {"logins": 3})
PROGRAM = ServerProgram(Path("/nonexistent"), "vault", "test")


def result(part: str, *rows: Row) -> PartResult:
    """Return the results of a part."""
    return PartResult(part, rows, 1.5, {"machine": "one"})


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A page with a place for the table."""
    file = tmp_path / "page.md"
    file.write_text(f"before\n{BEGIN}\n| old | a |\n| gone | b |\n{END}\nafter\n")
    return file


def test_new_rows_replace_those_of_their_part(page: Path) -> None:
    """Other parts keep theirs, in the order of all parts; what is no part any more goes."""
    write_table(page, ["kills", "old"], {"kills": result("kills", FINE, BAD)})

    lines = page.read_text().splitlines()
    assert (lines[:2], lines[-2:]) == (["before", BEGIN], [END, "after"])
    assert lines[2] == "| part | load | fault | seen | lost |"
    assert lines[4] == "| kills | 4 clients | none | logins: 12,345; slowest, s: 0.5 | logins: 0; roles: 0 |"
    assert "a\\|b" in lines[5]
    assert lines[6] == "| old | a |"
    assert len(lines) == 9


def test_a_page_without_a_place_is_refused(tmp_path: Path) -> None:
    """Nothing is written into it."""
    file = tmp_path / "page.md"
    file.write_text("text\n")
    with pytest.raises(ValueError, match="no place for the table"):
        write_table(file, [], {})


def test_the_page_has_a_place_for_the_table(tmp_path: Path) -> None:
    """And rows of known parts only."""
    copy = tmp_path / "page.md"
    copy.write_text(PAGE.read_text())
    write_table(copy, [part.name for part in PARTS], {})
    assert copy.read_text() == PAGE.read_text()


def test_results_are_read_as_they_were_saved(tmp_path: Path) -> None:
    """A part that has not run has none."""
    results = Results(tmp_path / "new")
    assert results.find("kills") is None
    results.save(result("kills", FINE, BAD))
    found = results.find("kills")
    assert found is not None
    assert table_of([found]) == table_of([result("kills", FINE, BAD)])
    assert [row.is_fine for row in found.rows] == [True, False]


def test_parts_have_names_of_their_own() -> None:
    """They name files and rows."""
    assert len({part.name for part in PARTS}) == len(PARTS)


def test_options_choose_parts(tmp_path: Path) -> None:
    """All of them, or those that are named."""
    assert [part.name for part in parse([]).parts] == [part.name for part in PARTS]
    again = parse(["--again", "stops", "--output", str(tmp_path)])
    assert ([part.name for part in again.parts], again.again) == (["stops"], {"stops"})
    assert parse(["--quick", "--output", str(tmp_path)]).results.folder != tmp_path


def test_a_whole_load_has_no_limit(tmp_path: Path) -> None:
    """The million logins of the soak come to their end."""
    limits = [
        session.size_of(find_part("soak"), parse([*given, "--output", str(tmp_path)])).limit
        for given in ([], ["--whole"])
    ]
    assert limits == [720, inf]


class Counted:
    """A part that counts how often it runs."""

    def __init__(self, row: Row | None) -> None:
        self.row = row
        self.sizes: list[Size] = []

    def __call__(self, bed: Bed, size: Size) -> Sequence[Row]:
        """Run."""
        self.sizes.append(size)
        if self.row is None:
            raise ValueError("an error of the part")
        curve = Curve("counted", "runs")
        curve.add("a line", 1, 2)
        curve.add("a line", 2, 3)
        bed.curves.append(curve)
        return [self.row]


def options_for(page: Path, *parts: Part, again: Sequence[str] = (), is_quick: bool = False) -> Options:
    """Return options with everything below the page's folder."""
    results = Results(page.parent / ("quick" if is_quick else "results"))
    return Options(parts, frozenset(again), is_quick, results, page, page.parent / "plots")


LONG, SHORT = Size(seconds=9), Size(seconds=1)


def test_a_finished_part_does_not_run_again(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it is asked for; a quick look leaves the page as it is."""
    counted = Counted(FINE)
    part = Part("kills", counted, LONG, SHORT)
    monkeypatch.setattr(session, "PARTS", [part])
    before = page.read_text()

    assert session.run_session(options_for(page, part, is_quick=True), PROGRAM) == 0
    assert page.read_text() == before
    assert session.run_session(options_for(page, part), PROGRAM) == 0
    assert "12,345" in page.read_text()
    assert session.run_session(options_for(page, part), PROGRAM) == 0
    assert session.run_session(options_for(page, part, again=["kills"]), PROGRAM) == 0
    assert counted.sizes == [SHORT, LONG, LONG]


def test_plots_are_drawn_of_saved_results(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that page and plots always show the same run."""
    part = Part("kills", Counted(FINE), LONG, SHORT)
    monkeypatch.setattr(session, "PARTS", [part])
    plot = page.parent / "plots" / "counted.svg"
    session.run_session(options_for(page, part), PROGRAM)
    drawn = plot.read_bytes()
    plot.unlink()
    session.run_session(options_for(page, part), PROGRAM)
    assert plot.read_bytes() == drawn


@pytest.mark.parametrize(("row", "status"), [(FINE, 0), (BAD, 1), (None, 1)])
def test_the_exit_status_tells_of_losses(
    page: Path, monkeypatch: pytest.MonkeyPatch, row: Row | None, status: int
) -> None:
    """A part that failed, or has lost something, does not end well; the others run."""
    other = Counted(FINE)
    parts = [Part("kills", Counted(row), LONG, SHORT), Part("stops", other, LONG, SHORT)]
    monkeypatch.setattr(session, "PARTS", parts)
    assert session.run_session(options_for(page, *parts), PROGRAM) == status
    assert other.sizes == [LONG]


def test_a_part_that_cannot_run_says_why(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is not counted as done."""
    part = Part("kills", Counted(FINE), LONG, SHORT, why_not=lambda: "no database here")
    assert session.run_session(options_for(page, part), PROGRAM) == 1
    assert "no database here" in capsys.readouterr().err


def outcome(began: float, ended: float, status: int, text: str) -> Outcome:
    """Return how a login ended."""
    return Outcome(began, ended, status, text)


def test_a_clear_end_is_a_token_or_a_text() -> None:
    """An answer without a text, or no answer, is none."""
    ends = [(200, ""), (500, "internal error"), (500, ""), (0, "ReadTimeout")]
    assert [outcome(0, 1, *end).is_clear for end in ends] == [True, True, False, False]
    assert [outcome(0, 1, *end).succeeded for end in ends] == [True, False, False, False]


def test_a_login_is_in_flight_at_a_change_that_it_overlaps() -> None:
    """And its time counts from the moment when it could go on."""
    login = outcome(10, 20, 200, "")
    assert [login.overlaps(*change) for change in [(1, 9), (1, 10), (12, 13), (20, 30), (21, 30)]] == [
        False,
        True,
        True,
        True,
        False,
    ]
    assert (login.seconds_since(0), login.seconds_since(18)) == (10, 2)


def test_refusals_are_counted_by_their_text() -> None:
    """The most frequent first; none is a dash."""
    refused = [outcome(0, 1, 500, text) for text in ("a", "b\n b", "b b")]
    assert describe_refusals(refused) == "`b b` (2), `a` (1)"
    assert describe_refusals([]) == "-"
