"""The results as Markdown tables: each figure with its ratio to the Go plugin's."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence

from livebed.bench.bed import BUILT_IN, GO
from livebed.bench.curves import Curve
from livebed.bench.results import Results
from livebed.bench.rounds import Runs, median

__all__ = ["report"]

LOGIN_FIGURES = (
    ("logins/s", "per_second"),
    ("p50 ms", "p50_ms"),
    ("p99 ms", "p99_ms"),
    ("plugin CPU ms", "cpu_ms_plugin"),
    ("server CPU ms", "cpu_ms_server"),
)
SCENARIO_FIGURES = (("per second", "per_second"), ("plugin CPU ms", "cpu_ms_plugin"))
NOTHING = "-"

Row = tuple[str, Mapping[str, float]]


def report(results: Results) -> str:
    """Return everything that is printed."""
    parts = ["\n".join(f"{name}: {text}" for name, text in results.about.items())]
    columns = [*results.labels, BUILT_IN]
    if results.logins:
        parts.append(table(columns, list(login_rows(results))))
    if results.scenarios:
        parts.append(table(columns, list(scenario_rows(results.scenarios))))
    if results.curves:
        parts.append("\n".join(curve_lines(results.curves)))
    return "\n\n".join(parts)


def login_rows(results: Results) -> Iterator[Row]:
    """Yield the rows of the comparison."""
    for clients, runs in results.logins.items():
        for name, figure in LOGIN_FIGURES:
            yield f"{name}, {clients} client{'s' * (clients > 1)}", median(runs, figure)
    last = median(list(results.logins.values())[-1], "cpu_ms_plugin")
    yield "ceiling: logins/s of one core", {label: 1000 / cpu for label, cpu in last.items()}
    for name, by_label in results.single.items():
        yield name, {label: float(statistics.median(values)) for label, values in by_label.items()}


def scenario_rows(scenarios: Mapping[str, Runs]) -> Iterator[Row]:
    """Yield the rows of the scenarios."""
    for scenario, runs in scenarios.items():
        for name, figure in SCENARIO_FIGURES:
            yield f"{scenario}: {name}", median(runs, figure)
        asked = {
            label: sum(run["provider_requests"] for run in each)
            for label, each in runs.items()
            if "provider_requests" in each[0]
        }
        if any(asked.values()):
            total = sum(int(run["requests"]) for run in next(iter(runs.values())))
            yield f"{scenario}: provider requests for {total:,}", asked


def table(labels: Sequence[str], rows: Sequence[Row]) -> str:
    """Return a Markdown table whose columns stand below each other in a terminal too."""
    head, cells = ["", *headings(labels)], [[name, *cells_of(labels, values)] for name, values in rows]
    widths = [max(len(row[column]) for row in [head, *cells]) for column in range(len(head))]
    lines = [[*head], ["-" * width for width in widths], *cells]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    )


def headings(labels: Sequence[str]) -> Iterator[str]:
    """Yield the names of the columns: ours have their ratio to the Go plugin beside them."""
    for label in labels:
        yield label
        if label not in (GO, BUILT_IN):
            yield "to Go"


def cells_of(labels: Sequence[str], values: Mapping[str, float]) -> Iterator[str]:
    """Yield the cells of a row."""
    base = values.get(GO)
    for label in labels:
        value = values.get(label)
        yield NOTHING if value is None else rounded(value)
        if label not in (GO, BUILT_IN):
            yield f"**{value / base:.2f}**" if value is not None and base else NOTHING


def rounded(value: float) -> str:
    """Return a value with the digits that mean something."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value else "0"


def curve_lines(curves: Sequence[Curve]) -> Iterator[str]:
    """Yield a line for each series, and below each curve that is not flat the reason."""
    for curve in curves:
        yield f"{curve.x} ({curve.y}):"
        for series in curve.series:
            points = ", ".join(f"{x:,.0f}: {rounded(y)}" for x, y in series.points)
            verdict = "flat" if series.is_flat else f"grows {series.growth:.2g} times"
            yield f"  {series.label}: {points} ({verdict})"
        if curve.reason:
            yield f"  {curve.reason}"
