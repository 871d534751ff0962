"""Renewal: what goes on, what changes, what is refused."""

from __future__ import annotations

from dataclasses import replace
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
    keep,
    login,
    renewal,
    update,
)
from authkit.errors import InternalError, PermissionDeniedError, UserError
from authkit.framework import Collection, Str
from authkit.logical import Auth, Lease, LeasedSecret, Operation, Request


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
        return keep()


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
    mount.backend.decision = keep()
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
    mount.backend.decision = keep()
    kept = await mount.renew(auth)
    assert kept == replace(auth, entity_id="entity-1", accessor="accessor-1")
    mount.backend.decision = update(
        groups=["x", "y", "x"], state={"seen": 2}, lifetimes=Lifetimes(ttl=timedelta(seconds=5))
    )
    changed = await mount.renew(auth)
    assert [alias.name for alias in changed.group_aliases] == ["x", "y"]
    assert changed.internal_data == {"role": "dev", "state": {"seen": 2}}
    assert (changed.lease.ttl, changed.lease.max_ttl) == (timedelta(seconds=5), timedelta(0))
    assert changed.metadata == auth.metadata
    mount.backend.decision = update(groups=())
    assert (await mount.renew(auth)).group_aliases == ()


@pytest.mark.parametrize("decision", [None, True, "yes", {}])
async def test_nothing_is_not_an_answer(decision: Any) -> None:
    """A host would take it for success."""
    mount, auth = await logged_in(Asked)
    mount.backend.decision = decision
    with pytest.raises(InternalError, match="made no decision"):
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
    mount.backend.decision = keep()
    await mount.renew(auth, address="198.51.100.7")
    call = mount.backend.call
    assert call.state == {"seen": 1}
    assert call.groups == ("g",)
    assert call.role_name == "dev"
    assert call.increment == timedelta(seconds=7)
    assert call.issued_at == datetime(2024, 1, 1, tzinfo=UTC)
    assert call.remote_addr == "198.51.100.7"
    assert call.auth.token_policies == ("default", "p")


async def test_without_roles_somebody_must_decide() -> None:
    """A method that has neither roles nor a handler renews nothing; leases it has none."""
    mount = Mount(Roleless)
    auth = await mount.login(user="ann")
    with pytest.raises(UserError, match="this auth type doesn't support renew"):
        await mount.renew(auth)
    request = Request(operation=Operation.RENEW, secret=LeasedSecret(lease=Lease()))
    with pytest.raises(UserError, match="secret is unsupported by this backend"):
        await mount.backend.handle_request(request)


class OtherRole(Role):
    """Another kind of role."""


async def log_in_otherwise(self: Any, role: OtherRole) -> Identity:
    """Log in."""
    return Identity(name="x")


async def renew_with_field(self: Any, extra: Str) -> Renewal:
    """Decide."""
    return keep()


def test_definitions_that_cannot_work() -> None:
    """Two kinds of roles need a decision, there is one handler, and a renewal has no fields."""
    body = {"others": Collection(OtherRole, "other/{name}"), "second": login("second")(log_in_otherwise)}
    with pytest.raises(TypeError, match="different roles"):
        type("Bad", (Plain,), body)
    with pytest.raises(TypeError, match="two renewal handlers"):
        type("Bad", (Asked,), {"again": renewal(log_in_otherwise)})
    with pytest.raises(TypeError, match="no fields"):
        type("Bad", (Plain,), {"renew": renewal(renew_with_field)})
