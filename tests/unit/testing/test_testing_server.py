"""Acceptance tests where no server is at hand. With one: tests/live/test_acceptance.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import shared_pin
from shared_pin import SharedPIN

from authkit import AuthMethod
from authkit.testing import RealServer
from authkit.testing_pytest import PROGRAM_VARIABLES

SUITE = """
from shared_pin import SharedPIN

async def test_both(acceptance):
    vault = await acceptance(SharedPIN, path="teams")
    await vault.write("role/dev", pin="4711-only-the-team-knows")
    assert vault.path == "teams"
"""


def run_suite(folder: Path) -> str:
    """Run the suite of somebody else, who has installed authkit; return what pytest writes."""
    (folder / "test_both.py").write_text(SUITE)
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n")
    path = f"pythonpath={Path(shared_pin.__file__).parent}"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", "-o", path, "."],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.stdout


def test_without_a_server_the_second_run_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Visibly, and the reason names the variables."""
    for variable in PROGRAM_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    output = run_suite(tmp_path)
    assert "1 passed, 1 skipped" in output
    assert "no server: set AUTHKIT_VAULT or AUTHKIT_BAO to the executable of one" in output


def test_a_program_that_is_not_there_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt path must not look like a run without server."""
    monkeypatch.setenv("AUTHKIT_VAULT", "/nowhere/vault")
    output = run_suite(tmp_path)
    assert "1 failed, 1 passed" in output
    assert "'/nowhere/vault' is not the executable of a server" in output


def test_the_class_can_be_imported() -> None:
    """The plugin's process finds it by its name alone."""

    class Inner(AuthMethod, name="inner"):
        """A class that only this function has."""

    with pytest.raises(ValueError, match="put the class at the top of a module"):
        RealServer(Inner, sys.executable)
    with pytest.raises(ValueError, match="cannot be mounted"):
        RealServer(AuthMethod, sys.executable)


async def test_a_program_that_ends_is_told(tmp_path: Path) -> None:
    """With its status and what it has written."""
    program = tmp_path / "vault"
    program.write_text("#!/bin/sh\necho this is no server\nexit 3\n")
    program.chmod(0o700)
    with pytest.raises(RuntimeError, match=r"ended with status 3:\nthis is no server"):
        await RealServer(SharedPIN, program).__aenter__()
