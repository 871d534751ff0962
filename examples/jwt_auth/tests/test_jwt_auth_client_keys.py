"""The keys that sign for the client: made once, published, replaced, and taken over from where they were."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jwt_auth.browser.client_keys import CLIENT_KEYS_PATH, MAX_CLIENT_KEYS, PUBLISHED_SECONDS, ClientKeys

from authkit.errors import InternalError, ReadOnlyError, StorageError, UserError
from authkit.logical import StorageEntry
from authkit.testing import InMemoryStorage

START = 1_700_000_000.0


class Now:
    """A clock that stands."""

    time = START

    def __call__(self) -> float:
        """The time."""
        return self.time


class ReadOnly(InMemoryStorage):
    """The storage of a node that may not write."""

    async def put(self, entry: StorageEntry) -> None:
        """Refuse."""
        raise ReadOnlyError


async def loaded(storage: InMemoryStorage, now: Now) -> ClientKeys:
    """Return the keys as another process has them."""
    keys = ClientKeys(storage, now)
    await keys.load()
    return keys


def kids(keys: ClientKeys) -> list[str]:
    """Return the ids of the published keys."""
    return [key["kid"] for key in keys.published()]


async def test_keys_are_made_once() -> None:
    """And read by every other process; they are kept seal-wrapped, and only public halves are shown."""
    storage, now = InMemoryStorage(), Now()
    made = await loaded(storage, now)
    again = await loaded(storage, now)
    assert made.signer().kid == again.signer().kid == kids(made)[0]
    assert "d" not in made.published()[0]
    entry = await storage.get(CLIENT_KEYS_PATH)
    assert entry is not None
    assert entry.seal_wrap


async def test_a_key_is_replaced_at_once() -> None:
    """The new one signs, the one before stays published for a day."""
    storage, now = InMemoryStorage(), Now()
    keys, other = await loaded(storage, now), await loaded(storage, now)
    old = keys.signer().kid
    new = await keys.rotate(0)
    assert keys.signer().kid == new != old
    assert kids(keys) == [old, new]
    other.forget()
    assert other.signer().kid == old
    await other.load()
    assert other.signer().kid == new
    now.time += PUBLISHED_SECONDS
    assert kids(keys) == [new]


async def test_a_key_that_changes_while_it_is_read_is_read_again() -> None:
    """What was read is used until then, and for no longer."""

    class Slow(InMemoryStorage):
        """Another node changes the key while this one reads it."""

        async def get(self, key: str) -> StorageEntry | None:
            found = await super().get(key)
            keys.forget()
            return found

    slow, now = Slow(), Now()
    keys = ClientKeys(slow, now)
    await keys.load()
    first = keys.signer().kid
    await ClientKeys(slow, now).rotate(0)
    await keys.load()
    assert keys.signer().kid != first


async def test_a_key_can_be_published_before_it_signs() -> None:
    """For providers that are given keys by hand; a second rotation replaces the key that waits."""
    storage, now = InMemoryStorage(), Now()
    keys = await loaded(storage, now)
    old = keys.signer().kid
    await keys.rotate(3600)
    new = await keys.rotate(7200)
    assert keys.signer().kid == old
    assert kids(keys) == [old, new]
    now.time += 7200
    assert keys.signer().kid == new
    assert kids(await loaded(storage, now)) == [old, new]


async def test_the_number_of_keys_is_bounded() -> None:
    """Whoever rotates again and again is told to wait."""
    keys = await loaded(InMemoryStorage(), Now())
    for _ in range(MAX_CLIENT_KEYS - 1):
        await keys.rotate(0)
    with pytest.raises(UserError, match="too many keys"):
        await keys.rotate(0)
    assert len(keys.published()) == MAX_CLIENT_KEYS


async def old_record(storage: InMemoryStorage) -> str:
    """Store a key where it was before, beside a key that sealed; return the id of the key."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    from authkit.oidc import SigningKey

    made = ec.generate_private_key(ec.SECP256R1())
    pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    value = json.dumps({"sealing": "AAAA", "signing": pem}).encode()
    await InMemoryStorage.put(storage, StorageEntry("oidc/keys", value, seal_wrap=True))
    return SigningKey(pem).kid


@pytest.mark.parametrize("is_used", [True, False])
async def test_a_key_of_an_earlier_version_goes_on(is_used: bool) -> None:
    """The provider knows it. The sealing key beside it is deleted, also where nobody logs in."""
    storage = InMemoryStorage()
    kid = await old_record(storage)
    keys = ClientKeys(storage)
    await (keys.load() if is_used else keys.drop_former())
    assert keys.signer().kid == kid
    assert await storage.get("oidc/keys") is None
    assert (await loaded(storage, Now())).signer().kid == kid


async def test_a_node_that_may_not_write_uses_the_key_of_an_earlier_version() -> None:
    """The active node moves it."""
    storage = ReadOnly()
    kid = await old_record(storage)
    assert (await loaded(storage, Now())).signer().kid == kid
    await ClientKeys(ReadOnly()).drop_former()


@pytest.mark.parametrize("broken", [b"", b"[]", b"{}", b'{"keys": [{"pem": 1, "since": 1}]}', b'{"keys": 1}'])
async def test_a_broken_record_is_a_fault(broken: bytes) -> None:
    """It is not replaced: the provider knows the key that was there."""
    storage: Any = InMemoryStorage()
    await storage.put(StorageEntry(CLIENT_KEYS_PATH, broken))
    with pytest.raises(InternalError):
        await ClientKeys(storage).load()
    await storage.delete(CLIENT_KEYS_PATH)
    await storage.put(StorageEntry("oidc/keys", broken))
    with pytest.raises(InternalError):
        await ClientKeys(storage).load()


class LosesAnswers(InMemoryStorage):
    """Storage that keeps what is written and fails all the same."""

    is_losing = False

    async def put(self, entry: StorageEntry) -> None:
        """Store, and fail if told to."""
        await super().put(entry)
        if self.is_losing:
            raise StorageError("the answer was lost")


async def test_a_replacement_whose_answer_is_lost_is_read_again() -> None:
    """Else another process would sign with a key that this one does not publish."""
    storage, now = LosesAnswers(), Now()
    keys = await loaded(storage, now)
    storage.is_losing = True
    with pytest.raises(StorageError):
        await keys.rotate(60)
    storage.is_losing = False
    await keys.load()
    now.time += 61
    assert (await loaded(storage, now)).signer().kid in kids(keys)
