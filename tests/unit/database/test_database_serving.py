"""The executable of a database plugin: its cookie, its notice, its start under a host's variables."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from certificates import host_identity

from authkit.database.cookie import COOKIE_KEY, COOKIE_VALUE
from authkit.serving import COOKIE_KEY as BACKEND_KEY
from authkit.serving import COOKIE_VALUE as BACKEND_VALUE

LAUNCHER = "from authkit.database import serve\nserve('shelf:{name}')\n"
SHELF = "from database_fakes import ShelfDatabase as Shelf\nclass Nameless(Shelf): ...\n"


def start(folder: Path, environment: dict[str, str], name: str = "Shelf") -> subprocess.Popen[bytes]:
    """Start the plugin."""
    (folder / "shelf.py").write_text(SHELF)
    (folder / "launcher.py").write_text(LAUNCHER.format(name=name))
    path = ":".join([str(folder), *sys.path])
    return subprocess.Popen(
        [sys.executable, folder / "launcher.py"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PYTHONPATH": path, "TMPDIR": "/tmp", **environment},
    )


def host(versions: str = "5,6") -> dict[str, str]:
    """Return what a server puts into the environment."""
    return {
        COOKIE_KEY: COOKIE_VALUE,
        "PLUGIN_PROTOCOL_VERSIONS": versions,
        "PLUGIN_CLIENT_CERT": host_identity().certificate_pem.decode(),
    }


@pytest.mark.parametrize("environment", [{}, {BACKEND_KEY: BACKEND_VALUE}, {COOKIE_KEY: "another"}])
def test_another_cookie_is_refused_before_anything_is_imported(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """A server would take it for a backend; the author's module is not touched."""
    with start(tmp_path, environment, name="NoSuchClass") as process:
        out, errors = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, b"")
    assert b"name it as plugin_name in `vault write database/config/...`" in errors
    assert b"NoSuchClass" not in errors


@pytest.mark.parametrize(("versions", "answered"), [("5,6", b"6"), ("6", b"6"), ("5", b"5")])
def test_the_highest_common_version_is_announced(tmp_path: Path, versions: str, answered: bytes) -> None:
    """6 serves many connections, 5 one."""
    with start(tmp_path, host(versions)) as process:
        assert process.stdout is not None
        line = process.stdout.readline().split(b"|")
        process.terminate()
        process.communicate(timeout=60)
    assert line[:3] == [b"1", answered, b"unix"]
    assert line[4] == b"grpc"


@pytest.mark.parametrize(
    ("environment", "name", "said"),
    [
        (host("4"), "Shelf", b"PLUGIN_PROTOCOL_VERSIONS: the host offers 4, this plugin speaks 6, 5"),
        (host() | {"PLUGIN_CLIENT_CERT": ""}, "Shelf", b"PLUGIN_CLIENT_CERT is empty"),
        (host(), "Nameless", b"Nameless cannot be served"),
        (host(), "NoSuchClass", b"NoSuchClass"),
    ],
)
def test_what_prevents_a_start_is_one_line_of_the_log(
    tmp_path: Path, environment: dict[str, str], name: str, said: bytes
) -> None:
    """And the process ends."""
    with start(tmp_path, environment, name) as process:
        out, errors = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, b"")
    assert said in errors
