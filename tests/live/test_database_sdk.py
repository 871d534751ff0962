"""The SDK's own test helpers for database plugins, in Go, driven against our plugin processes."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from database_servers import run_postgresql, run_redis, why_no_postgresql, why_no_redis
from livebed.binaries import find_built
from livebed.database import ROOT
from livebed.plugins import python_plugin

SECONDS = 120.0


@pytest.fixture
def helpers() -> Path:
    """The program in Go."""
    binary = find_built("database-helpers")
    if binary is None:
        pytest.skip("the SDK's helpers are not built: run scripts/live/build database-helpers")
    return binary


def drive(helpers: Path, folder: Path, target: str, found_in: Path, settings: object, creation: str) -> str:
    """Run the helpers against a class, on both protocol versions; return what they print."""
    paths = [str(found_in), str(ROOT)]
    body = f"import sys\nsys.path[:0] = {paths!r}\nfrom authkit.database import serve\nserve({target!r})\n"
    plugin = python_plugin(folder, "under_test", body)
    done = subprocess.run(
        [helpers, plugin.file, json.dumps(settings), creation],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
        env={"PATH": os.environ["PATH"], "TMPDIR": "/tmp"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_redis(helpers: Path, tmp_path: Path) -> None:
    """The example: initialize, create, both updates, delete twice, close."""
    if why_no_redis():
        pytest.skip(why_no_redis())
    with run_redis() as database:
        printed = drive(
            helpers,
            tmp_path,
            "redis_acl:RedisACL",
            ROOT / "examples" / "redis_acl",
            database.settings,
            '["~app:*", "+get"]',
        )
    assert printed.count("--- PASS") == 2


def test_postgresql(helpers: Path, tmp_path: Path) -> None:
    """The same with SQL."""
    if why_no_postgresql():
        pytest.skip(why_no_postgresql())
    with run_postgresql() as database:
        printed = drive(
            helpers,
            tmp_path,
            "postgresql:PostgreSQL",
            ROOT / "tests" / "live" / "plugins",
            database.settings,
            """CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}';""",
        )
    assert printed.count("--- PASS") == 2
