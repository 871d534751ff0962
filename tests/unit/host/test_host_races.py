"""What happens at the same moment: requests beside others, clients that hang up, storage that is slow."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Mapping
from typing import Any

import pytest
from conformance.answers import Answers
from running_core import Host, running

from authkit.host.store.storage import InMemoryPhysicalStorage
from authkit.logical import Operation, Request, Response
from authkit.testing import MovableClock


class Paused(Answers):
    """Waits in the middle of a login or a renewal until it is told to go on."""

    entered = asyncio.Event()
    leave = asyncio.Event()

    async def handle_request(self, request: Request) -> Response | None:
        """Wait where that was asked for."""
        if request.operation is Operation.RENEW or request.data.get("pause"):
            self.entered.set()
            await self.leave.wait()
        return await super().handle_request(request)


@pytest.fixture
def paused() -> type[Paused]:
    """The class with fresh events."""
    Paused.entered, Paused.leave = asyncio.Event(), asyncio.Event()
    return Paused


async def test_a_token_revoked_during_its_renewal(paused: type[Paused]) -> None:
    """It stays revoked, whatever its backend then says."""
    async with running(paused.factory()) as host:
        grant = await host.login(ttl="1h")
        renewal = asyncio.create_task(host.ask("POST", "auth/token/renew", {"token": grant["client_token"]}))
        await paused.entered.wait()
        await host.ok("POST", "auth/token/revoke", {"token": grant["client_token"]})
        paused.leave.set()
        assert (await renewal).status == 400
        assert (await host.ask("POST", "auth/token/lookup", {"token": grant["client_token"]})).status == 403


async def test_a_mount_disabled_during_a_login(paused: type[Paused]) -> None:
    """No token comes out of a mount that is gone."""
    async with running(paused.factory()) as host:
        body = {"auth": {"ttl": "1h"}, "pause": True}
        login = asyncio.create_task(host.ask("POST", "auth/a/login", body, token=""))
        await paused.entered.wait()
        disabling = asyncio.create_task(host.ok("DELETE", "sys/auth/a"))
        await asyncio.sleep(0)
        paused.leave.set()
        assert (await login).status == 404
        await disabling
        assert len((await host.ok("LIST", "auth/token/accessors"))["data"]["keys"]) == 1


class GatedStorage(InMemoryPhysicalStorage):
    """Writes in order, while the gate is open. It outlives the core that closes it."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()
        self.failures = 0
        """How many of the next writes fail."""
        self._order = asyncio.Lock()

    async def apply(self, changes: Mapping[str, bytes | None]) -> None:
        """Write, whatever becomes of the caller."""
        await asyncio.shield(asyncio.ensure_future(self._write(dict(changes))))

    async def _write(self, changes: Mapping[str, bytes | None]) -> None:
        async with self._order:
            await self.gate.wait()
            if self.failures:
                self.failures -= 1
                raise OSError(errno.ENOSPC, "No space left on device")
            self.take(changes)


