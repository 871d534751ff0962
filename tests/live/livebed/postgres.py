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

__all__ = ["CREATION", "PostgresMount"]

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
        self.client.write(f"{self.path}/roles/{name}", **{"creation_statements": CREATION, **role})

    def issue(self, role: str) -> dict[str, Any]:
        """Return the whole answer to a request for credentials."""
        return self.client.call("GET", f"{self.path}/creds/{role}")

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
