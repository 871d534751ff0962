"""The workflow of each change: every supported interpreter, real servers, pinned actions, few permissions."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = ROOT / ".github/workflows"


@pytest.fixture(scope="module")
def jobs() -> dict[str, Any]:
    """Return the jobs of the workflow, by name."""
    return yaml.safe_load((WORKFLOWS / "test.yml").read_text())["jobs"]  # type: ignore[no-any-return]


def test_every_supported_interpreter_runs_the_tests(jobs: dict[str, Any]) -> None:
    """Those that the package says it supports."""
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    supported = [match[1] for each in classifiers if (match := re.search(r":: (3\.\d+)$", each))]
    assert jobs["test"]["strategy"]["matrix"]["python"] == supported


def test_both_servers_run_the_live_tests(jobs: dict[str, Any]) -> None:
    """OpenBao where the repository names an image of it."""
    commands = {name: [step["run"] for step in job["steps"] if "run" in step] for name, job in jobs.items()}
    assert "make live" in commands["live"]
    assert any("tests/live -k bao" in command for command in commands["openbao"])
    assert jobs["openbao"]["if"] == "vars.OPENBAO_IMAGE != ''"


def test_each_job_may_read_the_checkout_and_nothing_else(jobs: dict[str, Any]) -> None:
    """It runs what a stranger sends; no credential stays in the checkout, and each job ends by itself."""
    for job in jobs.values():
        assert job["permissions"] == {"contents": "read"}
        assert job["timeout-minutes"] <= 90
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


def test_every_make_target_of_a_workflow_exists(jobs: dict[str, Any]) -> None:
    """And what `.ci/run` runs: the two say the same."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    steps = [step.get("run", "") for job in jobs.values() for step in job["steps"]]
    run = {match[1] for each in steps if (match := re.fullmatch(r"make ([a-z-]+)", each))}
    local = set(re.findall(r"^make ([a-z-]+)$", (ROOT / ".ci/run").read_text(), re.MULTILINE))
    assert run | local <= targets
    assert local - run == {"test-all"}  # the matrix is in its place


def test_every_action_is_pinned_by_the_same_commit_everywhere() -> None:
    """With its version beside it."""
    texts = [path.read_text() for path in WORKFLOWS.glob("*.yml")]
    uses = [each for text in texts for each in re.findall(r"uses: (.*)", text)]
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each) for each in uses)
    assert len({each.split("@")[0] for each in uses}) == len(set(uses))
