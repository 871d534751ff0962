"""Stored objects: operations, rules on writes, cache, locks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from factories import FakeSystem, Mount

from authkit.errors import CodedError, InternalError, ReadOnlyError, StorageError, SystemViewError, UserError
from authkit.framework import (
    KV,
    Backend,
    Collection,
    CommaList,
    Int,
    Model,
    Seconds,
    Singleton,
    Str,
    Write,
    field,
)
from authkit.framework.objects.listing import MAX_DESCRIBED
from authkit.framework.stored.store import ObjectStore
from authkit.globs import matches_glob
from authkit.logical import Operation, Request, StorageEntry
from authkit.masking import Secret
from authkit.testing import InMemoryStorage


class Settings(Model):
    """Settings."""

    url: Str
    key: Secret = field(default="")
    size: Int = 1


class Item(Model):
    """One item."""

    tags: CommaList = ()
    size: Int = 1

    def check(self) -> None:
        """Sizes are positive."""
        if self.size < 1:
            raise UserError("too small")


class Sticky(Model):
    """What a write replaces, but for one field."""

    kept: Str = field(default="", reset=False)
    lost: Str = ""
    other: Str = ""


class Shop(Backend, name="shop"):
    """A shop."""

    settings = Singleton(Settings, "config", missing="not set up")
    fixed = Singleton(Settings, "fixed", replace=True, deletable=False)
    sticky = Singleton(Sticky, "sticky", replace=True)
    items = Collection(Item, "item/{name}")
    exact = Collection(Item, "Exact/{id}", lower_names=False, noun="thing")

    @items.on_write
    async def note(self, write: Write[Item]) -> None:
        """Refuse what grows too fast."""
        before = write.stored.size if write.stored else 0
        if write.new.size > before + 10:
            raise UserError(f"{write.name} grows too fast")
        if "tags" in write.provided:
            write.warn(f"tags of {write.name} changed")

    @items.on_write
    def plain(self, write: Write[Item]) -> None:
        """A plain rule."""
        if "never" in write.new.tags:
            raise UserError("never")


async def test_singleton() -> None:
    """A partial write keeps the rest; a read shows no secret; after a delete there is nothing."""
    mount = Mount(Shop)
    assert await mount.read("config") is None
    assert await mount.write("config", url="u", key="k") is None
    await mount.write("config", size="3")
    assert await mount.read("config") == {"url": "u", "size": 3}
    assert (await mount.backend.settings.get()).key == Secret("k")
    assert await mount.delete("config") is None
    assert await mount.read("config") is None
    with pytest.raises(UserError, match="not set up"):
        await mount.backend.settings.get()


async def test_a_field_that_a_replacing_write_keeps() -> None:
    """`reset=False` keeps a field that a write of the whole object does not name."""
    mount = Mount(Shop)
    await mount.write("sticky", kept="a", lost="b")
    await mount.write("sticky", other="c")
    assert await mount.read("sticky") == {"kept": "a", "lost": "", "other": "c"}


async def test_singleton_that_is_replaced() -> None:
    """With `replace` a write forgets what it does not provide; without delete the operation is unknown."""
    mount = Mount(Shop)
    await mount.write("fixed", url="u", size=5)
    answer = await mount.write("fixed", url="v")
    assert await mount.read("fixed") == {"url": "v", "size": 1}
    assert answer is not None
    (warning,) = answer.warnings
    assert warning == (
        "Settings that this request does not name were reset to their defaults: [size]. "
        "To change some settings and keep the others, use a patch (vault patch)"
    )
    with pytest.raises(Exception, match="unsupported operation"):
        await mount.delete("fixed")


async def test_what_a_write_resets_is_told_by_name() -> None:
    """Never by value; not what a request resets itself, what it keeps, or what was not set."""
    mount = Mount(Shop)
    assert await mount.write("fixed", url="u", size=5, key="4711-hunter2") is None
    answer = await mount.write("fixed", url="u")
    assert answer is not None
    assert "[key size]" in answer.warnings[0]
    assert "4711" not in answer.warnings[0]
    assert await mount.write("fixed", url="u") is None
    await mount.write("fixed", url="u", size=5)
    assert await mount.write("fixed", url="u", size=None) is None
    await mount.write("fixed", url="u", size=5)
    assert await mount.request(Operation.PATCH, "fixed", {"url": "v"}) is None
    assert await mount.request(Operation.PATCH, "fixed", {"size": None}) is None
    await mount.write("sticky", kept="a", lost="b")
    answer = await mount.write("sticky", other="c")
    assert answer is not None
    assert "[lost]" in answer.warnings[0]


async def test_a_write_that_fails_resets_nothing() -> None:
    """And it costs no read more than before."""
    mount = Mount(Shop)
    await mount.write("fixed", url="u", size=5)
    reads = mount.storage.reads
    mount.storage.failure = ReadOnlyError("read only")
    with pytest.raises(ReadOnlyError):
        await mount.write("fixed", url="v")
    mount.storage.failure = None
    assert mount.storage.reads == reads + 1
    assert await mount.read("fixed") == {"url": "u", "size": 5}


class Box(Model):
    """A box."""

    size: Int = 1
    ttl: Seconds = field(default="1m")
    labels: KV = field(default={})
    key: Secret = field(default="")


class Store(Backend, name="store"):
    """Lists that tell more."""

    boxes = Collection(Box, "box/{name}", list_info=("size", "ttl"), local=True)
    bags = Collection(Box, "bag/{name}", list_info=lambda box: {"full": box.size > 5})
    here = Singleton(Box, "here", local=True, seal_wrap=True)


async def test_patch() -> None:
    """A patch merges into what is stored, null goes back to the default, and rules see what it named."""
    mount = Mount(Store)
    await mount.write("box/a", size=7, ttl=5, labels={"x": "1", "y": "2"})
    change = {"ttl": None, "labels": {"x": None, "z": "3"}}
    assert await mount.request(Operation.PATCH, "box/A", change) is None
    assert await mount.read("box/a") == {"size": 7, "ttl": 60, "labels": {"y": "2", "z": "3"}}
    await mount.write("here", size=2)
    await mount.request(Operation.PATCH, "here", {"size": None})
    assert await mount.read("here") == {"size": 1, "ttl": 60, "labels": {}}

    shop = Mount(Shop)
    await shop.write("item/a", tags="x", size=5)
    response = await shop.request(Operation.PATCH, "item/a", {"tags": None})
    assert response is not None
    assert list(response.warnings) == ["tags of a changed"]
    for fields, text in [
        ({"size": 0}, "too small"),
        ({"size": 99}, "a grows"),
        ({"tags": ["never"]}, "never"),
    ]:
        with pytest.raises(UserError, match=text):
            await shop.request(Operation.PATCH, "item/a", fields)
    assert await shop.read("item/a") == {"tags": [], "size": 5}


@pytest.mark.parametrize("path", ["item/a", "config"])
async def test_a_patch_of_nothing(path: str) -> None:
    """There is nothing to patch: HTTP 404 with a text, where an empty answer would be a success."""
    mount = Mount(Shop)
    with pytest.raises(CodedError, match=r"^resource does not exist$") as caught:
        await mount.request(Operation.PATCH, path, {"size": 2})
    assert caught.value.status == 404
    assert await mount.read(path) is None


async def test_a_patch_of_what_a_write_replaces() -> None:
    """Also where a write forgets what it does not provide, a patch keeps it."""
    mount = Mount(Shop)
    await mount.write("fixed", url="u", size=5)
    await mount.request(Operation.PATCH, "fixed", {"url": "v"})
    assert await mount.read("fixed") == {"url": "v", "size": 5}


async def test_list_with_pages_and_a_filter() -> None:
    """`after` and `limit` cut the sorted names, `filter` takes those that match; names are in lower case."""
    mount = Mount(Shop)
    for name in ("dev", "ops", "dev-a", "dev-b"):
        await mount.write(f"item/{name}")

    async def page(**query: Any) -> list[str]:
        response = await mount.request(Operation.LIST, "item/", query)
        return [] if response is None or response.data is None else response.data["keys"]

    assert await page(after="DEV", limit="2") == ["dev-a", "dev-b"]
    assert await page(after="dev-aa") == ["dev-b", "ops"]
    assert await page(limit=0) == await page(limit=-1) == await page(filter="*")
    assert await page(filter="DEV*", limit=1, after="dev") == ["dev-a"]
    assert await page(after="z") == []
    with pytest.raises(Exception, match='field "filter": longer than'):
        await page(filter="*" * 300)


async def test_list_with_info() -> None:
    """A list tells of each object what was declared; one that cannot be read does not hide the others."""
    mount = Mount(Store)
    await mount.write("box/a", size=2, key="s3cr3t")
    await mount.write("box/b", ttl=5)
    await mount.storage.put(StorageEntry("box/c", b"{"))
    await mount.storage.put(StorageEntry("box/d/e", b"{}"))
    response = await mount.request(Operation.LIST, "box/")
    assert response is not None
    assert response.data == {
        "keys": ["a", "b", "c"],
        "key_info": {"a": {"size": 2, "ttl": 60}, "b": {"size": 1, "ttl": 5}},
    }
    await mount.write("bag/a", size=9)
    response = await mount.request(Operation.LIST, "bag/")
    assert response is not None
    assert response.data == {"keys": ["a"], "key_info": {"a": {"full": True}}}
    assert await mount.request(Operation.LIST, "bag/", {"filter": "x*"}) is None


async def test_info_is_bounded() -> None:
    """A list with very many names tells of the first ones, and says so."""
    mount = Mount(Store)
    for number in range(MAX_DESCRIBED + 1):
        await mount.storage.put(StorageEntry(f"box/{number:06}", b'{"_version":1}'))
    response = await mount.request(Operation.LIST, "box/")
    assert response is not None
    assert response.data is not None
    assert len(response.data["keys"]) == MAX_DESCRIBED + 1
    assert len(response.data["key_info"]) == MAX_DESCRIBED
    assert "first 1000 names" in response.warnings[0]


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("a", ["a"], ["", "ab", "ba"]),
        ("*", ["", "a"], []),
        ("a*", ["a", "ab"], ["ba"]),
        ("*a", ["a", "ba"], ["ab"]),
        ("a*a", ["aa", "aba"], ["a", "ab"]),
        ("*b*", ["b", "abc"], ["ac"]),
        ("a*b*c", ["abc", "axbxc"], ["acb", "ab"]),
        ("a**c", ["ac", "abc"], ["a"]),
        ("*ab*ab*", ["abab", "xabyabz"], ["aab"]),
        ("a?[b].", ["a?[b]."], ["axb."]),
    ],
)
def test_glob(pattern: str, matching: list[str], other: list[str]) -> None:
    """A star is any text, also none; nothing else is special."""
    assert all(matches_glob(pattern, text) for text in matching)
    assert not any(matches_glob(pattern, text) for text in other)


def test_what_a_list_cannot_show() -> None:
    """A list shows fields, and no secret ones."""
    for name in ("key", "other"):
        with pytest.raises(TypeError, match=f"cannot show '{name}'"):
            Collection(Box, "box/{name}", list_info=(name,))


def test_local_storage() -> None:
    """What stays in the cluster is among the special paths."""
    special = Mount(Store).backend.special_paths()
    assert set(special.local_storage) == {"box/", "here"}
    assert set(special.seal_wrap_storage) == {"here"}


async def test_unknown_names_leave_nothing_in_memory() -> None:
    """Strangers may ask for any name: that there is nothing is not remembered, nor is a lock."""
    mount = Mount(Shop)
    store = mount.backend.objects
    for number in range(500):
        assert await mount.backend.items.find(f"n{number}") is None
        async with store.lock(f"item/n{number}"):
            pass
    assert len(store._cache) == 0
    assert len(store._locks) <= 1


async def test_caching_follows_the_host() -> None:
    """With caches switched off each read goes to storage; a host that cannot say has them on."""

    class Off(FakeSystem):
        async def caching_disabled(self) -> bool:
            return True

    class Silent(FakeSystem):
        async def caching_disabled(self) -> bool:
            raise SystemViewError("no")

    for system, expected in [(Off(), 2), (Silent(), 1), (FakeSystem(), 1)]:
        storage = Mount(Shop).storage
        store = ObjectStore(storage)
        await store.put("a", Item())
        await store.respect_host(system)
        await store.find("a", Item)
        await store.find("a", Item)
        assert storage.reads == expected


async def test_an_upgrade_that_stumbles_is_a_fault() -> None:
    """Whatever an author's `upgrade` raises, the text says where and not what."""

    class Old(Model):
        stored_version = 2
        size: Int = 1

        @classmethod
        def upgrade(cls, stored: Any, version: int) -> Any:
            return {"size": stored["gone"]}

    storage = Mount(Shop).storage
    await storage.put(StorageEntry("a", b'{"_version":1,"size":1}'))
    with pytest.raises(InternalError, match=r"^the object stored at 'a' cannot be read$"):
        await ObjectStore(storage).find("a", Old)


