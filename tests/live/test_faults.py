"""Plugins that harm themselves, flood their output, break or are not ours: the server stands."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import ssl
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from livebed.client import ServerError
from livebed.misbehaviour import SECRET_LOOKALIKE, NaughtyMount, naughty_plugin
from livebed.mounts import Mount
from livebed.plugins import python_plugin
from livebed.processes import is_alive, listening_sockets, wait_for_exit, wait_until
from livebed.server import Server
from livebed.tls import handshake, self_made_identity

# --- output ------------------------------------------------------------------------------------


@pytest.mark.parametrize("deed", ["printing", "poisoning", "logging nonsense"])
def test_output_cannot_harm_the_server(naughty: NaughtyMount, deed: str) -> None:
    """Long lines and lines that would take the host down, on every way out, reach it as harmless records."""
    mark = naughty.server.log_mark()

    for _ in range(3):
        assert naughty.do(deed=deed).status_code == 204

    naughty.assert_fine()
    naughty.do(deed="logging levels")
    naughty.server.wait_for_log("naughty print", since=mark)
    assert "token too long" not in naughty.server.log()[mark:]


def test_log_records_arrive_at_their_level(naughty: NaughtyMount) -> None:
    """Debug, info, warning, error and exceptions arrive at the host's levels, with pairs, without secrets."""
    server, mark = naughty.server, naughty.server.log_mark()

    naughty.do(deed="logging levels")

    debug = server.wait_for_log("naughty at debug", since=mark)
    assert (debug.level, debug.fields["colour"]) == ("debug", "blue")
    assert server.wait_for_log("naughty at info", since=mark).level == "info"
    assert server.wait_for_log("naughty at warning", since=mark).level == "warn"
    assert server.wait_for_log("naughty at error", since=mark).level == "error"
    exception = server.wait_for_log("naughty exception", since=mark)
    assert exception.level == "error"
    assert "KeyError: 'naughty cause'" in str(exception)
    server.wait_for_log("naughty print", since=mark)
    assert SECRET_LOOKALIKE not in server.log()


# --- the process -------------------------------------------------------------------------------


@pytest.mark.parametrize("deed", ["exit", "abort", "SIGKILL", "SIGSEGV", "SIGTERM"])
def test_ended_plugin_is_started_again(naughty: NaughtyMount, deed: str) -> None:
    """A handler that ends its process costs its own request at most; the next login works."""
    naughty.assert_fine()
    (before,) = naughty.server.pids_of(naughty.plugin.command)

    naughty.do(deed=deed)

    wait_for_exit(before, timeout=5)
    wait_until_noticed(naughty)
    naughty.assert_fine()


def wait_until_noticed(naughty: NaughtyMount) -> None:
    """Wait until logins work again after the end of a process.

    The server first writes its own log to the disk (go-plugin 1.6, client.go), and sends requests to the
    dead one meanwhile.
    """
    wait_until(lambda: naughty.login(deed="good").is_success, "a login after the end", timeout=5)


@pytest.mark.parametrize("deed", ["SIGINT", "exiting thread", "exiting task", "failing task"])
def test_process_survives(naughty: NaughtyMount, deed: str) -> None:
    """An interrupt, a thread or a task that fails, are no reason to end."""
    naughty.assert_fine()
    before = naughty.server.pids_of(naughty.plugin.command)

    assert naughty.do(deed=deed).status_code == 204

    naughty.assert_fine()
    assert naughty.server.pids_of(naughty.plugin.command) == before


def test_children_do_not_keep_a_dead_plugin_alive(naughty: NaughtyMount) -> None:
    """Children that hold every inherited stream do not hide the plugin's end from its host.

    A forked child also holds the plugin's connection to the host, which then waits 6 s for its end.
    """
    children = naughty.do(deed="spawning").json()["data"]["children"]
    try:
        (before,) = naughty.server.pids_of(naughty.plugin.command)[:1]
        os.kill(before, signal.SIGKILL)
        wait_for_exit(before, timeout=5)

        wait_until_noticed(naughty)
        assert all(is_alive(child) for child in children)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)


def test_hanging_request_harms_nobody_else(naughty: NaughtyMount) -> None:
    """Requests that never end hold up nobody, and end with their clients."""

    def hang() -> None:
        with contextlib.suppress(httpx.TimeoutException):
            url = f"{naughty.server.address}/v1/auth/{naughty.path}/login"
            httpx.post(url, json={"deed": "hanging"}, timeout=1, trust_env=False)

    with ThreadPoolExecutor(8) as pool:
        hung = [pool.submit(hang) for _ in range(8)]
        naughty.assert_fine()
        for request in hung:
            request.result()
    naughty.assert_fine()


