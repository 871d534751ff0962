"""Renewal: what goes on, what changes, what is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from factories import Mount

from authkit.auth import (
    AuthMethod,
    Identity,
    Lifetimes,
    Renewal,
    RenewCall,
    Role,
    TokenSettings,
    grant,
    login,
    renewal,
)
from authkit.errors import InternalError, PermissionDeniedError, UserError
from authkit.framework import Bool, Call, Collection, CommaList, Seconds, Str
from authkit.framework import write as writes
from authkit.logical import Alias, Auth, LeasedSecret, LeaseOptions, Operation, Request, Response
from authkit.values import replace
from authkit.wire.guards import answer
from authkit.wire.messages import encode_request
from authkit.wire.pb import backend_pb2 as pb


class Plain(AuthMethod, name="plain"):
    """Log in by name."""

    roles = Collection(Role, "role/{name}")

    @login("login")
    async def log_in(self, role: Role, user: Str) -> Identity:
        """Log in."""
        return Identity(name=user, groups=["g"], metadata={"m": "n"}, state={"seen": 1})


class Asked(Plain, name="asked"):
    """The same with a decision."""

    decision: Any = None
    call: RenewCall | None = None

    @renewal
    async def renew(self, call: RenewCall, role: Role) -> Renewal:
        """Decide as told."""
        self.call = call
        if isinstance(self.decision, Exception):
            raise self.decision
        return self.decision


class Unasked(Plain, name="unasked"):
    """A decision that does not look at the role."""

    @renewal
    def renew(self) -> Renewal:
        """Go on."""
        return Renewal.keep()


class Roleless(AuthMethod, name="roleless"):
    """No roles, no renewal."""

    @login("login")
    async def log_in(self, user: Str) -> Identity:
        """Log in."""
        return Identity(name=user)


async def logged_in(kind: type[Any]) -> tuple[Mount[Any], Auth]:
    """A mount with a role, and a login as the host keeps it."""
    mount = Mount(kind)
    await mount.write("role/dev", token_ttl=60, token_max_ttl=600, token_policies="p", token_num_uses=0)
    auth = await mount.login(role="dev", user="ann")
    lease = replace(auth.lease, increment=timedelta(seconds=7), issue_time=datetime(2024, 1, 1, tzinfo=UTC))
    return mount, replace(auth, lease=lease, token_policies=("default", "p"))


@pytest.mark.parametrize("kind", [Plain, Unasked])
async def test_lifetimes_follow_the_role(kind: type[Any]) -> None:
    """They are those of the role as it is now; everything else goes on as it was."""
    mount, auth = await logged_in(kind)
    await mount.write("role/dev", token_ttl=90, token_max_ttl=900, token_period=30, token_policies="other")
    renewed = await mount.renew(auth)
    lease = replace(auth.lease, ttl=timedelta(seconds=90), max_ttl=timedelta(seconds=900))
    assert renewed == replace(
        auth, lease=lease, period=timedelta(seconds=30), entity_id="entity-1", accessor="accessor-1"
    )


@pytest.mark.parametrize("kind", [Plain, Asked, Unasked])
async def test_a_role_that_is_gone_ends_its_tokens(kind: type[Any]) -> None:
    """Also when the handler would not look at it."""
    mount, auth = await logged_in(kind)
    mount.backend.decision = Renewal.keep()
    await mount.delete("role/dev")
    with pytest.raises(UserError) as caught:
        await mount.renew(auth)
    assert str(caught.value) == "role dev does not exist during renewal"


@pytest.mark.parametrize("data", [{}, {"role": ""}, {"role": 5}, {"role": None}])
async def test_a_login_without_role_is_a_fault(data: dict[str, Any]) -> None:
    """Whatever the host gives back, a missing role is not taken for any role."""
    mount, auth = await logged_in(Plain)
    with pytest.raises(InternalError, match="failed to fetch role_name during renewal"):
        await mount.renew(replace(auth, internal_data=data))


async def test_decisions() -> None:
    """A decision changes what it names and nothing else."""
    mount, auth = await logged_in(Asked)
    mount.backend.decision = Renewal.keep()
    kept = await mount.renew(auth)
    assert kept == replace(auth, entity_id="entity-1", accessor="accessor-1")
    mount.backend.decision = Renewal.update(
        groups=["x", "y", "x"], state={"seen": 2}, lifetimes=Lifetimes(ttl=timedelta(seconds=5))
    )
    changed = await mount.renew(auth)
    assert [alias.name for alias in changed.group_aliases] == ["x", "y"]
    assert changed.internal_data == {"role": "dev", "roles": "role/", "state": {"seen": 2}}
    assert (changed.lease.ttl, changed.lease.max_ttl) == (timedelta(seconds=5), timedelta(0))
    assert changed.metadata == auth.metadata
    mount.backend.decision = Renewal.update(groups=())
    assert (await mount.renew(auth)).group_aliases == ()


@pytest.mark.parametrize("decision", [None, True, "yes", {}])
async def test_nothing_is_not_an_answer(decision: Any) -> None:
    """A host would take it for success."""
    mount, auth = await logged_in(Asked)
    mount.backend.decision = decision
    with pytest.raises(InternalError, match=r", not a Renewal"):
        await mount.renew(auth)


async def test_a_refusal_is_raised() -> None:
    """What the handler raises reaches the host."""
    mount, auth = await logged_in(Asked)
    mount.backend.decision = PermissionDeniedError()
    with pytest.raises(PermissionDeniedError):
        await mount.renew(auth)


async def test_what_a_handler_sees() -> None:
    """The login as the host kept it, in words of its own."""
    mount, auth = await logged_in(Asked)
    mount.backend.decision = Renewal.keep()
    await mount.renew(auth, address="198.51.100.7")
    call = mount.backend.call
    assert call.state == {"seen": 1}
    assert call.groups == ("g",)
    assert call.role_name == "dev"
    assert call.increment == timedelta(seconds=7)
    assert call.issued_at == datetime(2024, 1, 1, tzinfo=UTC)
    assert call.remote_addr == "198.51.100.7"
    assert call.auth.token_policies == call.policies == ("default", "p")
    assert (call.name, call.metadata) == ("ann", {"m": "n"})


async def test_without_roles_somebody_must_decide() -> None:
    """A method that has neither roles nor a handler renews nothing; leases it has none."""
    mount = Mount(Roleless)
    auth = await mount.login(user="ann")
    with pytest.raises(UserError, match="this auth type doesn't support renew"):
        await mount.renew(auth)
    request = Request(operation=Operation.RENEW, secret=LeasedSecret(lease=LeaseOptions()))
    with pytest.raises(UserError, match="secret is unsupported by this backend"):
        await mount.backend.handle_request(request)


class OtherRole(Role):
    """Another kind of role."""


class TwoKinds(Plain, name="two-kinds"):
    """Two kinds of roles, and a renewal that looks at neither."""

    others = Collection(OtherRole, "other/{name}")

    @login("second", role_field="other")
    async def log_in_otherwise(self, role: OtherRole, user: Str) -> Identity:
        """Log in."""
        return Identity(name=user)

    @writes("late", unauthenticated=True)
    async def log_in_late(self, call: Call, kept: Bool = False) -> Response:
        """Log in without `@login`."""
        role, roles = await self.others.get("dev"), self.others if kept else None
        return grant(Identity(name="ann"), role, "dev", call.connection, roles=roles)

    @renewal
    async def renew(self) -> Renewal:
        """Go on."""
        return Renewal.keep()


@pytest.mark.parametrize(
    ("path", "body", "own", "another"),
    [
        ("login", {"role": "dev", "user": "ann"}, "role/dev", "other/dev"),
        ("second", {"other": "dev", "user": "ann"}, "other/dev", "role/dev"),
        ("late", {"kept": True}, "other/dev", "role/dev"),
    ],
)
async def test_a_role_that_is_gone_ends_its_tokens_among_two_kinds(
    path: str, body: dict[str, Any], own: str, another: str
) -> None:
    """Though the other kind has a role of that name, and the handler looks at none."""
    mount = Mount(TwoKinds)
    await mount.write("role/dev", token_ttl=60)
    await mount.write("other/dev", token_ttl=90)
    auth = await mount.login(path, **body)
    assert (await mount.renew(auth)).lease.ttl == timedelta(seconds=60 if own == "role/dev" else 90)
    await mount.delete(another)
    await mount.renew(auth)
    await mount.write(another)
    await mount.delete(own)
    with pytest.raises(UserError, match="role dev does not exist during renewal"):
        await mount.renew(auth)


@pytest.mark.parametrize(
    "data",
    [
        {"role": "dev"},
        {"role": "dev", "roles": "team/"},
        {"role": "dev", "roles": ""},
        {"role": "dev", "roles": ["role/"]},
        {"roles": "team/"},
        {},
    ],
    ids=["an earlier version", "a collection that is gone", "no collection", "no text", "no role", "nothing"],
)
async def test_a_role_that_cannot_be_looked_up_ends_its_tokens(data: dict[str, Any]) -> None:
    """Where there are two kinds of roles and the token does not tell which one is its own."""
    mount, auth = await logged_in(TwoKinds)
    await mount.write("other/dev")
    with pytest.raises(UserError, match="does not tell where its role is kept, not renewing; log in again"):
        await mount.renew(replace(auth, internal_data=data))
    late = await mount.login("late")
    with pytest.raises(UserError, match="does not tell where its role is kept"):
        await mount.renew(late)


@pytest.mark.parametrize("kind", [Plain, Asked, Unasked])
async def test_tokens_of_earlier_versions_go_on_with_one_kind_of_role(kind: type[Any]) -> None:
    """They, and those of the official plugins, keep the name of the role alone: it can be that of one."""
    mount, auth = await logged_in(kind)
    mount.backend.decision = Renewal.keep()
    auth = replace(auth, internal_data={"role": "dev"})
    await mount.renew(auth)
    await mount.delete("role/dev")
    with pytest.raises(UserError, match="role dev does not exist during renewal"):
        await mount.renew(auth)


class Late(AuthMethod, name="late"):
    """Roles, and no login that names them."""

    roles = Collection(Role, "role/{name}")

    @writes("late", unauthenticated=True)
    async def log_in_late(self, call: Call) -> Response:
        """Log in without `@login`."""
        return grant(Identity(name="ann"), await self.roles.get("dev"), "dev", call.connection)

    @renewal
    def renew(self) -> Renewal:
        """Go on."""
        return Renewal.keep()


async def test_a_role_that_is_gone_ends_its_tokens_without_a_login() -> None:
    """A handler of an open path that grants a token has its role checked as well."""
    mount = Mount(Late)
    await mount.write("role/dev")
    auth = await mount.login("late")
    await mount.renew(auth)
    await mount.delete("role/dev")
    with pytest.raises(UserError, match="role dev does not exist during renewal"):
        await mount.renew(auth)


async def log_in_otherwise(self: Any, role: OtherRole) -> Identity:
    """Log in."""
    return Identity(name="x")


async def renew_with_field(self: Any, extra: Str) -> Renewal:
    """Decide."""
    return Renewal.keep()


def test_definitions_that_cannot_work() -> None:
    """Two kinds of roles need a decision, there is one handler, and a renewal has no fields."""
    body = {"others": Collection(OtherRole, "other/{name}"), "second": login("second")(log_in_otherwise)}
    with pytest.raises(TypeError, match="different roles"):
        type("Bad", (Plain,), body)
    with pytest.raises(TypeError, match="Bad: the renewal takes roles that not all logins have"):
        type("Bad", (Asked,), body)
    with pytest.raises(TypeError, match="two renewal handlers"):
        type("Bad", (Asked,), {"again": renewal(log_in_otherwise)})
    with pytest.raises(TypeError, match="no fields"):
        type("Bad", (Plain,), {"renew": renewal(renew_with_field)})


def test_updates_name_their_groups() -> None:
    """A group without a name is a mistake of the handler's."""
    with pytest.raises(TypeError, match=r"a group is a text \(str\), not of type int"):
        Renewal.update(groups=["ops", 1])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="a group has no name"):
        Renewal.update(groups=["a", ""])


