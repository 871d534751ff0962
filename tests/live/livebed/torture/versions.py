"""A mount is reloaded, upgraded and downgraded while clients use it: only requests in flight may notice."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from database_servers import run_postgresql, why_no_postgresql

from livebed.factories import our_plugin
from livebed.mounts import Mount, open_mount
from livebed.plugins import CURRENT, NEXT, NEXT_LAUNCHER, python_plugin
from livebed.postgres import PostgresMount, postgres_mount
from livebed.tokens import usual_issuer
from livebed.torture.bed import Bed
from livebed.torture.clients import LoginLoad, describe_refusals
from livebed.torture.leases import LeaseLoad
from livebed.torture.objects import count_lost, read_objects, write_objects
from livebed.torture.rows import Row, Size

__all__ = ["change_engine_versions", "change_versions", "why_no_postgresql"]

BETWEEN = 30
"""Logins between two changes."""
FIRST_ENGINE, NEXT_ENGINE = "v0.2.0-dev", "v0.3.0"
NEXT_ENGINE_LAUNCHER = """
from authkit import serve
from postgres_users import PostgresUsers

class Next(PostgresUsers, name="postgres_users", version="0.3.0"):
    \"\"\"The next release.\"\"\"

serve(Next)
"""

Moments = list[tuple[float, float]]
"""When each change began and ended, of `time.monotonic()`."""


def change_versions(bed: Bed, size: Size) -> Sequence[Row]:
    """Reload an auth method `size.count` times; then as often go up and down a version."""
    server = bed.start_server()
    current = our_plugin(server)
    following = python_plugin(server.plugin_directory, "jwt_auth", NEXT_LAUNCHER, command="jwt_auth_next")
    current.register(server.client, version=CURRENT)
    following.register(server.client, version=NEXT)
    mount = open_mount(server, current, usual_issuer(), plugin_version=CURRENT)
    write_objects(mount)
    changes: dict[str, list[str]] = {
        "reloaded": [""] * size.count,
        "upgraded and downgraded": [NEXT, CURRENT] * size.count,
    }
    return [change(mount, what, versions, size) for what, versions in changes.items()]


def change(mount: Mount, what: str, versions: Sequence[str], size: Size) -> Row:
    """Move a mount to one version after the other, reloaded only where there is none."""
    kept, moments = read_objects(mount), Moments()
    with LoginLoad(mount, size.clients) as load:
        for version in versions:
            load.wait_for_logins(BETWEEN)
            began = time.monotonic()
            if version:
                mount.tune(plugin_version=version)
            mount.reload()
            moments.append((began, time.monotonic()))
            expected = version or CURRENT
            running = mount.client.read("sys/auth")[f"{mount.path}/"]["running_plugin_version"]
            assert running == expected, f"{running} runs, not {expected}"
        load.wait_for_logins(BETWEEN)
    failed = [outcome for outcome in load.outcomes if not outcome.succeeded]
    beyond = [each for each in failed if not any(each.overlaps(*moment) for moment in moments)]
    return Row(
        f"{size.clients} clients log in",
        f"{what}, {len(versions)} times",
        {
            "logins": load.succeeded,
            "failed in flight": len(failed) - len(beyond),
            "with": describe_refusals(failed),
            "slowest, s": round(load.slowest(), 2),
            "longest change, s": longest(moments),
        },
        {
            "failed logins that were not in flight": len(beyond),
            "objects": count_lost(kept, read_objects(mount)),
        },
    )


def change_engine_versions(bed: Bed, size: Size) -> Sequence[Row]:
    """Reload a secrets engine `size.count` times, upgrade it half-way and downgrade it at the end."""
    server = bed.start_server()
    database = bed.stack.enter_context(run_postgresql())
    postgres = bed.stack.enter_context(postgres_mount(server, database))
    postgres.plugin.register(server.client, version=FIRST_ENGINE)
    following = python_plugin(
        server.plugin_directory,
        "postgres_users",
        NEXT_ENGINE_LAUNCHER,
        command="postgres_next",
        kind="secret",
    )
    following.register(server.client, version=NEXT_ENGINE)
    versions = [""] * size.count + [NEXT_ENGINE] + [""] * size.count + [FIRST_ENGINE]
    load, moments = LeaseLoad(postgres, size.clients), Moments()
    with load.running():
        for version in versions:
            load.advance()
            moments.append(timed(partial(move_engine, postgres, version)))
        load.advance()
    beyond = [each for each in load.failures if not any(each.overlaps(*moment) for moment in moments)]
    server.client.write(f"sys/leases/revoke-prefix/{postgres.path}", sync=True)
    row = Row(
        f"{size.clients} clients have PostgreSQL users made, log in with them, renew and revoke",
        f"the engine reloaded {len(versions)} times, upgraded, and downgraded",
        {
            "users": load.done,
            "failed in flight": len(load.failures) - len(beyond),
            "with": describe_refusals(load.failures),
            "longest change, s": longest(moments),
        },
        {
            "failed requests that were not in flight": len(beyond),
            "users that cannot log in": len(load.useless),
            "users without a lease": len(postgres.users()),
        },
    )
    return [row]


def move_engine(postgres: PostgresMount, version: str) -> None:
    """Reload the engine, with another version if one is named."""
    client, path = postgres.client, postgres.path
    if version:
        client.write(f"sys/mounts/{path}/tune", plugin_version=version)
    client.call("PUT", "sys/plugins/reload/backend", {"mounts": [f"{path}/"]})
    if version:
        running = client.read("sys/mounts")[f"{path}/"]["running_plugin_version"]
        assert running == version, f"{running} runs, not {version}"


def timed(call: Callable[[], None]) -> tuple[float, float]:
    """Return when a call began and ended."""
    began = time.monotonic()
    call()
    return began, time.monotonic()


def longest(moments: Moments) -> float:
    """Return the seconds of the longest change."""
    return round(max(ended - began for began, ended in moments), 2)
