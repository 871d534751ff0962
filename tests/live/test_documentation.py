"""Pages with commands, run as they are written, by a shell: the operator's against a real server."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from livebed.binaries import ServerProgram
from livebed.factories import MakeServer
from livebed.plugins import JWT_LAUNCHER, NEXT_LAUNCHER, python_plugin
from livebed.server import Server
from livebed.tokens import Issuer

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "operate.md"
AT_HOME = ["quickstart.md", "howto-dev.md", "howto-doctor.md"]
"""Pages about authkit's own server and command."""
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN_SECONDS = 120
PRELUDE = r"""
authkit() {
    if [ "$1" != dev ]; then python -m authkit "$@"; return; fi
    shift  # in the background, as in a terminal of its own; its exports are copied into this one
    python -m authkit dev --port 0 "$@" > "$HOME/dev.out" &
    DEV=$!
    trap 'kill $DEV; wait $DEV' EXIT
    until grep -q '^Ready' "$HOME/dev.out"; do kill -0 $DEV; sleep 0.1; done
    eval "$(grep export "$HOME/dev.out")"
}
set -eux
"""


def test_the_operators_page_runs_as_written(make_server: MakeServer, issuer: Issuer) -> None:
    """Every shell block of docs/operate.md, in its order, in one shell; any failing command fails."""
    server = make_server()
    python_plugin(server.plugin_directory, "jwt_auth", JWT_LAUNCHER)
    python_plugin(server.plugin_directory, "jwt_auth_next", NEXT_LAUNCHER)
    (server.home / "pub.pem").write_text(issuer.public_pem)
    (server.home / "token.jwt").write_text(issuer.token())
    script = "set -eux\n" + "".join(BLOCK.findall(PAGE.read_text()))

    done = run(server, script)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "v0.1.0" in done.stdout
    assert "v0.2.0" in done.stdout
    assert "x/" not in server.client.call("GET", "sys/auth")["data"]


@pytest.mark.parametrize("name", AT_HOME)
def test_pages_about_the_development_server_run_as_written(
    name: str, program: ServerProgram, tmp_path: Path
) -> None:
    """Every shell block of a page, in one shell; `authkit dev` runs on beside the others."""
    programs, plugins = tmp_path / "bin", tmp_path / "plugins"
    programs.mkdir()
    plugins.mkdir()
    (programs / "vault").symlink_to(program.path)
    (programs / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (programs / "python").chmod(0o755)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    python_plugin(plugins, "jwt_auth", JWT_LAUNCHER)
    environment = {
        "PATH": f"{programs}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "PLUGIN_DIRECTORY": str(plugins),
    }

    script = PRELUDE + "".join(BLOCK.findall((ROOT / "docs" / name).read_text()))
    done = subprocess.run(
        ["sh", "-c", script],
        env=environment,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_pages_have_commands() -> None:
    """The blocks are found: a page whose format has changed would run as nothing."""
    assert len(BLOCK.findall(PAGE.read_text())) >= 5
    for name in AT_HOME:
        assert len(BLOCK.findall((ROOT / "docs" / name).read_text())) >= 2


def run(server: Server, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script with the server's command line as `vault` on PATH."""
    programs = server.folder / "bin"
    programs.mkdir()
    (programs / "vault").symlink_to(server.program.path)
    environment = {
        "PATH": f"{programs}:/usr/bin:/bin",
        "HOME": str(server.home),
        "PLUGIN_DIRECTORY": str(server.plugin_directory),
    }
    for prefix in ("VAULT", "BAO"):
        environment[f"{prefix}_ADDR"] = server.address
        environment[f"{prefix}_TOKEN"] = server.client.token
    return subprocess.run(
        ["sh", "-c", script],
        env=environment,
        cwd=server.home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