# --- what a host does with the answer ----------------------------------------------------------


async def renewal_answer(backend: Any, auth: Auth) -> Response | None:
    """Send the renewal as a host does: the login's path, no data, the login as it was kept."""
    request = Request(operation=Operation.RENEW, path="login", auth=auth)
    return await backend.handle_request(request)


ANSWERS: dict[str, tuple[Any, str]] = {
    "error: 500, token keeps its old expiry": (ZeroDivisionError("inner detail"), "error 2"),
    "error: 403 if the text is exactly permission denied": (PermissionDeniedError(), "error 8"),
    "error response: 400 with the text": (UserError("gone"), 'response {"error":"gone"}'),
    "nothing: never the misleading 204": (None, "error 2"),
    "a response without auth: never the misleading 204": (Response(data={"a": 1}), "error 2"),
    "auth: 200": (Renewal.keep(), "auth"),
}


@pytest.mark.parametrize("row", ANSWERS)
async def test_answers_as_they_travel(row: str) -> None:
    """Each decision becomes one answer that a host reads as it was meant."""
    decision, expected = ANSWERS[row]
    mount, auth = await logged_in(Asked)
    mount.backend.decision = decision
    request = Request(operation=Operation.RENEW, path="login", auth=auth, id="r-1")
    reply = pb.HandleRequestReply.FromString(await answer(mount.backend, encode_request(request)))
    if reply.HasField("err"):
        assert expected == f"error {reply.err.err_type}"
        assert "inner detail" not in reply.err.err_msg
    elif reply.response.HasField("auth"):
        assert expected == "auth"
        assert reply.response.auth.metadata == auth.metadata
    else:
        assert expected == f"response {json.dumps(json.loads(reply.response.data), separators=(',', ':'))}"


