"""The search for secrets in all that a run of the tests writes."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from canaries import canary, find_canary, find_leaks

TESTS = Path(__file__).resolve().parent
SUITE = """
import logging, sys
import pytest
from canaries import canary

@pytest.fixture(scope="session", autouse=True)
def late():
    yield
    logging.getLogger("authkit").warning("an end with %s", canary("late"))

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
    """Either one."""
    secret = canary("x")
    assert find_canary(f"a {secret[:-8]} b")
    assert find_canary(f"a {secret[8:]} b")
    assert not find_canary("a b")


@pytest.mark.parametrize("client", ["", "a", "ab", "abc"])
def test_a_secret_in_another_form_is_found(client: str) -> None:
    """As HTTP basic authentication sends it, after a client's id of any length, and in hexadecimal."""
    text = f"{client}:{canary('x')}".encode()
    assert find_canary(base64.b64encode(text).decode())
    assert find_canary(text.hex())


def test_what_a_client_has_had_is_found() -> None:
    """It is none of ours."""
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
    assert len(left) == 3
    assert "test_prints, Captured stderr call" in left[0]
    assert "an end with" in left[1]
    assert left[2].endswith("/left")
