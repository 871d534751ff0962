"""Protocol 4 on its own ground: a host on the SDK of Vault 1.10, and tokens that a real server wraps.

Each test runs with a plugin of ours and with a Go plugin whose main() is the one that the plugin guides show:
the flags do the same. What an operator reads of a refusal is ours to keep, and is asked of ours alone.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from livebed.accounts import AccountsMount
from livebed.binaries import ServerProgram, find_built
from livebed.mounts import DEV_ROLE
from livebed.old_server import OldServer
from livebed.plugins import JWT_LAUNCHER, python_plugin
from livebed.processes import wait_for_exit
from livebed.tls_server import TLSServer
from livebed.tokens import AUDIENCE, Issuer

RUN_SECONDS = 60
Flags = Mapping[str, str | Path | None]
"""By name without the dash; `None` for the switch."""


@pytest.fixture(scope="module")
def server(program: ServerProgram) -> Iterator[TLSServer]:
    """The server that wraps certificates, and unwraps them behind TLS."""
    with TLSServer(program) as running:
        yield running
        assert running.is_running


@pytest.fixture(scope="module", params=["authkit", "go"])
def either(request: pytest.FixtureRequest, ours: Path) -> Path:
    """The file of a plugin, ours or the Go one."""
    if request.param == "authkit":
        return ours
    found = find_built("guide")
    if found is None:
        pytest.skip("the Go plugin is not built: run scripts/live/build guide")
    return found


@pytest.fixture(scope="module")
def ours(server: TLSServer) -> Path:
    """The launcher of the JWT example."""
    return python_plugin(server.plugin_directory, "ours", JWT_LAUNCHER).file


@pytest.fixture(scope="module")
def flags(server: TLSServer) -> dict[str, str | Path]:
    """All that the server's listener asks for."""
    return {
        "ca-cert": server.ca,
        "tls-server-name": server.name,
        "client-cert": server.client_certificate,
        "client-key": server.client_key,
    }


def test_a_login_with_all_flags(
    server: TLSServer, either: Path, flags: dict[str, str | Path], issuer: Issuer
) -> None:
    """Probed in plaintext, started with a token, configured, and asked for a login over the unwrapped TLS."""
    role = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": AUDIENCE, "token_policies": "dev"}
    login = {"role": "dev", "jwt": issuer.token()}
    requests = [
        {"operation": "update", "path": "config", "data": {"jwt_validation_pubkeys": issuer.public_pem}},
        {"operation": "create", "path": "role/dev", "data": role},
        {"operation": "update", "path": "login", "data": login, "unauthenticated": True},
    ]

    done = run_host(server, either, flags, requests)

    report = json.loads(done.stdout)
    assert report["type"] == "auth"
    assert "login" in report["unauthenticated"]
    assert [each["error"] for each in report["results"]] == ["", "", ""]
    assert report["results"][-1]["auth"]["alias"]["name"] == "alice"
    assert report["results"][-1]["auth"]["policies"] == ["dev"]


def test_the_flags_can_be_given_by_variables(
    server: TLSServer, either: Path, flags: dict[str, str | Path]
) -> None:
    """Those of Vault's command line, which a plugin inherits from the server."""
    run_host(server, either, {}, variables=as_variables(flags))


def test_a_flag_counts_before_its_variable(
    server: TLSServer, either: Path, flags: dict[str, str | Path]
) -> None:
    """For each of the groups; the other variables go on counting."""
    wrong = {
        "ca-cert": server.other_ca,
        "tls-server-name": "other.example",
        "client-cert": server.other_certificate,
        "client-key": server.other_key,
    }
    run_host(server, either, flags, variables=as_variables(wrong))
    name = {"tls-server-name": server.name}
    run_host(server, either, name, variables=as_variables({**flags, "tls-server-name": "other.example"}))


def test_a_directory_of_authorities(server: TLSServer, either: Path, flags: dict[str, str | Path]) -> None:
    """The files may have any names, and lie in a directory below."""
    folder = server.subfolder(f"authorities-{either.name}")
    (folder / "below").mkdir()
    (folder / "below" / "any name").write_text(server.ca.read_text())
    (folder / "another").write_text(server.other_ca.read_text())
    chosen = {**flags, "ca-path": folder}
    del chosen["ca-cert"]
    run_host(server, either, chosen, variables={"VAULT_CACERT": str(server.other_ca)})


def test_verification_can_be_switched_off(
    server: TLSServer, either: Path, flags: dict[str, str | Path]
) -> None:
    """By flag or variable: neither the authority nor the name matters then. Ours warns of it."""
    client = {name: flags[name] for name in ("client-cert", "client-key")}
    for done in (
        run_host(server, either, {**client, "tls-skip-verify": None}),
        run_host(server, either, client, variables={"VAULT_SKIP_VERIFY": "true"}),
    ):
        if either.name == "ours":
            assert "is not verified" in done.stderr


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"ca-cert": ""}, "Register the plugin with -ca-cert"),
        ({"ca-cert": "other_ca"}, "Register the plugin with -ca-cert"),
        ({"ca-cert": "key"}, "holds no PEM certificates"),
        ({"tls-server-name": ""}, "Register the plugin with -tls-server-name"),
        ({"tls-server-name": "other.example"}, "Register the plugin with -tls-server-name"),
        ({"client-cert": "", "client-key": ""}, "Does it ask for -client-cert and -client-key?"),
        (
            {"client-cert": "other_certificate", "client-key": "other_key"},
            "Does it ask for -client-cert and -client-key?",
        ),
        ({"client-key": ""}, "-client-cert is set without -client-key"),
        ({"client-key": "other_key"}, "are not a PEM certificate and its unencrypted key"),
    ],
    ids=lambda value: "-".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else "",
)
def test_a_missing_or_wrong_flag_ends_the_start(
    server: TLSServer,
    either: Path,
    flags: dict[str, str | Path],
    changes: dict[str, str],
    expected: str,
) -> None:
    """Each of them is needed, and of ours the log says which."""
    changed = {name: getattr(server, value, value) for name, value in changes.items()}
    chosen = {name: value for name, value in {**flags, **changed}.items() if value}
    done = run_host(server, either, chosen, fails=True)
    if either.name == "ours":
        assert expected in done.stderr


