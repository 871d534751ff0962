"""The engine of examples/postgres_users on a server, with a database of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import psycopg
from database_servers import ROOT_PASSWORD, ROOT_USER, PostgreSQL

from livebed.client import Client
from livebed.plugins import Plugin, python_plugin
from livebed.server import Server

__all__ = ["CREATION", "PostgresMount", "postgres_mount"]

LAUNCHER = """
from authkit import serve
serve("postgres_users:PostgresUsers")
"""
CREATION = "CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"


@dataclass(frozen=True)
class PostgresMount:
    """One mount, and its database."""

    server: Server
    plugin: Plugin
    path: str
    database: PostgreSQL

    @classmethod
    @contextmanager
    def enabled(cls, server: Server, database: PostgreSQL) -> Iterator[PostgresMount]:
        """Register, enable and configure; disable in the end, by force if it must be."""
        server.client.secrets.append(ROOT_PASSWORD)
        plugin = python_plugin(server.plugin_directory, "postgres_users", LAUNCHER, kind="secret")
        plugin.register(server.client)
        mount = cls(server, plugin, f"postgres-{uuid4().hex[:8]}", database)
        server.client.write(f"sys/mounts/{mount.path}", type="postgres_users")
        mount.configure()
        try:
            yield mount
        finally:
            server.client.write(f"sys/leases/revoke-force/{mount.path}")
            server.client.delete(f"sys/mounts/{mount.path}")

    @property
    def client(self) -> Client:
        """Return the client of the server's root token."""
        return self.server.client

    def configure(self, **config: Any) -> None:
        """Write the configuration."""
        self.client.write(f"{self.path}/config", **{**self.database.settings, **config})

    def write_role(self, name: str, **role: Any) -> None:
        """Write a role, with the usual statement."""
        self.client.write(
            f"{self.path}/roles/{quote(name, safe='')}", **{"creation_statements": CREATION, **role}
        )

    def issue(self, role: str, *, token: str = "", **options: Any) -> dict[str, Any]:
        """Return the whole answer to a request for credentials, of the root token or another one."""
        client = self.client.with_token(token) if token else self.client
        answer = client.call("GET", f"{self.path}/creds/{quote(role, safe='')}", **options)
        if answer["data"]:  # a wrapped answer has none
            self.client.secrets.append(answer["data"]["password"])
        return answer

    def read_static(self, role: str) -> dict[str, Any]:
        """Return the credential of a static role."""
        shown = self.client.read(f"{self.path}/static-creds/{role}")
        self.client.secrets.append(shown["password"])
        return shown

    def renew(self, lease: dict[str, Any], increment: int = 0) -> dict[str, Any]:
        """Return the whole answer to a renewal."""
        return self.client.write("sys/leases/renew", lease_id=lease["lease_id"], increment=increment)

    def revoke(self, lease: dict[str, Any], *, sync: bool = True) -> None:
        """Revoke, and wait for it, or have the server do it later."""
        self.client.write("sys/leases/revoke", lease_id=lease["lease_id"], sync=sync)

    def lookup(self, lease: dict[str, Any]) -> dict[str, Any]:
        """Return what the server says of a lease."""
        found: dict[str, Any] = self.client.write("sys/leases/lookup", lease_id=lease["lease_id"])["data"]
        return found

    def can_log_in(self, data: dict[str, Any]) -> bool:
        """Return whether the database lets these credentials in."""
        try:
            psycopg.connect(self.database.url(data["username"], quote(data["password"], safe=""))).close()
        except psycopg.OperationalError:
            return False
        return True

    def ask(self, statement: str, *values: object) -> list[Any]:
        """Return the first column of what the database answers its superuser."""
        with psycopg.connect(
            self.database.url(ROOT_USER, quote(ROOT_PASSWORD)), autocommit=True
        ) as connection:
            found = connection.execute(statement.encode(), values)
            return [row[0] for row in found.fetchall()] if found.description else []

    def users(self) -> list[str]:
        """Return the temporary users."""
        return self.ask("SELECT rolname FROM pg_roles WHERE rolname LIKE 'v-%%' ORDER BY 1")


@contextmanager
def postgres_mount(server: Server, database: PostgreSQL) -> Iterator[PostgresMount]:
    """Enable the engine with the role `app`."""
    with PostgresMount.enabled(server, database) as mount:
        mount.write_role("app", default_ttl="60s", max_ttl="120s")
        yield mount