async def wait_a_moment() -> None:
    """Let everything go on that can."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_a_child_of_a_token_that_is_being_revoked() -> None:
    """It does not outlive its parent, at whichever moment it is made."""
    storage = GatedStorage()
    async with running(storage=storage) as host:
        rule = 'path "auth/token/create" { capabilities = ["update"] }'
        await host.ok("PUT", "sys/policies/acl/p", {"policy": rule})
        parent = (await host.login(ttl="1h", policies=["p"]))["client_token"]
        storage.gate.clear()
        making = asyncio.create_task(host.ok("POST", "auth/token/create", {"ttl": "1h"}, token=parent))
        await wait_a_moment()
        revoking = asyncio.create_task(host.ok("POST", "auth/token/revoke", {"token": parent}))
        await wait_a_moment()
        storage.gate.set()
        child = (await making)["auth"]["client_token"]
        await revoking
        assert (await host.ask("GET", "auth/token/lookup-self", token=child)).status == 403


async def test_what_is_removed_stays_so_whatever_happens_meanwhile() -> None:
    """A token that is renewed or used while it is revoked, an entity or group while it is deleted."""
    storage = GatedStorage()
    async with running(storage=storage) as host:
        grant = await host.login(ttl="1h", alias={"name": "bob", "metadata": {"a": "1"}})
        counted = (await host.login(ttl="1h", num_uses=9))["client_token"]
        body = {"name": "g", "type": "external", "policies": ["p"]}
        group = (await host.ok("POST", "identity/group", body))["data"]["id"]
        accessor = (await host.ok("GET", "sys/auth/a"))["accessor"]
        alias = {"name": "devs", "mount_accessor": accessor, "canonical_id": group}
        await host.ok("POST", "identity/group-alias", alias)
        storage.gate.clear()
        tokens = [{"token": text} for text in (grant["client_token"], counted)]
        paths = [f"identity/entity/id/{grant['entity_id']}", f"identity/group/id/{group}"]
        removals = [host.ok("POST", "auth/token/revoke", each) for each in tokens]
        removals += [host.ok("DELETE", path) for path in paths]
        removing = [asyncio.create_task(each) for each in removals]
        await wait_a_moment()
        again = host.login(ttl="1h", alias={"name": "bob", "metadata": {"a": "2"}}, groups=["devs"])
        meanwhile = [
            asyncio.ensure_future(again),
            asyncio.create_task(host.ask("POST", "auth/token/renew-self", {}, token=grant["client_token"])),
            asyncio.create_task(host.ask("GET", "auth/token/lookup-self", token=counted)),
        ]
        await wait_a_moment()
        storage.gate.set()
        await asyncio.gather(*removing, *meanwhile)
    async with running(storage=storage, mounted=False) as host:
        for body in tokens:
            assert (await host.ask("POST", "auth/token/lookup", body)).status == 403
        for path in paths:
            assert (await host.ask("GET", path)).status == 404


async def test_a_change_whose_client_has_gone() -> None:
    """A revocation and the end of a policy are none the less one."""
    storage = GatedStorage()
    async with running(storage=storage) as host:
        rule = 'path "auth/a/*" { capabilities = ["create", "update"] }'
        await host.ok("PUT", "sys/policies/acl/p", {"policy": rule})
        token, other = [(await host.login(ttl="1h", policies=["p"]))["client_token"] for _ in range(2)]
        storage.gate.clear()
        changes = [
            asyncio.create_task(host.ask("POST", "auth/token/revoke", {"token": token})),
            asyncio.create_task(host.ask("DELETE", "sys/policies/acl/p")),
        ]
        await wait_a_moment()
        for each in changes:
            each.cancel()
        await asyncio.gather(*changes, return_exceptions=True)
        storage.gate.set()
        assert (await host.ask("POST", "auth/token/lookup", {"token": token})).status == 403
        assert (await host.ask("POST", "auth/a/do", {"data": {"a": 1}}, token=other)).status == 403


async def test_policies_of_a_group_that_change_during_a_login() -> None:
    """A login that takes its user out of groups writes what an operator has written meanwhile."""
    storage = GatedStorage()
    async with running(storage=storage) as host:
        accessor = (await host.ok("GET", "sys/auth/a"))["accessor"]
        ids = []
        for name in ("one", "two"):
            body = {"name": name, "type": "external", "policies": ["strong"]}
            ids.append((await host.ok("POST", "identity/group", body))["data"]["id"])
            alias = {"name": name, "mount_accessor": accessor, "canonical_id": ids[-1]}
            await host.ok("POST", "identity/group-alias", alias)
        await host.login(alias="bob", groups=["one", "two"])
        storage.gate.clear()
        login = asyncio.ensure_future(host.login(alias="bob"))
        await wait_a_moment()
        weaker = {"policies": ["weak"]}
        writing = asyncio.create_task(host.ok("POST", f"identity/group/id/{ids[1]}", weaker))
        await wait_a_moment()
        storage.gate.set()
        await asyncio.gather(login, writing)
        found = (await host.ok("GET", f"identity/group/id/{ids[1]}"))["data"]
        assert (found["policies"], found["member_entity_ids"]) == (["weak"], [])


async def test_a_mount_tuned_while_it_is_disabled() -> None:
    """It is not back after a restart."""
    storage = GatedStorage()
    async with running(storage=storage) as host:
        storage.gate.clear()
        disabling = asyncio.create_task(host.ok("DELETE", "sys/auth/a"))
        await wait_a_moment()
        tuning = asyncio.create_task(host.ask("POST", "sys/auth/a/tune", {"description": "x"}))
        await wait_a_moment()
        storage.gate.set()
        await disabling
        assert (await tuning).status == 400
    async with running(storage=storage, mounted=False) as host:
        assert "a/" not in (await host.ok("GET", "sys/auth"))["data"]


async def hang_up(storage: GatedStorage, *asked: asyncio.Future[Any]) -> None:
    """Go away as a client does, before what was asked for is stored."""
    await wait_a_moment()
    for each in asked:
        each.cancel()
    await wait_a_moment()
    storage.gate.set()
    await asyncio.gather(*asked, return_exceptions=True)


async def make_external_group(host: Host, name: str, mount_accessor: str) -> tuple[str, str]:
    """Make a group that gives the policy of its name; return its id and that of its alias."""
    body = {"name": name, "type": "external", "policies": [name]}
    group = (await host.ok("POST", "identity/group", body))["data"]["id"]
    alias = {"name": name, "mount_accessor": mount_accessor, "canonical_id": group}
    return group, (await host.ok("POST", "identity/group-alias", alias))["data"]["id"]


@pytest.mark.parametrize("is_deleted", [True, False])
async def test_a_group_that_changes_while_it_gets_an_alias(is_deleted: bool) -> None:
    """The alias comes from another group; the change of the operator counts."""
    storage = GatedStorage()
    async with running(storage=storage) as host:
        accessor = (await host.ok("GET", "sys/auth/a"))["accessor"]
        _, alias = await make_external_group(host, "one", accessor)
        group, _ = await make_external_group(host, "two", accessor)
        path = f"identity/group/id/{group}"
        storage.gate.clear()
        body = {"id": alias, "name": "one", "mount_accessor": accessor, "canonical_id": group}
        moving = asyncio.create_task(host.ask("POST", "identity/group-alias", body))
        await wait_a_moment()
        change = ("DELETE", path, None) if is_deleted else ("POST", path, {"policies": ["weak"]})
        changing = asyncio.create_task(host.ok(*change))
        await wait_a_moment()
        storage.gate.set()
        await asyncio.gather(moving, changing)
        found = await host.ask("GET", path)
        assert found.status == 404 if is_deleted else found.body["data"]["policies"] == ["weak"]


async def test_a_login_hung_up_while_groups_change() -> None:
    """Its user has the groups of before or of now, never both."""
    storage = GatedStorage()
    async with running(storage=storage) as host:
        accessor = (await host.ok("GET", "sys/auth/a"))["accessor"]
        for name in ("one", "two"):
            await make_external_group(host, name, accessor)
        token = (await host.login(ttl="1h", alias="bob", groups=["two"]))["client_token"]
        storage.gate.clear()
        await hang_up(storage, asyncio.ensure_future(host.login(ttl="1h", alias="bob", groups=["one"])))
        seen = await host.ok("GET", "auth/token/lookup-self", token=token)
        assert seen["data"]["identity_policies"] == ["one"]


async def test_a_removal_hung_up() -> None:
    """An entity with groups and a token with children are none the less gone."""
    storage = GatedStorage()
    async with running(storage=storage) as host:
        await make_external_group(host, "one", (await host.ok("GET", "sys/auth/a"))["accessor"])
        grant = await host.login(ttl="1h", alias="bob", groups=["one"])
        parent = (await host.ok("POST", "auth/token/create", {"policies": ["root"]}))["auth"]["client_token"]
        child = (await host.ok("POST", "auth/token/create", token=parent))["auth"]["client_token"]
        storage.gate.clear()
        await hang_up(
            storage,
            asyncio.create_task(host.ask("DELETE", f"identity/entity/id/{grant['entity_id']}")),
            asyncio.create_task(host.ask("POST", "auth/token/revoke-orphan", {"token": parent})),
        )
        for token, status in ((grant["client_token"], 403), (parent, 403), (child, 200)):
            assert (await host.ask("GET", "auth/token/lookup-self", token=token)).status == status
    async with running(storage=storage, mounted=False) as host:
        for token, status in ((parent, 403), (child, 200)):
            assert (await host.ask("GET", "auth/token/lookup-self", token=token)).status == status


async def test_children_of_a_root_token_that_comes_back() -> None:
    """What the revoked one made stays revoked, also when a restart brings a token of the same text."""
    storage = GatedStorage()
    async with running(storage=storage) as host:
        body = {"policies": ["default"], "ttl": "1h"}
        batch = await host.ok("POST", "auth/token/create", {**body, "type": "batch"})
        storage.gate.clear()
        making = asyncio.create_task(host.ok("POST", "auth/token/create", body))
        await wait_a_moment()
        revoking = asyncio.create_task(host.ok("POST", "auth/token/revoke-self"))
        await wait_a_moment()
        storage.gate.set()
        await revoking
        made = [each["auth"]["client_token"] for each in (batch, await making)]
    async with running(storage=storage, mounted=False) as host:
        for token in made:
            assert (await host.ask("GET", "auth/token/lookup-self", token=token)).status == 403


async def test_an_id_asked_for_twice_at_once() -> None:
    """One of both gets it."""
    storage = GatedStorage()
    async with running(storage=storage) as host:
        storage.gate.clear()
        asked = [
            asyncio.create_task(host.ask("POST", "auth/token/create", {"id": "mine", "policies": [name]}))
            for name in ("one", "two")
        ]
        await wait_a_moment()
        storage.gate.set()
        assert sorted([response.status for response in await asyncio.gather(*asked)]) == [200, 400]


async def test_a_token_revoked_whose_client_has_hung_up() -> None:
    """One that was being made can be revoked, and no restart brings it back."""
    storage = GatedStorage()
    async with running(storage=storage) as host:
        storage.gate.clear()
        body = {"id": "mine", "policies": ["default"]}
        await hang_up(storage, asyncio.create_task(host.ask("POST", "auth/token/create-orphan", body)))
        await host.ok("POST", "auth/token/revoke", {"token": "mine"})
    async with running(storage=storage, mounted=False) as host:
        assert (await host.ask("POST", "auth/token/lookup", {"token": "mine"})).status == 403


async def test_a_mount_disabled_whose_logins_hang_up() -> None:
    """None of their tokens is left."""
    storage = GatedStorage()
    async with running(storage=storage) as host:
        storage.gate.clear()
        login = asyncio.ensure_future(host.login(ttl="1h"))
        await wait_a_moment()
        disabling = asyncio.create_task(host.ok("DELETE", "sys/auth/a"))
        await hang_up(storage, login)
        await disabling
    async with running(storage=storage, mounted=False) as host:
        assert len((await host.ok("LIST", "auth/token/accessors"))["data"]["keys"]) == 1


async def test_a_last_use_hung_up() -> None:
    """The token is revoked then: nobody could use it any more."""
    storage = GatedStorage()
    async with running(storage=storage) as host:
        grant = await host.login(ttl="1h", num_uses=1)
        storage.gate.clear()
        request = host.ask("GET", "auth/token/lookup-self", token=grant["client_token"])
        await hang_up(storage, asyncio.create_task(request))
        known = await host.ask("POST", "auth/token/lookup-accessor", {"accessor": grant["accessor"]})
        assert known.status == 400


async def test_storage_that_is_full() -> None:
    """What cannot be stored or removed has not happened: entities, groups and tokens are as before."""
    storage = GatedStorage()
    async with running(storage=storage) as host:
        accessor = (await host.ok("GET", "sys/auth/a"))["accessor"]
        group, alias = await make_external_group(host, "one", accessor)
        other, _ = await make_external_group(host, "two", accessor)
        grant = await host.login(ttl="1h", alias="bob", groups=["one"])
        parent = (await host.ok("POST", "auth/token/create", {"policies": ["root"]}))["auth"]["client_token"]
        child = (await host.ok("POST", "auth/token/create", token=parent))["auth"]["client_token"]
        storage.failures = 5
        moved = {"id": alias, "name": "one", "mount_accessor": accessor, "canonical_id": other}
        mine = {"id": "mine", "policies": ["default"]}
        for method, path, body in (
            ("DELETE", f"identity/entity/id/{grant['entity_id']}", None),
            ("DELETE", f"identity/group/id/{group}", None),
            ("POST", "identity/group-alias", moved),
            ("POST", "auth/token/revoke-orphan", {"token": parent}),
            ("POST", "auth/token/create", mine),
        ):
            assert (await host.ask(method, path, body)).status == 500
        assert not storage.failures
        seen = await host.ok("GET", "auth/token/lookup-self", token=grant["client_token"])
        assert seen["data"]["identity_policies"] == ["one"]
        assert (await host.ok("GET", f"identity/group-alias/id/{alias}"))["data"]["canonical_id"] == group
        await host.ok("POST", "auth/token/create", mine)
        await host.ok("POST", "auth/token/revoke", {"token": parent})
        assert (await host.ask("GET", "auth/token/lookup-self", token=child)).status == 403


async def test_a_policy_that_is_stored_after_one_that_is_not() -> None:
    """The one that is stored counts, not the one of before both."""
    storage = GatedStorage()
    async with running(storage=storage, mounted=False) as host:
        path, texts = "sys/policies/acl/p", [f'path "{name}" {{}}' for name in ("before", "lost", "stored")]
        await host.ok("PUT", path, {"policy": texts[0]})
        storage.gate.clear()
        storage.failures = 1
        writing = [asyncio.create_task(host.ask("PUT", path, {"policy": text})) for text in texts[1:]]
        await wait_a_moment()
        storage.gate.set()
        assert [response.status for response in await asyncio.gather(*writing)] == [500, 204]
        assert (await host.ok("GET", path))["data"]["policy"] == texts[2]


async def test_an_id_that_is_used_again() -> None:
    """Once its token has run out it is free; the accessor of that one does not lead to the new one."""
    clock = MovableClock()
    async with running(clock=clock, mounted=False, works_by_itself=False) as host:
        body = {"id": "mine", "policies": ["default"], "ttl": "1h"}
        accessor = (await host.ok("POST", "auth/token/create", body))["auth"]["accessor"]
        clock.tick("2h")
        await host.ok("POST", "auth/token/create", body)
        assert (await host.ask("POST", "auth/token/lookup-accessor", {"accessor": accessor})).status == 400
        await host.ok("POST", "auth/token/lookup", {"token": "mine"})


async def test_an_id_during_the_last_use_of_its_token(paused: type[Paused]) -> None:
    """It is taken: the end of that request would revoke the new token."""
    async with running(paused.factory()) as host:
        await host.ok("PUT", "sys/policies/acl/p", {"policy": 'path "auth/a/*" { capabilities = ["read"] }'})
        body = {"id": "mine", "policies": ["p"], "num_uses": 1}
        await host.ok("POST", "auth/token/create", body)
        request = host.ask("GET", "auth/a/do", token="mine", query={"pause": ["yes"]})
        using = asyncio.create_task(request)
        await paused.entered.wait()
        assert (await host.ask("POST", "auth/token/create", body)).status == 400
        paused.leave.set()
        await using
        await host.ok("POST", "auth/token/create", body)