@pytest.mark.parametrize(
    ("option", "expected"),
    [("-spend", "its token is not valid (HTTP 400). It works once"), ("-ttl=1s", "its token has expired")],
)
def test_a_token_that_does_not_count_any_more_ends_the_start(
    server: TLSServer, either: Path, flags: dict[str, str | Path], option: str, expected: str
) -> None:
    """Somebody else has used it, or a minute is over: nothing is served."""
    done = run_host(server, either, flags, options=[option], fails=True)
    if either.name == "ours":
        assert expected in done.stderr


def test_an_unknown_flag_ends_the_probe(
    server: TLSServer, either: Path, flags: dict[str, str | Path]
) -> None:
    """In plaintext already, before there is a token."""
    done = run_host(server, either, {**flags, "ca-cer": "/x"}, fails=True)
    assert "probe: " in done.stderr
    if either.name == "ours":
        assert "no flag -ca-cer" in done.stderr


@pytest.fixture
def old_server(tmp_path: Path) -> Iterator[OldServer]:
    """A server of Vault 1.10, in whose log is no token when it ends."""
    program = find_built("oldvault")
    if program is None:
        pytest.skip("the older server is not built: run scripts/live/build oldvault")
    with OldServer(program, tmp_path.resolve()) as server:
        yield server
        assert "eyJ" not in server.log.read_text()


def test_logins_at_vault_1_10(old_server: OldServer, issuer: Issuer) -> None:
    """Its own order of starts and its own token: configured, logged in, killed, renewed, revoked."""
    client = old_server.client
    plugin = python_plugin(old_server.plugin_directory, "jwt_auth", JWT_LAUNCHER)
    plugin.register(client, args=["-tls-server-name=unused.example"])
    client.write("sys/auth/jwt", type="jwt_auth")
    client.write("auth/jwt/config", jwt_validation_pubkeys=issuer.public_pem)
    client.write("auth/jwt/role/dev", **DEV_ROLE)
    auth = client.login("jwt", "dev", issuer.token())
    assert auth["token_policies"] == ["default"]
    (killed,) = old_server.pids_of(plugin.command)
    os.kill(killed, signal.SIGKILL)
    wait_for_exit(killed, RUN_SECONDS)
    renewed = client.write("auth/token/renew", token=auth["client_token"])["auth"]
    assert renewed["lease_duration"] == 3600
    assert client.login("jwt", "dev", issuer.token())["entity_id"] == auth["entity_id"]
    assert killed not in old_server.pids_of(plugin.command)
    client.write("auth/token/revoke", token=auth["client_token"])
    client.delete("sys/auth/jwt")


def test_leases_at_vault_1_10(old_server: OldServer, tmp_path: Path) -> None:
    """A secrets engine: issued, renewed, revoked, and revoked with the mount."""
    folder = tmp_path / "accounts"
    folder.mkdir()
    with AccountsMount.enabled(old_server, folder) as accounts:
        accounts.write_role("app", ttl=60, max_ttl=120)
        lease = accounts.issue("app")
        assert accounts.names() == [lease["data"]["name"]]
        assert accounts.renew(lease, increment=100)["lease_duration"] == 100
        accounts.revoke(lease)
        assert accounts.names() == []
        accounts.issue("app")
        accounts.disable()
        assert accounts.names() == []


def as_variables(flags: Flags) -> dict[str, str]:
    """Return flags as the variables of Vault's command line."""
    names = {"ca-cert": "CACERT", "ca-path": "CAPATH"}
    return {
        f"VAULT_{names.get(name, name.upper().replace('-', '_'))}": str(value)
        for name, value in flags.items()
    }


def run_host(
    server: TLSServer,
    plugin: Path,
    flags: Flags,
    requests: list[dict[str, Any]] | None = None,
    *,
    options: list[str] | None = None,
    variables: Mapping[str, str] | None = None,
    fails: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Let the older host start a plugin, and look for tokens in what it prints."""
    host = find_built("oldhost")
    if host is None:
        pytest.skip("the older host is not built: run scripts/live/build oldhost")
    arguments = [f"-{name}" if value is None else f"-{name}={value}" for name, value in flags.items()]
    environment = server.environment() | {"VAULT_ADDR": server.address, "VAULT_TOKEN": server.client.token}
    done = subprocess.run(
        [str(host), *(options or []), str(plugin), *arguments],
        input=json.dumps(requests or []),
        env=environment | dict(variables or {}),
        cwd=server.home,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    assert (done.returncode != 0) is fails, done.stderr
    assert "eyJ" not in done.stderr, "a JSON web token in the log"
    return done