async def test_an_error_lets_the_token_keep_its_old_expiry() -> None:
    """A fault stays a fault: an exception of the handler's is not taken for an answer."""
    mount, auth = await logged_in(Asked)
    mount.backend.decision = ZeroDivisionError("inner detail")
    with pytest.raises(ZeroDivisionError):
        await renewal_answer(mount.backend, auth)


class Member(AuthMethod, name="member", compare_policies=True):
    """Log in with policies and settings of one's own."""

    roles = Collection(Role, "role/{name}")

    @login("login")
    async def log_in(
        self, role: Role, user: Str, extra: CommaList = (), ttl: Seconds = timedelta(0)
    ) -> Identity:
        """Log in."""
        token = TokenSettings(ttl=ttl) if ttl else None
        return Identity(name=user, policies=extra, token=token, groups=["g", "h"], metadata={"m": "n"})


async def member_login(**fields: Any) -> tuple[Mount[Any], Auth]:
    """A mount with a role, and a login as the host keeps it: one of its groups is mapped."""
    mount = Mount(Member)
    await mount.write("role/dev", token_ttl=60, token_max_ttl=600, token_policies="p,q")
    auth = await mount.login(role="dev", user="ann", **fields)
    auth = replace(
        auth,
        lease=replace(auth.lease, ttl=timedelta(seconds=11)),
        display_name="auth-x-ann",
        token_policies=("default", *sorted(auth.policies)),
        entity_id="entity-1",
        accessor="accessor-1",
        alias=replace(auth.alias, mount_accessor="auth_x_1") if auth.alias else None,
        group_aliases=(Alias(name="g", mount_accessor="auth_x_1"),),
    )
    return mount, auth


