"""States of browser logins: what is sealed into them, and that each is good once."""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode
from typing import Any

import pytest
from jwt_auth.browser.outcomes import Outcomes, PostedTokens
from jwt_auth.browser.pending import LIFETIME_SECONDS, MAX_SPENT, Pending, Spent, States, hash_nonce
from jwt_auth.browser.posted import MAX_CODE, Posted
from jwt_auth.browser.sealing_keys import RefreshTokens, make_login_keys

from authkit.auth import Identity
from authkit.errors import InternalError, LoginError
from authkit.logical import StorageEntry
from authkit.masking import Secret
from authkit.testing import InMemoryStorage
from authkit.values import replace

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
def storage() -> InMemoryStorage:
    """The storage of a mount."""
    return InMemoryStorage()


@pytest.fixture
def states(storage: InMemoryStorage, now: Now) -> States:
    """What makes states."""
    return States(make_login_keys(storage, "mount", now), now)


FIELDS: dict[str, Any] = {
    "redirect_uri": "https://vault.example/ui/vault/auth/oidc/oidc/callback",
    "client_nonce": hash_nonce("n"),
    "address": "10.1.2.3",
    "secret": Secret("device"),
}


async def test_a_state_holds_its_login(states: States) -> None:
    """Everything comes back, and nothing of it can be read or told from another."""
    pending = states.begin("dev", "terms", **FIELDS)
    state = await states.close(pending)
    assert await states.open(state) == pending
    assert pending.created == START
    assert "dev" not in state
    begun = states.begin("dev", "t" * 22, redirect_uri="http://localhost:8250/oidc/callback")
    assert len(await states.close(begun)) < 400
    assert len({states.begin("dev", "terms").id for _ in range(100)}) == 100
    assert "device" not in repr(pending)
    assert "seed" not in repr(pending)


async def test_two_states_of_one_login_have_two_nonces(states: States) -> None:
    """What a login is known by is never the nonce of the cipher."""
    pending = states.begin("dev", "terms", **FIELDS)
    texts = [(await states.close(pending)).removeprefix("st_") for _ in range(2)]
    raw = [urlsafe_b64decode(text + "=" * (-len(text) % 4)) for text in texts]
    assert pending.id not in raw[0]
    assert pending.seed not in raw[0]
    assert raw[0][21:33] != raw[1][21:33]


async def test_values_of_a_login_follow_from_its_seed(states: States) -> None:
    """They come back with the state, differ from each other and from those of other logins."""
    one, other = states.begin("dev", "terms"), states.begin("dev", "terms")
    again = await states.open(await states.close(one))
    assert (again.id, again.nonce, again.verifier) == (one.id, one.nonce, one.verifier)
    values = {each for login in (one, other) for each in (login.nonce, login.verifier, login.id.hex())}
    assert len(values) == 6
    assert len(one.verifier) == 43
    assert one.seed not in (one.id, one.verifier.encode())


async def test_no_value_of_a_login_begins_another(states: States) -> None:
    """The nonce is in a URL; the verifier, which goes to the provider alone, must not follow from it."""
    one = states.begin("dev", "terms")
    texts = (one.nonce.removeprefix("n_"), one.verifier, one.confirmation(Secret("code")))
    values = [one.id, *(urlsafe_b64decode(text + "=" * (-len(text) % 4)) for text in texts)]
    assert len({value[:8] for value in values}) == 4


async def test_a_confirmation_is_for_one_login_and_code(states: States) -> None:
    """A fixed word, an empty one, or that of another code or login counts for nothing."""
    one, other = states.begin("dev", "terms"), states.begin("dev", "terms")
    good = one.confirmation(Secret("code"))
    assert one.is_confirmed(Secret("code"), good)
    for confirmation in ("", "0", "1", "false", "true", "é", good + "A", other.confirmation(Secret("code"))):
        assert not one.is_confirmed(Secret("code"), confirmation)
    assert not one.is_confirmed(Secret("other"), good)


