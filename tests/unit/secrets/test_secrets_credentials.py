"""Leased credentials: issued, renewed, revoked, and undone when no lease comes of them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest
from engines import NOW, Account, AccountRole, Engine, EngineMount, response_secret

from authkit import Model, Str
from authkit.errors import InternalError, ReadOnlyError, StorageError, UserError
from authkit.framework.tasks.wal import SETTLE_SECONDS
from authkit.logical import LeasedSecret, Operation, Request
from authkit.secrets import SLACK, CredsCall, Lease, Renewal, RenewCall, RevokeCall, credentials
from authkit.values import replace
from authkit.wire.errors import error_response, is_expected
from authkit.wire.guards import answer
from authkit.wire.messages import encode_request
from authkit.wire.pb import backend_pb2 as pb

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def mount() -> EngineMount:
    """One mount with the role `app`: one minute, two at most."""
    made = EngineMount()
    await made.write("roles/app", ttl="1m", max_ttl="2m")
    return made


async def test_an_answer_is_leased(mount: EngineMount) -> None:
    """Lifetimes are the role's, secrets are sent as their text, and what was kept goes along unseen."""
    response = await mount.issue(data={"size": "xl"})

    assert response.data == {"name": "bob-0", "password": "hidden-until-sent", "size": "xl"}
    secret = response_secret(response)
    assert (secret.lease.ttl, secret.lease.max_ttl, secret.lease.renewable) == (MINUTE, 2 * MINUTE, True)
    assert secret.internal_data == {
        "secret_type": "creds",
        "role": "app",
        "kept": {"_version": 1, "name": "bob-0"},
    }
    assert response.warnings == ("mind the gap",)
    assert "bob-0" not in repr(secret)


async def test_secrets_inside_of_lists_are_sent(mount: EngineMount) -> None:
    """A credential may be a list of keys."""
    await mount.write("roles/app", fault="nested")
    response = await mount.issue()
    assert response.data is not None
    assert response.data["keys"] == [{"private": "in-a-list", "size": 2048}]


async def test_an_unknown_role_is_refused(mount: EngineMount) -> None:
    """Nothing is written ahead for it."""
    with pytest.raises(UserError, match="unknown role: nobody"):
        await mount.issue("nobody")
    assert await mount.log() == []


async def test_a_renewal_replaces_only_what_was_decided(mount: EngineMount) -> None:
    """A host replaces everything by the answer, so the answer has everything."""
    issued = await mount.issue()
    await mount.write("roles/app", ttl="3m", max_ttl="9m")

    renewed = await mount.renew_lease(issued)

    secret = response_secret(renewed)
    assert secret.internal_data == response_secret(issued).internal_data
    assert (secret.lease.ttl, secret.lease.max_ttl, secret.lease.renewable) == (3 * MINUTE, 9 * MINUTE, True)
    assert renewed.data is None


async def test_a_renewal_may_keep_something_else(mount: EngineMount) -> None:
    """What revocation needs can change."""
    await mount.write("roles/app", fault="rename")
    renewed = await mount.renew_lease(await mount.issue())
    await mount.revoke_lease(renewed)
    assert mount.backend.revocations == [("bob-0-renamed", "app", False, False)]


async def test_a_handler_knows_until_when(mount: EngineMount) -> None:
    """The increment counts, the maximum bounds it, and the credential outlives its lease a little."""
    issued = await mount.issue()
    for increment, granted in ((timedelta(0), MINUTE), (timedelta(seconds=90), timedelta(seconds=90))):
        await mount.renew_lease(issued, increment)
        assert mount.service.passwords["bob-0"] == (mount.clock.now() + granted + SLACK).isoformat()
    await mount.renew_lease(issued, 100 * MINUTE)
    assert mount.service.passwords["bob-0"] == (mount.clock.now() + 2 * MINUTE + SLACK).isoformat()


async def test_a_renewal_needs_its_role(mount: EngineMount) -> None:
    """Its lifetimes would be nobody's."""
    issued = await mount.issue()
    await mount.delete("roles/app")
    with pytest.raises(UserError, match='role "app" could not be found, not renewing'):
        await mount.renew_lease(issued)


async def test_a_revocation_does_without_the_role(mount: EngineMount) -> None:
    """A lease outlives it."""
    issued = await mount.issue()
    await mount.delete("roles/app")
    await mount.revoke_lease(issued)
    assert mount.service.accounts == set()
    assert mount.backend.revocations == [("bob-0", "app", True, False)]


