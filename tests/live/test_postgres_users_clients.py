"""The PostgreSQL example behind clients of all kinds: tokens, wrapping, hvac, an agent, Terraform."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from livebed.client import ServerError
from livebed.hvac_client import hvac_client
from livebed.postgres import CREATION, PostgresMount
from livebed.processes import wait_until
from livebed.server import ROOT_TOKEN

SECONDS = 30.0


def make_token(postgres: PostgresMount, **options: object) -> str:
    """Return a token that may read credentials, and nothing else."""
    policy = f'path "{postgres.path}/creds/*" {{ capabilities = ["read"] }}'
    postgres.client.write("sys/policies/acl/readers", policy=policy)
    answer = postgres.client.write("auth/token/create", policies=["readers"], **options)
    token: str = answer["auth"]["client_token"]
    postgres.client.secrets.append(token)
    return token


# --- tokens ------------------------------------------------------------------------------------


def test_users_end_with_their_token(postgres: PostgresMount) -> None:
    """Revoked by an operator, or run out."""
    revoked, short = make_token(postgres), make_token(postgres, ttl="2s")
    names = {postgres.issue("app", token=token)["data"]["username"] for token in (revoked, short)}
    assert names <= set(postgres.users())
    postgres.client.write("auth/token/revoke", token=revoked)
    wait_until(lambda: not names & set(postgres.users()), "the users to be dropped", timeout=SECONDS)


def test_a_batch_token_bounds_the_lease(postgres: PostgresMount) -> None:
    """A batch token cannot be revoked: the lease ends with it at the latest, in the database too."""
    token = make_token(postgres, type="batch", ttl="20s")
    lease = postgres.issue("app", token=token)
    assert lease["lease_duration"] <= 20
    assert postgres.can_log_in(lease["data"])
    assert postgres.renew(lease, increment=60)["lease_duration"] <= 20
    postgres.revoke(lease)
    assert lease["data"]["username"] not in postgres.users()


def test_a_token_with_one_use_left_gets_no_user(postgres: PostgresMount) -> None:
    """Its end would revoke the lease; the server revokes it at once, and says so."""
    before = postgres.users()
    with pytest.raises(ServerError, match="token had one use left") as refused:
        postgres.issue("app", token=make_token(postgres, num_uses=1))
    assert refused.value.status == 400
    wait_until(lambda: postgres.users() == before, "the user to be dropped", timeout=SECONDS)


def test_a_token_without_the_right_gets_no_user(postgres: PostgresMount) -> None:
    """The server asks no plugin."""
    before = postgres.users()
    token = postgres.client.write("auth/token/create", policies=["default"])["auth"]["client_token"]
    with pytest.raises(ServerError, match="permission denied"):
        postgres.issue("app", token=token)
    assert postgres.users() == before


def test_a_wrapped_answer(postgres: PostgresMount) -> None:
    """The lease exists before somebody unwraps it, and its id is inside."""
    wrapped = postgres.issue("app", headers={"X-Vault-Wrap-TTL": "60s"})
    assert not wrapped["lease_id"]
    unwrapper = postgres.client.with_token(wrapped["wrap_info"]["token"])
    lease = unwrapper.write("sys/wrapping/unwrap")
    postgres.client.secrets.append(lease["data"]["password"])
    assert postgres.can_log_in(lease["data"])
    postgres.revoke(lease)
    assert lease["data"]["username"] not in postgres.users()
    with pytest.raises(ServerError):
        unwrapper.write("sys/wrapping/unwrap")


# --- operators ---------------------------------------------------------------------------------


def test_prefixes_and_force(postgres: PostgresMount) -> None:
    """A role's leases, then all; by force also those whose revocation fails."""
    postgres.write_role("other")
    app, other = postgres.issue("app")["data"]["username"], postgres.issue("other")["data"]["username"]
    postgres.client.write(f"sys/leases/revoke-prefix/{postgres.path}/creds/app", sync=True)
    assert app not in postgres.users()
    assert other in postgres.users()

    postgres.write_role("other", revocation_statements=['DROP ROLE "{{name}}"', "SELECT no_function()"])
    with pytest.raises(ServerError, match="no_function") as refused:
        postgres.client.write(f"sys/leases/revoke-prefix/{postgres.path}", sync=True)
    assert refused.value.status == 400
    assert other in postgres.users()
    postgres.client.write(f"sys/leases/revoke-force/{postgres.path}")
    assert postgres.client.list(f"sys/leases/lookup/{postgres.path}/creds/other") == []
    postgres.ask(f'DROP ROLE "{other}"')


def test_a_moved_mount(postgres: PostgresMount) -> None:
    """Its leases are revoked, and it makes users at its new path."""
    name, moved = postgres.issue("app")["data"]["username"], f"{postgres.path}-moved"
    body = {"from": postgres.path, "to": moved}
    move = postgres.client.call("POST", "sys/remount", body)["data"]["migration_id"]
    wait_until(
        lambda: postgres.client.read(f"sys/remount/status/{move}")["migration_info"]["status"] == "success",
        "the mount to be moved",
        timeout=SECONDS,
    )
    assert name not in postgres.users()
    lease = postgres.client.call("GET", f"{moved}/creds/app")
    postgres.client.secrets.append(lease["data"]["password"])
    assert postgres.can_log_in(lease["data"])
    postgres.client.delete(f"sys/mounts/{moved}")
    assert lease["data"]["username"] not in postgres.users()