async def test_a_required_field_must_be_there_once() -> None:
    """The first write needs it, later ones do not."""
    mount = Mount(Shop)
    with pytest.raises(UserError, match="missing url"):
        await mount.write("config", size=1)
    assert await mount.read("config") is None
    await mount.write("config", url="u")
    await mount.write("config", size=2)


async def test_collection() -> None:
    """Create, read, update, list, delete; names are lower-cased everywhere."""
    mount = Mount(Shop)
    assert await mount.list("item/") == []
    await mount.write("item/One", tags="a,b")
    await mount.write("item/two")
    await mount.write("item/ONE", size=4)
    assert await mount.read("item/oNe") == {"tags": ["a", "b"], "size": 4}
    assert await mount.list("item/") == ["one", "two"]
    assert await mount.storage.list("item/") == ["one", "two"]
    await mount.delete("item/ONE")
    assert await mount.delete("item/one") is None
    assert await mount.list("item") == ["two"]


async def test_names_as_they_are() -> None:
    """A collection may keep the case of names."""
    mount = Mount(Shop)
    await mount.write("Exact/One")
    assert await mount.read("Exact/one") is None
    assert await mount.backend.exact.names() == ["One"]
    with pytest.raises(UserError, match='thing "one" could not be found'):
        await mount.backend.exact.get("one")


