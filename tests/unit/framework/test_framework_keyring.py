"""Key rings: keys are made once, replaced in time, and open for as long as promised."""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64decode
from datetime import timedelta
from typing import Any

import pytest

from authkit.errors import InternalError, ReadOnlyError, SealedTextError
from authkit.framework import KeyRing
from authkit.framework.stored import sealing
from authkit.framework.stored.keyring import ALLOWANCE_SECONDS, LOOK_AGAIN_SECONDS, MAX_KEYS
from authkit.framework.stored.sealing import read_key_id
from authkit.logical import Storage, StorageEntry
from authkit.testing import InMemoryStorage

START = 1_700_000_000.0
DAY = 86_400
KEEP = 600 + ALLOWANCE_SECONDS


class Now:
    """A clock that stands."""

    time = START

    def __call__(self) -> float:
        """The time."""
        return self.time


class Watched(InMemoryStorage):
    """Storage that lets others run in between, counts lists, and may refuse writes."""

    lists = 0
    is_read_only = False
    held: asyncio.Event | None = None
    """Lists wait for it once they know what there is."""

    def on_list(self) -> None:
        """Called when a list waits."""

    async def list(self, prefix: str) -> list[str]:
        """Count, and list."""
        self.lists += 1
        await asyncio.sleep(0)
        found = await super().list(prefix)
        if self.held is not None:
            self.on_list()
            await self.held.wait()
        return found

    async def put(self, entry: StorageEntry) -> None:
        """Store, if it may be."""
        await asyncio.sleep(0)
        if self.is_read_only:
            raise ReadOnlyError
        await super().put(entry)


@pytest.fixture
def now() -> Now:
    """A clock."""
    return Now()


@pytest.fixture
def storage() -> Watched:
    """Storage."""
    return Watched()


def ring(storage: Storage, now: Now, mount: str = "m") -> KeyRing:
    """Return a ring as another process has it."""
    return KeyRing(
        storage,
        "keys/",
        mount=mount,
        rotate_every=timedelta(days=1),
        open_for=timedelta(seconds=600),
        now=now,
    )


async def test_a_text_opens_in_every_process(storage: Watched, now: Now) -> None:
    """On this mount, for its purpose and context; keys are kept seal-wrapped."""
    text = await ring(storage, now).seal("p", b"x", context=b"c")
    assert await ring(storage, now).open("p", text, context=b"c") == b"x"
    for purpose, mount, context in (("q", "m", b"c"), ("p", "other", b"c"), ("p", "m", b"")):
        with pytest.raises(SealedTextError):
            await ring(storage, now, mount).open(purpose, text, context=context)
    (name,) = await storage.list("keys/")
    entry = await storage.get(f"keys/{name}")
    assert entry is not None
    assert entry.seal_wrap
    with pytest.raises(SealedTextError):
        await ring(InMemoryStorage(), now).open("p", text)


async def test_many_first_uses_make_one_key(storage: Watched, now: Now) -> None:
    """In one process; and two processes that each make one lose neither, and agree in the end."""
    one, other = ring(storage, now), ring(storage, now)
    texts = await asyncio.gather(*(each.seal("p", b"x") for each in (one, other) for _ in range(5)))
    assert len(await storage.list("keys/")) <= 2
    for each in (one, other):
        assert {await each.open("p", text) for text in texts} == {b"x"}
        await each.tend()
    assert read_key_id(await one.seal("p", b"x")) == read_key_id(await other.seal("p", b"x"))


@pytest.mark.parametrize("is_tended", [True, False])
async def test_a_key_seals_for_a_day(storage: Watched, now: Now, is_tended: bool) -> None:
    """Then another one does; the one before opens for as long as a text must, and is deleted."""
    first = ring(storage, now)
    text = await first.seal("p", b"x")
    now.time += DAY - 1
    last = await first.seal("p", b"x")
    assert read_key_id(last) == read_key_id(text)
    now.time += 1
    if is_tended:
        await first.tend()
    new = await first.seal("p", b"x")
    assert read_key_id(new) != read_key_id(text)
    now.time += KEEP - 1
    await first.tend()
    assert await first.open("p", last) == b"x"
    now.time += 1
    with pytest.raises(SealedTextError, match="not in use any more"):
        await first.open("p", last)
    await first.tend()
    assert await first.open("p", new) == b"x"
    assert len(await storage.list("keys/")) == 1


async def test_an_old_key_opens_nothing_even_if_nobody_tends_it(storage: Watched, now: Now) -> None:
    """Its time is over for opening as well; nothing is deleted by a clock alone."""
    text = await ring(storage, now).seal("p", b"x")
    now.time += DAY + KEEP
    with pytest.raises(SealedTextError):
        await ring(storage, now).open("p", text)
    assert len(await storage.list("keys/")) == 1


async def test_a_key_that_cannot_be_replaced_is_not_used(storage: Watched, now: Now) -> None:
    """Nothing is sealed then; what was sealed still opens."""
    used = ring(storage, now)
    text = await used.seal("p", b"x")
    now.time += DAY
    storage.is_read_only = True
    for each in (used, ring(storage, now)):
        with pytest.raises(ReadOnlyError):
            await each.seal("p", b"x")
        assert await each.open("p", text) == b"x"


