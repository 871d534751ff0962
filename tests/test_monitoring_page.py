"""docs/monitoring.md, its alerts and its dashboard name what there is: metrics, labels, log fields."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client.metrics_core import Metric

from authkit.metrics.plugin_meter import OUTCOMES, PROVIDER_OUTCOMES, PluginMeter, build_facts

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "authkit"
PAGE = ROOT / "docs" / "monitoring.md"
ALERTS = ROOT / "docs" / "monitoring" / "alerts.yml"
DASHBOARD = ROOT / "docs" / "monitoring" / "dashboard.json"

pytestmark = pytest.mark.skipif(
    not PACKAGE.is_dir(), reason="the source is out of reach (scripts/test_wheel)"
)

DEVELOPMENT = {"host", "cli", "doctor", "testing", "deployment", "packaging"}
"""Parts that no plugin in production runs."""

LABELS_OF_SCRAPERS = {"instance", "job", "le"}


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table below the line that begins so."""
    after = PAGE.read_text().partition(heading)[2]
    assert after, f"no {heading!r}"
    table = re.search(r"(?:^\|.*\n)+", after, re.MULTILINE)
    assert table
    lines = table[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def names_in(cell: str) -> set[str]:
    """What stands in backticks."""
    return set(re.findall(r"`([^`]+)`", cell))


def full_name(metric: Metric) -> str:
    """The name that is shown: samples of counters and infos have a suffix."""
    return metric.name + {"counter": "_total", "info": "_info"}.get(metric.type, "")


@pytest.fixture(scope="module")
def metrics() -> list[Metric]:
    """Every metric, each counted once."""
    meter = PluginMeter(build_facts("x", "v1"))
    meter.watch(list)
    meter.request_answered("auth/x/", "login", "granted", 0.1)
    meter.lease_issued("x/")
    meter.lease_revoked("x/")
    meter.storage_called("get", "ok", 0.1)
    meter.database_called("close", "ok", 0.1)
    return list(meter.registry.collect())


def labels_of(metric: Metric) -> set[str]:
    """The labels of a metric, without those of a histogram's buckets."""
    return {label for sample in metric.samples for label in sample.labels} - {"le"}


def test_the_table_has_every_metric(metrics: list[Metric]) -> None:
    """With its type and its labels, and none that there is not."""
    documented = {
        next(iter(names_in(name))): (kind, names_in(labels))
        for name, kind, labels, _ in rows("### What is counted")
    }
    assert documented == {full_name(each): (each.type, labels_of(each)) for each in metrics}


def test_the_table_has_every_outcome() -> None:
    """Of requests; those of providers are in the text."""
    listed = re.findall(
        r"^\| `(\w+)` \|", PAGE.read_text().partition("| `outcome` of a request")[2], re.MULTILINE
    )
    assert set(listed[: len(OUTCOMES)]) == set(OUTCOMES)
    text = PAGE.read_text().partition("for providers")[2].partition("\n\n")[0]
    assert names_in(text) == set(PROVIDER_OUTCOMES)


def queries() -> Iterator[str]:
    """Every expression of the alerts and of the dashboard, and the queries of its variables."""
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        yield from (rule["expr"] for rule in group["rules"])
    board = json.loads(DASHBOARD.read_text())
    for panel in board["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]["query"]


@pytest.mark.parametrize("query", list(queries()) if PACKAGE.is_dir() else [])
def test_queries_ask_for_what_there_is(metrics: list[Metric], query: str) -> None:
    """Each name is one of a sample, and it has the labels by which it is chosen or summed."""
    known = {sample.name: labels_of(each) for each in metrics for sample in each.samples}
    asked = set(re.findall(r"\bauthkit_\w+", query))
    assert asked
    assert asked <= known.keys()
    labels = set().union(*(known[name] for name in asked)) | LABELS_OF_SCRAPERS
    selected = set(re.findall(r"[{,]\s*(\w+)\s*(?:=~|!=|!~|=)", query))
    grouped = {name.strip() for by in re.findall(r"by \(([^)]*)\)", query) for name in by.split(",")}
    assert selected | grouped <= labels
    assert query.count("(") == query.count(")")
    for value in re.findall(r'outcome=~?"([^"]*)"', query):
        assert set(value.split("|")) <= {*OUTCOMES, *PROVIDER_OUTCOMES, "failed"}


def test_every_metric_is_on_the_dashboard(metrics: list[Metric]) -> None:
    """But those of the process that nobody looks at without a reason."""
    board = DASHBOARD.read_text()
    unshown = {each.name for each in metrics if each.name not in board}
    assert unshown == {
        "authkit_process_virtual_memory_bytes",
        "authkit_process_start_time_seconds",
        "authkit_process_open_fds",
        "authkit_process_max_fds",
    }


def test_the_page_has_every_alert() -> None:
    """In the order of the file."""
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    assert [row[0].strip("`") for row in rows("### Alerts")] == [rule["alert"] for rule in group["rules"]]


def log_fields(path: Path) -> Iterator[str]:
    """The names of the pairs that a module gives to its log lines."""
    tree = ast.parse(path.read_text())
    assigned = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }

    def keys_of(value: ast.expr) -> Iterator[str]:
        if isinstance(value, ast.Name):
            if isinstance(assigned.get(value.id), ast.Dict):
                yield from keys_of(assigned[value.id])
            return
        assert isinstance(value, ast.Dict), f"{path}: {ast.unparse(value)}"
        for key, item in zip(value.keys, value.values, strict=True):
            if key is None:
                yield from keys_of(item)
            else:
                assert isinstance(key, ast.Constant)
                yield str(key.value)

    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "kv":
                    yield from keys_of(value)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "failure":
            yield from (keyword.arg for keyword in node.keywords if keyword.arg)
        elif isinstance(node, ast.Subscript) and getattr(node.value, "id", "") == "pairs":
            yield from [str(node.slice.value)] if isinstance(node.slice, ast.Constant) else []


def test_the_table_has_every_log_field() -> None:
    """Of authkit's own lines, as the source has them."""
    documented = {name for row in rows("## Log fields") for name in names_in(row[0])}
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        if path.relative_to(PACKAGE).parts[0] not in DEVELOPMENT:
            found |= set(log_fields(path))
    assert documented == found


def test_the_table_of_the_status_is_that_of_its_page() -> None:
    """Each field is explained there."""
    explained = (ROOT / "docs" / "jwt-explain.md").read_text()
    for row in rows("## Status of a mount"):
        for name in names_in(row[0]):
            assert f"`{name}`" in explained


@pytest.mark.parametrize(
    "text",
    [
        "request failed",
        "login refused",
        "a new password could not be set",
        "rolling back an entry",
        "the password of a static role was not changed",
        "is not a place for metrics",
        "is not a loopback address",
        "needs the package prometheus-client",
        "others may write to",
        "belongs to another user",
        "is a symbolic link",
        "Two plugins need two places",
        "a file that is not a socket of this user is there, and stays",
    ],
)
def test_quoted_lines_are_those_of_the_log(text: str) -> None:
    """An operator searches for them."""
    assert text in PAGE.read_text()
    assert any(text in path.read_text() for path in PACKAGE.rglob("*.py"))
