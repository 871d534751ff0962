"""The plugin is reloaded, or another server takes over, while somebody is at the provider."""

from __future__ import annotations

from dataclasses import replace

import pytest
from livebed.cluster import Cluster
from livebed.factories import MakePlugin
from livebed.mounts import Mount, mount_plugin
from livebed.oidc_cli import OIDCCommand, free_callback
from livebed.oidc_mount import OIDC_PLUGINS, check_owner, let_people_in
from livebed.oidc_person import Person
from livebed.oidc_provider import OIDCProvider
from livebed.tokens import Issuer

pytestmark = pytest.mark.parametrize("make_plugin", OIDC_PLUGINS, indirect=True)


def check_end(command: OIDCCommand, mount: Mount) -> None:
    """The login has ended well; the official plugin keeps logins in one process's memory and has lost it."""
    if mount.is_peer:
        assert command.wait() != 0
        assert "Vault login failed. Expired or missing OAuth state." in command.printed()
    else:
        check_owner(mount, command.auth(), "ann")


def test_reload_in_mid_login(mount: Mount, oidc_provider: OIDCProvider) -> None:
    """Somebody has signed in at the provider; the plugin's process is a new one when they come back."""
    port, callback = free_callback()
    let_people_in(mount, oidc_provider, callback)
    with OIDCCommand(mount.client, mount.path, port, role="people") as command, Person(oidc_provider) as ann:
        back = ann.log_in(command.url())
        before = mount.pid
        mount.reload()
        assert mount.pid != before
        ann.go_to_command(back)
        check_end(command, mount)


def test_fail_over_in_mid_login(
    cluster: Cluster, make_plugin: MakePlugin, issuer: Issuer, oidc_provider: OIDCProvider
) -> None:
    """The command goes on asking the server that it has begun with, which only stands by in the end."""
    plugin = cluster.install(make_plugin)
    port, callback = free_callback()
    with mount_plugin(cluster.active, plugin, issuer) as mount:
        let_people_in(mount, oidc_provider, callback)
        with (
            OIDCCommand(mount.client, mount.path, port, role="people") as command,
            Person(oidc_provider) as ann,
        ):
            back = ann.log_in(command.url())
            next_one = cluster.step_down()
            assert next_one is not mount.server
            ann.go_to_command(back)
            check_end(command, replace(mount, server=next_one))
