"""What a test sees and changes of a mount's storage, and how it forces an interleaving."""

from __future__ import annotations

import asyncio

import pytest

from authkit import (
    AuthMethod,
    Call,
    Collection,
    Identity,
    LoginCall,
    Role,
    StorageEntry,
    login,
    write,
)
from authkit.testing import HeldCall, Simulator
from authkit.testing import storage as module
from authkit.testing_pytest import Simulate


class Counter(AuthMethod, name="counter", version="0.1.0"):
    """Counts in storage; `careful` does so under a lock."""

    roles = Collection(Role, "role/{name}", seal_wrap=True)

    async def start(self) -> None:
        """Begin."""
        self.lock = asyncio.Lock()
        self.told: list[str] = []

    async def invalidated(self, key: str) -> None:
        """Remember what was told."""
        self.told.append(key)
        await self.storage.put(StorageEntry("told", ",".join(self.told).encode()))

    @login("login")
    async def log_in(self, call: LoginCall, role: Role) -> Identity:
        """Log in."""
        return Identity(name="somebody")

    @write("careless")
    async def careless(self, call: Call) -> None:
        """Read, add one, write."""
        entry = await self.storage.get("count")
        count = int(entry.value) if entry is not None else 0
        await self.storage.put(StorageEntry("count", str(count + 1).encode()))

    @write("careful")
    async def careful(self, call: Call) -> None:
        """Do it, one after the other."""
        async with self.lock:
            await self.careless(call)


async def test_storage_is_shown(simulate: Simulate) -> None:
    """Keys in full, texts, bytes, and models as the JSON that is stored."""
    vault = await simulate(Counter)
    await vault.write("role/dev", token_policies="a,b")
    await vault.write("careless")
    assert await vault.storage.list() == ["count", "role/dev"]
    assert await vault.storage.list("ro") == ["role/dev"]
    assert await vault.storage.get("count") == "1"
    assert await vault.storage.get_bytes("count") == b"1"
    assert (await vault.storage.get_json("role/dev"))["token_policies"] == ["a", "b"]
    for get in (vault.storage.get, vault.storage.get_bytes, vault.storage.get_json):
        assert await get("none") is None


async def test_storage_is_changed_as_by_another_node(simulate: Simulate) -> None:
    """The backend sees the change, its cache too, and is told of the key; its seal wrap stays."""
    vault = await simulate(Counter)
    await vault.write("role/dev", token_ttl="1h")
    assert (await vault.login(role="dev")).ttl.total_seconds() == 3600
    stored = await vault.storage.get_json("role/dev")
    await vault.storage.put_json("role/dev", {**stored, "token_ttl": 60})
    assert (await vault.login(role="dev")).ttl.total_seconds() == 60
    await vault.storage.delete("role/dev")
    assert await vault.list("role") == []
    await vault.storage.put("text", "grün")
    assert await vault.storage.get_bytes("text") == "grün".encode()
    assert await vault.storage.get("told") == "role/dev,role/dev,text"


async def test_a_test_s_own_storage_does_not_fail(simulate: Simulate) -> None:
    """The switches are for the backend's calls."""
    vault = await simulate(Counter)
    vault.fail_storage(gets=True, puts=True, deletes=True, lists=True)
    await vault.storage.put("count", "5")
    assert await vault.storage.get("count") == "5"
    vault.fail_storage()
    vault.standby()
    await vault.storage.delete("count")
    assert "count" not in await vault.storage.list()


async def test_each_mount_has_its_own(simulate: Simulate) -> None:
    """A second mount's storage is another one, and one that is gone has none."""
    vault = await simulate(Counter)
    other = await vault.enable("other")
    await other.write("careless")
    assert await other.storage.get("count") == "1"
    assert await vault.storage.list() == []
    await other.disable()
    with pytest.raises(KeyError, match="nothing is mounted at auth/other/"):
        await other.storage.list()


@pytest.mark.parametrize(("path", "count"), [("careless", "1"), ("careful", "2")])
async def test_an_interleaving_is_forced(simulate: Simulate, path: str, count: str) -> None:
    """The first request has read and is held before it writes, while the second one runs."""
    vault = await simulate(Counter)
    async with vault.storage.hold("put", "count") as held:
        first = asyncio.create_task(vault.write(path))
        await held.reached()
        second = asyncio.create_task(vault.write(path))
        if path == "careless":
            await second
        held.release()
        await asyncio.gather(first, second)
    assert await vault.storage.get("count") == count


async def test_a_held_call_goes_on_at_the_end_of_the_block(simulate: Simulate) -> None:
    """Calls to other keys and of other mounts are not held."""
    vault = await simulate(Counter)
    other = await vault.enable("other")
    async with vault.storage.hold("put", "count") as held:
        await other.write("careless")
        await vault.write("role/dev")
        first = asyncio.create_task(vault.write("careless"))
        await held.reached()
        assert not first.done()
    await first
    assert await vault.storage.get("count") == "1"


async def test_one_call_at_a_time_is_held(simulate: Simulate) -> None:
    """A second one would hide which of them waits."""
    vault = await simulate(Counter)
    async with vault.storage.hold("get"):
        with pytest.raises(RuntimeError, match="one call at a time"):
            async with vault.storage.hold("put"):
                pass


async def test_a_call_that_never_comes_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of a test that waits for ever."""
    monkeypatch.setattr(module, "REACH_SECONDS", 0.01)
    with pytest.raises(AssertionError, match="made no put of 'nonce/'"):
        await HeldCall("put", "nonce/").reached()


async def test_a_simulator_that_is_not_entered_stores_nothing() -> None:
    """There is no mount yet."""
    with pytest.raises(KeyError):
        await Simulator(Counter).storage.list()
