"""A PostgreSQL server whose commits are answered late, as if the way from "made" to "told" were long."""

from __future__ import annotations

import contextlib
import random
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from database_servers import PostgreSQL

__all__ = ["slow_commits"]

HOLD_SECONDS = 0.08


class _Relay(socketserver.BaseRequestHandler):
    """One connection of a client."""

    server: _Server

    def handle(self) -> None:
        """Pass on what comes, until one side ends."""
        try:
            upstream = socket.create_connection(("127.0.0.1", self.server.upstream))
        except OSError:
            return
        committed = threading.Event()
        with upstream, contextlib.suppress(OSError):
            answers = threading.Thread(target=self._answer, args=(upstream, committed), daemon=True)
            answers.start()
            while data := self.request.recv(65536):
                if b"commit" in data.lower():
                    committed.set()
                upstream.sendall(data)
            upstream.shutdown(socket.SHUT_RDWR)

    def _answer(self, upstream: socket.socket, committed: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := upstream.recv(65536):
                if committed.is_set():
                    committed.clear()
                    threading.Event().wait(self.server.chance.uniform(0, HOLD_SECONDS))
                self.request.sendall(data)
        with contextlib.suppress(OSError):
            self.request.shutdown(socket.SHUT_RDWR)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    upstream: int
    chance: random.Random


@contextmanager
def slow_commits(database: PostgreSQL, chance: random.Random) -> Iterator[PostgreSQL]:
    """Yield the same database at another port; `chance` decides how late a commit is answered."""
    with _Server(("127.0.0.1", 0), _Relay) as server:
        server.upstream, server.chance = database.port, chance
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield PostgreSQL(server.server_address[1], database.process)
        finally:
            server.shutdown()
            thread.join()