# --- programs ----------------------------------------------------------------------------------


def test_hvac(postgres: PostgresMount) -> None:
    """The Python client reads, looks up, renews and revokes."""
    with hvac_client(postgres.client) as client:
        lease = client.read(f"{postgres.path}/creds/app")
        postgres.client.secrets.append(lease["data"]["password"])
        assert postgres.can_log_in(lease["data"])
        found = client.sys.read_lease(lease_id=lease["lease_id"])["data"]
        assert found["renewable"]
        renewed = client.sys.renew_lease(lease_id=lease["lease_id"], increment=100)
        assert renewed["lease_duration"] == 100
        client.sys.revoke_lease(lease_id=lease["lease_id"])
        wait_until(
            lambda: lease["data"]["username"] not in postgres.users(),
            "the user to be dropped",
            timeout=SECONDS,
        )


def test_no_drift(postgres: PostgresMount) -> None:
    """What Terraform's provider reads after a write is what it wrote; twice is once; deleted is gone."""
    client = postgres.client
    config = {
        "connection_url": postgres.database.url(),
        "username": "vault",
        "max_open_connections": 2,
        "password_authentication": "password",
        "username_template": "tf-{{random 20}}",
        "password_policy": "",
        "root_rotation_statements": ["ALTER ROLE \"{{name}}\" PASSWORD '{{password}}'"],
        "verify_connection": True,
    }
    role = {
        "creation_statements": [CREATION, 'GRANT pg_monitor TO "{{name}}"'],
        "revocation_statements": ['DROP ROLE IF EXISTS "{{name}}"'],
        "renew_statements": [],
        "rollback_statements": [],
        "default_ttl": 60,
        "max_ttl": 3600,
    }
    static = {
        "username": "application",
        "rotation_period": 3600,
        "rotation_schedule": "",
        "rotation_window": 0,
        "rotation_statements": ["SELECT '{{password}}'"],
    }
    for path, written, secret in (
        ("config", config, {"password": postgres.database.settings["password"]}),
        ("roles/tf", role, {}),
        ("static-roles/tf", static, {}),
    ):
        for _ in range(2):
            client.write(f"{postgres.path}/{path}", **written, **secret)
            assert client.read(f"{postgres.path}/{path}") == written
    for path in ("roles/tf", "static-roles/tf"):
        for _ in range(2):
            client.delete(f"{postgres.path}/{path}")
            assert client.raw("GET", f"{postgres.path}/{path}").status_code == httpx.codes.NOT_FOUND


def test_an_agent_renders_and_renews(postgres: PostgresMount) -> None:
    """A template of the agent has a user; it is renewed, and replaced by another one before it ends."""
    postgres.write_role("brief", default_ttl="4s", max_ttl="10s")
    rendered = postgres.server.home / "rendered"
    with agent(postgres, rendered):
        wait_until(rendered.exists, "a rendered template", timeout=SECONDS)
        first = read_rendered(postgres, rendered)
        assert postgres.can_log_in(first)
        prefix = f"{postgres.path}/creds/brief/"
        (key,) = postgres.client.list(f"sys/leases/lookup/{prefix}")
        wait_until(
            lambda: postgres.lookup({"lease_id": prefix + key})["last_renewal"], "a renewal", timeout=SECONDS
        )
        wait_until(
            lambda: read_rendered(postgres, rendered)["username"] != first["username"],
            "a second user",
            timeout=SECONDS,
        )
        assert postgres.can_log_in(read_rendered(postgres, rendered))
        wait_until(lambda: first["username"] not in postgres.users(), "the end of the first", timeout=SECONDS)


@contextmanager
def agent(postgres: PostgresMount, rendered: Path) -> Iterator[None]:
    """Run the server's agent with a template of the role `brief`."""
    home, server = postgres.server.home, postgres.server
    token, config = home / "agent.root", home / "leases.hcl"
    token.write_text(ROOT_TOKEN)
    contents = "{{ .Data.username }} {{ .Data.password }}"
    config.write_text(f"""
        vault {{ address = "{server.address}" }}
        auto_auth {{ method "token_file" {{ config = {{ token_file_path = "{token}" }} }} }}
        template {{
          destination = "{rendered}"
          contents    = <<EOT
{{{{ with secret "{postgres.path}/creds/brief" }}}}{contents}{{{{ end }}}}
EOT
        }}
    """)
    with (home / "leases.log").open("w") as log:
        process = subprocess.Popen(
            [str(server.program.path), "agent", f"-config={config}"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=server.environment(),
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(SECONDS)


def read_rendered(postgres: PostgresMount, rendered: Path) -> dict[str, str]:
    """Return what the agent has rendered."""
    username, password = rendered.read_text().split()
    postgres.client.secrets.append(password)
    return {"username": username, "password": password}
