"""The PostgreSQL example beside the server's own database engine: what they answer to the same requests.

The intended differences are those of the table in examples/postgres_users/README.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
from database_servers import PostgreSQL
from livebed.bench.database_users import measure_database_users
from livebed.binaries import find_built
from livebed.official_database import CONNECTION, OfficialMount, why_no_official_plugin
from livebed.postgres import CREATION, PostgresMount
from livebed.server import Server

CHANCE = {"request_id", "mount_type", "lease_id", "password", "username", "last_vault_rotation", "ttl"}
THEIRS_ONLY = {"credential_type", "db_name", "skip_import_rotation"}
"""Fields of roles that choose among connections and kinds of credentials."""
ROLE = {"creation_statements": [CREATION], "default_ttl": 60, "max_ttl": 120}
UNREACHABLE = "postgresql://{{username}}:{{password}}@127.0.0.1:1/x"


@dataclass(frozen=True)
class Pair:
    """Both engines on one server and one database."""

    ours: PostgresMount
    theirs: OfficialMount

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> list[tuple[int, Any]]:
        """Send a request to both; return status and answer of each, without what varies."""
        answers = []
        for mount, more in ((self.ours, {}), (self.theirs, {"db_name": CONNECTION})):
            sent = {**body, **more} if body is not None else None
            response = mount.client.raw(method, f"{mount.path}/{path}", sent)
            answers.append(
                (response.status_code, without_chance(response.json() if response.content else None))
            )
        return answers

    def issue(self, role: str) -> list[dict[str, Any]]:
        """Return the whole answer of each to a request for credentials."""
        leases = [
            mount.client.call("GET", f"{mount.path}/creds/{role}") for mount in (self.ours, self.theirs)
        ]
        self.ours.client.secrets.extend(lease["data"]["password"] for lease in leases)
        return leases

    def lease(self, verb: str, leases: list[dict[str, Any]], **body: Any) -> list[tuple[int, Any]]:
        """Renew or revoke the lease of each; return status and answer."""
        client = self.ours.client
        answers = []
        for each in leases:
            sent = {"lease_id": each["lease_id"], **body}
            response = client.raw("POST", f"sys/leases/{verb}", sent)
            answers.append(
                (response.status_code, without_chance(response.json() if response.content else None))
            )
        return answers

    def seconds_left(self, lease: dict[str, Any]) -> float:
        """Return how long the database lets a user in."""
        question = "SELECT rolvaliduntil - now() FROM pg_roles WHERE rolname = %s"
        (left,) = self.ours.ask(question, lease["data"]["username"])
        assert isinstance(left, timedelta)
        return left.total_seconds()


@pytest.fixture(scope="module")
def pair(server: Server, database: PostgreSQL) -> Iterator[Pair]:
    """Both engines, with the role `app`."""
    reason = why_no_official_plugin(server)
    if reason:
        pytest.skip(reason)
    with PostgresMount.enabled(server, database) as ours, OfficialMount.enabled(server, database) as theirs:
        made = Pair(ours, theirs)
        made.ask("POST", "roles/app", ROLE)
        yield made


def answer_of(response: httpx.Response) -> tuple[int, Any]:
    """Return status and answer, without what varies."""
    return response.status_code, without_chance(response.json() if response.content else None)


def without_chance(value: Any) -> Any:
    """Return an answer without what varies, or says nothing."""
    if isinstance(value, dict):
        return {
            name: without_chance(each) for name, each in value.items() if name not in CHANCE | THEIRS_ONLY
        }
    return value


# --- the same ----------------------------------------------------------------------------------


def test_the_same_credentials(pair: Pair) -> None:
    """Data, lease, form of names and passwords, end in the database; renewal within limits; revocation."""
    leases = pair.issue("app")
    ours, theirs = leases
    assert set(ours["data"]) == set(theirs["data"])
    assert without_chance(ours) == without_chance(theirs)
    for each in leases:
        assert re.fullmatch(r"v-token-app-[A-Za-z0-9]{20}-\d{10}", each["data"]["username"])
        assert re.fullmatch(r"[A-Za-z0-9-]{20}", each["data"]["password"])
        assert 63 < pair.seconds_left(each) <= 66
    for increment in (0, 100, 1000):
        ours, theirs = pair.lease("renew", leases, increment=increment)
        assert ours == theirs
    assert abs(pair.seconds_left(leases[0]) - pair.seconds_left(leases[1])) < 2
    for _ in range(2):
        ours, theirs = pair.lease("revoke", leases, sync=True)
        assert ours == theirs == (204, None)
    assert not {each["data"]["username"] for each in leases} & set(pair.ours.users())


def test_a_user_without_its_role(pair: Pair) -> None:
    """Cannot be renewed, and can be revoked. Neither asks for a user of the name any more."""
    pair.ask("POST", "roles/gone", ROLE)
    leases = pair.issue("gone")
    pair.ask("DELETE", "roles/gone")
    refusals = pair.lease("renew", leases)
    assert [status for status, _ in refusals] == [400, 400]
    assert all(
        "could not find role" in str(each) or "could not be found" in str(each) for _, each in refusals
    )
    for each in leases:
        pair.ours.ask(f'DROP ROLE "{each["data"]["username"]}"')
    assert pair.lease("revoke", leases, sync=True) == [(204, None)] * 2


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "roles/app", None),
        ("LIST", "roles", None),
        ("GET", "creds/nobody", None),
        ("GET", "roles/nobody", None),
        ("DELETE", "roles/nobody", None),
        ("GET", "static-creds/nobody", None),
        ("GET", "static-roles/nobody", None),
        ("POST", "roles/again", ROLE),
        ("POST", "roles/again", {**ROLE, "creation_statements": CREATION}),
        ("GET", "roles/again", None),
        ("DELETE", "roles/again", None),
    ],
)
def test_the_same_answers(pair: Pair, method: str, path: str, body: dict[str, Any] | None) -> None:
    """Status, fields, texts."""
    ours, theirs = pair.ask(method, path, body)
    assert ours == theirs


def test_the_same_static_credentials(pair: Pair) -> None:
    """Read, rotated, read again."""
    pair.ours.ask("DROP ROLE IF EXISTS legacy")
    pair.ours.ask("CREATE ROLE legacy LOGIN PASSWORD 'x'")
    body = {"username": "legacy", "rotation_period": 3600}
    for method, path, sent in (
        ("POST", "static-roles/s", body),
        ("GET", "static-creds/s", None),
        ("POST", "rotate-role/s", None),
        ("GET", "static-creds/s", None),
        ("LIST", "static-roles", None),
        ("DELETE", "static-roles/s", None),
    ):
        ours, theirs = pair.ask(method, path, sent)
        assert ours == theirs, (method, path)


# --- what differs ------------------------------------------------------------------------------


def test_failing_statements(pair: Pair) -> None:
    """Ours is a 502 and says what could not be done; the database's own text is in both."""
    bad = {**ROLE, "creation_statements": [CREATION, 'GRANT nonsense TO "{{name}}"']}
    pair.ask("POST", "roles/bad", bad)
    (ours, our_answer), (theirs, their_answer) = pair.ask("GET", "creds/bad")
    assert (ours, theirs) == (502, 500)
    assert "could not create the user: " in str(our_answer)
    assert all('role "nonsense" does not exist' in str(each) for each in (our_answer, their_answer))

    nothing = ["SELECT nothing()"]
    pair.ask("POST", "roles/late", {**ROLE, "renew_statements": nothing, "revocation_statements": nothing})
    leases = pair.issue("late")
    for verb in ("renew", "revoke"):
        for status, answer in pair.lease(verb, leases, sync=True):
            assert status == 400
            assert f"failed to {verb} entry: resp: (*logical.Response)(nil) err: " in str(answer)
            assert "function nothing() does not exist" in str(answer)


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        ("roles/bare", {"default_ttl": 60}, "missing creation_statements"),
        ("roles/long", {**ROLE, "default_ttl": 7200}, "default_ttl cannot be greater than max_ttl"),
        ("roles/typo", {**ROLE, "creation_statements": ["CREATE ROLE {{user}}"]}, "unknown placeholder"),
    ],
)
def test_roles_that_ours_refuses(pair: Pair, path: str, body: dict[str, Any], text: str) -> None:
    """The server's engine takes them, and the first credential fails or is capped."""
    (ours, answer), (theirs, _) = pair.ask("POST", path, body)
    assert (ours, theirs) == (400, 204)
    assert text in str(answer)
    pair.ask("DELETE", path)


def test_a_database_that_cannot_be_reached(pair: Pair) -> None:
    """Ours is a 502, as everywhere; both say why."""
    settings = {**pair.ours.database.settings, "connection_url": UNREACHABLE}
    client = pair.ours.client
    ours = client.raw("POST", f"{pair.ours.path}/config", settings)
    body = {**settings, "plugin_name": pair.theirs.plugin}
    theirs = client.raw("POST", f"{pair.theirs.path}/config/other", body)
    assert (ours.status_code, theirs.status_code) == (502, 400)
    assert "refused" in ours.text
    assert "refused" in theirs.text


def test_both_can_be_measured(pair: Pair) -> None:
    """The benchmark has a figure of each; what they are is for a quiet machine."""
    if pair.ours.server.program.is_bao or find_built("load") is None:
        pytest.skip("it measures on Vault, with the load generator of scripts/live/build")
    measured = measure_database_users(rounds=1, clients=2, count=5)
    assert list(measured) == ["authkit", "official"]
    assert all(value > 0 for figures in measured.values() for value in figures.values())
