"""Mounts that are moved while they are used, and what is left of a move after a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path

from conformance.answers import Answers
from conformance.issuer import Issuer
from running_core import Host, running

from authkit.host.server import moves
from authkit.host.store.storage import SQLiteStorage
from authkit.logical import BackendFactory, BackendType, Operation, Request, Response

RECIPE = {"data": {"password": "pass-4711"}, "secret": {"ttl": "1h"}}


class Slow:
    """Backends whose requests to `slow` wait for the test."""

    def __init__(self, kind: type[Answers]) -> None:
        self.entered, self.gate = asyncio.Event(), asyncio.Event()
        slow = self

        class Backend(kind):  # type: ignore[misc, valid-type]
            async def handle_request(self, request: Request) -> Response | None:
                if request.path.endswith("slow") and request.operation is Operation.UPDATE:
                    slow.entered.set()
                    await slow.gate.wait()
                response: Response | None = await super().handle_request(request)
                return response

        is_engine = issubclass(kind, Issuer)
        self.factory = BackendFactory(
            build=Backend, backend_type=BackendType.LOGICAL if is_engine else BackendType.CREDENTIAL
        )


async def begin(host: Host, source: str, target: str) -> str:
    """Begin to move a mount; return the path of its status."""
    body = await host.ok("POST", "sys/remount", {"from": source, "to": target})
    return f"sys/remount/status/{body['data']['migration_id']}"


async def end(host: Host, path: str) -> str:
    """Return how a move has ended."""
    while True:
        status: str = (await host.ok("GET", path))["data"]["migration_info"]["status"]
        if status != "in-progress":
            return status
        await asyncio.sleep(0)


async def test_a_moved_mount_is_there_after_a_restart(tmp_path: Path) -> None:
    """With its storage; the plugin is not started anew by the move."""
    async with running(Issuer.factory(), storage=SQLiteStorage(tmp_path / "data")) as host:
        await host.ok("POST", "a/kv/x", {"value": "1"})
        backend = next(iter(host.core.state.mounts)).backend
        assert await end(host, await begin(host, "a", "b")) == "success"
        (mount,) = host.core.state.mounts
        assert (mount.entry.route, mount.backend, len(host.plugins)) == ("b/", backend, 1)
    async with running(Issuer.factory(), storage=SQLiteStorage(tmp_path / "data"), mounted=False) as host:
        assert (await host.ok("GET", "b/kv/x"))["data"] == {"value": "1"}
        assert (await host.ask("GET", "a/kv/x")).status == 404


async def test_a_secret_that_is_being_issued_is_revoked() -> None:
    """The move waits for it; requests that come meanwhile are refused."""
    slow = Slow(Issuer)
    async with running(slow.factory) as host:
        issuing = asyncio.create_task(host.ok("POST", "a/creds/slow", RECIPE))
        await slow.entered.wait()
        status = await begin(host, "a", "b")
        while not host.core.state.mounts.match("a/").is_tainted:  # type: ignore[union-attr]
            await asyncio.sleep(0)
        late = await host.ask("POST", "a/do", {})
        assert (late.status, "route entry is tainted" in str(late.body)) == (404, True)
        slow.gate.set()
        await issuing
        assert await end(host, status) == "success"
        assert list(host.core.state.leases) == []
        asked = (await host.ok("GET", "b/asked"))["data"]["asked"]
        assert [(each["operation"], each["mount_point"]) for each in asked] == [("revoke", "a/")]


async def test_a_login_at_the_old_path_makes_no_token() -> None:
    """Its tokens were revoked already; a lease below a path that nobody serves could never be renewed."""
    slow = Slow(Answers)
    async with running(slow.factory) as host:
        body = {"auth": {"policies": ["default"]}}
        login = asyncio.create_task(host.ask("POST", "auth/a/open/slow", body, token=""))
        await slow.entered.wait()
        status = await begin(host, "auth/a", "auth/b")
        mount = host.core.state.mounts.find("auth/a/")
        assert mount is not None
        while not mount.is_tainted:
            await asyncio.sleep(0)
        assert (await host.ok("GET", status))["data"]["migration_info"]["status"] == "in-progress"
        slow.gate.set()
        refused = await login
        assert refused.status == 404
        assert await end(host, status) == "success"
        assert [token.path for token in host.core.state.tokens] == ["auth/token/create"]


async def test_a_mount_is_moved_once() -> None:
    """Of two moves at once one fails, and leaves the mount as the other has made it."""
    async with running(Issuer.factory()) as host:
        both = [await begin(host, "a", target) for target in ("b", "c")]
        assert sorted([await end(host, each) for each in both]) == ["failure", "success"]
        (mount,) = host.core.state.mounts
        await host.ok("POST", f"{mount.entry.route}do", {})


async def test_a_host_may_stop_during_a_move() -> None:
    """It waits for nothing."""
    slow = Slow(Issuer)
    async with running(slow.factory) as host:
        issuing = asyncio.create_task(host.ask("POST", "a/creds/slow", RECIPE))
        await slow.entered.wait()
        await begin(host, "a", "b")
        await host.core.moves.stop()
        slow.gate.set()
        assert (await issuing).status == 200


async def test_old_moves_are_forgotten(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """A host that is asked for many keeps the last."""
    monkeypatch.setattr(moves, "MAX_KEPT", 2)
    async with running(Issuer.factory()) as host:
        paths = [await begin(host, "a/below", "b") for _ in range(3)]
        answers = [(await host.ask("GET", path)).status for path in paths]
        assert answers == [404, 200, 200]
