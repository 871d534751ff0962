"""Fixtures for every layer."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def short_directory() -> Iterator[Path]:
    """A private directory with a path short enough for sockets."""
    path = Path("/tmp", f"ak-{os.urandom(6).hex()}")
    path.mkdir(mode=0o700)
    yield path
    shutil.rmtree(path, ignore_errors=True)
