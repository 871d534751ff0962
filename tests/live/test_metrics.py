"""Metrics of plugins that a real server starts: registered with `-env`, scraped, reloaded."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from livebed.accounts import LAUNCHER as ACCOUNTS
from livebed.client import ServerError
from livebed.factories import MakeServer
from livebed.plugins import Plugin, python_plugin
from livebed.processes import wait_until
from livebed.server import Server
from prometheus_client.openmetrics.parser import text_string_to_metric_families

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "shared_pin" / "shared_pin.py"
PIN, WRONG_PIN = "4711-only-the-team-knows", "0815-somebody-has-guessed"
WAIT_SECONDS = 20.0
OPEN_METRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


@pytest.fixture
def own(make_server: MakeServer) -> Iterator[Server]:
    """A server of the test's own, with a directory for sockets."""
    server: Server = make_server()
    server.subfolder("metrics")
    return server


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Wait for metrics: a text that is some milliseconds old may be sent once more."""
    wait_until(condition, what, timeout=WAIT_SECONDS)


def scrape(socket: Path) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """The samples that a plugin offers at a socket, by name and labels; empty while nobody is there."""
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), trust_env=False) as client:
        try:
            text = client.get("http://localhost/metrics", headers=OPEN_METRICS).text
        except httpx.TransportError:
            return {}
    found = [each for family in text_string_to_metric_families(text) for each in family.samples]
    return {(each.name, frozenset(each.labels.items())): each.value for each in found}


def figure(socket: Path, name: str, **labels: str) -> float | None:
    """One figure, if it is there."""
    return scrape(socket).get((name, frozenset(labels.items())))


def register(server: Server, plugin: Plugin, endpoint: str) -> None:
    """Register a plugin with an endpoint for its metrics."""
    plugin.register(server.client, env=[f"AUTHKIT_METRICS={endpoint}"])


def register_with_socket(server: Server, plugin: Plugin) -> Path:
    """Register a plugin; return the socket where its metrics will be."""
    socket = server.folder / "metrics" / f"{plugin.name}.sock"
    register(server, plugin, f"unix:{socket}")
    return socket


def test_logins_are_seen_across_a_reload(own: Server) -> None:
    """Counted, by what they came to; the next process takes the socket over and begins at 0."""
    plugin = python_plugin(own.plugin_directory, "shared_pin", EXAMPLE.read_text())
    socket = register_with_socket(own, plugin)
    own.client.cli("auth", "enable", "-path=teams", "shared_pin")
    own.client.secrets.extend([PIN, WRONG_PIN])
    own.client.write("auth/teams/role/dev", pin=PIN)

    def login(pin: str) -> None:
        own.client.login_answer("teams", role="dev", member="alice", pin=pin)

    def logins(outcome: str) -> float | None:
        labels = {"mount": "auth/teams/", "operation": "login", "outcome": outcome}
        return figure(socket, "authkit_requests_total", **labels)

    login(PIN)
    login(PIN)
    with pytest.raises(ServerError):
        login(WRONG_PIN)
    wait_for(lambda: (logins("granted"), logins("denied")) == (2.0, 1.0), "the metrics of the logins")
    assert figure(socket, "authkit_mounts") == 1
    assert socket.stat().st_mode & 0o777 == 0o600
    started = figure(socket, "authkit_process_start_time_seconds")
    with_curl = subprocess.run(
        ["curl", "--silent", "--unix-socket", socket, "http://localhost/metrics"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert 'authkit_requests_total{mount="auth/teams/",operation="login",outcome="granted"} 2.0' in with_curl
    assert not [text for text in (PIN, WRONG_PIN, "alice", '"dev"') if text in with_curl]

    own.client.cli("plugin", "reload", "-plugin=shared_pin")
    login(PIN)
    wait_for(lambda: logins("granted") == 1.0, "the metrics of the next process")
    assert figure(socket, "authkit_process_start_time_seconds") != started
    own.stop()
    wait_for(lambda: not socket.exists(), "the socket to be removed")
    assert "no metrics" not in own.log()


def test_leases_are_seen(own: Server) -> None:
    """Of a secrets engine: given out, and revoked."""
    plugin = python_plugin(own.plugin_directory, "accounts", ACCOUNTS, kind="secret")
    socket = register_with_socket(own, plugin)
    own.client.cli("secrets", "enable", "-path=accounts", "accounts")
    own.client.write("accounts/config", folder=str(own.subfolder("accounts")))
    own.client.write("accounts/roles/app", ttl="1m")
    lease = own.client.call("GET", "accounts/creds/app")["lease_id"]
    own.client.cli("lease", "revoke", lease)

    def leases(what: str) -> float | None:
        return figure(socket, f"authkit_leases_{what}_total", mount="accounts/")

    wait_for(lambda: (leases("issued"), leases("revoked")) == (1.0, 1.0), "the metrics of the lease")
    assert figure(socket, "authkit_storage_call_duration_seconds_count", call="put", outcome="ok")


def test_a_wrong_place_keeps_nobody_out(own: Server) -> None:
    """The server's log says what is wrong, and logins go on."""
    plugin = python_plugin(own.plugin_directory, "shared_pin", EXAMPLE.read_text())
    register(own, plugin, "0.0.0.0:9102")
    own.client.cli("auth", "enable", "-path=teams", "shared_pin")
    own.client.secrets.append(PIN)
    own.client.write("auth/teams/role/dev", pin=PIN)
    assert own.client.login_answer("teams", role="dev", member="alice", pin=PIN)["auth"]
    assert "no metrics: AUTHKIT_METRICS: '0.0.0.0' is not a loopback address" in own.log()
