"""The PostgreSQL example on a real server and a real database."""

from __future__ import annotations

import pytest
from livebed.client import ServerError
from livebed.postgres import CREATION, PostgresMount
from livebed.processes import wait_until

SECONDS = 20.0


def test_a_user_lives_as_long_as_its_lease(postgres: PostgresMount) -> None:
    """Created, used, extended, revoked."""
    lease = postgres.issue("app")
    data = lease["data"]
    assert data["username"].startswith("v-token-app-")
    assert postgres.can_log_in(data)
    (before,) = postgres.ask("SELECT rolvaliduntil FROM pg_roles WHERE rolname = %s", data["username"])
    postgres.renew(lease, increment=110)
    (after,) = postgres.ask("SELECT rolvaliduntil FROM pg_roles WHERE rolname = %s", data["username"])
    assert 40 < (after - before).total_seconds() < 60
    postgres.revoke(lease)
    assert not postgres.can_log_in(data)
    assert data["username"] not in postgres.users()


def test_a_user_is_dropped_when_its_lease_runs_out(postgres: PostgresMount) -> None:
    """By the server itself."""
    postgres.write_role("short", default_ttl="1s", max_ttl="2s")
    name = postgres.issue("short")["data"]["username"]
    wait_until(lambda: name not in postgres.users(), "the user to be dropped", timeout=SECONDS)


def test_unmounting_drops_all_users(postgres: PostgresMount) -> None:
    """Also those of several roles."""
    postgres.write_role("other")
    names = {postgres.issue(role)["data"]["username"] for role in ("app", "other", "app")}
    assert names <= set(postgres.users())
    postgres.client.delete(f"sys/mounts/{postgres.path}")
    assert not names & set(postgres.users())


def test_a_failed_creation_leaves_no_user(postgres: PostgresMount) -> None:
    """The transaction is rolled back, and the rollback statements run."""
    postgres.ask("DROP TABLE IF EXISTS rolled_back")
    postgres.ask("CREATE TABLE rolled_back (name text)")
    postgres.write_role(
        "broken",
        creation_statements=[CREATION, 'GRANT nonsense TO "{{name}}"'],
        rollback_statements=["INSERT INTO rolled_back VALUES ('{{name}}')"],
    )
    before = postgres.users()
    with pytest.raises(ServerError, match='role "nonsense" does not exist') as refused:
        postgres.issue("broken")
    assert refused.value.status == 502
    assert postgres.users() == before
    assert len(postgres.ask("SELECT name FROM rolled_back")) == 1


def test_static_and_root_passwords_change(postgres: PostgresMount) -> None:
    """And the engine goes on with its own new one."""
    postgres.ask("DROP ROLE IF EXISTS legacy")
    postgres.ask("CREATE ROLE legacy WITH LOGIN PASSWORD 'known to everybody'")
    postgres.ask("DROP ROLE IF EXISTS keeper")
    postgres.ask("CREATE ROLE keeper WITH LOGIN SUPERUSER PASSWORD 'first'")
    postgres.configure(username="keeper", password="first")
    postgres.client.write(f"{postgres.path}/static-roles/legacy", username="legacy", rotation_period="1h")
    shown = postgres.read_static("legacy")
    assert postgres.can_log_in(shown)
    postgres.client.write(f"{postgres.path}/rotate-role/legacy")
    assert not postgres.can_log_in(shown)

    postgres.client.write(f"{postgres.path}/config/rotate-root")
    assert not postgres.can_log_in({"username": "keeper", "password": "first"})
    assert postgres.can_log_in(postgres.issue("app")["data"])
    assert "password" not in postgres.client.read(f"{postgres.path}/config")


def test_a_database_that_cannot_be_reached_is_refused_at_config(postgres: PostgresMount) -> None:
    """The operator sees it at once, and may insist."""
    unreachable = "postgresql://{{username}}:{{password}}@127.0.0.1:1/x"
    with pytest.raises(ServerError, match="could not connect"):
        postgres.configure(connection_url=unreachable)
    postgres.configure(connection_url=unreachable, verify_connection=False)
    with pytest.raises(ServerError, match=r"could not create the user: .*Connection refused"):
        postgres.issue("app")
