"""What a mount keeps of browser logins: once for each, in time, the same on all nodes."""

from __future__ import annotations

import asyncio
import json

import pytest
from jwt_auth.browser.logins import BrowserLogins
from jwt_auth.browser.outcomes import Outcomes
from jwt_auth.browser.pending import LIFETIME_SECONDS, Pending, Spent

from authkit.auth import Identity
from authkit.errors import LoginError
from authkit.logical import StorageEntry
from authkit.masking import Secret
from authkit.testing import InMemoryStorage

DAY = 86_400
IDENTITY = Identity(name="ann")


class Now:
    """A clock that stands."""

    def __init__(self) -> None:
        self.time = 1_700_000_000.0

    def __call__(self) -> float:
        """The time."""
        return self.time


class SlowStorage(InMemoryStorage):
    """A storage that lets others go on before it answers a read."""

    async def get(self, key: str) -> StorageEntry | None:
        """Read, and answer later."""
        found = await super().get(key)
        await asyncio.sleep(0)
        return found


@pytest.fixture
def now() -> Now:
    """The clock of all nodes."""
    return Now()


@pytest.fixture
def storage() -> InMemoryStorage:
    """The storage of all nodes."""
    return SlowStorage()


@pytest.fixture
def node(storage: InMemoryStorage, now: Now) -> BrowserLogins:
    """What a mount keeps, on one node."""
    return BrowserLogins(storage, "mount", now=now)


def begin(node: BrowserLogins) -> Pending:
    """Return a login that has begun."""
    return node.states.begin("dev", "terms")


async def test_two_who_ask_at_the_same_moment_do_not_both_have_an_outcome(
    node: BrowserLogins, storage: InMemoryStorage, now: Now
) -> None:
    """Whoever is second waits, and finds nothing."""
    pending, outcomes = begin(node), Outcomes(storage, now)
    await outcomes.succeed(pending, IDENTITY)
    found = await asyncio.gather(*(outcomes.take(pending) for _ in range(3)))
    assert len([each for each in found if each is not None]) == 1


async def test_two_who_come_back_at_the_same_moment_do_not_both_spend_a_state(
    node: BrowserLogins, storage: InMemoryStorage, now: Now
) -> None:
    """A state is known as spent before storage is asked about it."""
    pending, spent = begin(node), Spent(storage, now)
    found = await asyncio.gather(*(spent.spend(pending) for _ in range(3)), return_exceptions=True)
    assert found[0] is None
    assert [type(each) for each in found[1:]] == [LoginError, LoginError]


async def test_a_failure_is_kept_as_long_as_its_login_could_go_on(node: BrowserLogins, now: Now) -> None:
    """Its own, and what a stranger has done to it."""
    for keep in (node.outcomes.fail, node.outcomes.spoil):
        first, second = begin(node), begin(node)
        keep(first, "no")
        keep(second, "no")
        now.time += LIFETIME_SECONDS - 1
        assert await node.outcomes.take(first) == "no"
        now.time += 1
        assert await node.outcomes.take(second) is None


async def test_what_is_over_is_deleted(node: BrowserLogins, storage: InMemoryStorage, now: Now) -> None:
    """States, outcomes and posted tokens alike, and nothing of what may go on."""
    old, places = begin(node), ("oidc/spent/", "oidc/done/", "oidc/posted/")
    now.time += 1
    for pending in (old, begin(node)):
        await node.spent.remember(pending)
        await node.outcomes.succeed(pending, IDENTITY)
        await node.posted_tokens.put(pending, "proof", Secret("a.b.c"))
    now.time += LIFETIME_SECONDS - 1
    await node.forget_old()
    assert [len(await storage.list(place)) for place in places] == [1, 1, 1]
    now.time += 1
    await node.forget_old()
    assert [len(await storage.list(place)) for place in places] == [0, 0, 0]


async def test_keys_that_are_due_are_replaced(
    node: BrowserLogins, storage: InMemoryStorage, now: Now
) -> None:
    """Where nobody logs in, too: both rings, and the key of an earlier version that sealed."""
    await node.states.close(begin(node))
    await node.refresh_tokens.hide(Secret("token"))
    await node.client_keys.load()
    pem = json.loads((await storage.get("oidc/client-keys")).value)["keys"][0]["pem"]  # type: ignore[union-attr]
    await storage.put(StorageEntry("oidc/keys", json.dumps({"sealing": "AAAA", "signing": pem}).encode()))
    node.forget_keys()
    rings = ("oidc/login-keys/", "oidc/refresh-keys/")
    before = [await storage.list(ring) for ring in rings]
    now.time += 31 * DAY
    await node.rotate_keys()
    after = [await storage.list(ring) for ring in rings]
    assert all(set(new) - set(old) for old, new in zip(before, after, strict=True))
    assert await storage.get("oidc/keys") is None


async def test_another_nodes_keys_are_read_again(node: BrowserLogins, storage: InMemoryStorage) -> None:
    """A key that it has deleted opens nothing here any more, and signs nothing."""
    state = await node.states.close(begin(node))
    hidden = await node.refresh_tokens.hide(Secret("token"))
    await node.client_keys.load()
    kid = node.client_keys.signer().kid
    for prefix in ("oidc/login-keys/", "oidc/refresh-keys/"):
        for name in await storage.list(prefix):
            await storage.delete(prefix + name)
    await storage.delete("oidc/client-keys")
    node.forget_keys()
    with pytest.raises(LoginError, match="missing OAuth state"):
        await node.states.open(state)
    with pytest.raises(LoginError, match="cannot be opened any more"):
        await node.refresh_tokens.unhide(hidden)
    await node.client_keys.load()
    assert node.client_keys.signer().kid != kid
