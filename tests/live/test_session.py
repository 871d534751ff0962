"""The operator's session on a real server, through the HTTP API and through the command line."""

from __future__ import annotations

import pytest
from livebed.client import ServerError
from livebed.factories import MakePlugin, MakeServer
from livebed.mounts import Mount, mount_plugin
from livebed.plugins import Plugin
from livebed.processes import wait_for_exit
from livebed.server import Server
from livebed.tokens import AUDIENCE, ISSUER, SUBJECT, Issuer

STOP_SECONDS = 3.0
"""A host waits 2 s for a plugin to end by itself, then kills it."""


def test_session_over_the_api(mount: Mount) -> None:
    """A login grants exactly the role's token, bound to an entity that carries the subject as alias."""
    auth = mount.login()

    assert auth["policies"] == ["default"]
    assert auth["token_policies"] == ["default"]
    assert auth["metadata"] == {"role": "dev"}
    assert auth["lease_duration"] == 3600
    assert auth["renewable"] is True
    assert auth["token_type"] == "service"
    entity = mount.client.read(f"identity/entity/id/{auth['entity_id']}")
    (alias,) = entity["aliases"]
    assert alias["name"] == SUBJECT
    assert alias["mount_path"] == f"auth/{mount.path}/"
    assert alias["metadata"] == {"role": "dev"}
    assert mount.login()["entity_id"] == auth["entity_id"]


def test_token_of_a_login_works_and_knows_its_origin(mount: Mount) -> None:
    """The token can look itself up: its path, display name, policies and metadata are those of the login."""
    auth = mount.login()

    seen = mount.client.with_token(auth["client_token"]).read("auth/token/lookup-self")

    assert seen["path"] == f"auth/{mount.path}/login"
    assert seen["display_name"] == f"{mount.path}-{SUBJECT}"
    assert seen["policies"] == ["default"]
    assert seen["meta"] == {"role": "dev"}
    assert 3590 <= seen["ttl"] <= 3600


def test_session_through_the_command_line(server: Server, plugin: Plugin, issuer: Issuer) -> None:
    """Every command of an operator's session works as it does with a plugin written in Go."""
    client = server.client
    pem = server.home / "pub.pem"
    pem.write_text(issuer.public_pem)
    token_file = server.home / "token.jwt"
    token_file.write_text(issuer.token() + "\n")
    client.secrets.append(token_file.read_text().strip())
    checksum, command = f"-sha256={plugin.sha256}", f"-command={plugin.command}"

    client.cli("plugin", "register", checksum, command, "auth", plugin.name)
    client.cli("auth", "enable", "-path=x", plugin.name)
    client.cli("write", "auth/x/config", f"jwt_validation_pubkeys=@{pem}", f"bound_issuer={ISSUER}")
    role = (
        "role_type=jwt",
        "user_claim=sub",
        f"bound_audiences={AUDIENCE}",
        "token_policies=default",
        "token_ttl=1h",
    )
    client.cli("write", "auth/x/role/dev", *role)
    auth = client.cli_json("write", "auth/x/login", "role=dev", f"jwt=@{token_file}")["auth"]
    token = auth["client_token"]
    client.secrets.append(token)
    assert auth["metadata"] == {"role": "dev"}
    assert client.cli_json("read", "auth/x/role/dev")["data"]["token_ttl"] == 3600
    assert client.cli_json("list", "auth/x/role") == ["dev"]

    assert client.cli_json("token", "lookup", token)["data"]["meta"] == {"role": "dev"}
    assert client.cli_json("token", "renew", token)["auth"]["lease_duration"] == 3600
    client.cli("token", "revoke", token)
    assert client.run_cli("token", "lookup", token).returncode == 2

    client.cli("plugin", "reload", f"-plugin={plugin.name}")
    client.cli("auth", "tune", "-default-lease-ttl=30m", "-description=tuned", "x/")
    assert client.read("sys/auth/x/tune")["default_lease_ttl"] == 1800
    assert "sub" in client.cli("read", "-field=user_claim", "auth/x/role/dev")
    assert "role" in client.cli("path-help", "auth/x/login")

    (pid,) = server.pids_of(plugin.command)
    mark = server.log_mark()
    client.cli("auth", "disable", "x")
    assert wait_for_exit(pid, STOP_SECONDS) <= STOP_SECONDS
    assert_clean_exit(server, pid, mark)