KEPT = {
    "metadata": lambda auth: auth.metadata,
    "policies": lambda auth: auth.policies,
    "alias": lambda auth: auth.alias,
    "internal data": lambda auth: auth.internal_data,
    "accessor": lambda auth: auth.accessor,
    "entity_id: without it nothing is refreshed": lambda auth: auth.entity_id,
    "display name": lambda auth: auth.display_name,
    "token policies": lambda auth: auth.token_policies,
    "group aliases: only already mapped groups survive": lambda auth: auth.group_aliases,
    "explicit max ttl": lambda auth: auth.explicit_max_ttl,
    "token type": lambda auth: auth.token_type,
    "bound cidrs": lambda auth: auth.bound_cidrs,
    "num uses": lambda auth: auth.num_uses,
}


@pytest.mark.parametrize("part", KEPT)
async def test_the_returned_auth_starts_from_the_received_one(part: str) -> None:
    """It replaces the stored one completely, so everything that nobody decided on is in it."""
    mount, auth = await member_login()
    await mount.write("role/dev", token_num_uses=3, token_explicit_max_ttl=9, token_bound_cidrs="10.0.0.1")
    response = await renewal_answer(mount.backend, auth)
    assert response is not None
    assert response.auth is not None
    assert KEPT[part](response.auth) == KEPT[part](auth)