async def test_existence_check() -> None:
    """A collection tells what exists, a singleton does not say."""
    mount = Mount(Shop)

    async def exists(path: str) -> bool | None:
        return await mount.backend.handle_existence_check(Request(operation=Operation.UPDATE, path=path))

    assert await exists("item/a") is False
    await mount.write("item/a")
    assert await exists("item/A") is True
    assert await exists("config") is None


@pytest.mark.parametrize(
    ("path", "noun"),
    [
        ("role/{name}", "role"),
        ("roles/{name}", "role"),
        ("static-roles/{name}", "static role"),
        ("access/{name}", "access"),
    ],
)
def test_what_an_object_is_called(path: str, noun: str) -> None:
    """As the path says, in the singular where engines have a plural."""
    assert Collection(Item, path).noun == noun


async def test_refused_writes_store_nothing() -> None:
    """Neither the model's check nor a rule leaves a trace."""
    mount = Mount(Shop)
    await mount.write("item/a", size=5)
    for fields, text in [({"size": 0}, "too small"), ({"size": 99}, "a grows"), ({"tags": "never"}, "never")]:
        with pytest.raises(UserError, match=text):
            await mount.write("item/a", fields)
    assert await mount.read("item/a") == {"tags": [], "size": 5}


async def test_rules_warn() -> None:
    """A rule's warning reaches the operator."""
    response = await Mount(Shop).write("item/a", tags="x")
    assert response is not None
    assert list(response.warnings) == ["tags of a changed"]