async def test_another_process_has_a_new_key(storage: Watched, now: Now) -> None:
    """Its texts open once the host says so, or after a while; strangers cannot have storage read often."""
    one, other = ring(storage, now), ring(storage, now)
    await one.seal("p", b"x")
    await other.seal("p", b"x")
    now.time += DAY
    text = await one.seal("p", b"x")
    assert await other.open("p", text) == b"x"  # the last read was a day ago
    fresh = await ring(InMemoryStorage(), now).seal("p", b"x")
    before = storage.lists
    for _ in range(20):
        with pytest.raises(SealedTextError, match="not known"):
            await other.open("p", fresh)
    assert storage.lists == before
    now.time += LOOK_AGAIN_SECONDS
    for _ in range(20):
        with pytest.raises(SealedTextError, match="not known"):
            await other.open("p", fresh)
    assert storage.lists == before + 1
    other.forget()
    assert await other.open("p", text) == b"x"


async def test_a_key_of_a_wrong_clock_is_replaced_like_others(storage: Watched, now: Now) -> None:
    """One from the future does not seal for years, and what it has sealed is not lost."""
    now.time += 1000 * DAY
    text = await ring(storage, now).seal("p", b"x")
    now.time = START
    used = ring(storage, now)
    await used.tend()
    new = await used.seal("p", b"x")
    assert read_key_id(new) == read_key_id(text)
    assert await used.open("p", text) == b"x"
    now.time += DAY
    await used.tend()
    now.time += KEEP
    await used.tend()
    assert len(await storage.list("keys/")) == 1


async def test_a_read_that_began_before_a_new_key_does_not_hide_it(storage: Watched, now: Now) -> None:
    """It ends later than the read of the new key; texts of that open all the same."""
    used = ring(storage, now)
    text = await used.seal("p", b"x")
    now.time += DAY
    used.forget()
    listed, storage.held = asyncio.Event(), asyncio.Event()
    storage.on_list = listed.set
    early = asyncio.create_task(used.open("p", text))
    await listed.wait()
    held, storage.held = storage.held, None
    new = await used.seal("p", b"y")
    held.set()
    assert await early == b"x"
    assert await used.open("p", new) == b"y"


async def test_a_ring_nobody_uses_has_no_key(storage: Watched, now: Now) -> None:
    """Tending makes none."""
    await ring(storage, now).tend()
    assert await storage.list("keys/") == []


async def test_the_number_of_keys_is_bounded(storage: Watched, now: Now) -> None:
    """The oldest goes, however many there are."""
    for _ in range(MAX_KEYS + 3):
        await ring(InMemoryStorage(), now).seal("p", b"x")
        other = Watched()
        await ring(other, now).seal("p", b"x")
        (name,) = await other.list("keys/")
        entry = await other.get(f"keys/{name}")
        assert entry is not None
        await storage.put(StorageEntry(f"keys/{name}", entry.value))
    now.time += 1
    await ring(storage, now).tend()
    assert len(await storage.list("keys/")) <= MAX_KEYS


@pytest.mark.parametrize("broken", [b"", b"[]", b"{}", b'{"created": 1, "key": "AAAA"}'])
async def test_a_broken_key_is_a_fault(storage: Watched, now: Now, broken: bytes) -> None:
    """It is not passed over: what it has sealed would be lost."""
    await storage.put(StorageEntry("keys/00000000", broken))
    for call in (ring(storage, now).seal("p", b"x"), ring(storage, now).tend()):
        with pytest.raises(InternalError, match="not a valid key record"):
            await call


async def test_each_process_has_a_derived_key_of_its_own(
    storage: Watched, now: Now, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the number of texts under one is known without storing it; reading keys again resets none."""
    monkeypatch.setattr(sealing, "MAX_SEALINGS", 4)
    one, other = ring(storage, now), ring(storage, now)
    texts = [await one.seal("p", b"x"), await one.seal("p", b"x"), await other.seal("p", b"x")]
    one.forget()
    texts += [await one.seal("p", b"x") for _ in range(3)]
    salts = [urlsafe_b64decode(text + "===")[5:21] for text in texts]
    assert [salts.count(salt) for salt in dict.fromkeys(salts)] == [4, 1, 1]


def test_wrong_rings() -> None:
    """Times that make no sense."""
    for rotate_every, open_for in ((0, 1), (1, 0), (-1, 1), (1, 40)):
        with pytest.raises(ValueError, match=r"must be positive|more than"):
            KeyRing(
                InMemoryStorage(),
                "keys/",
                rotate_every=timedelta(days=rotate_every),
                open_for=timedelta(days=open_for),
            )
    for name in ("rotate_every", "open_for"):
        times: dict[str, Any] = {"rotate_every": timedelta(days=1), "open_for": timedelta(days=1)}
        with pytest.raises(TypeError, match=f"'{name}' is a timedelta, not a int"):
            KeyRing(InMemoryStorage(), "keys/", **times | {name: 60})
