"""The PostgreSQL plugin of the tests beside the official one: the same requests, the same answers.

The official plugin runs as a process of its own on Vault, whose build for the tests has none built in, and
is the built-in one on OpenBao. Both work on one PostgreSQL server, each as an administrator of its own.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from database_servers import ROOT_PASSWORD, PostgreSQL, run_postgresql, why_no_postgresql
from livebed.binaries import find_built
from livebed.database import ROOT, database_plugin
from livebed.plugins import Plugin
from livebed.server import Server

CREATE = """CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}';"""
OFFICIAL = "postgresql-database-plugin"


@dataclass
class Side:
    """One mount of the engine, and what it has handed out."""

    server: Server
    path: str
    plugin: str
    root: str
    """The administrator that the plugin is."""
    database: PostgreSQL

    def send(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Send a request below the mount, or below the API with a leading `/`; return status and body."""
        full = path[1:] if path.startswith("/") else f"{self.path}/{path}"
        answer = self.server.client.raw(method, full, body)
        decoded = answer.json() if answer.content else None
        return answer.status_code, decoded

    def run(self, statement: str) -> list[Any]:
        """Ask the database, as somebody whose password nobody rotates."""
        with psycopg.connect(self.database.url("vault", ROOT_PASSWORD), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return list(cursor.fetchall()) if cursor.description else []

    def may_log_in(self, data: dict[str, Any]) -> bool:
        """Whether the database lets a user in."""
        try:
            psycopg.connect(self.database.url(data["username"], data["password"])).close()
        except psycopg.OperationalError:
            return False
        return True

    def connection(self, **changes: Any) -> dict[str, Any]:
        """Return the body of a connection."""
        return {
            "plugin_name": self.plugin,
            "allowed_roles": "*",
            "connection_url": self.database.url(),
            "username": self.root,
            "password": ROOT_PASSWORD,
        } | changes


Both = tuple[Side, Side]
"""Ours, and the official one."""


@pytest.fixture(scope="module")
def both(server: Server) -> Iterator[Both]:
    """Two mounts on one server."""
    if why_no_postgresql():
        pytest.skip(why_no_postgresql())
    plugin = database_plugin(
        server, "postgresql", "postgresql:PostgreSQL", ROOT / "tests" / "live" / "plugins"
    )
    plugin.register(server.client)
    if not server.program.is_bao:
        binary = find_built("postgresql-peer")
        if binary is None:
            pytest.skip("the official plugin is not built: run scripts/live/build postgresql-peer")
        file = server.plugin_directory / OFFICIAL
        file.write_bytes(binary.read_bytes())
        file.chmod(0o755)
        Plugin(OFFICIAL, file, kind="database").register(server.client)
    with run_postgresql() as database:
        sides = []
        for name, used in (("ours", "postgresql"), ("official", OFFICIAL)):
            side = Side(server, name, used, f"root-{name}", database)
            side.run(f"""CREATE ROLE "{side.root}" SUPERUSER LOGIN PASSWORD '{ROOT_PASSWORD}'""")
            server.client.write(f"sys/mounts/{name}", type="database")
            assert side.send("POST", "config/pg", side.connection()) in ((200, None), (204, None))
            sides.append(side)
        yield sides[0], sides[1]
        for side in sides:
            server.client.call("POST", f"sys/leases/revoke-force/{side.path}")
            server.client.delete(f"sys/mounts/{side.path}")


CHANCE = re.compile(r"v-token-[\w-]+|ours|official|postgresql(?:-database-plugin)?\b(?!:)|127\.0\.0\.1:\d+")

COMPARED = ("data", "errors", "warnings", "lease_duration", "renewable")
"""Members of an answer; the others are ids."""
RANDOM = ("password", "last_vault_rotation", "ttl")
"""Members of data that differ by chance."""
RELEASE = ("plugin_version", "running_plugin_version")
"""Members of data that the official plugin has only where it is built in."""


def shape(answer: tuple[int, Any]) -> tuple[int, Any]:
    """Return an answer without what is random in it and without the names of the two."""
    status, body = answer
    if isinstance(body, dict):
        body = {name: body[name] for name in COMPARED if name in body}
        if isinstance(body.get("data"), dict):
            body["data"] = {
                name: "<random>" if name in RANDOM else value
                for name, value in body["data"].items()
                if name not in RELEASE
            }
    return status, json.loads(CHANCE.sub("<it>", json.dumps(body)))


def each(both: Both, do: Callable[[Side], Any]) -> Any:
    """Do the same on both sides; what comes back must be the same."""
    ours, theirs = (do(side) for side in both)
    assert ours == theirs, f"ours: {ours}\nofficial: {theirs}"
    return ours


def same(both: Both, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Send the same request to both; return the answer, which must be the same."""
    answer: tuple[int, Any] = each(both, lambda side: shape(side.send(method, path, body)))
    return answer


def role(both: Both, name: str, **fields: Any) -> None:
    """Write a role on both sides."""
    same(both, "POST", f"roles/{name}", {"db_name": "pg", "default_ttl": 60, "max_ttl": 120} | fields)


def creds(side: Side, name: str) -> dict[str, Any]:
    """Have a user made; return the whole answer."""
    status, body = side.send("GET", f"creds/{name}")
    assert status == 200, body
    side.server.client.secrets.append(body["data"]["password"])
    return dict(body)


def test_a_connection_reads_the_same(both: Both) -> None:
    """Its details too: what was echoed is what the server stored."""
    status, body = same(both, "GET", "config/pg")
    assert status == 200
    assert "password" not in body["data"]["connection_details"]


@pytest.mark.parametrize(
    "statements",
    [
        CREATE,
        [CREATE, 'GRANT pg_read_all_data TO "{{name}}"'],
        CREATE + """ GRANT pg_read_all_data TO "{{username}}"; """,
        json.dumps([CREATE, 'GRANT pg_read_all_data TO "{{name}}"']),
        base64.b64encode(CREATE.encode()).decode(),
        """DO $$ BEGIN CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}'; END $$;""",
    ],
    ids=["one", "list", "separated", "json", "base64", "block"],
)
def test_users_from_beginning_to_end(both: Both, statements: Any) -> None:
    """However the statements are written: made, let in, renewed, revoked, twice."""
    role(both, "app", creation_statements=statements)
    same(both, "GET", "creds/app")
    made = [creds(side, "app") for side in both]
    for side, answer in zip(both, made, strict=True):
        assert re.fullmatch(r"v-token-app-\w{20}-\d{10}", answer["data"]["username"])
        assert side.may_log_in(answer["data"])
    leases = {side.path: answer["lease_id"] for side, answer in zip(both, made, strict=True)}
    users = {side.path: answer["data"]["username"] for side, answer in zip(both, made, strict=True)}

    def renew(side: Side) -> Any:
        return shape(side.send("PUT", "/sys/leases/renew", {"lease_id": leases[side.path], "increment": 90}))

    def rights(side: Side) -> Any:
        return side.run(
            "SELECT rolcanlogin, rolsuper, round(extract(epoch FROM rolvaliduntil - now()) / 10), "
            "(SELECT count(*) FROM pg_auth_members WHERE member = pg_roles.oid) "
            f"FROM pg_roles WHERE rolname = '{users[side.path]}'"
        )

    def revoke(side: Side) -> Any:
        return shape(side.send("PUT", "/sys/leases/revoke", {"lease_id": leases[side.path], "sync": True}))

    each(both, rights)
    each(both, renew)
    assert len(each(both, rights)) == 1
    each(both, revoke)
    assert each(both, rights) == []
    each(both, revoke)


def test_a_user_that_owns_something_is_refused_or_dropped(both: Both) -> None:
    """With revocation statements of the role, and with a user that is gone already."""
    role(
        both,
        "custom",
        creation_statements=CREATE,
        revocation_statements='REASSIGN OWNED BY "{{name}}" TO vault; DROP ROLE "{{name}}"',
    )

    def revoke(side: Side) -> Any:
        made = creds(side, "custom")
        first = side.send("PUT", "/sys/leases/revoke", {"lease_id": made["lease_id"], "sync": True})
        made = creds(side, "app")
        side.run(f"""DROP ROLE "{made["data"]["username"]}" """)
        second = side.send("PUT", "/sys/leases/revoke", {"lease_id": made["lease_id"], "sync": True})
        return shape(first), shape(second)

    role(both, "app", creation_statements=CREATE)
    assert each(both, revoke)[1][0] == 204


def test_static_roles_and_rotation(both: Both) -> None:
    """Passwords of users that were there before."""
    for side in both:
        side.run(f"""CREATE ROLE "batch-{side.path}" LOGIN PASSWORD 'before'""")

    def static(side: Side) -> Any:
        body = {"db_name": "pg", "username": f"batch-{side.path}", "rotation_period": 3600}
        answers = [shape(side.send("POST", "static-roles/batch", body))]
        seen = []
        for _ in range(2):
            status, read = side.send("GET", "static-creds/batch")
            seen.append(read["data"]["password"])
            side.server.client.secrets.append(seen[-1])
            answers += [(status, side.may_log_in(read["data"]))]
            answers += [shape(side.send("POST", "rotate-role/batch"))]
        return answers, len({*seen})

    answers, passwords = each(both, static)
    assert (answers[1], passwords) == ((200, True), 2)


def test_a_rotated_root(both: Both) -> None:
    """Its old password is worthless, and the connection goes on."""

    def rotate(side: Side) -> Any:
        answer = shape(side.send("POST", "rotate-root/pg"))
        old = {"username": side.root, "password": ROOT_PASSWORD}
        return answer, side.may_log_in(old), shape(side.send("GET", "creds/app"))[0]

    role(both, "app", creation_statements=CREATE)
    assert each(both, rotate)[1:] == (False, 200)
    for side in both:
        side.run(f"""ALTER ROLE "{side.root}" PASSWORD '{ROOT_PASSWORD}'""")
        side.send("POST", "config/pg", side.connection())


@pytest.mark.parametrize(
    ("statements", "told"),
    [
        ("", "empty creation statements"),
        ("CREATE ROLL x", 'syntax error at or near "ROLL" (SQLSTATE 42601)'),
        (CREATE + "SELECT 1/0;", "division by zero (SQLSTATE 22012)"),
        (CREATE + 'GRANT no_such_role TO "{{name}}";', "no_such_role"),
    ],
    ids=["empty", "syntax", "half-way", "unknown"],
)
def test_what_goes_wrong_at_the_database(both: Both, statements: str, told: str) -> None:
    """The same status, the reason in the text, no user left; the words around it are the drivers'."""
    role(both, "wrong", **({"creation_statements": statements} if statements else {}))
    for side in both:
        before = side.run("SELECT count(*) FROM pg_roles")
        status, body = side.send("GET", "creds/wrong")
        assert status == 500
        assert told in body["errors"][0], side.path
        assert side.run("SELECT count(*) FROM pg_roles") == before
        same_role = side.send("DELETE", "roles/wrong")
        assert same_role[0] == 204


@pytest.mark.parametrize(
    "changes",
    [
        {"connection_url": ""},
        {"password": "n0t-the-r00t-passw0rd"},
        {"connection_url": "postgresql://{{username}}:{{password}}@127.0.0.1:1/postgres"},
        {"username_template": "{{.Nobody}}"},
        {"username_template": "{{"},
        {"username": "{{password}}"},
        {"max_open_connections": "many"},
    ],
    ids=["url", "password", "port", "field", "template", "placeholder", "number"],
)
def test_a_connection_that_is_wrong(both: Both, changes: dict[str, str]) -> None:
    """Refused with 400 by both; the texts name the reason and no secret."""
    for side in both:
        status, body = side.send("POST", "config/wrong", side.connection(**changes))
        assert status == 400, (side.path, body)
        assert "n0t-the-r00t-passw0rd" not in str(body)
        assert ROOT_PASSWORD not in str(body)
        assert "error creating database object: " in body["errors"][0]


def test_credential_types_are_refused(both: Both) -> None:
    """PostgreSQL knows no keys: the server refuses the role for both."""
    same(both, "POST", "roles/keys", {"db_name": "pg", "credential_type": "rsa_private_key"})
    same(both, "GET", "creds/keys")


def test_names_with_quotes_reach_no_statement(both: Both) -> None:
    """Ours makes a name without them; of a static role it refuses the name. The official one sends both."""
    ours = both[0]
    for name in ("x' ; --", 'x" SUPERUSER; --'):
        body = {"db_name": "pg", "username": name, "rotation_period": 3600}
        status, answer = ours.send("POST", "static-roles/evil", body)
        assert status in (400, 500)
        assert "cannot carry safely" in str(answer)
