"""Pages with commands, run as they are written, by a shell: the operators' against a real server."""

from __future__ import annotations

import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
import pytest
from acme_directory import read_plugin
from database_servers import (
    ROOT_PASSWORD,
    ROOT_USER,
    run_postgresql,
    run_redis,
    why_no_postgresql,
    why_no_redis,
)
from identity_provider import serve_provider
from livebed.authority import Authority
from livebed.binaries import ServerProgram
from livebed.database import database_plugin
from livebed.factories import MakeServer
from livebed.plugins import NEXT_LAUNCHER, python_plugin
from livebed.server import Server
from livebed.shell import run_script
from livebed.tokens import Issuer
from pages import APART, ROOT, apart, read_blocks, together

from authkit.cli.new import KINDS, write_project

AT_HOME = ["docs/howto-dev.md", "docs/howto-doctor.md", "examples/shared_pin/README.md"]
"""Pages about authkit's own server and command."""
PLUGINS = {"examples/shared_pin/README.md": "examples/shared_pin/shared_pin.py"}
"""What runs on the development server where a page does not start it itself."""
LAUNCHER = apart("docs/operate.md", "#!/opt/authkit/bin/python -I").partition("\n")[2]
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
    python_plugin(server.plugin_directory, "jwt_auth", LAUNCHER)
    python_plugin(server.plugin_directory, "jwt_auth_next", NEXT_LAUNCHER)
    (server.home / "pub.pem").write_text(issuer.public_pem)
    (server.home / "token.jwt").write_text(issuer.token(repository="acme/shop"))
    (server.home / "groups.jwt").write_text(issuer.token(groups=["platform", "ops"]))
    (server.home / "expired.jwt").write_text(issuer.token(iat=1, nbf=1, exp=2))
    (server.home / "secret").write_text("0f-the-client-4711")
    (server.home / "root.password").write_text(ROOT_PASSWORD)
    yield server
    for name in ("token.jwt", "groups.jwt", "expired.jwt", "secret", "root.password"):
        assert (server.home / name).read_text() not in server.log()


def test_the_operators_pages_run_as_written(server: Server) -> None:
    """Every shell block of a page, in its order, in one shell; any failing command fails."""
    done = run(server, "docs/operate.md")
    assert "v0.1.0" in done.stdout
    assert "v0.2.0" in done.stdout
    assert "x/" not in server.client.call("GET", "sys/auth")["data"]
    run(server, "docs/troubleshooting.md")
    run(server, "docs/performance.md")
    assert len(server.pids_of("jwt_auth")) >= 2
    run(server, "docs/configuration.md")


def test_the_page_of_monitoring_runs_as_written(server: Server) -> None:
    """A plugin is registered, its metrics are read, and they are where node exporter finds them."""
    sockets, found = server.subfolder("m"), server.subfolder("n")
    patient = "vault read auth/x/role/dev\ncurl --fail --retry 20 --retry-all-errors --unix-socket"
    run_commands(server, commands_of_a_mount())
    done = run(
        server,
        "docs/monitoring.md",
        {
            "/run/authkit": str(sockets),
            "/var/lib/node_exporter": str(found),
            "\ncurl --unix-socket": f"\n{patient}",
        },
    )
    assert 'authkit_build_info{authkit="' in done.stdout
    assert 'plugin="jwt_auth"' in done.stdout
    assert [each.name for each in found.iterdir()] == ["authkit.prom"]
    assert "authkit_mounts 1.0\n" in (found / "authkit.prom").read_text()


def commands_of_a_mount() -> str:
    """Return what makes a mount with a role: the first block of the operators' page."""
    return together("docs/operate.md", "sh")[0].text


