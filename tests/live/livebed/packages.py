"""The JWT example as a project that `authkit build` packs, and what was packed, started as a host does."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from authkit.packaging.lock import write_lock
from authkit.packaging.project import Project, read_project
from livebed.starts import host_environment

__all__ = ["NEXT", "build_wheels", "lock_project", "make_next", "make_project", "read_refusal", "unpacked_in"]

ROOT = Path(__file__).resolve().parents[3]
NEXT = "v0.2.0"
"""The version of `make_next`."""


def build_wheels(folder: Path) -> Path:
    """Build the wheel of authkit into a folder, and return the folder."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folder


def make_project(folder: Path, wheels: Path, example: str = "jwt_auth") -> Project:
    """Copy an example, and lock it to the versions of the development environment and the wheels."""
    ignored = shutil.ignore_patterns("tests", "__pycache__")
    shutil.copytree(ROOT / "examples" / example, folder, ignore=ignored)
    (folder / example / "page.jinja").write_text("a template of the author's")
    return lock_project(folder, wheels)


def lock_project(folder: Path, wheels: Path) -> Project:
    """Lock a project to the versions of the development environment and the wheels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_CONSTRAINT", str(ROOT / "requirements/development.txt"))
        write_lock(read_project(folder), find_links=[wheels])
    return read_project(folder)


def make_next(project: Project, folder: Path) -> Project:
    """Copy a project as its next version."""
    shutil.copytree(project.folder, folder)
    method = folder / "jwt_auth/method.py"
    text, count = re.subn(r'version="0\.1\.0"', f'version="{NEXT[1:]}"', method.read_text())
    assert count == 1
    method.write_text(text)
    return read_project(folder)


def read_refusal(file: Path, environment: Mapping[str, str]) -> str:
    """Start a packed plugin that cannot start; return what it writes into the server's log."""
    environment = host_environment(file.parent) | dict(environment)
    done = subprocess.run([file], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    line: dict[str, str] = json.loads(done.stderr.splitlines()[-1])
    assert line["@level"] == "error"
    return line["@message"]


def unpacked_in(cache: Path) -> Path:
    """Return the one folder that was unpacked into a cache."""
    (entry,) = cache.glob("jwt_auth-*/")
    return entry