@pytest.mark.parametrize("name", ["../config", "a/b", "", ".", "a..b", "a\n", "x" * 10 + "/"])
async def test_names_that_nothing_can_have(name: str) -> None:
    """Whatever text is looked up, storage outside the collection is out of reach."""
    mount = Mount(Shop)
    assert await mount.backend.items.find(name) is None
    assert mount.storage.reads == 0
    with pytest.raises(UserError, match="invalid item name"):
        await mount.backend.items.put(name, Item())
    with pytest.raises(UserError, match="invalid item name"):
        await mount.backend.items.delete(name)


async def test_reads_come_from_the_cache() -> None:
    """An object is read once, until a write, a delete or an invalidation."""
    mount = Mount(Shop)
    await mount.write("item/a")
    await mount.read("item/a")
    reads = mount.storage.reads
    await mount.read("item/a")
    assert mount.storage.reads == reads
    for change in (
        mount.write("item/a", size=2),
        mount.backend.invalidate_key("item/a"),
        mount.backend.invalidate_key("item/"),
        mount.backend.invalidate_key(""),
    ):
        await change
        before = mount.storage.reads
        await mount.read("item/a")
        assert mount.storage.reads == before + 1
    await mount.delete("item/a")
    assert await mount.read("item/a") is None


async def test_all_objects_together() -> None:
    """The same mapping until one of them changes; then the others are not read again."""
    mount = Mount(Shop)
    await mount.write("item/a")
    await mount.write("item/b", size=2)
    items = mount.backend.items
    everything = await items.all()
    assert dict(everything) == {"a": Item(), "b": Item(size=2)}
    await mount.write("config", url="x")
    assert await items.all() is everything
    await mount.write("item/c")
    reads = mount.storage.reads
    assert list(await items.all()) == ["a", "b", "c"]
    assert mount.storage.reads == reads + 1
    for key in ("item/a", "item/", ""):
        everything = await items.all()
        await mount.backend.invalidate_key(key)
        assert await items.all() is not everything
    await mount.delete("item/b")
    assert list(await items.all()) == ["a", "c"]


