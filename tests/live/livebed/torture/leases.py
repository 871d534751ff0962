"""Clients that have PostgreSQL users made, log in with them, renew and revoke, again and again."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from livebed.client import ServerError
from livebed.postgres import PostgresMount
from livebed.processes import wait_until
from livebed.torture.clients import Outcome

__all__ = ["LeaseLoad"]

ROUNDS = 8
"""Users that are made before the next fault, at least."""
SECONDS = 60.0


@dataclass
class LeaseLoad:
    """Clients at one mount of the engine, with the role `app`."""

    postgres: PostgresMount
    clients: int
    done: int = 0
    """Users that were made, used, renewed and revoked."""
    failures: list[Outcome] = field(default_factory=list)
    """Requests that were refused."""
    useless: list[str] = field(default_factory=list)
    """Users that could not log in."""
    ending: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Have the clients at work for as long as the block lasts."""
        with ThreadPoolExecutor(self.clients) as pool:
            clients = [pool.submit(self._work) for _ in range(self.clients)]
            try:
                yield
            finally:
                self.ending.set()
        for client in clients:
            client.result()

    def advance(self) -> None:
        """Return when some more users were made."""
        goal = self.done + ROUNDS
        wait_until(lambda: self.done >= goal, "users to be made", timeout=SECONDS)

    def _work(self) -> None:
        while not self.ending.is_set():
            began = time.monotonic()
            try:
                lease = self.postgres.issue("app")
                if not self.postgres.can_log_in(lease["data"]):
                    self.useless.append(lease["data"]["username"])
                began = time.monotonic()
                self.postgres.renew(lease)
                began = time.monotonic()
                self.postgres.revoke(lease)
            except ServerError as error:
                self.failures.append(Outcome(began, time.monotonic(), error.status, error.text))
            else:
                with self.lock:
                    self.done += 1
