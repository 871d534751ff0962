"""Handlers that do not end: what they may hold up on a real server, and the end of their process."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from livebed.factories import MakeServer
from livebed.plugins import Plugin, python_plugin
from livebed.processes import wait_for_exit, wait_until
from livebed.server import Server

SOURCE = Path(__file__).parent / "plugins" / "slow.py"

ORPHAN_SECONDS = 5.0
"""As docs/operate.md promises."""
TERMINATE_SECONDS = 12.0
STOP_SECONDS = 3.0
HANGS_UP_SECONDS = 2.0
QUICK_SECONDS = 5.0
"""For what must not be held up, on a busy machine."""
STRANGERS = 12
MORE_THAN_THERE_IS_ROOM_FOR = 120
DEADLINE_AND_NEXT_TICK_SECONDS = 240.0
"""A host gives a tick 90 s, and sends one each minute (Vault 1.21)."""


class SlowMount:
    """One mount of the slow plugin on a server."""

    def __init__(self, server: Server, plugin: Plugin, path: str = "slow") -> None:
        self.server, self.path = server, path
        server.client.write(f"sys/auth/{path}", type=plugin.name)
        self.pid: int = server.client.read(f"auth/{path}/info")["pid"]

    def login(self, way: str, seconds: float = 100.0) -> httpx.Response | None:
        """Log in; nothing when the server is gone."""
        with suppress(httpx.TransportError):
            url = f"{self.server.address}/v1/auth/{self.path}/{way}"
            return httpx.post(url, json={"name": "x"}, timeout=seconds, trust_env=False)
        return None


@pytest.fixture
def own(make_server: MakeServer) -> Server:
    """A server of the test's own."""
    server: Server = make_server()
    return server


@pytest.fixture
def slow(own: Server) -> Plugin:
    """The plugin, registered."""
    plugin = python_plugin(own.plugin_directory, "slow", SOURCE.read_text(), version="v0.1.0")
    plugin.register(own.client)
    return plugin


@pytest.fixture
def strangers() -> Iterator[ThreadPoolExecutor]:
    """Clients that log in at the same time."""
    with ThreadPoolExecutor(MORE_THAN_THERE_IS_ROOM_FOR) as pool:
        yield pool


@pytest.mark.parametrize("way", ["login", "loop"])
def test_killed_server_is_not_outlived_by_a_login(
    way: str, own: Server, slow: Plugin, strangers: ThreadPoolExecutor
) -> None:
    """A handler blocks a thread, or the event loop: the process is gone within seconds, with its files."""
    mount = SlowMount(own, slow)
    asked = strangers.submit(mount.login, way)
    own.wait_for_log("login at work")

    own.kill()

    wait_for_exit(mount.pid, ORPHAN_SECONDS)
    assert not [path for path in own.temporary.glob("authkit-*") if (path / "plugin.sock").exists()]
    asked.result()


def test_stopped_server_is_not_outlived_by_a_login(own: Server, slow: Plugin) -> None:
    """Its client has hung up, its thread goes on: the plugin ends before the server would kill it.

    (A server that is stopped waits for requests in flight, whichever plugin they are at.)
    """
    mount = SlowMount(own, slow)
    assert mount.login("login", HANGS_UP_SECONDS) is None
    own.wait_for_log("login at work")

    own.stop()

    wait_for_exit(mount.pid, STOP_SECONDS)
    assert not list(own.temporary.iterdir())


@pytest.mark.parametrize(
    ("way", "number"), [("login", signal.SIGTERM), ("loop", signal.SIGTERM), ("loop", signal.SIGHUP)]
)
def test_signals_end_the_plugin_in_bounded_time(
    way: str, number: signal.Signals, own: Server, slow: Plugin, strangers: ThreadPoolExecutor
) -> None:
    """The login in flight has its grace; the server starts the plugin anew."""
    mount = SlowMount(own, slow)
    asked = strangers.submit(mount.login, way)
    own.wait_for_log("login at work")

    os.kill(mount.pid, signal.SIGINT)
    os.kill(mount.pid, number)

    wait_for_exit(mount.pid, TERMINATE_SECONDS)
    assert not list(own.temporary.glob("authkit-*/plugin.sock"))
    answer = mount.login("quick", QUICK_SECONDS)
    assert answer is not None
    assert answer.is_success, answer.text
    asked.result()


def test_strangers_at_a_slow_login_hold_nothing_up(
    own: Server, slow: Plugin, strangers: ThreadPoolExecutor
) -> None:
    """Other logins of the mount, and of another one, are answered at once; too many are refused with 429."""
    mount, other = SlowMount(own, slow), SlowMount(own, slow, "other")
    assert mount.pid == other.pid
    asked = [strangers.submit(mount.login, "gated") for _ in range(STRANGERS)]
    own.wait_for_log("login at work")

    for each in (mount, other):
        answer = each.login("quick", QUICK_SECONDS)
        assert answer is not None
        assert answer.is_success, answer.text

    asked += [strangers.submit(mount.login, "gated") for _ in range(MORE_THAN_THERE_IS_ROOM_FOR - STRANGERS)]
    wait_until(lambda: any(each.done() for each in asked), "a refusal", timeout=QUICK_SECONDS)
    refused = next(each.result() for each in asked if each.done())
    assert refused is not None
    assert refused.status_code == httpx.codes.TOO_MANY_REQUESTS
    assert "too many requests of this kind" in refused.text

    own.client.write(f"auth/{mount.path}/release")
    statuses = {answer.status_code for each in asked if (answer := each.result()) is not None}
    assert statuses == {httpx.codes.OK, httpx.codes.TOO_MANY_REQUESTS}


def test_tasks_and_rollbacks_do_not_overlap_themselves(own: Server, slow: Plugin) -> None:
    """The server's deadline passes while their threads go on; the next tick skips them and says so."""
    mount = SlowMount(own, slow)
    mark = own.log_mark()
    own.client.write(f"auth/{mount.path}/begin")

    for skipped in ("periodic task work", "rolling back"):
        own.wait_for_log(
            f"{skipped} is skipped: its last run has not ended yet",
            since=mark,
            timeout=DEADLINE_AND_NEXT_TICK_SECONDS,
        )

    assert own.client.read(f"auth/{mount.path}/info")["most"] == {"task": 1, "rollback": 1}
    assert own.log().count("task at work") == 1
    own.client.write(f"auth/{mount.path}/release")
