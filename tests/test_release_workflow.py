"""The workflow of a release: least permissions, pinned actions, no secret, only commands that exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from pages import ROOT, apart

WORKFLOW = ROOT / ".github/workflows/release.yml"
JOBS = {
    "build": {"contents": "read"},
    "test": {"contents": "read"},
    "publish": {"id-token": "write", "attestations": "write"},
    "announce": {"contents": "write"},
}
"""Each job and all that it may do."""


@pytest.fixture(scope="module")
def workflow() -> dict[Any, Any]:
    """Return the workflow as GitHub parses it; YAML reads the key `on` as true."""
    return yaml.safe_load(WORKFLOW.read_text())  # type: ignore[no-any-return]


def steps_of(workflow: dict[Any, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name of the job and each of its steps."""
    for name, job in workflow["jobs"].items():
        for step in job["steps"]:
            yield name, step


def test_only_a_version_tag_starts_it(workflow: dict[Any, Any]) -> None:
    """No pull request and no button: what is published has a tag."""
    assert workflow[True] == {"push": {"tags": ["v*"]}}


def test_each_job_has_the_least_permissions(workflow: dict[Any, Any]) -> None:
    """Only the publishing job may ask for an identity, and it runs nothing from the checkout."""
    assert workflow["permissions"] == {}
    assert {name: job["permissions"] for name, job in workflow["jobs"].items()} == JOBS
    assert {name for name, job in workflow["jobs"].items() if "environment" in job} == {"publish"}
    assert workflow["jobs"]["publish"]["environment"] == "pypi"
    for name, step in steps_of(workflow):
        if name in ("publish", "announce"):
            assert not step.get("uses", "").startswith(("actions/checkout@", "actions/setup-python@"))
        if name == "publish":
            assert "run" not in step


def test_jobs_wait_for_what_they_rely_on(workflow: dict[Any, Any]) -> None:
    """Nothing is published before the tests of the wheels, and nothing announced before it is published."""
    assert {name: job.get("needs") for name, job in workflow["jobs"].items()} == {
        "build": None,
        "test": "build",
        "publish": ["build", "test"],
        "announce": ["build", "publish"],
    }


def test_what_is_published_is_what_was_built(workflow: dict[Any, Any]) -> None:
    """By the artifact's number: whatever runs in the test job could replace the one of a name."""
    outputs = workflow["jobs"]["build"]["outputs"]
    assert outputs == {
        name: f"${{{{ steps.{name}.outputs.artifact-id }}}}" for name in ("archives", "release")
    }
    made = {
        step["id"]: step["with"]["name"]
        for name, step in steps_of(workflow)
        if step.get("uses", "").startswith("actions/upload-artifact@")
    }
    assert made == {"archives": "archives", "release": "release"}
    for _, step in steps_of(workflow):
        if step.get("uses", "").startswith("actions/download-artifact@"):
            assert step["with"].keys() == {"artifact-ids", "path"}
            assert step["with"]["artifact-ids"] in {
                f"${{{{ needs.build.outputs.{name} }}}}" for name in outputs
            }


def test_every_action_is_pinned_by_its_commit() -> None:
    """With the version beside it, the same everywhere."""
    uses = re.findall(r"uses: (.*)", WORKFLOW.read_text())
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each) for each in uses)
    assert len({each.split("@")[0] for each in uses}) == len(set(uses))


def test_no_secret_and_no_credential_in_the_checkout(workflow: dict[Any, Any]) -> None:
    """The token of the job itself is all that a step gets, and only the last job hands it to a program."""
    text = WORKFLOW.read_text()
    assert "secrets." not in text
    assert text.count("github.token") == 1
    for name, step in steps_of(workflow):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"] == {"persist-credentials": False}
        if "GH_TOKEN" in step.get("env", {}):
            assert name == "announce"


def test_no_expression_is_part_of_a_command(workflow: dict[Any, Any]) -> None:
    """The name of a tag reaches a shell as a variable."""
    for _, step in steps_of(workflow):
        assert "${{" not in step.get("run", "")


def test_every_command_exists(workflow: dict[Any, Any]) -> None:
    """Scripts and make targets of this repository, and two programs of the machine."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = [shlex.split(step["run"]) for _, step in steps_of(workflow) if "run" in step]
    for command in commands:
        assert len(command) > 1
        if command[0] == "make":
            assert set(command[1:]) <= targets
        elif command[0] not in ("gh", "sha256sum"):
            script = command[1] if command[0] == ".venv-release/bin/python" else command[0]
            assert script.startswith("scripts/")
            assert (ROOT / script).stat().st_mode & 0o100
    assert [command[0] for command in commands].count("gh") == 1


def test_the_page_on_releases_shows_commands_that_exist() -> None:
    """Scripts, make targets, jobs and names."""
    page = (ROOT / "docs/releasing.md").read_text()
    shown = apart("docs/releasing.md", "scripts/release check").splitlines()
    assert [line.split()[:2] for line in shown] == [
        ["scripts/release", "check"],
        ["scripts/release", "notes"],
        ["make", "dist"],
    ]
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)[:4] == list(JOBS)
    for path in ("scripts/release", ".ci/run", "requirements/release.txt", ".github/workflows/release.yml"):
        assert path in page
        assert (ROOT / path).exists()


def test_what_is_released_has_a_changelog_and_a_tag_that_agree(workflow: dict[Any, Any]) -> None:
    """It is checked before anything is built."""
    first = next(step for step in workflow["jobs"]["build"]["steps"] if "run" in step)
    assert first["run"] == 'scripts/release check "$TAG"'


def test_the_index_gets_attestations_and_no_file_twice(workflow: dict[Any, Any]) -> None:
    """A file that the index has with other bytes stops the release."""
    (publishing,) = (
        step
        for _, step in steps_of(workflow)
        if step.get("uses", "").startswith("pypa/gh-action-pypi-publish@")
    )
    assert publishing["with"] == {"packages-dir": "dist/", "attestations": True}
