"""What the benchmark makes of its figures: tables, curves, pictures. scripts/live/bench measures them."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from livebed.bench.bed import BUILT_IN, GO
from livebed.bench.curves import Curve, choose_points
from livebed.bench.plots import nice_step, write_plots
from livebed.bench.report import report
from livebed.bench.results import Results
from livebed.bench.traffic import Request, Traffic

SVG = "{http://www.w3.org/2000/svg}"


def run(per_second: float, **figures: float) -> dict[str, float]:
    """Return the figures of one run."""
    times = {"p50_ms": 1.0, "p99_ms": 2.0, "cpu_ms_server": 0.8}
    return {"requests": 10, "per_second": per_second} | times | figures


def test_a_table_has_medians_and_ratios() -> None:
    """The median of the runs, and its ratio to the Go plugin's; nothing where something was not measured."""
    ours = [run(speed, cpu_ms_plugin=0.25) for speed in (90, 200, 5000)]
    go = [run(100, cpu_ms_plugin=0.4)] * 3
    results = Results(
        {"server": "Vault"}, ["authkit", GO], {32: {"authkit": ours, GO: go, BUILT_IN: [run(900)]}}
    )
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in report(results).splitlines()]
    assert ["logins/s, 32 clients", "200", "**2.00**", "100", "900"] in rows
    assert ["plugin CPU ms, 32 clients", "0.25", "**0.62**", "0.4", "-"] in rows
    assert ["cores on which Go is as fast", "4.8", "-", "-", "-"] in rows


def test_a_curve_says_why_it_grows() -> None:
    """A flat one needs no reason, and one that grows has its own."""
    curve = Curve("groups", "groups")
    for x, flat, growing in ((0, 100, 100), (500, 110, 300)):
        curve.add("flat", x, flat)
        curve.add("growing", x, growing)
    assert curve.reason(curve.series[0]) == ""
    assert "group alias" in curve.reason(curve.series[1])


@pytest.mark.parametrize("xs", [(0, 100_000), (1, 50), (5, 5)])
def test_every_point_is_in_the_picture(tmp_path: Path, xs: tuple[int, int]) -> None:
    """Also at zero, and where nothing grows."""
    curve = Curve("drawn", "things")
    for x in xs:
        curve.add("one", x, 7.0)
        curve.add("two", x, 1300.0)
    (file,) = write_plots([curve], tmp_path / "plots")
    circles = ElementTree.parse(file).getroot().findall(f"{SVG}circle")
    assert len(circles) == 4 + 2  # the legend has one for each series
    assert all(
        0 < float(circle.attrib["cx"]) < 520 and 0 < float(circle.attrib["cy"]) < 320 for circle in circles
    )


@pytest.mark.parametrize(("top", "step"), [(5, 1), (6, 2), (1300, 500), (0.09, 0.02)])
def test_lines_have_round_values(top: float, step: float) -> None:
    """About five lines, 1, 2 or 5 apart."""
    assert nice_step(top) == pytest.approx(step)


def test_a_quick_look_has_both_ends() -> None:
    """It leaves out what takes long."""
    assert choose_points((1, 10, 100), is_quick=True) == [1, 100]
    assert choose_points((10, 1_000, 12_000), is_quick=True) == [10, 1_000]
    assert choose_points((1, 10, 100), is_quick=False) == (1, 10, 100)


def test_traffic_goes_on_where_it_stopped() -> None:
    """So a run with many requests does not repeat those of the run before it."""
    traffic = Traffic([Request("GET", str(number)) for number in range(5)])
    taken = [[request.path for request in traffic.take(count)] for count in (3, 3, 9)]
    assert taken == [["0", "1", "2"], ["3", "4", "0"], ["1", "2", "3", "4", "0"]]
