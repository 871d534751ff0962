"""Commands that pages and programs show, run in one shell as somebody pastes them."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

__all__ = ["run_script"]

RUN_SECONDS = 120


def run_script(script: str, environment: Mapping[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script in a folder; it has to succeed."""
    done = subprocess.run(
        ["sh", "-c", script],
        env=dict(environment),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done
