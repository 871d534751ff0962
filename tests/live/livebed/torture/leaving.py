"""Clients go away in the middle of a login: the work for them stops."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from queue import Queue
from statistics import median
from urllib.parse import urlencode, urlsplit

from identity_provider import DISCOVERY

from livebed.plugins import python_plugin
from livebed.processes import wait_until
from livebed.server import Server
from livebed.torture.bed import Bed
from livebed.torture.browsers import NONCE, BrowserMount
from livebed.torture.rows import Row, Size

__all__ = ["leave_logins"]

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
STOP_SECONDS = 0.1
"""From the end of the connection to the end of the work."""
WAIT_SECONDS = 10.0
RELOAD_EVERY = 10
"""An address may leave so many logins at the provider, and some more, before it has to wait."""


def leave_logins(bed: Bed, size: Size) -> Sequence[Row]:
    """Leave `size.count` logins one after the other, and as many that wait for a provider."""
    server = bed.start_server()
    return [leave_handlers(server, size), leave_provider(bed, server, size)]


def leave_handlers(server: Server, size: Size) -> Row:
    """Leave while an `async def` handler waits."""
    notes = server.folder / "notes"
    notes.touch()
    body = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(PLUGINS)!r})
import waiting
from authkit import serve
waiting.notes = Path({str(notes)!r})
serve(waiting.Waiting)
"""
    python_plugin(server.plugin_directory, "waiting", body).register(server.client)
    server.client.write("sys/auth/waiting", type="waiting")
    before = count_tasks(server)
    took = []
    for number in range(size.count):
        name = f"login-{number}"
        with asking(server, "auth/waiting/wait", {"name": name}) as connection:
            wait_for_note(notes, "began", name)
            left = time.monotonic()
            connection.close()
            took.append(wait_for_note(notes, "ended", name) - left)
    row = row_of("a handler waits", took, {"tasks left": count_tasks(server) - before})
    server.client.delete("sys/auth/waiting")
    return row


def leave_provider(bed: Bed, server: Server, size: Size) -> Row:
    """Leave while the plugin waits for a provider's answer to a code."""
    mount = bed.mount_jwt(server)
    browser = BrowserMount.open(bed, mount)
    silent = bed.stack.enter_context(SilentEndpoint().open())
    status, document = browser.provider.answer(DISCOVERY)
    known = json.loads(document) | {"token_endpoint": silent.url}
    browser.provider.answers[DISCOVERY] = (status, json.dumps(known))
    took = []
    for number in range(size.count):
        if number % RELOAD_EVERY == 0:
            browser.mount.reload()
        browser.begin(mount)
        query = browser.waiting.pop() | {"client_nonce": NONCE}
        browser.waiting.clear()
        path = f"auth/{browser.mount.path}/oidc/callback?{urlencode(query)}"
        with asking(server, path) as connection:
            silent.asked.get(timeout=WAIT_SECONDS)
            left = time.monotonic()
            connection.close()
            took.append(silent.ended.get(timeout=WAIT_SECONDS) - left)
    return row_of("the plugin waits for a provider", took, {})


# -------------------------------------------------------------------------------------------------


def row_of(load: str, took: Sequence[float], lost: dict[str, int]) -> Row:
    """Return the row of how long work went on for clients that had left."""
    milliseconds = [1000 * seconds for seconds in took]
    return Row(
        load,
        f"the client goes away, {len(took)} times",
        {
            "the work ends after, ms: median": round(median(milliseconds), 1),
            "longest": round(max(milliseconds), 1),
        },
        {f"later than {1000 * STOP_SECONDS:.0f} ms": sum(each > STOP_SECONDS for each in took)} | lost,
    )


@contextmanager
def asking(server: Server, path: str, body: object = None) -> Iterator[HTTPConnection]:
    """Send a request and do not wait for its answer."""
    connection = HTTPConnection(urlsplit(server.address).netloc, timeout=WAIT_SECONDS)
    method, content = ("GET", None) if body is None else ("POST", json.dumps(body))
    connection.request(method, f"/v1/{path}", content)
    try:
        yield connection
    finally:
        connection.close()


def count_tasks(server: Server) -> int:
    """Return how many tasks the plugin's process has."""
    tasks: int = server.client.read("auth/waiting/tasks")["tasks"]
    return tasks


def wait_for_note(notes: Path, what: str, name: str) -> float:
    """Return when something happened to a login, once it has."""

    def find() -> float | None:
        found = map(json.loads, notes.read_text().splitlines())
        return next((each["at"] for each in found if (each["what"], each["name"]) == (what, name)), None)

    at = wait_until(find, f"{name} to have {what}", timeout=WAIT_SECONDS)
    assert at is not None
    return at


@dataclass
class SilentEndpoint:
    """An endpoint that takes requests and never answers; it notes when its clients hang up."""

    asked: Queue[float] = field(default_factory=Queue)
    """When each request came."""
    ended: Queue[float] = field(default_factory=Queue)
    """When each client hung up."""
    url: str = ""

    @contextmanager
    def open(self) -> Iterator[SilentEndpoint]:
        """Listen until the context ends."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/token"
            thread = threading.Thread(target=self._serve, args=(listener,))
            thread.start()
            try:
                yield self
            finally:
                listener.shutdown(socket.SHUT_RDWR)
                thread.join()

    def _serve(self, listener: socket.socket) -> None:
        """Serve one client after the other: the part has one at a time."""
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client, suppress(TimeoutError):
                client.settimeout(WAIT_SECONDS)
                client.recv(65536)
                self.asked.put(time.monotonic())
                while client.recv(65536):
                    continue
                self.ended.put(time.monotonic())