async def test_a_failed_write_empties_the_cache() -> None:
    """Nobody knows what a write that broke off has left behind."""
    mount = Mount(Shop)
    await mount.write("item/a")
    await mount.read("item/a")
    mount.storage.failure = StorageError("no")
    with pytest.raises(StorageError):
        await mount.write("item/a", size=2)
    reads = mount.storage.reads
    await mount.read("item/a")
    assert mount.storage.reads == reads + 1


async def test_a_read_under_way_caches_nothing_stale() -> None:
    """A value that was read before a change does not stay after it."""

    class Slow(InMemoryStorage):
        def __init__(self) -> None:
            super().__init__()
            self.gate = asyncio.Event()

        async def get(self, key: str) -> StorageEntry | None:
            entry = await super().get(key)
            await self.gate.wait()
            return entry

    storage = Slow()
    store = ObjectStore(storage)
    await store.put("a", Item(size=1))
    reading = asyncio.create_task(store.find("a", Item))
    await asyncio.sleep(0)
    await store.put("a", Item(size=2))
    storage.gate.set()
    assert await reading == Item(size=1)
    assert await store.find("a", Item) == Item(size=2)


async def test_the_cache_is_bounded() -> None:
    """The object unused for longest is read again."""
    storage = Mount(Shop).storage
    store = ObjectStore(storage, max_cached=2)
    for key in "abc":
        await store.put(key, Item())
        await store.find(key, Item)
    reads = storage.reads
    await store.find("c", Item)
    assert storage.reads == reads
    await store.find("a", Item)
    assert storage.reads == reads + 1


async def test_writes_of_one_object_wait_for_each_other() -> None:
    """Two partial writes at once lose nothing; another object does not wait."""
    mount = Mount(Shop)
    await mount.write("item/a")
    store = mount.backend.objects
    async with store.lock("item/a"):
        writes = asyncio.gather(mount.write("item/a", size=2), mount.write("item/a", tags="x"))
        await mount.write("item/b")
        assert not writes.done()
    await writes
    assert await mount.read("item/a") == {"tags": ["x"], "size": 2}
    assert store.lock("item/a") is not store.lock("item/b")


@pytest.mark.parametrize("value", [b"{", b"[]", b'{"size":"x"}', b'{"size":[]}', b'{"_version":9}'])
async def test_broken_entries_are_faults(value: bytes) -> None:
    """What cannot be read is a fault, whose text says where and not what."""
    mount = Mount(Shop)
    await mount.storage.put(StorageEntry("item/a", value))
    with pytest.raises(InternalError):
        await mount.read("item/a")


def test_declarations_that_cannot_work() -> None:
    """A singleton has one path, a collection one name, and no field twice."""
    wrong: list[tuple[Any, type[Model], str]] = [
        (Singleton, Settings, "config/{name}"),
        (Collection, Item, "item"),
        (Collection, Item, "{a}/{b}"),
        (Collection, Item, "item/{name}/x"),
    ]
    for kind, model, path in wrong:
        with pytest.raises(ValueError):
            kind(model, path)
    with pytest.raises(TypeError, match="captures a field"):
        Collection(Item, "item/{size}")