async def test_ttl_max_ttl_and_period_come_from_the_current_role() -> None:
    """Not from what was granted last."""
    mount, auth = await member_login()
    await mount.write("role/dev", token_ttl=70, token_max_ttl=700, token_period=7)
    renewed = await mount.renew(auth)
    assert (renewed.lease.ttl, renewed.lease.max_ttl) == (timedelta(seconds=70), timedelta(seconds=700))
    assert renewed.period == timedelta(seconds=7)


async def test_without_role_the_last_ttl_stays() -> None:
    """A method that has a renewal and no roles keeps what was granted last."""

    class Going(Roleless, name="going"):
        """Renew everything."""

        @renewal
        async def renew(self, call: RenewCall) -> Renewal:
            """Go on."""
            return Renewal.keep()

    mount = Mount(Going)
    auth = replace(
        await mount.login(user="ann"), lease=LeaseOptions(ttl=timedelta(seconds=11), renewable=True)
    )
    assert (await mount.renew(auth)).lease == auth.lease


async def test_a_lifetime_of_the_login_s_own_goes_on() -> None:
    """A login that was given less than its role does not get the role's lifetime by renewing."""
    mount, auth = await member_login(ttl=5)
    renewed = await mount.renew(auth)
    assert (renewed.lease.ttl, renewed.lease.max_ttl) == (timedelta(seconds=5), timedelta(seconds=600))


@pytest.mark.parametrize("kept", [{"token_ttl": "x"}, {"token_ttl": -1}, {"token_policies": {"a": 1}}])
async def test_settings_that_cannot_be_read_end_the_renewal(kept: dict[str, Any]) -> None:
    """What is kept with a token is not guessed at."""
    mount, auth = await member_login()
    with pytest.raises(InternalError):
        await mount.renew(replace(auth, internal_data={"role": "dev", "token": kept}))


@pytest.mark.parametrize(
    ("today", "renewed"),
    [
        ("p,q", True),
        (" Q,p, P,,default", True),
        ("p", False),
        ("p,q,r", False),
        ("", False),
    ],
)
async def test_policies_are_compared(today: str, renewed: bool) -> None:
    """With the option a token is renewed only as long as a login would give the same policies."""
    mount, auth = await member_login()
    await mount.write("role/dev", token_policies=today)
    if renewed:
        await mount.renew(auth)
    else:
        with pytest.raises(UserError, match="policies have changed, not renewing"):
            await mount.renew(auth)


async def test_policies_of_the_login_count_as_its_own() -> None:
    """What a login added is not missed in the role, and does not make up for it."""
    mount, auth = await member_login(extra="own")
    await mount.renew(auth)
    await mount.write("role/dev", token_policies="p")
    with pytest.raises(UserError, match="policies have changed"):
        await mount.renew(auth)


async def test_policies_are_not_compared_by_default() -> None:
    """Like most methods; the token keeps the policies that it has."""
    mount, auth = await logged_in(Plain)
    await mount.write("role/dev", token_policies="other")
    assert (await mount.renew(auth)).policies == ("p",)


async def test_a_handler_may_compare_policies_itself() -> None:
    """For policies that only it can know, such as those of groups."""
    _, auth = await logged_in(Plain)
    call = RenewCall(request=Request(operation=Operation.RENEW), auth=auth)
    call.verify_policies(["P", " default "])
    with pytest.raises(UserError, match="policies have changed, not renewing"):
        call.verify_policies(["p", "q"])


def test_definitions_that_promise_something_else() -> None:
    """A renewal that does not return a decision, or compares what it does not have, is refused."""

    async def yes(self: Any) -> bool:
        """Agree."""
        return True

    with pytest.raises(TypeError, match=r"yes has to return Renewal, not bool"):
        type("Bad", (Plain,), {"renew": renewal(yes)})
    with pytest.raises(TypeError, match="Bad has no roles whose policies could be compared"):
        type("Bad", (Roleless,), {}, compare_policies=True)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Renewal.update(groups="admin"),
        lambda: Renewal.update(state="kept"),
        lambda: TokenSettings(policies="root"),
        lambda: TokenSettings(bound_cidrs="10.0.0.0/8"),
    ],
)
def test_one_text_is_not_a_collection(make: Any) -> None:
    """Its characters would be groups, policies or networks."""
    with pytest.raises(TypeError, match="is one text where a collection is meant"):
        make()
