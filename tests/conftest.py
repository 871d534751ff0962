"""Fixtures for every layer."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

# `nohup` has it ignored, in every process that tests start as well.
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def short_directory() -> Iterator[Path]:
    """A private directory with a path short enough for sockets."""
    path = Path("/tmp", f"ak-{os.urandom(6).hex()}")
    path.mkdir(mode=0o700)
    yield path
    shutil.rmtree(path, ignore_errors=True)
