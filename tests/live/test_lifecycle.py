"""Versions, many mounts in one process, crashes and restarts of plugins and servers, on a real server."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack

import pytest
from livebed.client import ServerError
from livebed.factories import MakePlugin, MakeServer, our_plugin
from livebed.mounts import Mount, mount_plugin
from livebed.plugins import CURRENT, NEXT, NEXT_LAUNCHER, Plugin, python_plugin
from livebed.processes import is_alive, wait_for_exit, wait_until
from livebed.server import Server
from livebed.tokens import Issuer

ORPHAN_SECONDS = 5.0

DIES_IN_SETUP_LAUNCHER = """
import os, signal
from pathlib import Path
from authkit import serve
from jwt_auth import JWTAuth

class Mortal(JWTAuth, name="jwt_auth", version="0.1.0"):
    def __init__(self, config):
        omen = Path(__file__).with_suffix(".omen")
        if omen.exists():
            omen.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        super().__init__(config)

serve(Mortal)
"""
"""Once, if there is a file beside it."""


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


def test_plugin_that_dies_in_its_setup_needs_a_registration(server: Server, issuer: Issuer) -> None:
    """A server starts it no more, for any mount, until it is registered with another variable."""
    plugin = python_plugin(server.plugin_directory, "mortal", DIES_IN_SETUP_LAUNCHER)
    plugin.register(server.client)
    with mount_plugin(server, plugin, issuer) as mount, mount_plugin(server, plugin, issuer) as other:
        pid = mount.pid
        plugin.file.with_suffix(".omen").touch()
        os.kill(pid, signal.SIGKILL)
        wait_for_exit(pid, timeout=5)

        for each in (mount, other, mount, other):
            with pytest.raises(ServerError):
                each.login()
        assert not server.pids_of(plugin.command)

        plugin.register(server.client, env=["STARTED_AGAIN=1"])
        assert [each.login()["policies"] for each in (mount, other)] == [["default"]] * 2
        assert mount.pid == other.pid


def test_the_older_protocol_works_too(server: Server, issuer: Issuer) -> None:
    """A host for which the start on protocol 5 failed probes in plaintext, then hands out a certificate."""
    plugin = python_plugin(server.plugin_directory, "older", PROTOCOL_4_LAUNCHER)
    plugin.register(server.client)
    with mount_plugin(server, plugin, issuer) as mount:
        auth = mount.login()
        assert auth["metadata"] == {"role": "dev"}
        renewed = server.client.write("auth/token/renew", token=auth["client_token"])["auth"]
        assert renewed["lease_duration"] == 3600
