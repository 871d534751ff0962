"""The operator's page, run as it is written, by a shell, against a real server."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from livebed.factories import MakeServer
from livebed.plugins import JWT_LAUNCHER, NEXT_LAUNCHER, python_plugin
from livebed.server import Server
from livebed.tokens import Issuer

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operate.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN_SECONDS = 120


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


def test_the_page_has_commands() -> None:
    """The blocks are found: a page whose format has changed would run as nothing."""
    assert len(BLOCK.findall(PAGE.read_text())) >= 5


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
