"""The server's own database engine with the official PostgreSQL plugin, beside our example."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from database_servers import PostgreSQL

from livebed.binaries import find_built
from livebed.client import Client
from livebed.plugins import Plugin
from livebed.server import Server

__all__ = ["OfficialMount", "why_no_official_plugin"]

CONNECTION = "main"
BUILT_IN = "postgresql-database-plugin"


def why_no_official_plugin(server: Server) -> str:
    """Return why there is no such plugin, empty if there is one."""
    if server.program.is_bao or find_built("postgresql-peer"):
        return ""
    return "the official PostgreSQL plugin is not built: run scripts/live/build postgresql-peer"


@dataclass(frozen=True)
class OfficialMount:
    """One mount of the database engine with one connection. The plugin is a process, or OpenBao's own."""

    server: Server
    path: str
    plugin: str
    """In the catalog."""

    @classmethod
    @contextmanager
    def enabled(cls, server: Server, database: PostgreSQL) -> Iterator[OfficialMount]:
        """Register what has to be, enable and configure; disable in the end, by force if it must be."""
        mount = cls(server, f"database-{uuid4().hex[:8]}", install(server))
        server.client.write(f"sys/mounts/{mount.path}", type="database")
        mount.configure(**database.settings)
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
        """Write the connection."""
        usual = {"plugin_name": self.plugin, "allowed_roles": "*"}
        self.client.write(f"{self.path}/config/{CONNECTION}", **usual, **config)

    def write_role(self, name: str, **role: Any) -> None:
        """Write a role of the connection."""
        self.client.write(f"{self.path}/roles/{name}", **{"db_name": CONNECTION, **role})


def install(server: Server) -> str:
    """Return the name of the plugin in the catalog. Vault is built without it, OpenBao has it."""
    if server.program.is_bao:
        return BUILT_IN
    binary = find_built("postgresql-peer")
    assert binary is not None
    file = server.plugin_directory / "postgresql-official"
    if not file.exists():
        shutil.copy2(binary, file)
    Plugin("postgresql_official", file, kind="database").register(server.client)
    return "postgresql_official"
