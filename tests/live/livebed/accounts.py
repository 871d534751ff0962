"""The engine of plugins/accounts.py on a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from livebed.client import Client
from livebed.old_server import OldServer
from livebed.plugins import Plugin, python_plugin
from livebed.processes import wait_until
from livebed.server import Server

__all__ = ["LAUNCHER", "AccountsMount"]

PLUGINS = Path(__file__).parent.parent / "plugins"

LAUNCHER = f"""
import sys
sys.path.insert(0, {str(PLUGINS)!r})
from authkit import serve
serve("accounts:Accounts")
"""

WAIT_SECONDS = 20.0


@dataclass(frozen=True)
class AccountsMount:
    """One mount, and the folder that is its service."""

    server: Server | OldServer
    plugin: Plugin
    path: str
    folder: Path

    @classmethod
    @contextmanager
    def enabled(cls, server: Server | OldServer, folder: Path) -> Iterator[AccountsMount]:
        """Register, enable and configure; disable in the end, by force if it must be."""
        plugin = python_plugin(server.plugin_directory, "accounts", LAUNCHER, version="v0.1.0", kind="secret")
        plugin.register(server.client)
        mount = cls(server, plugin, f"accounts-{uuid4().hex[:8]}", folder)
        server.client.write(f"sys/mounts/{mount.path}", type="accounts")
        mount.client.write(f"{mount.path}/config", folder=str(folder))
        try:
            yield mount
        finally:
            server.client.write(f"sys/leases/revoke-force/{mount.path}")
            mount.disable()

    @property
    def client(self) -> Client:
        """Return the client of the server's root token."""
        return self.server.client

    def disable(self) -> None:
        """Unmount. Twice is once."""
        self.client.delete(f"sys/mounts/{self.path}")

    def names(self) -> list[str]:
        """Return the accounts that there are."""
        return sorted(file.name for file in self.folder.iterdir())

    def write_role(self, name: str, **role: Any) -> None:
        """Write a role."""
        self.client.write(f"{self.path}/roles/{name}", **role)

    def issue(self, role: str, *, token: str = "") -> dict[str, Any]:
        """Return the whole answer to a request for credentials."""
        client = self.client.with_token(token) if token else self.client
        return client.call("GET", f"{self.path}/creds/{role}")

    def give_up(self, role: str) -> None:
        """Ask for credentials, and go away when the account is there but the answer is not."""
        with pytest.raises(httpx.TimeoutException):
            self.client.raw("GET", f"{self.path}/creds/{role}", timeout=2.0)

    def lookup(self, lease: dict[str, Any]) -> dict[str, Any]:
        """Return what the host says of a lease."""
        found: dict[str, Any] = self.client.write("sys/leases/lookup", lease_id=lease["lease_id"])["data"]
        return found

    def renew(self, lease: dict[str, Any], **body: Any) -> dict[str, Any]:
        """Return the whole answer to a renewal."""
        return self.client.write("sys/leases/renew", lease_id=lease["lease_id"], **body)

    def revoke(self, lease: dict[str, Any]) -> None:
        """Revoke, and wait for it."""
        self.client.write("sys/leases/revoke", lease_id=lease["lease_id"], sync=True)

    def wait_for(self, holds: Callable[[], bool]) -> None:
        """Return when it holds.

        Raises:
            TimeoutError: it does not, in `WAIT_SECONDS`.
        """
        wait_until(holds, "what was waited for", timeout=WAIT_SECONDS)
