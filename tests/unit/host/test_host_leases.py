"""Leases of secrets beyond what a client sees of them: storage, restarts, faults, and what is under way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from conformance.issuer import Issuer
from running_core import Host, running

from authkit.host.store.storage import InMemoryPhysicalStorage
from authkit.logical import BackendFactory, BackendType, Operation, Request, Response
from authkit.testing import MovableClock
from authkit.values import replace

RECIPE = {"data": {"password": "pass-4711"}, "secret": {"ttl": "1h"}}


class Storage(InMemoryPhysicalStorage):
    """Storage that outlives a host, and may refuse leases or take its time for them."""

    def __init__(self) -> None:
        super().__init__()
        self.refuses_leases = False
        self.storing, self.may_store = asyncio.Event(), asyncio.Event()
        self.may_store.set()

    async def apply(self, changes: Mapping[str, bytes | None]) -> None:
        """Store and remove."""
        if any(key.startswith("core/lease/") for key in changes):
            if self.refuses_leases:
                raise OSError("the disk is full")
            self.storing.set()
            await self.may_store.wait()
        await super().apply(changes)


class Held:
    """Engines whose requests of one operation wait for the test."""

    def __init__(self, operation: Operation) -> None:
        self.entered, self.gate = asyncio.Event(), asyncio.Event()
        self.revoked: list[str] = []
        held = self

        class Engine(Issuer):
            async def handle_request(self, request: Request) -> Response | None:
                if request.operation is Operation.REVOKE:
                    held.revoked.append(request.path)
                if request.operation is operation:
                    held.entered.set()
                    await held.gate.wait()
                return await super().handle_request(request)

        self.factory = BackendFactory(build=Engine, backend_type=BackendType.LOGICAL)


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    """A host with an engine at `a/` and a clock that moves."""
    async with running(Issuer.factory(), clock=MovableClock(), works_by_itself=False) as started:
        yield started


async def issue(host: Host, token: str = "root") -> str:
    """Issue a secret; return the id of its lease."""
    lease_id: str = (await host.ok("POST", "a/creds/x", RECIPE, token))["lease_id"]
    return lease_id


async def asked(host: Host) -> list[dict[str, Any]]:
    """Return what the engine was asked about leases."""
    found: list[dict[str, Any]] = (await host.ok("GET", "a/asked"))["data"]["asked"]
    return found


async def test_what_cannot_be_kept_is_revoked_at_once() -> None:
    """The client is told of an error, and the engine to revoke what it has issued."""
    storage = Storage()
    async with running(Issuer.factory(), storage=storage) as host:
        storage.refuses_leases = True
        answer = await host.ask("POST", "a/creds/x", RECIPE)
        assert answer.status == 500
        assert [each["operation"] for each in await asked(host)] == ["revoke"]
        assert list(host.core.state.leases) == []


async def test_leases_survive_a_restart() -> None:
    """With what the engine needs to revoke them."""
    storage, clock = Storage(), MovableClock()
    options: dict[str, Any] = {"storage": storage, "clock": clock, "works_by_itself": False}
    async with running(Issuer.factory(), **options) as host:
        lease_id = await issue(host)
    async with running(Issuer.factory(), mounted=False, **options) as host:
        await host.ok("PUT", "sys/leases/lookup", {"lease_id": lease_id})
        clock.tick("2h")
        await host.core.run_due_work()
        (revoked,) = await asked(host)
        assert (revoked["own"], revoked["data"]) == ("kept", {"password": "pass-4711"})


async def test_leases_of_a_token_that_is_gone_end_at_the_next_start() -> None:
    """A host that ends between the two revokes them when it is back."""
    storage, clock = Storage(), MovableClock()
    options: dict[str, Any] = {"storage": storage, "clock": clock, "works_by_itself": False}
    async with running(Issuer.factory(), **options) as host:
        token = (await host.ok("POST", "auth/token/create", {}))["auth"]["client_token"]
        await issue(host, token)
        await host.ok("POST", "auth/token/revoke", {"token": token})
    async with running(Issuer.factory(), mounted=False, **options) as host:
        await host.core.run_due_work()
        assert [each["operation"] for each in await asked(host)] == ["revoke"]


async def test_no_secret_is_shown_of_a_lease(host: Host) -> None:
    """Not in its representation."""
    lease = host.core.state.leases.find(await issue(host))
    assert lease is not None
    assert "pass-4711" not in repr(lease)
    assert "kept" not in repr(lease)


async def test_key_value_stores_have_no_leases_unless_told() -> None:
    """As those of a server: a mount of that name shows a TTL alone."""
    async with running(Issuer.factory(), name="kv") as host:
        body = await host.ok("POST", "a/creds/x", RECIPE)
        assert (body["lease_id"], body["renewable"], body["lease_duration"]) == ("", False, 3600)
        await host.ok("POST", "sys/mounts/b", {"type": "kv", "options": {"leased_passthrough": "true"}})
        body = await host.ok("POST", "b/creds/x", RECIPE)
        assert body["lease_id"].startswith("b/creds/x/")


async def test_tidying_revokes_what_has_lost_its_token(host: Host) -> None:
    """And leaves everything else."""
    kept = await issue(host)
    lost = await issue(host)
    await host.core.state.leases.change(lost, token="gone")
    await host.ok("PUT", "sys/leases/tidy")
    assert [lease.id for lease in host.core.state.leases] == [kept]


async def test_unmounting_waits_for_what_is_being_issued() -> None:
    """Else it would be neither given to a client nor revoked."""
    held = Held(Operation.UPDATE)
    async with running(held.factory) as host:
        issuing = asyncio.create_task(host.ask("POST", "a/creds/x", RECIPE))
        await held.entered.wait()
        unmounting = asyncio.create_task(host.ask("DELETE", "sys/mounts/a"))
        await asyncio.sleep(0)
        held.gate.set()
        assert (await issuing).status == 200
        assert (await unmounting).status == 204
        assert held.revoked == ["creds/x"]


async def test_a_mount_that_hangs_holds_up_no_other() -> None:
    """The leases of another are revoked meanwhile."""
    hanging = asyncio.Event()

    class Hanging(Issuer):
        async def handle_request(self, request: Request) -> Response | None:
            if request.secret is not None and request.mount_point == "a/":
                await hanging.wait()
            return await super().handle_request(request)

    factory = BackendFactory(build=Hanging, backend_type=BackendType.LOGICAL)
    async with running(factory, clock=MovableClock()) as host:
        await host.ok("POST", "sys/mounts/b", {"type": "answers"})
        for mount in ("a", "b"):
            body = await host.ok("POST", f"{mount}/creds/x", RECIPE)
            await host.ok("PUT", "sys/leases/revoke", {"lease_id": body["lease_id"], "sync": False})
        while (
            await host.ok("GET", "b/asked") is None or not (await host.ok("GET", "b/asked"))["data"]["asked"]
        ):
            await asyncio.sleep(0)
        assert [lease.path for lease in host.core.state.leases] == ["a/creds/x"]


async def test_a_failed_token_revocation_leaves_its_leases() -> None:
    """Token and leases stay or go together."""
    storage = Storage()
    async with running(Issuer.factory(), storage=storage, works_by_itself=False) as host:
        token = (await host.ok("POST", "auth/token/create", {}))["auth"]["client_token"]
        lease_id = await issue(host, token)
        before = host.core.state.leases.find(lease_id)
        original = storage.apply

        async def fail(changes: Mapping[str, bytes | None]) -> None:
            raise OSError("the disk is full")

        storage.apply = fail  # type: ignore[method-assign]
        assert (await host.ask("POST", "auth/token/revoke", {"token": token})).status == 500
        storage.apply = original  # type: ignore[method-assign]
        assert host.core.state.leases.find(lease_id) == before


async def test_what_is_issued_to_a_token_that_ends_meanwhile_is_revoked() -> None:
    """The token is revoked while the engine is at work."""
    held = Held(Operation.UPDATE)
    async with running(held.factory, works_by_itself=False) as host:
        token = (await host.ok("POST", "auth/token/create", {}))["auth"]["client_token"]
        issuing = asyncio.create_task(host.ask("POST", "a/creds/x", RECIPE, token))
        await held.entered.wait()
        await host.ok("POST", "auth/token/revoke", {"token": token})
        held.gate.set()
        await issuing
        await host.core.run_due_work()
        assert held.revoked == ["creds/x"]


async def test_a_renewal_does_not_outlive_its_token() -> None:
    """The token is revoked while the engine renews."""
    held = Held(Operation.RENEW)
    async with running(held.factory, works_by_itself=False) as host:
        token = (await host.ok("POST", "auth/token/create", {}))["auth"]["client_token"]
        body = {"lease_id": await issue(host, token)}
        renewing = asyncio.create_task(host.ask("PUT", "sys/leases/renew", body))
        await held.entered.wait()
        await host.ok("POST", "auth/token/revoke", {"token": token})
        held.gate.set()
        await renewing
        await host.core.run_due_work()
        assert held.revoked == ["creds/x"]


async def test_a_lease_that_is_renewed_at_the_last_moment_lives_on() -> None:
    """It is due while its engine is asked; the client is told that it was renewed."""
    held, clock = Held(Operation.RENEW), MovableClock()
    async with running(held.factory, clock=clock, works_by_itself=False) as host:
        recipe = {"secret": {"ttl": "1h", "renew": {"ttl": "1h"}}}
        lease_id = (await host.ok("POST", "a/creds/x", recipe))["lease_id"]
        renewing = asyncio.create_task(host.ask("PUT", "sys/leases/renew", {"lease_id": lease_id}))
        await held.entered.wait()
        clock.tick("61m")
        working = asyncio.create_task(host.core.run_due_work())
        await asyncio.sleep(0)
        held.gate.set()
        assert (await renewing).status == 200
        await working
        assert held.revoked == []
        clock.tick("61m")
        await host.core.run_due_work()
        assert held.revoked == ["creds/x"]


async def test_an_auth_method_is_removed_with_the_leases_that_it_has_issued() -> None:
    """A server gives a lease to whatever mount issues a secret."""
    held = Held(Operation.ROLLBACK)
    factory = replace(held.factory, backend_type=BackendType.CREDENTIAL)
    async with running(factory) as host:
        await host.ok("POST", "auth/a/creds/x", RECIPE)
        await host.ok("DELETE", "sys/auth/a")
        assert held.revoked == ["creds/x"]


async def test_a_client_that_goes_away_leaves_a_lease_that_ends() -> None:
    """While the lease, or its renewal, is being stored."""
    storage, clock = Storage(), MovableClock()
    async with running(Issuer.factory(), storage=storage, clock=clock, works_by_itself=False) as host:
        for method, path, body in (
            ("POST", "a/creds/x", RECIPE),
            ("PUT", "sys/leases/renew", {"lease_id": "", "increment": "2h"}),
        ):
            for lease in host.core.state.leases:
                body = {**body, "lease_id": lease.id}
            storage.may_store.clear()
            asking = asyncio.create_task(host.ask(method, path, body))
            await storage.storing.wait()
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            storage.storing.clear()
        storage.may_store.set()
        clock.tick("61m")
        await host.core.run_due_work()
        assert [each["operation"] for each in await asked(host)] == ["renew"]
        clock.tick("61m")
        await host.core.run_due_work()
        assert [each["operation"] for each in await asked(host)] == ["renew", "revoke"]
