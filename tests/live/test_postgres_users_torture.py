"""Whatever is killed while users are made: afterwards each user has a lease, or is gone."""

from __future__ import annotations

import os

import pytest
from database_servers import ROOT_PASSWORD, run_postgresql, why_no_postgresql
from livebed.breakdowns import KINDS, EngineBreakdowns, seeded_chance
from livebed.factories import MakeServer

RUNS = int(os.environ.get("AUTHKIT_TORTURE_RUNS", "12"))
"""Kills in all; 50 and more find what is rare."""


def test_every_user_has_a_lease_or_is_gone(make_server: MakeServer) -> None:
    """SIGKILL for plugin, server and database, and clients that go, between "user made" and "answer sent"."""
    reason = why_no_postgresql()
    if reason:
        pytest.skip(reason)
    chance = seeded_chance()
    server = make_server(raft=True)
    with run_postgresql() as database, EngineBreakdowns.enabled(server, database, chance) as torn:
        for number in range(RUNS):
            torn.run(KINDS[number % len(KINDS)])
        made, pending = set(torn.mount.users()), torn.pending()
        torn.roll_back()
        kept = set(torn.mount.users())
        told = {answer["data"]["username"] for answer in torn.answers}
        print(
            f"{RUNS} breakdowns: {len(made)} users, {len(told)} told to clients, {len(pending)} entries to "
            f"decide; rolled back: {len(made - told - kept)} nobody knew, {len(told - kept)} somebody knew"
        )
        assert torn.find_orphans() == []
        log = server.log()
        assert not [secret for secret in (ROOT_PASSWORD, *torn.mount.client.secrets) if secret in log]
