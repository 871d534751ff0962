"""The server's database secrets engine with a plugin of ours: mount, connections, roles, credentials."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from livebed.client import Client
from livebed.plugins import Plugin, python_plugin
from livebed.server import Server

__all__ = ["Credentials", "DatabaseMount", "database_plugin", "mount_database"]

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Credentials:
    """A user that was made, and its lease."""

    username: str
    password: str
    lease_id: str
    lease_duration: int


@dataclass(frozen=True)
class DatabaseMount:
    """A mount of the engine, and the plugin that serves its connections."""

    server: Server
    plugin: Plugin
    path: str

    @property
    def client(self) -> Client:
        """The operator's client."""
        return self.server.client

    def configure(self, connection: str, **fields: Any) -> dict[str, Any]:
        """Write a connection."""
        self.client.secrets.extend(fields[name] for name in ("password",) if name in fields)
        return self.client.write(
            f"{self.path}/config/{connection}",
            **{"plugin_name": self.plugin.name, "allowed_roles": "*"} | fields,
        )

    def role(self, name: str, connection: str, statements: str | list[str] = "", **fields: Any) -> None:
        """Write a role whose leases take a minute, two at most."""
        lifetimes = {"default_ttl": "60s", "max_ttl": "120s"}
        creation = {"creation_statements": statements} if statements else {}
        self.client.write(f"{self.path}/roles/{name}", db_name=connection, **lifetimes | creation | fields)

    def creds(self, role: str) -> Credentials:
        """Have a user made."""
        answer = self.client.call("GET", f"{self.path}/creds/{role}")
        data = answer["data"]
        self.client.secrets.append(data["password"])
        return Credentials(data["username"], data["password"], answer["lease_id"], answer["lease_duration"])

    def static_creds(self, role: str) -> tuple[str, str]:
        """Return name and password of a static role."""
        data = self.client.read(f"{self.path}/static-creds/{role}")
        self.client.secrets.append(data["password"])
        return data["username"], data["password"]

    def revoke(self, lease_id: str) -> None:
        """Revoke a lease now."""
        self.client.call("PUT", "sys/leases/revoke", {"lease_id": lease_id, "sync": True})

    def pids(self) -> list[int]:
        """Return the plugin's processes."""
        return self.server.pids_of(self.plugin.command)


def database_plugin(server: Server, name: str, target: str, *folders: Path) -> Plugin:
    """Put a plugin into the server's plugin directory: the class `target`, found in `folders`."""
    paths = [str(folder) for folder in (ROOT, *folders)]
    body = f"import sys\nsys.path[:0] = {paths!r}\nfrom authkit.database import serve\nserve({target!r})\n"
    plugin = python_plugin(server.plugin_directory, name, body)
    return Plugin(plugin.name, plugin.file, kind="database")


@contextmanager
def mount_database(server: Server, plugin: Plugin, path: str) -> Iterator[DatabaseMount]:
    """Register a plugin, and mount the engine for as long as the block lasts."""
    plugin.register(server.client)
    server.client.write(f"sys/mounts/{path}", type="database")
    mount = DatabaseMount(server, plugin, path)
    try:
        yield mount
    finally:
        server.client.call("POST", f"sys/leases/revoke-force/{path}")
        server.client.delete(f"sys/mounts/{path}")