@pytest.mark.parametrize(
    ("age", "is_good"), [(0, True), (599, True), (600, False), (-60, True), (-61, False)]
)
async def test_a_state_ends(states: States, now: Now, age: int, is_good: bool) -> None:
    """After ten minutes; one from the future was made by a clock that is wrong."""
    state = await states.close(states.begin("dev", "terms"))
    now.time += age
    if is_good:
        await states.open(state)
    else:
        with pytest.raises(LoginError, match=r"^Expired or missing OAuth state\.$"):
            await states.open(state)


async def test_a_state_lives_longer_than_the_key_that_seals(states: States, now: Now) -> None:
    """A login that began right before a new key was made can end."""
    await states.close(states.begin("dev", "terms"))
    now.time += 86_399
    state = await states.close(states.begin("dev", "terms"))
    now.time += 1
    await states.close(states.begin("dev", "terms"))
    now.time += 598
    assert (await states.open(state)).role == "dev"


@pytest.mark.parametrize(
    "state", ["", "st_", "st_AAAA", "x", "st_" + "A" * 9000, "st_é", "st_A=", "st_ AAAA", "st_A" * 50, "\x00"]
)
async def test_other_texts_are_not_states(states: States, now: Now, state: str) -> None:
    """Whatever somebody sends; a state of another mount, or a text that was sealed for something else."""
    with pytest.raises(LoginError, match="Expired or missing OAuth state"):
        await states.open(state)


async def test_states_of_others(states: States, storage: InMemoryStorage, now: Now) -> None:
    """Another mount's, that of a mount with other keys, or what was sealed here for something else."""
    keys = make_login_keys(storage, "mount", now)
    for text in (
        await States(make_login_keys(InMemoryStorage(), "mount", now), now).close(states.begin("dev", "t")),
        await States(make_login_keys(storage, "other", now), now).close(states.begin("dev", "t")),
        "st_" + await keys.seal("posted code", b"[]"),
    ):
        with pytest.raises(LoginError, match="Expired or missing OAuth state"):
            await states.open(text)


async def test_a_refresh_token_comes_back_here_only(storage: InMemoryStorage, now: Now) -> None:
    """With what it was bound to, for a year and more after it was sealed."""
    tokens = RefreshTokens(storage, "mount", now)
    hidden = await tokens.hide(Secret("refresh me"), "ann", "client")
    assert await tokens.unhide(hidden, "ann", "client") == Secret("refresh me")
    for other, context in (
        (RefreshTokens(storage, "other", now), ("ann", "client")),
        (RefreshTokens(InMemoryStorage(), "mount", now), ("ann", "client")),
        (tokens, ("ann", "other")),
        (tokens, ("annclient",)),
        (tokens, ()),
    ):
        with pytest.raises(LoginError, match="log in again"):
            await other.unhide(hidden, *context)
    for text in ("", "AAAA", hidden[:-1], "x" * 100):
        with pytest.raises(LoginError, match="log in again"):
            await tokens.unhide(text, "ann", "client")
    for _ in range(13):
        now.time += 30 * 86_400
        await tokens.keys.tend()
    assert await tokens.unhide(hidden, "ann", "client") == Secret("refresh me")


def test_the_client_s_nonce(states: States) -> None:
    """One that nobody asked for is ignored; otherwise it is the same or wrong."""
    assert states.begin("dev", "terms").is_from("anything")
    bound = states.begin("dev", "terms", client_nonce=hash_nonce("n"))
    assert bound.is_from("n")
    assert not bound.is_from("")
    assert not bound.is_from("N")


async def test_a_state_is_good_once(states: States, now: Now) -> None:
    """Where it was spent, and everywhere else once the login has ended well."""
    storage = InMemoryStorage()
    spent, elsewhere = Spent(storage, now), Spent(storage, now)
    pending = states.begin("dev", "terms")
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


async def test_what_strangers_spend_is_bounded(states: States, now: Now) -> None:
    """In memory the oldest is forgotten; in storage nothing of it is ever kept."""
    storage = InMemoryStorage()
    spent = Spent(storage, now)
    first = states.begin("dev", "terms")
    await spent.spend(first)
    for _ in range(MAX_SPENT):
        await spent.spend(replace(first, seed=os.urandom(32)))
    assert len(spent._known) == MAX_SPENT
    assert await storage.list("oidc/") == []
    now.time += LIFETIME_SECONDS
    await spent.spend(states.begin("dev", "terms"))
    assert len(spent._known) == 1


