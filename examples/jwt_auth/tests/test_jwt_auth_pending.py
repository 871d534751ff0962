"""States of browser logins: what is sealed into them, and that each is good once."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jwt_auth.mount_keys import MountKeys
from jwt_auth.outcomes import Outcomes, PostedTokens
from jwt_auth.pending import LIFETIME_SECONDS, MAX_SPENT, Pending, Seal, Spent, hash_nonce

from authkit.auth import Identity
from authkit.errors import InternalError, LoginError
from authkit.logical import InMemoryStorage, StorageEntry
from authkit.masking import Secret
from authkit.values import replace

KEY = os.urandom(32)
START = 1_700_000_000.0


class Now:
    """A clock that stands."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> float:
        """The time."""
        return self.time


@pytest.fixture
def now() -> Now:
    """A clock."""
    return Now()


@pytest.fixture
def seal(now: Now) -> Seal:
    """What makes states."""
    return Seal(KEY, now)


FIELDS: dict[str, Any] = {
    "redirect_uri": "https://vault.example/ui/vault/auth/oidc/oidc/callback",
    "client_nonce": hash_nonce("n"),
    "max_age": 5,
    "mode": "direct",
    "address": "10.1.2.3",
    "secret": Secret("device"),
}


def test_a_state_holds_its_login(seal: Seal) -> None:
    """Everything comes back, and nothing of it can be read or told from another."""
    pending = seal.begin("dev", **FIELDS)
    state = seal.close(pending)
    assert seal.open(state) == pending
    assert pending.created == START
    assert "dev" not in state
    assert len(seal.close(seal.begin("dev", redirect_uri="http://localhost:8250/oidc/callback"))) < 300
    assert seal.close(seal.begin("dev")) != seal.close(seal.begin("dev"))
    assert "device" not in repr(pending)


def test_nonce_and_verifier_follow_from_the_login(seal: Seal) -> None:
    """Another login has others, and so has another mount; the verifier has the length that it must have."""
    one, other = seal.begin("dev"), seal.begin("dev")
    assert seal.nonce(one) == seal.nonce(seal.open(seal.close(one)))
    assert len({seal.nonce(one), seal.nonce(other), Seal(os.urandom(32)).nonce(one)}) == 3
    assert len({seal.verifier(one), seal.verifier(other), Seal(os.urandom(32)).verifier(one)}) == 3
    assert 43 <= len(seal.verifier(one)) <= 128


@pytest.mark.parametrize(
    ("age", "is_good"), [(0, True), (599, True), (600, False), (-60, True), (-61, False)]
)
def test_a_state_ends(seal: Seal, now: Now, age: int, is_good: bool) -> None:
    """After ten minutes; one from the future was made by a clock that is wrong."""
    state = seal.close(seal.begin("dev"))
    now.time += age
    if is_good:
        seal.open(state)
    else:
        with pytest.raises(LoginError, match=r"^Expired or missing OAuth state\.$"):
            seal.open(state)


@given(position=st.integers(0, 10_000), bit=st.integers(0, 5))
def test_a_state_that_was_touched_is_none(position: int, bit: int) -> None:
    """Any bit of it."""
    seal = Seal(KEY)
    state = seal.close(seal.begin("dev", redirect_uri="https://x"))
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    place = 3 + position % (len(state) - 3)
    changed = alphabet[alphabet.index(state[place]) ^ 1 << bit]
    with pytest.raises(LoginError):
        seal.open(state[:place] + changed + state[place + 1 :])


@pytest.mark.parametrize(
    "state", ["", "st_", "st_AAAA", "x", "st_" + "A" * 9000, "st_é", "st_A=", "st_ AAAA", "st_A" * 50, "\x00"]
)
def test_other_texts_are_no_states(seal: Seal, state: str) -> None:
    """Whatever somebody sends."""
    with pytest.raises(LoginError, match="Expired or missing OAuth state"):
        seal.open(state)
    with pytest.raises(LoginError):
        Seal(os.urandom(32)).open(seal.close(seal.begin("dev")))


def test_what_is_hidden_comes_back_here_only(seal: Seal) -> None:
    """And a state is nothing that was hidden."""
    hidden = seal.hide(Secret("refresh me"))
    assert seal.unhide(hidden) == Secret("refresh me")
    for text in (
        seal.close(seal.begin("dev")),
        seal.close(seal.begin("dev")).removeprefix("st_"),
        "",
        "AAAA",
    ):
        with pytest.raises(ValueError, match=r"not hidden|base64url"):
            seal.unhide(text)
    with pytest.raises(ValueError, match="not hidden"):
        Seal(os.urandom(32)).unhide(hidden)


