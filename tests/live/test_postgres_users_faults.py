"""The PostgreSQL example when its database is down, and when names and passwords are hostile."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from database_servers import ROOT_PASSWORD, PostgreSQL
from livebed.client import ServerError
from livebed.factories import our_plugin
from livebed.mounts import mount_plugin
from livebed.postgres import PostgresMount, postgres_mount
from livebed.processes import wait_until
from livebed.server import Server
from livebed.tokens import Issuer

RETRY_SECONDS = 90.0
"""A failed revocation is tried again after 10 to 30 s, then 20 to 60 (Vault 1.21, vault/expiration.go)."""

HOSTILE = [
    "a\"b'; DROP ROLE canary; --",
    "a'b",
    'a"b',
    "a\\b",
    "$$; DROP ROLE canary; $$",
    "{{password}}",
    "{{name}}{{username}}",
    "Ünïcödé-ßß-名前",
    "\u2019; DROP ROLE canary; --",
    "a\nb",
    "%s%(name)s{}",
    "x" * 300,
]
POLICY = """
length = 20
rule "charset" { charset = "'\\";-{}$ab%@:/?#" }
rule "charset" { charset = "'" min-chars = 1 }
rule "charset" { charset = "\\"" min-chars = 1 }
"""


@pytest.fixture
def postgres(server: Server, database: PostgreSQL) -> Iterator[PostgresMount]:
    """As elsewhere; the database runs before and after."""
    database.process.start()
    with postgres_mount(server, database) as mount:
        yield mount
        database.process.start()


# --- the database is down ----------------------------------------------------------------------


def test_requests_to_a_database_that_is_down(postgres: PostgresMount) -> None:
    """Each says what it could not do and why, without secrets; afterwards all is as before."""
    postgres.issue("app")
    lease = postgres.issue("app")
    before = postgres.users()
    postgres.database.process.kill()

    rotate = f"{postgres.path}/config/rotate-root"
    for deed, text in (
        (postgres.configure, "could not connect: "),
        (lambda: postgres.issue("app"), "could not create the user: "),
        (lambda: postgres.renew(lease), "failed to renew entry: .*could not extend the user: "),
        (lambda: postgres.revoke(lease), "failed to revoke entry: .*could not drop the user: "),
        (
            lambda: postgres.client.write(rotate),
            "could not set the password: ",
        ),
    ):
        with pytest.raises(ServerError, match=f"{text}.*Connection refused") as refused:
            deed()
        assert ROOT_PASSWORD not in str(refused.value)
        assert "(*logical.Response)(0x" not in str(refused.value)

    postgres.database.process.start()
    assert postgres.users() == before
    assert postgres.can_log_in(lease["data"])
    postgres.renew(lease)
    postgres.revoke(lease)
    assert lease["data"]["username"] not in postgres.users()
    assert postgres.can_log_in(postgres.issue("app")["data"])


def test_the_server_revokes_when_the_database_is_back(postgres: PostgresMount) -> None:
    """The revocation that failed in the background is tried again, and the lease is not given up."""
    lease, mark = postgres.issue("app"), postgres.server.log_mark()
    postgres.database.process.kill()
    postgres.revoke(lease, sync=False)
    postgres.server.wait_for_log("failed to revoke lease.*could not drop the user", since=mark, timeout=30)
    postgres.database.process.start()

    wait_until(
        lambda: lease["data"]["username"] not in postgres.users(),
        "the user to be dropped",
        timeout=RETRY_SECONDS,
    )
    counted = postgres.client.call("GET", "sys/leases/count", params={"type": "irrevocable"})
    assert counted["data"]["lease_count"] == 0
    with pytest.raises(ServerError, match="invalid lease"):
        postgres.lookup(lease)


# --- hostile values ----------------------------------------------------------------------------


def test_hostile_role_names(postgres: PostgresMount) -> None:
    """Refused when they are written, or carried safely: the user has the name of the answer and no other."""
    prepare_canary(postgres)
    accepted = []
    for name in HOSTILE:
        try:
            postgres.write_role(name)
        except ServerError:
            continue
        accepted.append(name)
        assert_only_user(postgres, postgres.issue(name))
    assert postgres.client.list(f"{postgres.path}/roles") == sorted(["app", *accepted])


def test_hostile_display_names(postgres: PostgresMount, issuer: Issuer) -> None:
    """A login names its holder: in the name of the user only what is safe is left of that."""
    prepare_canary(postgres)
    plugin = our_plugin(postgres.server)
    plugin.register(postgres.client)
    policy = f'path "{postgres.path}/creds/app" {{ capabilities = ["read"] }}'
    postgres.client.write("sys/policies/acl/users", policy=policy)
    with mount_plugin(postgres.server, plugin, issuer) as mount:
        mount.write_role(token_policies=["users"])
        for name in HOSTILE:
            token = mount.login(jwt=issuer.token(sub=name))["client_token"]
            assert_only_user(postgres, postgres.issue("app", token=token))


def test_passwords_with_quotes(postgres: PostgresMount) -> None:
    """Where the engine sets a password by itself any will do; a statement of an operator does not get it."""
    prepare_canary(postgres)
    postgres.client.write("sys/policies/password/quotes", policy=POLICY)
    postgres.ask("DROP ROLE IF EXISTS legacy")
    postgres.ask("CREATE ROLE legacy WITH LOGIN")
    postgres.ask("DROP ROLE IF EXISTS keeper")
    postgres.ask("CREATE ROLE keeper WITH LOGIN SUPERUSER PASSWORD 'first'")
    postgres.configure(username="keeper", password="first", password_policy="quotes")
    before = postgres.users()

    with pytest.raises(
        ServerError, match="the password has a character that a statement cannot carry safely"
    ):
        postgres.issue("app")
    assert postgres.users() == before

    postgres.client.write(f"{postgres.path}/static-roles/legacy", username="legacy", rotation_period="1h")
    shown = postgres.read_static("legacy")
    assert "'" in shown["password"]
    assert postgres.can_log_in(shown)
    for _ in range(2):
        postgres.client.write(f"{postgres.path}/config/rotate-root")
    postgres.client.write(f"{postgres.path}/rotate-role/legacy")
    assert postgres.can_log_in(postgres.read_static("legacy"))
    assert_canary(postgres)


def prepare_canary(postgres: PostgresMount) -> None:
    """Have a role that hostile values want to drop."""
    if not postgres.ask("SELECT 1 FROM pg_roles WHERE rolname = 'canary'"):
        postgres.ask("CREATE ROLE canary")


def assert_canary(postgres: PostgresMount) -> None:
    """Nobody has dropped it."""
    assert postgres.ask("SELECT 1 FROM pg_roles WHERE rolname = 'canary'") == [1]


def assert_only_user(postgres: PostgresMount, lease: dict[str, dict[str, str]]) -> None:
    """The answer's user is there, logs in, and revocation drops it."""
    name = lease["data"]["username"]
    assert name in postgres.users()
    assert len(name.encode()) <= 63
    assert not set("'\"\\;$") & set(name) - {";"}, name
    assert lease["data"]["password"] not in name
    assert can_log_in_as(postgres, lease["data"])
    postgres.revoke(lease)
    assert name not in postgres.users()
    assert_canary(postgres)


def can_log_in_as(postgres: PostgresMount, data: dict[str, str]) -> bool:
    """Return whether the user, whatever its name, logs in."""
    return postgres.can_log_in({**data, "username": quote(data["username"], safe="")})
