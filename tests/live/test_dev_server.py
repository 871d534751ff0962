"""Clients that were made for real servers, at authkit's development server: the command line, hvac.

Where it says `any_server` the same test runs on a real server too.
"""

from __future__ import annotations

import hashlib

import hvac
import pytest
from canaries import canary
from identity_provider import serve_provider
from livebed.client import Client
from livebed.devserver import DevServer
from livebed.mounts import DEV_ROLE
from livebed.plugins import JWT_LAUNCHER, python_plugin
from livebed.server import Server
from livebed.tokens import ISSUER, Issuer

PIN = canary("pin")
ACL = 'path "auth/token/create" { capabilities = ["update"] }'


@pytest.fixture(scope="module")
def client(dev: DevServer) -> Client:
    """Its operator."""
    return dev.client


def test_status(client: Client) -> None:
    """The first thing that anybody types."""
    assert "Sealed" in client.cli("status")
    assert client.cli_json("status")["sealed"] is False


def test_login_with_a_token(client: Client) -> None:
    """`-method=token` looks the token up and keeps it."""
    assert "You are now authenticated" in client.cli("login", "-method=token", f"token={client.token}")
    assert (client.home / ".vault-token").read_text() == client.token
    refused = client.run_cli("login", "-method=token", "token=hvs.nobodys")
    assert refused.returncode == 2
    assert "permission denied" in refused.stderr


def test_mounts(client: Client) -> None:
    """Enable, list, tune, move, disable."""
    assert "Enabled" in client.cli("auth", "enable", "-path=a/b", "-description=two parts", "shared_pin")
    listed = client.cli_json("auth", "list")
    assert listed["a/b/"]["description"] == "two parts"
    assert listed["a/b/"]["running_plugin_version"] == "v0.1.0"
    assert "two parts" in client.cli("auth", "list", "-detailed")
    client.cli("auth", "tune", "-default-lease-ttl=30m", "-token-type=batch", "a/b/")
    tuned = client.cli_json("read", "sys/auth/a/b/tune")["data"]
    assert (tuned["default_lease_ttl"], tuned["token_type"]) == (1800, "batch")
    assert "path is already in use" in client.run_cli("auth", "enable", "-path=a/b", "shared_pin").stderr
    assert "plugin not found in the catalog" in client.run_cli("auth", "enable", "nothing").stderr
    assert "Finished moving" in client.cli("auth", "move", "auth/a/b/", "auth/a/c/")
    listed = client.cli_json("auth", "list")
    assert listed["a/c/"]["description"] == "two parts"
    assert "a/b/" not in listed
    client.cli("auth", "disable", "a/c")
    assert "a/c/" not in client.cli_json("auth", "list")


def test_plugins(dev: DevServer, client: Client) -> None:
    """List, register, info, reload, deregister."""
    assert "shared_pin" in client.cli("plugin", "list", "auth")
    info = client.cli_json("plugin", "info", "-version=v0.1.0", "auth", "shared_pin")
    assert info["command"] == "shared_pin"
    client.cli("plugin", "register", f"-sha256={info['sha256']}", "-command=shared_pin", "auth", "twin")
    assert "twin" in client.cli("plugin", "list", "-detailed", "auth")
    client.cli("auth", "enable", "twin")
    # OpenBao's command line has no type there.
    kind = [] if dev.program.is_bao else ["-type=auth"]
    assert "Reloaded plugin" in client.cli("plugin", "reload", *kind, "-plugin=twin")
    client.cli("auth", "disable", "twin")
    client.cli("plugin", "deregister", "-version=v0.1.0", "auth", "twin")
    assert "twin" not in client.cli("plugin", "list", "auth")
    missing = hashlib.sha256(b"").hexdigest()
    refused = client.run_cli("plugin", "register", f"-sha256={missing}", "-command=none", "auth", "none")
    assert "error while validating the command path" in refused.stderr


def test_objects(client: Client) -> None:
    """Write, read, list, patch, delete, with and without JSON."""
    role = "auth/shared_pin/role/objects"
    assert "Success!" in client.cli("write", role, f"pin={PIN}", "token_ttl=1h", "left=ann,bob")
    assert "token_ttl" in client.cli("read", role)
    assert client.cli_json("read", role)["data"]["left"] == ["ann", "bob"]
    assert client.cli("read", "-field=token_ttl", role).strip() == "3600"
    assert "objects" in client.cli_json("list", "auth/shared_pin/role")
    client.cli("patch", role, "left=ann")
    assert client.cli_json("read", role)["data"]["left"] == ["ann"]
    client.cli("delete", role)
    gone = client.run_cli("read", role)
    assert gone.returncode == 2
    assert "No value found" in gone.stderr


def test_help(client: Client) -> None:
    """Of a mount, and of a path."""
    assert "## PATHS" in client.cli("path-help", "auth/shared_pin")
    assert "Matching Route: ^login$" in client.cli("path-help", "auth/shared_pin/login")
    assert "unsupported path" in client.run_cli("path-help", "auth/shared_pin/none").stderr


