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
GROWTH_COLUMNS = ("what grows; what is measured", "where", "figures", "growth", "why")
MAX_WIDTH = 55
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
        parts.append(aligned(GROWTH_COLUMNS, list(curve_rows(results.curves))))
    return "\n\n".join(parts)


def login_rows(results: Results) -> Iterator[Row]:
    """Yield the rows of the comparison."""
    for clients, runs in results.logins.items():
        for name, figure in LOGIN_FIGURES:
            yield f"{name}, {clients} client{'s' * (clients > 1)}", median(runs, figure)
    yield from core_rows(list(results.logins.values())[-1])
    for name, by_label in results.single.items():
        yield name, {label: float(statistics.median(values)) for label, values in by_label.items()}


def core_rows(runs: Runs) -> Iterator[Row]:
    """Yield what one core of the plugin's serves, and on how many the Go plugin overtakes ours.

    Ours has one core. The Go plugin and the server share all others there are.
    """
    plugin, server = median(runs, "cpu_ms_plugin"), median(runs, "cpu_ms_server")
    yield "logins/s of one core of the plugin", {label: 1000 / cpu for label, cpu in plugin.items()}
    go = plugin[GO] + server[GO]
    ours = {label: cpu for label, cpu in plugin.items() if label != GO}
    yield "cores on which Go is as fast", {label: go / cpu for label, cpu in ours.items()}


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
    """Return figures as a table."""
    return aligned(["", *headings(labels)], [[name, *cells_of(labels, values)] for name, values in rows])


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose columns stand below each other in a terminal too."""
    columns = list(zip(head, *rows, strict=True))
    widths = [min(max(map(len, column)), MAX_WIDTH) for column in columns]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in [head, ["-" * width for width in widths], *rows]
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


def curve_rows(curves: Sequence[Curve]) -> Iterator[Sequence[str]]:
    """Yield a row for each series, with the reason where it is not flat."""
    for curve in curves:
        for series in curve.series:
            points = ", ".join(f"{x:,.0f}: {rounded(y)}" for x, y in series.points)
            growth = "flat" if series.is_flat else f"{series.growth:.1f} times"
            yield f"{curve.x}; {curve.y}", series.label, points, growth, curve.reason(series)