async def test_a_failed_revocation_is_an_error(mount: EngineMount) -> None:
    """So that the host tries again."""
    issued = await mount.issue()
    mount.fail("revoke")
    with pytest.raises(UserError, match="the service is down"):
        await mount.revoke_lease(issued)


@pytest.mark.parametrize("operation", [Operation.RENEW, Operation.REVOKE])
@pytest.mark.parametrize(
    ("internal_data", "text"),
    [
        ({}, "secret type not found in the lease"),
        ({"secret_type": "other"}, "secret is unsupported by this backend"),
        ({"secret_type": "creds", "role": "app"}, "nothing was kept with the lease"),
        ({"secret_type": "creds", "kept": {"_version": 99}}, "what was kept with the lease cannot be read"),
        ({"secret_type": "creds", "kept": "text"}, "what was kept with the lease cannot be read"),
    ],
)
async def test_leases_of_others_are_refused(
    mount: EngineMount, operation: Operation, internal_data: dict[str, object], text: str
) -> None:
    """With a text, and as nothing that makes a host give up."""
    request = Request(operation=operation, path="creds/app", secret=LeasedSecret(internal_data=internal_data))
    with pytest.raises((UserError, InternalError), match=text):
        await mount.backend.handle_request(request)


# --- what no lease came of ---------------------------------------------------------------------


async def test_the_log_has_what_undoing_needs_before_anything_is_made(mount: EngineMount) -> None:
    """Without it nothing is made."""
    mount.storage.failure = StorageError("no room")
    with pytest.raises(StorageError):
        await mount.issue()
    assert mount.service.accounts == set()


@pytest.mark.parametrize("fault", ["", "no lease", "undocumented"])
async def test_a_failed_handler_leaves_nothing(mount: EngineMount, fault: str) -> None:
    """What it has made is undone at once, and once more later: something may still be on its way."""
    await mount.write("roles/app", fault=fault)
    if not fault:
        mount.fail("create")
    with pytest.raises((UserError, InternalError)):
        await mount.issue()
    assert mount.service.accounts == set()
    assert mount.backend.revocations == [("bob-0", "app", False, True)]

    mount.clock.tick("9m")
    await mount.tick()
    assert len(await mount.log()) == 1
    mount.clock.tick("2m")
    await mount.tick()
    assert await mount.log() == []
    assert len(mount.backend.revocations) == 2


async def test_a_caller_that_goes_away_leaves_nothing(mount: EngineMount) -> None:
    """The host will make no lease."""
    await mount.write("roles/app", fault="hang")
    asking = asyncio.create_task(mount.issue())
    await mount.service.entered.wait()
    assert mount.service.accounts == {"bob-0"}
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.gather(*mount.backend.undoing)
    assert mount.service.accounts == set()


class Slow(Engine, name="slow", version="0.1.0"):
    """A service that takes its time."""

    @Engine.create.revoke
    async def remove(self, call: RevokeCall, account: Account, role: AccountRole | None) -> None:
        """Delete the account."""
        for _ in range(100):
            await asyncio.sleep(0)
        self.service.accounts.discard(account.name)


async def test_a_mount_ends_when_what_callers_have_left_is_undone() -> None:
    """The log of a mount that is removed goes with it: nothing else would undo that."""
    mount = EngineMount(Slow)
    await mount.write("roles/app", fault="hang")
    asking = asyncio.create_task(mount.issue())
    await mount.service.entered.wait()
    asking.cancel()
    await asyncio.wait({asking})
    await mount.backend.cleanup()
    assert mount.service.accounts == set()


async def test_what_cannot_be_undone_yet_is_undone_later(mount: EngineMount) -> None:
    """By the ticks, until it works."""
    mount.fail("create", "revoke")
    with pytest.raises(UserError):
        await mount.issue()
    assert mount.service.accounts == {"bob-0"}
    mount.clock.tick("11m")
    with pytest.raises(InternalError, match="credentials/creds"):
        await mount.tick()
    mount.fail()
    await mount.tick()
    assert mount.service.accounts == set()
    assert await mount.log() == []


async def test_an_answer_that_never_leaves_is_undone(mount: EngineMount) -> None:
    """Nobody has said that it left: the process ended."""
    await mount.issue()
    mount.clock.tick("11m")
    await mount.tick()
    assert mount.service.accounts == set()


async def test_an_answer_that_cannot_be_sent_is_undone_at_once(mount: EngineMount) -> None:
    """The client reads that something failed, and has nothing; what was made does not wait for the log."""
    await mount.write("roles/app", fault="unsendable")
    request = Request(operation=Operation.READ, path="creds/app", display_name="bob")
    reply = pb.HandleRequestReply.FromString(await answer(mount.backend, encode_request(request)))
    assert "internal error" in reply.err.err_msg
    await asyncio.gather(*mount.backend.undoing)
    assert mount.service.accounts == set()
    assert mount.backend.revocations == [("bob-0", "app", False, True)]