def test_tokens(client: Client) -> None:
    """Log in, look up, renew, create, revoke."""
    client.write("auth/shared_pin/role/dev", pin=PIN, token_policies="dev", token_ttl="1h")
    login = ("auth/shared_pin/login", "role=dev", "member=ann", f"pin={PIN}")
    assert "token_meta_member" in client.cli("write", *login)
    token = client.cli("write", "-field=token", *login).strip()
    assert client.cli_json("token", "lookup", token)["data"]["display_name"] == "shared_pin-dev/ann"
    assert client.cli_json("token", "renew", "-increment=10m", token)["auth"]["lease_duration"] == 600
    accessor = client.cli_json("token", "lookup", token)["data"]["accessor"]
    assert "ann" in client.cli("token", "lookup", "-accessor", accessor)
    assert "default" in client.with_token(token).cli("token", "lookup")
    child = client.cli_json("token", "create", "-policy=default", "-ttl=10m", "-orphan")["auth"]
    assert (child["lease_duration"], child["orphan"]) == (600, True)
    client.cli("token", "revoke", token)
    revoked = client.run_cli("token", "lookup", token)
    assert revoked.returncode == 2
    assert "bad token" in revoked.stderr
    refused = client.run_cli("write", *login[:-1], "pin=guess")
    assert "permission denied" in refused.stderr


def test_policies(client: Client) -> None:
    """Write, list, read; and what a token with one may do."""
    (client.home / "acl.hcl").write_text(ACL)
    client.cli("policy", "write", "maker", str(client.home / "acl.hcl"))
    assert "maker" in client.cli("policy", "list")
    assert client.cli("policy", "read", "maker").strip() == ACL
    limited = client.with_token(client.cli("token", "create", "-policy=maker", "-field=token").strip())
    assert limited.cli("token", "capabilities", "auth/token/create").strip() == "update"
    limited.cli("token", "create", "-ttl=1m")
    assert "permission denied" in limited.run_cli("auth", "list").stderr
    client.cli("policy", "delete", "maker")


def test_wrapping(client: Client) -> None:
    """An answer is wrapped once, and unwrapped once."""
    token = client.cli("read", "-wrap-ttl=5m", "-field=wrapping_token", "sys/auth").strip()
    assert "shared_pin/" in client.cli_json("unwrap", token)["data"]
    again = client.run_cli("unwrap", token)
    assert "wrapping token is not valid or does not exist" in again.stderr


def test_logins_of_the_command_line(client: Client) -> None:
    """`-method=userpass` and `-method=oidc` ask for their paths; what the mount has not, it refuses."""
    for arguments in (("-method=userpass", "-path=shared_pin", "username=a", "password=b"),):
        refused = client.run_cli("login", *arguments)
        assert refused.returncode == 2
        assert "permission denied" in refused.stderr


def test_hvac_logs_in(any_server: DevServer | Server, issuer: Issuer) -> None:
    """Through its own class for JWT mounts, on either server."""
    client = any_server.client
    if isinstance(any_server, Server):
        plugin = python_plugin(any_server.plugin_directory, "jwt", JWT_LAUNCHER, command="jwt_hvac")
        plugin.called("jwt_hvac").register(client)
        client.write("sys/auth/hvac", type="jwt_hvac")
        mount = "hvac"
    else:
        mount = "jwt"
    with serve_provider(issuer.jwk) as provider:
        operator = hvac.Client(url=client.address, token=client.token)
        assert operator.is_authenticated()
        operator.auth.jwt.configure(jwks_url=provider.keys_url, bound_issuer=ISSUER, path=mount)
        operator.auth.jwt.create_role(
            name="dev",
            role_type="jwt",
            allowed_redirect_uris=[],
            user_claim="sub",
            bound_audiences=DEV_ROLE["bound_audiences"],
            path=mount,
        )
        someone = hvac.Client(url=client.address)
        granted = someone.auth.jwt.jwt_login(role="dev", jwt=issuer.token(), path=mount)
        someone.token = granted["auth"]["client_token"]
        assert someone.auth.token.lookup_self()["data"]["display_name"] == f"{mount}-alice"
        someone.auth.token.renew_self()
        with pytest.raises(hvac.exceptions.InvalidRequest, match="error validating token"):
            hvac.Client(url=client.address).auth.jwt.jwt_login(role="dev", jwt="x.y.z", path=mount)
        someone.auth.token.revoke_self()
    if isinstance(any_server, Server):
        client.delete("sys/auth/hvac")
        with pytest.raises(hvac.exceptions.Forbidden):
            someone.auth.token.lookup_self()


def test_the_log_holds_no_credentials(dev: DevServer, client: Client) -> None:
    """Neither tokens nor PINs, after all of the above."""
    for secret in (client.token, PIN, *client.secrets):
        assert f" {secret}" not in dev.log()
        assert f"={secret}" not in dev.log()
