"""Whatever is killed while a database plugin makes users: who is left without a lease.

The server's database engine writes nothing ahead. When the plugin or the server is killed between "the user
is made" and "the answer is sent", nobody knows the user any more, whichever plugin made it. Such users end
by themselves (`VALID UNTIL`). The official PostgreSQL plugin goes through the same.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from database_servers import ROOT_PASSWORD, ROOT_USER, PostgreSQL, run_postgresql, why_no_postgresql
from livebed.binaries import find_built
from livebed.breakdowns import KINDS, Breakdowns, seeded_chance, wait
from livebed.client import Client
from livebed.database import ROOT, database_plugin
from livebed.factories import MakeServer
from livebed.plugins import Plugin
from livebed.postgres import CREATION
from livebed.server import Server
from livebed.slow_commits import slow_commits

RUNS = int(os.environ.get("AUTHKIT_DATABASE_TORTURE_RUNS", "4"))
"""Kills of each plugin; 50 and more find what is rare."""

TTL = timedelta(minutes=5)
SLACK = timedelta(seconds=5)
"""By which a server lets users outlive their lease (Vault 1.21, builtin/logical/database)."""

UNDO_SECONDS = 3.0

LEAVES_USERS = ("plugin", "server")
"""What is killed with users that only it knows."""


@dataclass(frozen=True)
class Torn:
    """A mount of the database engine, with the role `app`."""

    server: Server
    plugin: Plugin
    path: str
    database: PostgreSQL

    @property
    def client(self) -> Client:
        """The client of the server's root token."""
        return self.server.client

    def ask(self, statement: str) -> list[Any]:
        """Ask the database."""
        url = self.database.url(ROOT_USER, ROOT_PASSWORD)
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return list(cursor.fetchall()) if cursor.description else []

    def users(self) -> list[str]:
        """Return the temporary users."""
        return [name for (name,) in self.ask("SELECT rolname FROM pg_roles WHERE rolname LIKE 'v-%'")]

    def drop_left(self, names: list[str]) -> None:
        """Drop users that nobody knows; all of them would have ended by themselves."""
        ends = dict(self.ask("SELECT rolname, rolvaliduntil FROM pg_roles WHERE rolvaliduntil IS NOT NULL"))
        latest = datetime.now(UTC) + TTL + SLACK
        for name in names:
            assert ends[name] < latest
            self.ask(f'DROP ROLE "{name}"')

    def enable(self, reached: PostgreSQL) -> None:
        """Enable and configure; the plugin reaches the database where it is slow."""
        self.plugin.register(self.client)
        self.client.write(f"sys/mounts/{self.path}", type="database")
        config = reached.settings | {"plugin_name": self.plugin.name, "allowed_roles": "*"}
        self.client.write(f"{self.path}/config/main", **config)
        role = {"db_name": "main", "creation_statements": CREATION, "default_ttl": "5m", "max_ttl": "5m"}
        self.client.write(f"{self.path}/roles/app", **role)


def official_plugin(server: Server) -> Plugin:
    """Put the official plugin into the plugin directory."""
    binary = find_built("postgresql-peer")
    if binary is None or server.program.is_bao:
        pytest.skip("the official plugin is not built: run scripts/live/build postgresql-peer")
    file = server.plugin_directory / "postgresql-official"
    file.write_bytes(binary.read_bytes())
    file.chmod(0o755)
    return Plugin("postgresql_official", file, kind="database")


@pytest.mark.parametrize("which", ["ours", "official"])
def test_every_user_has_a_lease_or_an_end(make_server: MakeServer, which: str) -> None:
    """Without a lease are only users that were being made when plugin or server were killed."""
    if which == "official" and "AUTHKIT_DATABASE_TORTURE_RUNS" not in os.environ:
        pytest.skip("the comparison is made on demand: set AUTHKIT_DATABASE_TORTURE_RUNS")
    reason = why_no_postgresql()
    if reason:
        pytest.skip(reason)
    chance = seeded_chance()
    server = make_server(raft=True)
    if which == "ours":
        folder = ROOT / "tests" / "live" / "plugins"
        plugin = database_plugin(server, "postgresql", "postgresql:PostgreSQL", folder)
    else:
        plugin = official_plugin(server)
    left: Counter[str] = Counter()
    with run_postgresql() as database, slow_commits(database, chance) as reached:
        mount = Torn(server, plugin, "torn", database)
        mount.enable(reached)
        torn = Breakdowns(mount, chance)
        for number in range(RUNS):
            kind = KINDS[number % len(KINDS)]
            torn.run(kind)
            orphans = torn.find_orphans()
            if orphans:
                wait(UNDO_SECONDS)  # what is undone in the background is undone by then
                orphans = mount.users()
            left[kind] += len(orphans)
            mount.drop_left(orphans)
        told = len(torn.answers)
    print(f"{which}: {RUNS} breakdowns, {told} users told to clients, without a lease: {dict(left)}")
    if which == "ours":
        assert not [kind for kind in left if left[kind] and kind not in LEAVES_USERS]
        log = server.log()
        assert not [secret for secret in (ROOT_PASSWORD, *server.client.secrets) if secret in log]