def assert_clean_exit(server: Server, pid: int, mark: int) -> None:
    """The host has seen the process end with status 0 (go-plugin names an `error` otherwise)."""
    record = server.wait_for_log(rf"plugin process exited.*\bid={pid}\b", since=mark)
    assert "error" not in record.fields


def test_renewal_extends_and_keeps_the_token(mount: Mount) -> None:
    """A renewal restarts the TTL as the role has it now; policies, metadata and entity stay."""
    auth = mount.login()
    mount.write_role(token_ttl="2h")

    renewed = mount.client.write("auth/token/renew", token=auth["client_token"])["auth"]

    assert renewed["lease_duration"] == 7200
    for unchanged in ("client_token", "accessor", "policies", "metadata", "entity_id"):
        assert renewed[unchanged] == auth[unchanged]


def test_renewal_is_refused_once_the_role_is_gone(mount: Mount) -> None:
    """A token whose role was deleted cannot be renewed, and lives on only until its TTL ends."""
    auth = mount.login()
    mount.client.delete(f"auth/{mount.path}/role/dev")

    with pytest.raises(ServerError, match="role dev does not exist during renewal") as refused:
        mount.client.write("auth/token/renew", token=auth["client_token"])

    assert refused.value.status in {400, 500}


def test_revoked_token_is_worth_nothing(mount: Mount) -> None:
    """After a revocation the token is refused."""
    auth = mount.login()

    mount.client.write("auth/token/revoke", token=auth["client_token"])

    with pytest.raises(ServerError) as refused:
        mount.client.with_token(auth["client_token"]).read("auth/token/lookup-self")
    assert refused.value.status == 403


def test_config_and_roles_are_stored_per_mount(mount: Mount) -> None:
    """What is written can be read back, listed and deleted; a missing role is 404, with a neutral answer."""
    client, path = mount.client, mount.path

    assert client.read(f"auth/{path}/config")["bound_issuer"] == ISSUER
    role = client.read(f"auth/{path}/role/dev")
    assert role["user_claim"] == "sub"
    assert role["bound_audiences"] == [AUDIENCE]
    assert role["token_policies"] == ["default"]
    assert role["token_ttl"] == 3600
    mount.write_role("other", token_ttl="5m")
    assert client.list(f"auth/{path}/role") == ["dev", "other"]
    client.delete(f"auth/{path}/role/other")
    assert client.list(f"auth/{path}/role") == ["dev"]
    assert client.raw("GET", f"auth/{path}/role/other").status_code == 404


def test_partial_role_write_resets_nothing(mount: Mount) -> None:
    """A write of one field leaves the others as they were."""
    mount.client.write(f"auth/{mount.path}/role/dev", role_type="jwt", user_claim="sub", token_max_ttl="4h")

    role = mount.client.read(f"auth/{mount.path}/role/dev")

    assert (role["token_ttl"], role["token_max_ttl"]) == (3600, 14400)
    assert role["bound_audiences"] == [AUDIENCE]


def test_reload_starts_a_new_process_that_knows_everything(mount: Mount) -> None:
    """After a reload another process serves the mount; config and roles are still there, old tokens renew."""
    before = mount.pid
    auth = mount.login()

    mount.reload()

    wait_for_exit(before, STOP_SECONDS)
    assert mount.login()["metadata"] == {"role": "dev"}
    assert mount.pid != before
    assert mount.client.write("auth/token/renew", token=auth["client_token"])["auth"]["metadata"] == {
        "role": "dev"
    }


def test_help_answers_and_the_servers_document_is_whole(mount: Mount) -> None:
    """Help of every path answers, and the OpenAPI document of the whole server can be had."""
    client, path = mount.client, mount.path

    for described in ("", "/config", "/role/dev", "/role", "/login"):
        answer = client.call("GET", f"auth/{path}{described}", params={"help": "1"})
        assert answer["help"], described
    assert "/auth/token/lookup-self" in client.call("GET", "sys/internal/specs/openapi")["paths"]


def test_disabled_mount_leaves_no_process_and_no_file(
    make_server: MakeServer, make_plugin: MakePlugin, issuer: Issuer
) -> None:
    """The process ends with status 0 soon after the mount is gone, and its private files with it."""
    server = make_server()
    plugin = make_plugin(server)
    plugin.register(server.client)
    with mount_plugin(server, plugin, issuer) as mount:
        mount.login()
        pid, mark = mount.pid, server.log_mark()

        mount.disable()

        wait_for_exit(pid, STOP_SECONDS)
        assert_clean_exit(server, pid, mark)
    assert not server.children()
    assert not list(server.temporary.iterdir())