@pytest.mark.parametrize("page", AT_HOME)
def test_pages_about_the_development_server_run_as_written(
    page: str, program: ServerProgram, tmp_path: Path
) -> None:
    """Every shell block of a page, in one shell; `authkit dev` runs on beside the others."""
    programs, plugins = tmp_path / "bin", tmp_path / "plugins"
    programs.mkdir()
    plugins.mkdir()
    (programs / "vault").symlink_to(program.path)
    (programs / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (programs / "python").chmod(0o755)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    python_plugin(plugins, "jwt_auth", LAUNCHER)
    python_plugin(plugins, "talkative", f'print("hello")\n{LAUNCHER}')
    environment = {
        "PATH": f"{programs}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "PLUGIN_DIRECTORY": str(plugins),
    }

    start = f"authkit dev {PLUGINS[page]}\n" if page in PLUGINS else ""
    done = run_script(PRELUDE + start + script_of(page), environment, tmp_path)

    shown_by(page, done.stdout + done.stderr)


def test_the_pages_of_the_jwt_example_run_as_written(server: Server, issuer: Issuer) -> None:
    """The tutorial, then explanations, groups, and several issuers, on one mount."""
    tutorial = run(server, "examples/jwt_auth/README.md")
    assert tutorial.stdout.count("token is expired") >= 2
    assert '"allowed": false' in tutorial.stdout
    assert "token is expired" in run(server, "docs/jwt-explain.md").stdout
    run(server, "docs/jwt-groups.md")
    client = server.client
    client.delete("auth/jwt/role/people")  # its users are not named by their issuer
    with serve_provider(issuer.jwk) as provider:
        issuers = run(server, "docs/jwt-issuers.md", ISSUER=provider.url)
    assert "were reset to their defaults" not in issuers.stdout + issuers.stderr
    assert client.list("auth/jwt/issuer") == ["ci"]
    config = client.read("auth/jwt/config")
    assert (config["default_role"], config["jwt_validation_pubkeys"]) == ("ci", [])


def test_other_mounts_of_the_jwt_example_run_as_written(server: Server, issuer: Issuer) -> None:
    """Logins in a browser, a provider of one's own, pods: what operators write.

    A provider of this test is in the place of those that the pages name.
    """
    acme = python_plugin(server.plugin_directory, "acme_jwt", read_plugin())
    acme.register(server.client)
    python_plugin(server.plugin_directory, "jwt_auth", LAUNCHER).called("jwt").register(server.client)
    for path, plugin in (("jwt", "jwt"), ("acme", "acme_jwt")):
        server.client.write(f"sys/auth/{path}", type=plugin)
    with serve_provider(issuer.jwk) as provider:
        run(server, "docs/jwt-browser.md", {"https://idp.example": provider.url})
        run(server, "docs/page.md")
        run(server, "docs/howto-jwt-provider.md", {"https://login.acme.example": provider.url})
    authority = Authority()
    (server.home / "cluster-ca.pem").write_text(authority.pem)
    with serve_provider(issuer.jwk, context=authority.context(days=1)) as cluster:
        run(server, "docs/clients.md", {"https://kubernetes.default.svc.cluster.local": cluster.url})
    assert server.client.read("auth/jwt/role/ci")["bound_subject"] == "system:serviceaccount:shop:cart"


def test_the_page_of_a_secrets_engine_runs_as_written(server: Server) -> None:
    """With the engine that the page shows first."""
    page = "docs/howto-secrets.md"
    engine = f"from authkit import serve\n{together(page, 'python')[0].text}\nserve(Accounts)\n"
    python_plugin(server.plugin_directory, "accounts", engine, kind="secret").register(server.client)
    assert re.search(r"^lease_id +accounts/creds/reader/", run(server, page).stdout, re.MULTILINE)


def test_the_pages_with_postgresql_run_as_written(server: Server) -> None:
    """A database plugin as its page shows it, and the engine of the example."""
    if why_no_postgresql():
        pytest.skip(why_no_postgresql())
    page, folder = "docs/howto-database.md", server.folder / "lib"
    folder.mkdir()
    (folder / "my_postgresql.py").write_text(together(page, "python")[0].text)
    launcher = (
        f"import sys\nsys.path.append({str(folder)!r})\n{apart(page, 'from authkit.database import serve')}"
    )
    python_plugin(server.plugin_directory, "my-postgresql", launcher)
    engine = LAUNCHER.replace("jwt_auth:JWTAuth", "postgres_users:PostgresUsers")
    python_plugin(server.plugin_directory, "postgres_users", engine, kind="secret").register(server.client)
    with run_postgresql() as database:
        place = f"127.0.0.1:{database.port}/postgres"
        with psycopg.connect(database.url(ROOT_USER, ROOT_PASSWORD)) as connection:
            connection.execute("CREATE ROLE app LOGIN")  # the user that the page gives new passwords
        done = run(server, page, {"db.example/app": place})
        assert re.search(r"^username +v-\S+-app-", done.stdout, re.MULTILINE)
        server.client.call("POST", "sys/leases/revoke-prefix/database", {"sync": True})
        done = run(server, "examples/postgres_users/README.md", {"127.0.0.1:5432/app": place})
        assert re.search(r"^username +v-\S+-reader-", done.stdout, re.MULTILINE)
        server.client.call("POST", "sys/leases/revoke-prefix/postgres", {"sync": True})


@pytest.mark.parametrize("kind", KINDS)
def test_the_readme_of_a_new_project_runs_as_written(server: Server, kind: str) -> None:
    """What `authkit new` says about servers, with the launcher that it writes."""
    folder = server.folder / "my-own"
    write_project("my-own", folder, kind)
    launcher = (folder / "launcher").read_text().partition("\n")[2]
    python_plugin(
        server.plugin_directory, "my_own", f"import sys\nsys.path.append({str(folder)!r})\n{launcher}"
    )
    blocks = list(read_blocks("README.md", (folder / "README.md").read_text()))
    assert [block.language for block in blocks] == ["sh", "sh", "sh"]
    done = run_commands(server, blocks[-1].text)
    assert re.search(r"^(token_policies|lease_id) ", done.stdout, re.MULTILINE)


def test_the_page_of_the_redis_example_runs_as_written(server: Server) -> None:
    """From registration to the revocation of a lease, with a Redis server."""
    if why_no_redis():
        pytest.skip(why_no_redis())
    page = "examples/redis_acl/README.md"
    database_plugin(server, "redis-acl", "redis_acl:RedisACL", (ROOT / page).parent)
    with run_redis() as database:
        done = run(server, page, REDIS_PORT=str(database.port), REDIS_PASSWORD=ROOT_PASSWORD)
        server.client.call("POST", "sys/leases/revoke-prefix/database", {"sync": True})
    assert "v-token-app-" in done.stdout


def test_a_server_in_development_mode_takes_the_plugin_by_itself(
    program: ServerProgram, tmp_path: Path
) -> None:
    """The commands of docs/operate.md that stand beside registration, on a free port."""
    if program.is_bao:
        pytest.skip("the page shows Vault's development mode")
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    python_plugin(plugins, "jwt_auth", LAUNCHER)
    (tmp_path / "vault").symlink_to(program.path)
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    start, commands = (
        apart("docs/operate.md", each) for each in ("vault server -dev", "vault auth enable jwt_auth")
    )
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
            f"{start.rstrip()} > server.log 2>&1 &",
            "trap 'kill $!; wait $!' EXIT",
            "until vault status > /dev/null 2>&1; do kill -0 $!; sleep 0.1; done",
            commands,
        ]
    )

    done = run_script(script, environment, tmp_path)

    assert re.search(r"^jwt_auth\s+auth\s+v0\.1\.0", done.stdout, re.MULTILINE)


