"""Logins go on when another server of the cluster takes over."""

from __future__ import annotations

from dataclasses import replace

from livebed.cluster import Cluster
from livebed.factories import MakePlugin
from livebed.mounts import mount_plugin
from livebed.tokens import Issuer


def test_login_before_and_after_a_fail_over(
    cluster: Cluster, make_plugin: MakePlugin, issuer: Issuer
) -> None:
    """The next node starts the plugin itself, from what the last one has stored; tokens stay alive."""
    plugin = cluster.install(make_plugin)
    first = cluster.active
    with mount_plugin(first, plugin, issuer) as mount:
        before = mount.login()
        second = cluster.step_down()
        assert second is not first
        moved = replace(mount, server=second)
        after = moved.login()
        assert after["entity_id"] == before["entity_id"]
        assert moved.renew(before)["auth"]["client_token"] == before["client_token"]
        moved.write_role("late")
        assert moved.login("late")["metadata"] == {"role": "late"}
        assert second.pids_of(plugin.command)
        # Whoever asks a node that stands by is none the wiser.
        assert len(cluster.standbys) == cluster.size - 1
        for node in cluster.standbys:
            assert replace(mount, server=node).login()["entity_id"] == before["entity_id"]
