"""Pages with commands, run as they are written, by a shell: the operators' against a real server."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from database_servers import ROOT_PASSWORD, run_redis, why_no_redis
from identity_provider import serve_provider
from livebed.binaries import ServerProgram
from livebed.database import database_plugin
from livebed.factories import MakeServer
from livebed.plugins import JWT_LAUNCHER, NEXT_LAUNCHER, python_plugin
from livebed.server import Server
from livebed.shell import run_script
from livebed.tokens import Issuer

ROOT = Path(__file__).resolve().parents[2]
OPERATE = ROOT / "docs" / "operate.md"
JWT_README = ROOT / "examples" / "jwt_auth" / "README.md"
JWT_EXPLAIN = ROOT / "docs" / "jwt-explain.md"
JWT_GROUPS = ROOT / "docs" / "jwt-groups.md"
JWT_ISSUERS = ROOT / "docs" / "jwt-issuers.md"
REDIS_README = ROOT / "examples" / "redis_acl" / "README.md"
AT_HOME = ["howto-dev.md", "howto-doctor.md"]
"""Pages about authkit's own server and command."""
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
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
pip() { :; }  # what pages install is installed already
set -eux
"""


@pytest.fixture
def server(make_server: MakeServer, issuer: Issuer) -> Iterator[Server]:
    """A server with the files that the pages speak of."""
    server = make_server()
    python_plugin(server.plugin_directory, "jwt_auth", JWT_LAUNCHER)
    python_plugin(server.plugin_directory, "jwt_auth_next", NEXT_LAUNCHER)
    (server.home / "pub.pem").write_text(issuer.public_pem)
    (server.home / "token.jwt").write_text(issuer.token(repository="acme/shop"))
    (server.home / "groups.jwt").write_text(issuer.token(groups=["platform", "ops"]))
    (server.home / "expired.jwt").write_text(issuer.token(iat=1, nbf=1, exp=2))
    yield server
    for name in ("token.jwt", "groups.jwt", "expired.jwt"):
        assert (server.home / name).read_text() not in server.log()


def test_the_operators_page_runs_as_written(server: Server) -> None:
    """Every shell block of docs/operate.md, in its order, in one shell; any failing command fails."""
    done = run(server, OPERATE)
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
    run_script(script, environment, tmp_path)


def test_the_pages_of_the_jwt_example_run_as_written(server: Server, issuer: Issuer) -> None:
    """The tutorial, then explanations, groups, and several issuers, on one mount."""
    tutorial = run(server, JWT_README)
    assert tutorial.stdout.count("token is expired") >= 2
    assert '"allowed": false' in tutorial.stdout
    assert "token is expired" in run(server, JWT_EXPLAIN).stdout
    run(server, JWT_GROUPS)
    client = server.client
    client.delete("auth/jwt/role/people")  # its users are not named by their issuer
    with serve_provider(issuer.jwk) as provider:
        issuers = run(server, JWT_ISSUERS, ISSUER=provider.url)
    assert "were reset to their defaults" not in issuers.stdout + issuers.stderr
    assert client.list("auth/jwt/issuer") == ["ci"]
    config = client.read("auth/jwt/config")
    assert (config["default_role"], config["jwt_validation_pubkeys"]) == ("ci", [])


def test_the_page_of_the_redis_example_runs_as_written(server: Server) -> None:
    """From registration to the revocation of a lease, with a Redis server."""
    if why_no_redis():
        pytest.skip(why_no_redis())
    database_plugin(server, "redis-acl", "redis_acl:RedisACL", REDIS_README.parent)
    with run_redis() as database:
        done = run(server, REDIS_README, REDIS_PORT=str(database.port), REDIS_PASSWORD=ROOT_PASSWORD)
        server.client.call("POST", "sys/leases/revoke-prefix/database", {"sync": True})
    assert "v-token-app-" in done.stdout
    assert ROOT_PASSWORD not in server.log()


def test_a_server_in_development_mode_takes_the_plugin_by_itself(
    program: ServerProgram, tmp_path: Path
) -> None:
    """The commands of docs/operate.md that stand beside registration, on a free port."""
    if program.is_bao:
        pytest.skip("the page shows Vault's development mode")
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    python_plugin(plugins, "jwt_auth", JWT_LAUNCHER)
    (tmp_path / "vault").symlink_to(program.path)
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    page = OPERATE.read_text()
    section = page[page.index("### Without registration") : page.index("## Log in, renew, revoke")]
    start, *commands = re.findall(r"^    (vault .*)$", section, re.MULTILINE)
    environment = {
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "PLUGIN_DIRECTORY": str(plugins),
        "VAULT_DEV_LISTEN_ADDRESS": address,
        "VAULT_ADDR": f"http://{address}",
        "VAULT_TOKEN": "root",
    }
    script = "\n".join(
        [
            "set -eu",
            f"{start} > server.log 2>&1 &",
            "trap 'kill $!; wait $!' EXIT",
            "until vault status > /dev/null 2>&1; do kill -0 $!; sleep 0.1; done",
            *commands,
        ]
    )

    done = run_script(script, environment, tmp_path)

    assert re.search(r"^jwt_auth\s+auth\s+v0\.1\.0", done.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("page", "blocks"),
    [(OPERATE, 5), (JWT_README, 5), (JWT_EXPLAIN, 3), (JWT_GROUPS, 3), (JWT_ISSUERS, 3), (REDIS_README, 4)]
    + [(ROOT / "docs" / name, 2) for name in AT_HOME],
)
def test_the_pages_have_commands(page: Path, blocks: int) -> None:
    """The blocks are found: a page whose format has changed would run as nothing."""
    assert len(BLOCK.findall(page.read_text())) >= blocks


def run(server: Server, page: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a page with the server's command line as `vault` on PATH; no command may fail."""
    programs = server.folder / "bin"
    programs.mkdir(exist_ok=True)
    if not (programs / "vault").exists():
        (programs / "vault").symlink_to(server.program.path)
    environment = {
        "PATH": f"{programs}:/usr/bin:/bin",
        "HOME": str(server.home),
        "PLUGIN_DIRECTORY": str(server.plugin_directory),
        **variables,
    }
    for prefix in ("VAULT", "BAO"):
        environment[f"{prefix}_ADDR"] = server.address
        environment[f"{prefix}_TOKEN"] = server.client.token
    return run_script("set -eux\n" + "".join(BLOCK.findall(page.read_text())), environment, server.home)
