"""Users that are being made while something breaks down: the plugin, the server, the database, the client."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import httpx
from database_servers import PostgreSQL

from livebed.client import Client
from livebed.plugins import Plugin, python_plugin
from livebed.postgres import PostgresMount
from livebed.processes import wait_until
from livebed.server import Server

__all__ = ["KINDS", "Breakdowns", "EngineBreakdowns", "seeded_chance", "wait"]

PLUGINS = Path(__file__).resolve().parents[1] / "plugins"
CLIENTS = 4
LEAVING = 60
"""Requests whose clients go away: few of these meet their answer on its way."""
BREAK_WITHIN = 0.15
"""Seconds in which something breaks down: about as long as it takes to make a user and answer."""
RECOVERY_SECONDS = 60.0
ROLLBACK_SECONDS = 150.0
"""A server gives each mount a turn once a minute (Vault 1.21, vault/rollback.go)."""

KINDS = ("plugin", "server", "database", "client")


def seeded_chance() -> random.Random:
    """Return what chooses the moments, and print how to choose the same again: `AUTHKIT_TORTURE_SEED`."""
    seed = int(os.environ.get("AUTHKIT_TORTURE_SEED", random.randrange(10**6)))
    print(f"AUTHKIT_TORTURE_SEED={seed}")
    return random.Random(seed)


class TornMount(Protocol):
    """A mount with the role `app`, whose plugin makes users of a database."""

    @property
    def server(self) -> Server:
        """Where it is."""
        ...

    @property
    def plugin(self) -> Plugin:
        """Whose processes are killed."""
        ...

    @property
    def path(self) -> str:
        """Its path."""
        ...

    @property
    def database(self) -> PostgreSQL:
        """Where the users are."""
        ...

    @property
    def client(self) -> Client:
        """The client of the server's root token."""
        ...

    def users(self) -> list[str]:
        """Return the temporary users."""
        ...


class Breakdowns:
    """One mount, and what happens to it. `chance` decides when."""

    def __init__(self, mount: TornMount, chance: random.Random) -> None:
        self.mount = mount
        self.chance = chance
        self.answers: list[dict[str, Any]] = []
        """What clients were told, leases and all."""

    def run(self, kind: str) -> None:
        """Have users made, break something at a random moment, and mend it."""
        moment = self.chance.uniform(0.005, BREAK_WITHIN)
        with ThreadPoolExecutor(CLIENTS) as pool:
            for _ in range(LEAVING if kind == "client" else 2 * CLIENTS):
                start = self.chance.uniform(0, BREAK_WITHIN / 2)
                timeout = self.chance.uniform(0.005, BREAK_WITHIN) if kind == "client" else RECOVERY_SECONDS
                pool.submit(self._issue, start, timeout)
            wait(moment)
            self._break(kind)
        wait_until(self._works, f"the engine after the {kind} broke down", timeout=RECOVERY_SECONDS)

    def find_orphans(self) -> list[str]:
        """Revoke all leases, and return the users that are left."""
        self.mount.client.write(f"sys/leases/revoke-prefix/{self.mount.path}", sync=True)
        return self.mount.users()

    # -------------------------------------------------------------------------------------------

    def _issue(self, start: float, timeout: float) -> None:
        wait(start)
        try:
            response = self.mount.client.raw("GET", f"{self.mount.path}/creds/app", timeout=timeout)
        except httpx.HTTPError:
            return
        self._note(response)

    def _note(self, response: httpx.Response) -> None:
        if response.is_success:
            self.answers.append(response.json())
            self.mount.client.secrets.append(response.json()["data"]["password"])

    def _break(self, kind: str) -> None:
        actions: dict[str, Callable[[], None]] = {
            "plugin": self._kill_plugin,
            "server": self._kill_server,
            "database": self._kill_database,
            "client": lambda: None,
        }
        actions[kind]()

    def _kill_plugin(self) -> None:
        for pid in self.mount.server.pids_of(self.mount.plugin.command):
            os.kill(pid, signal.SIGKILL)

    def _kill_server(self) -> None:
        self.mount.server.kill()
        self.mount.server.start()

    def _kill_database(self) -> None:
        self.mount.database.process.kill()
        self.mount.database.process.start()

    def _works(self) -> bool:
        try:
            response = self.mount.client.raw("GET", f"{self.mount.path}/creds/app")
        except httpx.HTTPError:
            return False
        self._note(response)
        return response.is_success


class EngineBreakdowns(Breakdowns):
    """Of the engine of examples/postgres_users, which writes ahead. The file `later` moves its clock."""

    def __init__(self, mount: PostgresMount, later: Path, chance: random.Random) -> None:
        super().__init__(mount, chance)
        self.later = later

    @classmethod
    @contextmanager
    def enabled(
        cls, server: Server, database: PostgreSQL, chance: random.Random
    ) -> Iterator[EngineBreakdowns]:
        """Enable the engine that waits between user and answer, with the role `app`."""
        later = server.folder / "later"
        body = f"""
import sys
sys.path.insert(0, {str(PLUGINS)!r})
import held_postgres
from authkit import serve
held_postgres.prepare({str(later)!r})
serve(held_postgres.HeldPostgresUsers)
"""
        plugin = python_plugin(server.plugin_directory, "postgres_users", body, kind="secret")
        plugin.register(server.client)
        mount = PostgresMount(server, plugin, "torn", database)
        server.client.write(f"sys/mounts/{mount.path}", type=plugin.name)
        mount.configure()
        mount.write_role("app", default_ttl="1h")
        yield cls(mount, later, chance)

    def roll_back(self) -> None:
        """Let the age of the log's entries pass, and wait until nothing is left to decide."""
        self.later.touch()
        wait_until(lambda: self.pending() == [], "the rollbacks", timeout=ROLLBACK_SECONDS, pause=1.0)

    def pending(self) -> list[str]:
        """Return the entries of the write-ahead log."""
        entries: list[str] = self.mount.client.read(f"{self.mount.path}/pending")["entries"]
        return entries


def wait(seconds: float) -> None:
    """Wait for a moment that chance has chosen: what breaks down does not announce it."""
    threading.Event().wait(seconds)
