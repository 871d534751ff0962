"""Cached values: what makes `@cached` build a value again, and what does not."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from factories import CountingStorage, FakeSystem, Mount

from authkit.framework import Backend, Collection, Map, Model, Singleton, cached
from authkit.framework.stored.store import ObjectStore
from authkit.logical import StorageEntry


class Rules(Model):
    """Rules."""

    rules: Map = {}


class Judge(Backend, name="judge"):
    """Judge by rules."""

    rules = Singleton(Rules, "rules")
    others = Collection(Rules, "other/{name}")

    @cached
    def verdict(self, rules: Rules) -> list[Any]:
        """Return the value of the rule."""
        return [rules.rules.get("admin")]

    @cached
    def other_verdict(self, rules: Rules) -> list[Any]:
        """Return the value of another rule."""
        return [rules.rules.get("admin")]


@pytest.mark.parametrize(("before", "after"), [(1, True), (0, False), (True, 1), (1, 1.0), ([1], [True])])
async def test_values_of_another_type_are_another_object(before: object, after: object) -> None:
    """A rule that changes from 1 to true is one that has changed, though Python calls both equal."""
    mount = Mount(Judge)
    await mount.write("rules", rules={"admin": before})
    await mount.write("other/a", rules={"admin": before})
    mount.backend.verdict(await mount.backend.rules.get())
    mount.backend.other_verdict.each(await mount.backend.others.all())
    await mount.write("rules", rules={"admin": after})
    await mount.write("other/a", rules={"admin": after})
    found = mount.backend.verdict(await mount.backend.rules.get())
    each = mount.backend.other_verdict.each(await mount.backend.others.all())["a"]
    stored = (await mount.backend.rules.get()).rules["admin"]
    assert type(stored) is not type(before) or before == [1]
    assert repr(found) == repr(each) == repr([stored])


@pytest.mark.parametrize("change", ["write", "invalidation"])
async def test_every_write_makes_the_value_anew(change: str) -> None:
    """A write that changes nothing, here or on another node, ends the cached value."""
    mount = Mount(Judge)
    for path in ("rules", "other/a", "other/b"):
        await mount.write(path, rules={"admin": "ann"})
    one = mount.backend.verdict(await mount.backend.rules.get())
    each = mount.backend.other_verdict.each(await mount.backend.others.all())
    for path in ("rules", "other/a"):
        if change == "write":
            await mount.write(path, rules={"admin": "ann"})
        else:
            await mount.backend.invalidate_key(path)
    after = mount.backend.other_verdict.each(await mount.backend.others.all())
    assert mount.backend.verdict(await mount.backend.rules.get()) is not one
    assert after["a"] is not each["a"]
    assert after["b"] is each["b"]


async def test_without_caches_the_value_stays_while_the_object_does() -> None:
    """Where the operator has switched caches off each request reads; equal bytes are the same object."""
    mount = Mount(Judge)

    async def disabled() -> bool:
        return True

    mount.system.caching_disabled = disabled  # type: ignore[method-assign]
    await mount.backend.initialize()
    await mount.write("rules", rules={"admin": 1})
    first, reads = mount.backend.verdict(await mount.backend.rules.get()), mount.storage.reads
    assert mount.backend.verdict(await mount.backend.rules.get()) is first
    assert mount.storage.reads == reads + 1
    # Another node, without a word.
    await mount.storage.put(StorageEntry("rules", b'{"_version":1,"rules":{"admin":true}}'))
    assert mount.backend.verdict(await mount.backend.rules.get()) == [True]
    await mount.storage.delete("rules")
    assert await mount.backend.rules.find() is None
    await mount.storage.put(StorageEntry("rules", b'{"_version":1,"rules":{"admin":true}}'))
    second = mount.backend.verdict(await mount.backend.rules.get())
    await mount.write("rules", rules={"admin": True})
    assert mount.backend.verdict(await mount.backend.rules.get()) is not second


async def test_without_caches_other_keys_leave_an_object_alone() -> None:
    """A key that a stranger has written on another node does not have keys fetched and clients made again."""
    forgotten = ""

    class Busy(CountingStorage):
        async def get(self, key: str) -> StorageEntry | None:
            entry = await super().get(key)
            if forgotten:
                store.forget(forgotten)
            return entry

    class Off(FakeSystem):
        async def caching_disabled(self) -> bool:
            return True

    store = ObjectStore(Busy())
    await store.respect_host(Off())
    await store.put("a", Rules(rules={"x": 1}))
    first = await store.find("a", Rules)
    forgotten = "b"
    assert await store.find("a", Rules) is first
    forgotten = "a"
    assert await store.find("a", Rules) is not first


async def test_requests_at_once_get_one_object() -> None:
    """The first requests after a start read at the same time and make one value, not one each."""

    class Slow(CountingStorage):
        async def get(self, key: str) -> StorageEntry | None:
            await asyncio.sleep(0)
            return await super().get(key)

    store = ObjectStore(Slow())
    await store.put("a", Rules(rules={"x": 1}))
    found = await asyncio.gather(*(store.find("a", Rules) for _ in range(5)))
    assert all(each is found[0] for each in found)
    assert await store.find("a", Rules) is found[0]


async def test_what_each_returns_cannot_be_changed() -> None:
    """The mapping is the one that later requests get."""
    mount = Mount(Judge)
    await mount.write("other/a", rules={"admin": 1})
    each: Mapping[str, Any] = mount.backend.other_verdict.each(await mount.backend.others.all())
    with pytest.raises(TypeError):
        each["mallory"] = [1]  # type: ignore[index]