def test_closed_streams_harm_nobody(naughty: NaughtyMount) -> None:
    """A handler that closes the standard streams has closed its own."""
    naughty.do(deed="closing")

    wait_until_noticed(naughty)  # the process may have to be started again
    naughty.assert_fine()


# --- wrong from the start ----------------------------------------------------------------------


@pytest.mark.parametrize("target", ["WrongPaths", "WrongSetup", "WrongStart", "Missing"])
def test_plugin_that_cannot_be_mounted_is_refused(server: Server, target: str) -> None:
    """A backend that cannot be set up fails its mount with a text, and no secret in it; the server stands."""
    name = f"wrong{target.lower()}"
    plugin = naughty_plugin(server, name, target)

    with pytest.raises(ServerError) as refused:
        server.client.write(f"sys/auth/{name}", type=name)

    assert "naughty cause" not in refused.value.text
    assert SECRET_LOOKALIKE not in server.log()
    assert server.is_running
    server.client.delete(f"sys/auth/{name}")
    for pid in server.pids_of(plugin.command):
        os.kill(pid, signal.SIGKILL)  # a host leaves a process whose setup failed to itself


def test_plugin_without_special_paths_is_closed(server: Server) -> None:
    """A backend whose special paths make no sense opens nothing: every login is refused."""
    naughty_plugin(server, "closed", "NoPaths")
    server.client.write("sys/auth/closed", type="closed")

    response = server.client.with_token("").raw("POST", "auth/closed/login", {"deed": "good"})

    assert response.status_code == 403
    server.client.delete("sys/auth/closed")


@pytest.mark.parametrize("target", ["WrongEnd", "EndlessEnd"])
def test_plugin_that_does_not_end_is_unmounted(server: Server, target: str) -> None:
    """A cleanup that fails, or never ends, keeps neither the mount nor the process."""
    name = f"wrong{target.lower()}"
    plugin = naughty_plugin(server, name, target)
    server.client.write(f"sys/auth/{name}", type=name)
    (pid,) = server.pids_of(plugin.command)

    server.client.delete(f"sys/auth/{name}")

    wait_for_exit(pid, timeout=10)
    assert server.is_running


BROKEN: dict[str, tuple[str, str]] = {
    "syntax error": ("def:\n", "SyntaxError"),
    "failing import": ("import nothing_of_this_name\n", "ModuleNotFoundError"),
    "failing import of the backend": (
        'from authkit import serve\nserve("nothing_of_this_name:Backend")\n',
        r"\[ERROR\].*ModuleNotFoundError",
    ),
    "backend of another name": (
        'from authkit import serve\nserve("json:Backend")\n',
        r"\[ERROR\].*AttributeError",
    ),
    "print before serving": ('print("hello")\nraise SystemExit\n', "hello|exited|Unrecognized"),
    "silent end": ("", "exited"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_program_is_refused_and_explained(server: Server, kind: str) -> None:
    """A program that cannot start fails its mount, and what it died of is in the server's log."""
    body, trace = BROKEN[kind]
    name = f"broken{list(BROKEN).index(kind)}"
    python_plugin(server.plugin_directory, name, body).register(server.client)
    mark = server.log_mark()

    with pytest.raises(ServerError, match=r"(?i)unrecognized remote plugin message|plugin exited") as refused:
        server.client.write(f"sys/auth/{name}", type=name)

    assert refused.value.status in {400, 500}
    server.wait_for_log(trace, since=mark)
    assert server.is_running
    assert not server.pids_of(name)


def test_wrong_checksum_is_refused(server: Server) -> None:
    """A plugin registered under another file's checksum is never started."""
    plugin = python_plugin(server.plugin_directory, "wrongsum", "")
    plugin.register(server.client, sha256="0" * 64)

    with pytest.raises(ServerError, match="checksums did not match"):
        server.client.write("sys/auth/wrongsum", type="wrongsum")


# --- strangers on the socket ---------------------------------------------------------------------


def test_stranger_on_the_socket_is_refused(mount: Mount) -> None:
    """Without a certificate, or with one of its own making, a client gets no further than the handshake."""
    server, mark = mount.server, mount.server.log_mark()
    sockets = listening_sockets(mount.pid)
    assert sockets

    for path, identity in itertools.product(sockets, (None, self_made_identity())):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            handshake(path, identity)
        assert mount.login()["policies"] == ["default"]

    if mount.plugin.name == "jwt_auth":
        server.wait_for_log(r"\[WARN\].*connection refused", since=mark)
