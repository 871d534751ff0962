"""The PostgreSQL example is reloaded and upgraded while clients issue, use and revoke users."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from livebed.client import ServerError
from livebed.plugins import python_plugin
from livebed.postgres import PostgresMount
from livebed.processes import wait_until

CLIENTS = 4
RELOADS = 4
ROUNDS = 8
"""Users that are made between two reloads, at least."""
SECONDS = 60.0

NEXT_LAUNCHER = """
from authkit import serve
from postgres_users import PostgresUsers

class Next(PostgresUsers, name="postgres_users", version="0.3.0"):
    \"\"\"The next release.\"\"\"

serve(Next)
"""


@dataclass
class Load:
    """Clients that issue, use, renew and revoke users, again and again."""

    postgres: PostgresMount
    done: int = 0
    failures: list[tuple[float, float, str]] = field(default_factory=list)
    """When the failed request began and ended, and what it was told."""
    useless: list[str] = field(default_factory=list)
    """Users that could not log in."""
    ending: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Have the clients at work for as long as the block lasts."""
        with ThreadPoolExecutor(CLIENTS) as pool:
            clients = [pool.submit(self._work) for _ in range(CLIENTS)]
            try:
                yield
            finally:
                self.ending.set()
        for client in clients:
            client.result()

    def advance(self) -> None:
        """Return when each client has done something more."""
        goal = self.done + ROUNDS
        wait_until(lambda: self.done >= goal, "users to be made", timeout=SECONDS)

    def _work(self) -> None:
        while not self.ending.is_set():
            started = time.monotonic()
            try:
                lease = self.postgres.issue("app")
                if not self.postgres.can_log_in(lease["data"]):
                    self.useless.append(lease["data"]["username"])
                started = time.monotonic()
                self.postgres.renew(lease)
                started = time.monotonic()
                self.postgres.revoke(lease)
                self.done += 1
            except ServerError as error:
                self.failures.append((started, time.monotonic(), str(error)))


def test_reloads_and_an_upgrade_under_load(postgres: PostgresMount) -> None:
    """No request fails but those that were in flight at a reload, and no user is left without a lease."""
    client, path = postgres.client, postgres.path
    postgres.plugin.register(client, version="v0.2.0-dev")
    following = python_plugin(
        postgres.server.plugin_directory,
        "postgres_users",
        NEXT_LAUNCHER,
        command="postgres_next",
        kind="secret",
    )
    following.register(client, version="v0.3.0")
    load, moments = Load(postgres), []
    with load.running():
        for number in range(RELOADS):
            load.advance()
            if number == RELOADS // 2:
                client.write(f"sys/mounts/{path}/tune", plugin_version="v0.3.0")
            began = time.monotonic()
            client.call("PUT", "sys/plugins/reload/backend", {"mounts": [f"{path}/"]})
            moments.append((began, time.monotonic()))
        load.advance()

    running = client.read("sys/mounts")[f"{path}/"]["running_plugin_version"]
    assert running == "v0.3.0"
    print(f"{load.done} users, {len(load.failures)} failures: {load.failures[:3]}")
    for started, ended, told in load.failures:
        assert any(started <= end and begin <= ended for begin, end in moments), told
    assert len(load.failures) <= CLIENTS * RELOADS
    assert load.useless == []
    client.write(f"sys/leases/revoke-prefix/{path}", sync=True)
    assert postgres.users() == []
