"""Each test of the suite is watched for tasks that it leaves behind (conftest.py)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

LEAVING = """
import asyncio
import pytest

kept = []

@pytest.fixture
async def server():
    task = asyncio.create_task(asyncio.Event().wait())
    yield
    task.cancel()

async def test_that_cleans_up(server):
    pass

async def test_that_leaves_a_task():
    kept.append(asyncio.create_task(asyncio.Event().wait()))

def test_without_a_loop():
    pass
"""


def test_a_task_that_is_left_fails_its_test(tmp_path: Path) -> None:
    """Tasks of fixtures may last as long as these; a task that was cancelled has a moment to end."""
    shutil.copy(ROOT / "conftest.py", tmp_path)
    (tmp_path / "test_leaving.py").write_text(LEAVING)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-o", "asyncio_mode=auto", str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},  # what it imports
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "ERROR test_leaving.py::test_that_leaves_a_task" in done.stdout, done.stdout + done.stderr
    assert "3 passed, 1 error" in done.stdout
