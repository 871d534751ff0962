"""Versions, many mounts in one process, crashes and restarts of plugins and servers, on a real server."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import ExitStack

import httpx
import pytest
from livebed.client import ServerError
from livebed.factories import MakePlugin, MakeServer, our_plugin
from livebed.mounts import Mount, mount_plugin
from livebed.plugins import CURRENT, NEXT, NEXT_LAUNCHER, Plugin, python_plugin
from livebed.processes import is_alive, wait_for_exit, wait_until
from livebed.server import Server
from livebed.tokens import Issuer

ORPHAN_SECONDS = 5.0
CLIENTS = 4
LOGINS_EACH_SIDE = 40
RESPAWN_SECONDS = 20.0


# --- versions ----------------------------------------------------------------------------------

PROTOCOL_4_LAUNCHER = """
import os, sys
if "5" in os.environ.get("PLUGIN_PROTOCOL_VERSIONS", "").split(","):
    sys.exit("this one is asked for an older protocol")
from authkit import serve
serve("jwt_auth:JWTAuth")
"""


def test_catalog_shows_the_version_that_the_plugin_reports(server: Server) -> None:
    """Registered without a version, the plugin has the one it reports itself, in API and command line."""
    plugin = our_plugin(server).called("reporting")
    plugin.register(server.client)

    listed = server.client.read("sys/plugins/catalog")["detailed"]
    assert [entry["version"] for entry in listed if entry["name"] == "reporting"] == [CURRENT]
    assert CURRENT in server.client.cli("plugin", "info", f"-version={CURRENT}", "auth", "reporting")


def test_wrong_version_is_refused(server: Server) -> None:
    """A registration under a version that the plugin does not report is refused."""
    plugin = our_plugin(server).called("wrongly_versioned")

    with pytest.raises(ServerError, match="did not match requested version"):
        plugin.register(server.client, version="v9.9.9")

    plugin.register(server.client, version=CURRENT)


def test_plugin_without_a_type_is_found_to_be_an_auth_method(server: Server) -> None:
    """The host probes an untyped plugin with other cookies first; it refuses them and is taken for auth."""
    plugin = our_plugin(server).called("untyped")

    server.client.cli(
        "plugin", "register", f"-sha256={plugin.sha256}", f"-command={plugin.command}", plugin.name
    )

    listed = server.client.read("sys/plugins/catalog")["detailed"]
    assert [entry["type"] for entry in listed if entry["name"] == "untyped"] == ["auth"]


def test_upgrade_to_the_next_version(server: Server, issuer: Issuer) -> None:
    """A mount moves from 0.1.0 to 0.2.0 by tune and reload, and keeps config, roles and tokens."""
    old = our_plugin(server).called("upgraded")
    new = python_plugin(
        server.plugin_directory, "upgraded", NEXT_LAUNCHER, version=NEXT, command="jwt_auth_next"
    )
    old.register(server.client, version=CURRENT)
    new.register(server.client, version=NEXT)

    with mount_plugin(server, old, issuer, plugin_version=CURRENT) as mount:
        auth = mount.login()
        assert running_version(mount) == CURRENT
        server.client.cli("auth", "tune", f"-plugin-version={NEXT}", f"{mount.path}/")
        assert mount.login()["metadata"] == {"role": "dev"}
        mount.reload()

        assert mount.login()["metadata"] == {"role": "dev"}
        assert running_version(mount) == NEXT
        assert server.pids_of(new.command)
        renewed = server.client.write("auth/token/renew", token=auth["client_token"])["auth"]
        assert renewed["metadata"] == {"role": "dev"}


def running_version(mount: Mount) -> str:
    """Return the version of the plugin that serves the mount now."""
    mounts = mount.client.call("GET", "sys/auth")["data"]
    version: str = mounts[f"{mount.path}/"]["running_plugin_version"]
    return version


def test_changed_file_is_not_started(server: Server, issuer: Issuer) -> None:
    """A plugin file that was changed after its registration does not start; the running one goes on."""
    plugin = python_plugin(
        server.plugin_directory, "changed", our_plugin(server).file.read_text().partition("\n")[2]
    )
    plugin.register(server.client)
    with mount_plugin(server, plugin, issuer) as mount:
        plugin.file.write_text(plugin.file.read_text() + "\n# changed\n")
        assert mount.login()["policies"] == ["default"]

        with pytest.raises(ServerError, match="checksums did not match"):
            mount.reload()


# --- many mounts -------------------------------------------------------------------------------


def test_three_mounts_share_a_process_and_nothing_else(
    server: Server, plugin: Plugin, issuer: Issuer
) -> None:
    """Three mounts run in one process; keys and roles of one are nothing to the others, nor is its end."""
    strangers = [Issuer.rsa(), Issuer.ec()]
    with ExitStack() as stack:
        mounts = [stack.enter_context(mount_plugin(server, plugin, key)) for key in (issuer, *strangers)]
        assert len({mount.pid for mount in mounts}) == 1

        for mount in mounts:
            mount.write_role(f"only-{mount.path}")
            assert mount.login(f"only-{mount.path}")["metadata"] == {"role": f"only-{mount.path}"}
        for mount, other in zip(mounts, mounts[1:] + mounts[:1], strict=True):
            assert mount.client.list(f"auth/{mount.path}/role") == ["dev", f"only-{mount.path}"]
            with pytest.raises(ServerError, match="error validating token"):
                mount.login(jwt=other.issuer.token())
            with pytest.raises(ServerError, match="could not be found"):
                mount.login(f"only-{other.path}")

        pid = mounts[0].pid
        mounts[0].disable()
        assert is_alive(pid)
        assert [mount.login()["policies"] for mount in mounts[1:]] == [["default"]] * 2

        mounts[1].reload()
        assert [mount.login()["policies"] for mount in mounts[1:]] == [["default"]] * 2


# --- crashes -----------------------------------------------------------------------------------


def test_killed_plugin_comes_back_under_load(mount: Mount) -> None:
    """Killed while clients log in, the plugin is started again; few logins fail, nothing stored is lost."""
    config = mount.client.read(f"auth/{mount.path}/config")
    load = LoginLoad(mount)
    with load:
        load.wait_for(LOGINS_EACH_SIDE)
        killed = mount.pid
        os.kill(killed, signal.SIGKILL)
        load.wait_for(load.succeeded + LOGINS_EACH_SIDE)

    assert mount.pid != killed
    assert not load.unexpected
    # Each client may lose the login that was in flight and the one that meets the corpse.
    assert load.failed <= 2 * CLIENTS
    for _ in range(10):
        assert mount.login()["metadata"] == {"role": "dev"}
    assert mount.client.read(f"auth/{mount.path}/config") == config


class LoginLoad:
    """Clients that log in as fast as they can until the context ends."""

    def __init__(self, mount: Mount) -> None:
        self.mount = mount
        self.jwt = mount.issuer.token()
        self.succeeded = 0
        self.failed = 0
        self.unexpected: list[str] = []
        self.changed = threading.Condition()
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self.run) for _ in range(CLIENTS)]

    def __enter__(self) -> None:
        for thread in self.threads:
            thread.start()

    def __exit__(self, *exc_info: object) -> None:
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def run(self) -> None:
        """Log in until told to end. Failing with 500 is what a host does while the plugin is dead."""
        url = f"{self.mount.client.address}/v1/auth/{self.mount.path}/login"
        with httpx.Client(timeout=RESPAWN_SECONDS, trust_env=False) as http:
            while not self.ended.is_set():
                response = http.post(url, json={"role": "dev", "jwt": self.jwt})
                with self.changed:
                    self.succeeded += response.status_code == 200
                    self.failed += response.status_code == 500
                    if response.status_code not in {200, 500}:
                        self.unexpected.append(f"{response.status_code}: {response.text}")
                    self.changed.notify_all()

    def wait_for(self, logins: int) -> None:
        """Return once so many logins have succeeded since the start."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.succeeded >= logins, RESPAWN_SECONDS), (
                f"{self.succeeded} of {logins} logins, {self.failed} failed: {self.unexpected}"
            )


