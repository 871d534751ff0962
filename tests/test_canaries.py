"""The search for secrets in all that a run of the tests writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from canaries import canary, find_canary, find_leaks

TESTS = Path(__file__).resolve().parent
SUITE = """
import logging, sys
from canaries import canary

def test_logs():
    logging.getLogger("authkit").debug("a %s", canary("logged"))

def test_logs_what_is_masked():
    logging.getLogger("authkit").info("a login", extra={"kv": {"jwt": canary("masked")}})

def test_prints():
    print(canary("printed"), file=sys.stderr)

def test_leaves_a_file(tmp_path):
    (tmp_path / "left").write_bytes(canary("left").encode())
"""


def test_a_half_of_a_secret_is_found() -> None:
    """Either one; and what a client has had, which is none of ours."""
    secret = canary("x")
    assert find_canary(f"a {secret[:-8]} b")
    assert find_canary(f"a {secret[8:]} b")
    assert not find_canary("a b")
    assert find_leaks("a token b", ["token", "other", "token"]) == ["token"]


def test_a_run_that_leaves_a_secret_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In its log, in what it prints, in its files. Masked secrets are none."""
    import subprocess
    import sys

    (tmp_path / "test_suite.py").write_text(SUITE)
    (tmp_path / "conftest.py").write_text((TESTS.parent / "conftest.py").read_text())
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--basetemp",
            tmp_path / "temporary",
        ],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    assert "1 error" in done.stdout
    assert "ERROR test_suite.py::test_logs - AssertionError: a secret is in the log" in done.stdout
    left = [line for line in done.stdout.splitlines() if line.startswith("a secret was left")]
    assert len(left) == 2
    assert "test_prints, Captured stderr call" in left[0]
    assert left[1].endswith("/left")