async def test_an_outcome_waits_for_its_client(states: States, now: Now) -> None:
    """Also in another process, once, and until its time is over."""
    storage = InMemoryStorage()
    outcomes, elsewhere = Outcomes(storage, now), Outcomes(storage, now)
    pending, other = states.begin("dev", "terms"), states.begin("dev", "terms")
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


async def test_posted_tokens_wait_for_a_proof(states: States, now: Now) -> None:
    """Seal-wrapped, once, one for each login; whoever has another proof, or none, gets nothing."""
    storage = InMemoryStorage()
    tokens, pending = PostedTokens(storage, now), states.begin("dev", "terms")
    await tokens.put(pending, "first", Secret("x.y.z"))
    await tokens.put(pending, "proof", Secret("a.b.c"))
    (name,) = await storage.list("oidc/posted/")
    entry = await storage.get(f"oidc/posted/{name}")
    assert entry is not None
    assert entry.seal_wrap
    assert b"proof" not in entry.value
    assert await tokens.take(pending, "proof") == Secret("a.b.c")
    assert not await tokens.take(pending, "proof")
    for wrong in ("first", "", "no_code"):
        await tokens.put(pending, "proof", Secret("a.b.c"))
        assert not await tokens.take(pending, wrong)
    await storage.put(StorageEntry(f"oidc/posted/{name}", b"a.b.c"))
    with pytest.raises(InternalError, match="not an ID token"):
        await tokens.take(pending, "proof")


async def test_a_token_that_a_client_has_posted_is_for_its_nonce(
    states: States, storage: InMemoryStorage, now: Now
) -> None:
    """Not for another nonce, nor for a text that reads like one, nor for anybody where there is no nonce."""
    posted = Posted(make_login_keys(storage, "mount", now), PostedTokens(storage, now))
    pending = states.begin("dev", "terms", client_nonce=hash_nonce("n"))
    for text, nonce in (("", "m"), ("", ""), ("n", ""), ("nonce n", ""), ("posted_token_n", "n")):
        await posted.keep_token_for(pending, Secret("a.b.c"), "n")
        assert not await posted.take_token(pending, text, nonce)
    await posted.keep_token_for(pending, Secret("a.b.c"), "posted_token_n")
    assert not await posted.take_token(pending, "posted_token_n", "")
    await posted.keep_token_for(pending, Secret("a.b.c"), "n")
    assert await posted.take_token(pending, "", "n") == Secret("a.b.c")
    anybody = states.begin("dev", "terms")
    await posted.keep_token_for(anybody, Secret("a.b.c"), "")
    assert not await posted.take_token(anybody, "", "")
    assert len(hash_nonce("n")) == 22


async def test_a_posted_code_is_for_one_login(states: States, storage: InMemoryStorage, now: Now) -> None:
    """Nothing of it is stored; the text opens for no other login; a code that is too long is refused."""
    posted = Posted(make_login_keys(storage, "mount", now), PostedTokens(storage, now))
    pending, other = states.begin("dev", "terms"), states.begin("dev", "terms")
    text = await posted.seal_code(pending, Secret("a code"))
    assert await posted.open_code(pending, text) == Secret("a code")
    for login, wrong in ((other, text), (pending, text[:-1]), (pending, "a code"), (pending, "no_code")):
        assert not await posted.open_code(login, wrong)
    assert await storage.list("oidc/") == ["login-keys/"]
    assert len(await posted.seal_code(pending, Secret("x" * MAX_CODE))) < 6000
    with pytest.raises(LoginError, match="code is too long"):
        await posted.seal_code(pending, Secret("x" * (MAX_CODE + 1)))


def test_a_login_is_a_value() -> None:
    """For type checkers and people alike."""
    assert Pending(seed=bytes(32), created=1.0, role="dev", terms="terms").address == ""