def test_commands_that_do_not_run_have_options_that_exist(program: ServerProgram) -> None:
    """Of the blocks that no test runs: the server's own help names each option."""
    not_run = [
        apart(page, beginning)
        for page, beginnings in APART.items()
        for beginning, reason in beginnings.items()
        if "::" not in reason
    ]
    lines = "".join(not_run).replace("\\\n", " ").splitlines()
    commands = [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("vault ")]
    assert len(commands) > 5
    for words in commands:
        check_options(program, words)


def check_options(program: ServerProgram, words: list[str]) -> None:
    """Compare the options of a command with its help."""
    options = {word.partition("=")[0] for word in words if word.startswith("-") and word != "-"}
    if not options:
        return
    subcommand = [word for word in words if re.fullmatch(r"[a-z]+", word)][:2]
    help_text = subprocess.run(
        [program.path, *subcommand, "-help"], capture_output=True, text=True, timeout=20, check=False
    )
    for option in options:
        assert re.search(rf"^ +(-f, )?{option}\b", help_text.stdout + help_text.stderr, re.MULTILINE), words


def script_of(page: str, replaced: Mapping[str, str] | None = None) -> str:
    """Return the commands of a page, with other addresses in place of those that nobody has."""
    script = "".join(block.text for block in together(page, "sh"))
    for shown, ours in (replaced or {}).items():
        assert shown in script
        script = script.replace(shown, ours)
    return script


def run(
    server: Server, page: str, replaced: Mapping[str, str] | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a page with the server's command line as `vault` on PATH; no command may fail."""
    done = run_commands(server, script_of(page, replaced), **variables)
    shown_by(page, done.stdout + done.stderr)
    return done


def run_commands(server: Server, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run commands as an operator of the server."""
    programs = server.folder / "bin"
    programs.mkdir(exist_ok=True)
    if not (programs / "vault").exists():
        (programs / "vault").symlink_to(server.program.path)
        (programs / "authkit").write_text(f'#!/bin/sh\nexec {sys.executable} -m authkit "$@"\n')
        (programs / "authkit").chmod(0o755)
    environment = {
        "PATH": f"{programs}:/usr/bin:/bin",
        "HOME": str(server.home),
        "PLUGIN_DIRECTORY": str(server.plugin_directory),
        **variables,
    }
    for prefix in ("VAULT", "BAO"):
        environment[f"{prefix}_ADDR"] = server.address
        environment[f"{prefix}_TOKEN"] = server.client.token
    return run_script(f"set -eux\n{script}", environment, server.home)


def shown_by(page: str, output: str) -> None:
    """Hold that all `text` blocks of a page are in what its commands print.

    `...` in a line is any text, on a line of its own any lines.
    """
    for block in together(page, "text"):
        pattern = "".join(
            r"(?:.*\n)*?" if line == "..." else ".*".join(map(re.escape, line.split("..."))) + "\n"
            for line in block.text.splitlines()
        )
        assert re.search(pattern, output), f"{block} is not what is printed:\n{output}"