def test_the_client_s_nonce(seal: Seal) -> None:
    """One that nobody asked for is ignored; otherwise it is the same or wrong."""
    assert seal.begin("dev").is_from("anything")
    bound = seal.begin("dev", client_nonce=hash_nonce("n"))
    assert bound.is_from("n")
    assert not bound.is_from("")
    assert not bound.is_from("N")


async def test_a_state_is_good_once(seal: Seal, now: Now) -> None:
    """Where it was spent, and everywhere else once the login has ended well."""
    storage = InMemoryStorage()
    spent, elsewhere = Spent(storage, now), Spent(storage, now)
    pending = seal.begin("dev")
    await spent.spend(pending)
    with pytest.raises(LoginError, match="Expired or missing OAuth state"):
        await spent.spend(pending)
    assert await storage.list("oidc/spent/") == []
    await spent.remember(pending)
    with pytest.raises(LoginError, match="Expired or missing OAuth state"):
        await elsewhere.spend(pending)
    now.time += LIFETIME_SECONDS - 1
    await spent.forget()
    assert len(await storage.list("oidc/spent/")) == 1
    now.time += 1
    await spent.forget()
    assert await storage.list("oidc/spent/") == []


async def test_what_strangers_spend_is_bounded(seal: Seal, now: Now) -> None:
    """In memory the oldest is forgotten; in storage nothing of it is ever kept."""
    storage = InMemoryStorage()
    spent = Spent(storage, now)
    first = seal.begin("dev")
    await spent.spend(first)
    for _ in range(MAX_SPENT):
        await spent.spend(replace(first, id=os.urandom(12)))
    assert len(spent._known) == MAX_SPENT
    assert await storage.list("oidc/") == []
    now.time += LIFETIME_SECONDS
    await spent.spend(seal.begin("dev"))
    assert len(spent._known) == 1


async def test_an_outcome_waits_for_its_client(seal: Seal, now: Now) -> None:
    """Also in another process, once, and until its time is over."""
    storage = InMemoryStorage()
    outcomes, elsewhere = Outcomes(storage, now), Outcomes(storage, now)
    pending, other = seal.begin("dev"), seal.begin("dev")
    identity = Identity(name="ann", groups=("a",), metadata={"role": "dev"}, state={"refresh": "x"})
    assert await outcomes.take(pending) is None
    await outcomes.succeed(pending, identity)
    assert await elsewhere.take(other) is None
    found = await elsewhere.take(pending)
    assert isinstance(found, Identity)
    assert (found.name, list(found.groups), found.metadata, found.state) == (
        "ann",
        ["a"],
        {"role": "dev"},
        {"refresh": "x"},
    )
    assert await outcomes.take(pending) is None
    outcomes.fail(pending, "no")
    assert (await outcomes.take(pending), await outcomes.take(pending)) == ("no", None)
    await outcomes.succeed(pending, identity)
    now.time += LIFETIME_SECONDS
    await outcomes.forget()
    assert await storage.list("oidc/done/") == []


async def test_posted_tokens_wait_as_well(seal: Seal, now: Now) -> None:
    """Seal-wrapped, for one client, once."""
    storage = InMemoryStorage()
    posted, pending = PostedTokens(storage, now), seal.begin("dev")
    await posted.put(pending, Secret("a.b.c"))
    (name,) = await storage.list("oidc/posted/")
    entry = await storage.get(f"oidc/posted/{name}")
    assert entry is not None
    assert entry.seal_wrap
    assert await posted.take(pending) == Secret("a.b.c")
    assert not await posted.take(pending)


async def test_keys_are_made_once() -> None:
    """And read by whoever comes next; what are no keys is not replaced: logins under way would be lost."""
    storage = InMemoryStorage()
    keys = MountKeys(storage)
    made = await keys.get()
    assert await keys.get() is made
    again = await MountKeys(storage).get()
    assert (again.sealing, again.signing) == (made.sealing, made.signing)
    entry = await storage.get("oidc/keys")
    assert entry is not None
    assert entry.seal_wrap
    assert repr(made) == "Keys()"
    for broken in (b"", b"[]", b'{"sealing": "AAAA", "signing": "x"}', b"{}"):
        await storage.put(StorageEntry("oidc/keys", broken))
        with pytest.raises(InternalError):
            await MountKeys(storage).get()


def test_a_login_is_a_value() -> None:
    """For type checkers and people alike."""
    assert Pending(id=b"1", created=1.0, role="dev").mode == "client"