async def test_a_handler_that_takes_too_long_is_ended(
    mount: EngineMount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a tick could take its entry in the log for one of a crash. What it has made is undone."""
    await mount.write("roles/app", fault="hang")
    monkeypatch.setattr("authkit.secrets.flow.MAKE_SHARE", 0.0001)
    with pytest.raises(InternalError, match="was not made within 0 s"):
        await mount.issue()
    assert mount.backend.revocations == [("bob-0", "app", False, True)]


async def test_a_handler_may_time_out_by_itself(mount: EngineMount) -> None:
    """That is its own error, and not the limit of the layer."""

    def time_out(deed: str) -> None:
        raise TimeoutError("the service")

    mount.service.fault = time_out
    with pytest.raises(TimeoutError, match="the service"):
        await mount.issue()


@pytest.mark.parametrize("settle_seconds", [0.0, 60.0])
async def test_an_answer_that_left_is_settled(
    mount: EngineMount, monkeypatch: pytest.MonkeyPatch, settle_seconds: float
) -> None:
    """At a tick at the latest, but not before the host had time for its lease; and never undone."""
    monkeypatch.setattr("authkit.framework.tasks.wal.SETTLE_SECONDS", settle_seconds)
    response = await mount.issue()
    assert response.on_sent is not None
    response.on_sent()
    assert len(await mount.log()) == 1
    mount.clock.tick("11m")
    await mount.tick()
    assert len(await mount.log()) == (1 if settle_seconds else 0)
    assert mount.service.accounts == {"bob-0"}


async def test_an_answer_that_nobody_took_is_undone(mount: EngineMount) -> None:
    """The host had given up when the answer left: at once, and again by the log."""
    response = await mount.issue()
    assert response.on_sent is not None
    assert response.on_untaken is not None
    response.on_sent()
    response.on_untaken()
    await asyncio.gather(*mount.backend.undoing)
    assert mount.service.accounts == set()
    assert len(await mount.log()) == 1
    mount.clock.tick("11m")
    await mount.tick()
    assert await mount.log() == []
    assert [each[3] for each in mount.backend.revocations] == [True, True]


async def test_settling_needs_no_tick(mount: EngineMount, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host ticks once a minute; a crash within it would take back what was leased."""
    assert SETTLE_SECONDS <= 10
    monkeypatch.setattr("authkit.framework.tasks.wal.SETTLE_SECONDS", 0.0)
    deleted = asyncio.Event()
    delete = mount.storage.delete

    async def note(key: str) -> None:
        await delete(key)
        deleted.set()

    monkeypatch.setattr(mount.storage, "delete", note)
    response = await mount.issue()
    assert response.on_sent is not None
    response.on_sent()
    await asyncio.wait_for(deleted.wait(), 10)
    assert await mount.log() == []


async def test_the_end_settles_what_left(mount: EngineMount) -> None:
    """A reload must not take back what was just leased."""
    response = await mount.issue()
    assert response.on_sent is not None
    response.on_sent()
    await mount.backend.cleanup()
    assert await mount.log() == []


class Twice(Engine, name="twice", version="0.1.0"):
    """Knows the name of an account only when it has made it."""

    @credentials("creds/{role}")
    async def create(self, call: CredsCall, role: AccountRole, size: Str = "") -> Lease:
        """Create an account."""
        await call.keep(Account(name="asked-for"))
        self.service.fault("asked")
        self.service.accounts.add("given")
        await call.keep(Account(name="given"))
        self.service.fault("given")
        return Lease(data={"name": "given"})

    @create.revoke
    async def remove(self, call: RevokeCall, account: Account, role: AccountRole | None) -> None:
        """Delete the account."""
        self.service.accounts.discard(account.name)
        self.revocations.append((account.name, call.role_name, role is None, call.is_rollback))


async def test_keeping_twice_leaves_one_entry() -> None:
    """What is known only when the credential is made replaces what was known before."""
    mount = EngineMount(Twice)
    await mount.write("roles/app")
    response = await mount.issue()
    assert len(await mount.log()) == 1
    assert response_secret(response).internal_data["kept"] == Account(name="given").to_stored()
    await mount.revoke_lease(response)
    assert mount.service.accounts == set()


@pytest.mark.parametrize(("moment", "undone"), [("asked", "asked-for"), ("given", "given")])
async def test_what_was_kept_last_is_undone(moment: str, undone: str) -> None:
    """Once: nothing is left of what was kept before."""
    mount = EngineMount(Twice)
    await mount.write("roles/app")
    mount.fail(moment)
    with pytest.raises(UserError, match="the service is down"):
        await mount.issue()
    assert mount.service.accounts == set()
    assert mount.backend.revocations == [(undone, "app", False, True)]


async def test_a_standby_makes_nothing(mount: EngineMount) -> None:
    """The host forwards the request."""
    mount.storage.failure = ReadOnlyError(ReadOnlyError.TEXT)
    with pytest.raises(ReadOnlyError):
        await mount.issue()
    assert mount.service.accounts == set()


class Stubborn(Engine, name="stubborn", version="0.1.0"):
    """Whose revocation goes on after it was cancelled, as a driver does on a dead connection."""

    @credentials("creds/{role}")
    async def create(self, call: CredsCall, role: AccountRole, size: Str = "") -> Lease:
        """Keep something, or something wrong."""
        await call.keep({"password": "hidden"} if size else Account(name="bob"))  # type: ignore[arg-type]
        return Lease(data={"name": "bob"})

    @create.revoke
    async def remove(self, call: RevokeCall, account: Account, role: AccountRole | None) -> None:
        """Hang."""
        with suppress(asyncio.CancelledError):
            await self.service.released.wait()
        await self.service.released.wait()

    async def stop(self) -> None:
        """Tell that it is called."""
        self.service.entered.set()


async def test_a_revocation_that_is_not_cancelled_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host waits for some without end: an unmount would never end."""
    monkeypatch.setattr("authkit.secrets.flow.REVOKE_SECONDS", 0.05)
    mount = EngineMount(Stubborn)
    await mount.write("roles/app")
    leased = await mount.issue()
    async with asyncio.timeout(1):
        with pytest.raises(InternalError, match="did not end within"):
            await mount.revoke_lease(leased)
    mount.service.released.set()


async def test_what_cannot_be_kept_is_not_shown() -> None:
    """The error is logged."""
    mount = EngineMount(Stubborn)
    await mount.write("roles/app")
    with pytest.raises(TypeError, match="does not take dict") as failed:
        await mount.issue(data={"size": "x"})
    assert "hidden" not in str(failed.value)


class Long(Engine, name="long", version="0.1.0"):
    """A service that takes longer than a minute."""

    @credentials("creds/{role}", rollback_after="1m")
    async def create(self, call: CredsCall, role: AccountRole, size: Str = "") -> Lease:
        """Create an account, and go on for long."""
        await call.keep(Account(name="bob"))
        self.service.accounts.add("bob")
        self.service.entered.set()
        await asyncio.sleep(0.1)
        return Lease(data={"name": "bob"})

    @create.revoke
    async def remove(self, call: RevokeCall, account: Account, role: AccountRole | None) -> None:
        """Delete the account."""
        self.service.accounts.discard(account.name)


@pytest.mark.parametrize("is_lost", [False, True])
async def test_a_tick_undoes_nothing_of_a_request_at_work(is_lost: bool) -> None:
    """However long it takes; afterwards it does, if no lease came of it."""
    mount = EngineMount(Long)
    await mount.write("roles/app")
    request = asyncio.ensure_future(mount.issue())
    await mount.service.entered.wait()
    mount.clock.tick("2m")
    await mount.tick()
    response = await request
    assert mount.service.accounts == {"bob"}
    if not is_lost:
        assert response.on_sent is not None
        response.on_sent()
    mount.clock.tick("2m")
    await mount.tick()
    assert mount.service.accounts == (set() if is_lost else {"bob"})
    assert len(await mount.log()) == (0 if is_lost else 1)  # settled soon, by its timer


async def test_a_model_that_the_engine_fills_wrongly_is_no_mistake_of_the_client() -> None:
    """The client has sent nothing of the kind; the log says which field of which model."""

    class Careless(Engine, name="careless", version="0.1.0"):
        """Fills a model wrongly."""

        @credentials("careless/{role}", secret_type="careless")
        async def create_carelessly(self, call: CredsCall, role: AccountRole) -> Lease:
            """Keep a name that is a list."""
            await call.keep(Account(name=["x"]))  # type: ignore[arg-type]
            return Lease(data={})

        @create_carelessly.revoke
        async def remove_carelessly(self, call: RevokeCall, account: Account) -> None:
            """Do nothing."""

    mount = EngineMount(Careless)
    await mount.write("roles/app")
    with pytest.raises(InternalError, match=r"^Account\.name: expected text$") as caught:
        await mount.request(Operation.READ, "careless/app")
    assert not is_expected(caught.value)
    assert error_response(caught.value) is None


class Other(Model):
    """What no revocation takes."""

    name: Str = ""


class Rash(Engine, name="rash", version="0.1.0"):
    """Does what an engine must not do, as its role says."""

    @credentials("creds/{role}")
    async def create(self, call: CredsCall, role: AccountRole, size: Str = "") -> Lease:
        """Create an account, perhaps without a word of it before."""
        if role.fault != "unkept":
            await call.keep(Account(name="bob"))
        self.service.accounts.add("bob")
        return Lease(data={"name": "bob"})

    @create.renew
    async def extend(self, call: RenewCall, account: Account, role: AccountRole) -> Renewal:
        """Answer with something else."""
        if role.fault == "no renewal":
            return True  # type: ignore[return-value]
        if role.fault == "age":
            self.service.passwords["age"] = call.issued_at.isoformat()
        return Renewal(keep=Other() if role.fault == "other" else None)

    @create.revoke
    async def remove(self, call: RevokeCall, account: Account, role: AccountRole | None) -> None:
        """Delete the account."""
        self.service.accounts.discard(account.name)


async def test_a_credential_that_nothing_could_undo_is_not_shown() -> None:
    """Its revocation would not know which one it is."""
    mount = EngineMount(Rash)
    await mount.write("roles/app", fault="unkept")
    with pytest.raises(InternalError, match="made a credential without `await call"):
        await mount.issue()


@pytest.mark.parametrize(
    ("fault", "text"),
    [("no renewal", "returned bool, not a Renewal"), ("other", "keeps another model than revoke takes")],
)
async def test_a_renewal_that_cannot_be_followed_is_refused(fault: str, text: str) -> None:
    """The lease stays as it was, and can still be revoked."""
    mount = EngineMount(Rash)
    await mount.write("roles/app")
    issued = await mount.issue()
    await mount.write("roles/app", fault=fault)
    with pytest.raises(InternalError, match=text):
        await mount.renew_lease(issued)
    await mount.revoke_lease(issued)
    assert mount.service.accounts == set()


async def test_the_age_of_a_lease_is_not_guessed() -> None:
    """A host that does not say it gets an error, one that does is believed."""
    mount = EngineMount(Rash)
    await mount.write("roles/app", fault="age")
    issued = await mount.issue()
    secret = response_secret(issued)
    told = replace(secret, lease=replace(secret.lease, issue_time=NOW))
    await mount.backend.handle_request(Request(operation=Operation.RENEW, path="creds/app", secret=told))
    assert mount.service.passwords["age"] == NOW.isoformat()
    request = Request(operation=Operation.RENEW, path="creds/app", secret=secret)
    with pytest.raises(InternalError, match="does not say when the lease was issued"):
        await mount.backend.handle_request(request)


class Final(Engine, name="final", version="0.1.0"):
    """Its credentials have one life."""

    @credentials("creds/{role}")
    async def create(self, call: CredsCall, role: AccountRole, size: Str = "") -> Lease:
        """Create an account."""
        await call.keep(Account(name="bob"))
        return Lease(data={"name": "bob"})

    @create.revoke
    async def remove(self, call: RevokeCall, account: Account, role: AccountRole | None) -> None:
        """Delete the account."""


async def test_without_a_handler_nothing_is_renewed() -> None:
    """The lease says so, and a host that asks all the same is told."""
    mount = EngineMount(Final)
    await mount.write("roles/app")
    issued = await mount.issue()
    assert not response_secret(issued).lease.renewable
    with pytest.raises(UserError, match="these credentials cannot be renewed"):
        await mount.renew_lease(issued)


async def test_a_mount_whose_undoing_hangs_ends_all_the_same() -> None:
    """Its caller gives it some time, and cancels it: answers that were sent are settled by then."""
    mount = EngineMount(Stubborn)
    await mount.backend.initialize()
    await mount.write("roles/app")
    response = await mount.issue()
    assert response.on_sent is not None
    response.on_sent()
    stuck = asyncio.create_task(mount.revoke_lease(response))
    ending = asyncio.create_task(mount.backend.cleanup())
    async with asyncio.timeout(1):
        while await mount.log():
            await asyncio.sleep(0)
    ending.cancel()
    await asyncio.wait({ending})
    stuck.cancel()
    await asyncio.wait({stuck})
    assert mount.service.entered.is_set()
    mount.service.released.set()