def test_server_restart_keeps_mounts(
    make_server: MakeServer, make_plugin: MakePlugin, issuer: Issuer
) -> None:
    """A restarted server with stored data brings the mount back: config, roles, tokens are as they were."""
    server = make_server(raft=True)
    plugin = make_plugin(server)
    plugin.register(server.client)
    with mount_plugin(server, plugin, issuer) as mount:
        auth = mount.login()
        before = mount.pid

        server.restart()

        assert not is_alive(before)
        assert mount.login()["entity_id"] == auth["entity_id"]
        assert mount.client.read(f"auth/{mount.path}/role/dev")["token_ttl"] == 3600
        renewed = mount.client.write("auth/token/renew", token=auth["client_token"])["auth"]
        assert renewed["metadata"] == {"role": "dev"}


def test_stopped_server_leaves_no_plugin(make_server: MakeServer, issuer: Issuer) -> None:
    """An orderly stop of the server ends the plugin and its private files."""
    server = make_server()
    plugin = our_plugin(server)
    plugin.register(server.client)
    with mount_plugin(server, plugin, issuer) as mount:
        pid = mount.pid

        server.stop()

        assert not is_alive(pid)
        assert not list(server.temporary.iterdir())


def test_killed_server_leaves_no_orphan(make_server: MakeServer, issuer: Issuer) -> None:
    """A server that is killed says nothing; its plugin ends by itself and takes its private files along."""
    server = make_server()
    plugin = our_plugin(server)
    plugin.register(server.client)
    with mount_plugin(server, plugin, issuer) as mount:
        pid = mount.pid
        before = {path.name for path in server.temporary.iterdir()}

        server.kill()

        wait_for_exit(pid, ORPHAN_SECONDS)
    # The dead server's own sockets stay behind; whatever the plugin had is gone.
    wait_until(lambda: own_files(server) < before, "the plugin's files to be gone", timeout=1)


def own_files(server: Server) -> set[str]:
    """Return the names in the server's temporary directory."""
    return {path.name for path in server.temporary.iterdir()}


def test_the_older_protocol_works_too(server: Server, issuer: Issuer) -> None:
    """A host for which the start on protocol 5 failed probes in plaintext, then hands out a certificate."""
    plugin = python_plugin(server.plugin_directory, "older", PROTOCOL_4_LAUNCHER)
    plugin.register(server.client)
    with mount_plugin(server, plugin, issuer) as mount:
        auth = mount.login()
        assert auth["metadata"] == {"role": "dev"}
        renewed = server.client.write("auth/token/renew", token=auth["client_token"])["auth"]
        assert renewed["lease_duration"] == 3600
