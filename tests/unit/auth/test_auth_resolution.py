"""Roles as hosts count them: the one that a host is told is the one that the login has."""

from __future__ import annotations

from typing import Any

import pytest
from factories import Mount
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authkit.auth import AuthMethod, Identity, LoginCall, Renewal, Role, login, renewal
from authkit.errors import (
    AuthKitError,
    FieldError,
    UnsupportedOperationError,
    UnsupportedPathError,
    UserError,
)
from authkit.framework import Collection, Int, Map, Str, route
from authkit.logical import Auth, Operation


class TeamRole(Role):
    """Another kind of role."""


class Shared(AuthMethod):
    """What the classes of this file share."""

    roles = Collection(Role, "role/{name}")
    teams = Collection(TeamRole, "team/{name}")

    async def default_role(self) -> str:
        """Return a name that nobody sent."""
        return "Dear"

    async def other_default_role(self) -> str:
        """Return another one."""
        return "cheap"

    @renewal
    def renew(self) -> Renewal:
        """Go on."""
        return Renewal.keep()


class Both(Shared, name="both"):
    """Two kinds of roles, each with a field of its own."""

    @login("login", default_role=Shared.default_role)
    async def log_in(self, role: Role, data: Int = 0) -> Identity:
        """Log in with a role."""
        return Identity(name="ann")

    @login("as/team", role_field="team", default_role=Shared.default_role)
    async def log_in_as_team(self, team: TeamRole, data: Map = {}) -> Identity:  # noqa: B006 - read like a request
        """Log in with a team."""
        return Identity(name="bob")


class Paths(Shared, name="paths"):
    """A role in the path."""

    @login("login/{role}")
    async def log_in(self, role: Role) -> Identity:
        """Log in with the role of the path."""
        return Identity(name="ann")


async def mounted(kind: type[Any]) -> Mount[Any]:
    """A mount on which every kind has the roles `dear` and `cheap`."""
    mount = Mount(kind)
    for name in ("dear", "cheap"):
        await mount.write(f"role/{name}")
        await mount.write(f"team/{name}")
    return mount


async def resolved(mount: Mount[Any], body: dict[str, Any]) -> str:
    """Return what a host takes for the role of this body; what is told from memory is the same."""
    try:
        response = await mount.request(Operation.RESOLVE_ROLE, "login", body)
    except AuthKitError:
        assert from_memory(mount, body) is None
        return ""
    assert response is not None
    assert response.data is not None
    role: str = response.data["role"]
    assert from_memory(mount, body) in (None, role)
    return role


def from_memory(mount: Mount[Any], body: dict[str, Any]) -> str | None:
    """Return what is told of the role without waiting; nothing of a name that is none."""
    try:
        known: str | None = mount.backend.known_role("login", body)
    except FieldError:
        return None
    return known


async def used(mount: Mount[Any], path: str, body: dict[str, Any]) -> str | None:
    """Return the role of a login with this body, `None` when it is refused."""
    try:
        auth: Auth = await mount.login(path, **body)
    except AuthKitError:
        return None
    role: str = auth.internal_data.get("role", "")
    return role


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("as/team", {"team": "dear", "role": "cheap"}),
        ("login", {"role": "dear", "team": "cheap"}),
        ("as/team", {"team": "dear", "role": ""}),
        ("as/team", {"team": "dear", "role": None}),
        ("as/team", {"team": "dear", "role": ["cheap"]}),
        ("as/team", {"role": "dear"}),
    ],
)
async def test_a_body_names_no_other_logins_role(path: str, body: dict[str, Any]) -> None:
    """Otherwise the quota of the cheap role would be the one that is counted."""
    with pytest.raises(UserError, match="names the role of another login; leave it out"):
        await (await mounted(Both)).login(path, **body)


async def test_a_field_of_another_login_does_not_hide_the_role() -> None:
    """Its own field is read as it is there, and not as the login reads it on whose path hosts ask."""
    mount = await mounted(Both)
    body = {"team": "dear", "data": {"x": 1}}
    assert await used(mount, "as/team", body) == "dear"
    assert await resolved(mount, body) == "dear"


async def test_a_body_does_not_differ_from_the_path() -> None:
    """The role of the path is the one that is used, so the body cannot show another one to the host."""
    mount = await mounted(Paths)
    with pytest.raises(UserError, match="'role' in the request is not the role in the path"):
        await mount.login("login/dear", role="cheap")
    assert (await mount.login("login/dear", role="DEAR")).internal_data["role"] == "dear"
    assert (await mount.login("login/dear", role=None)).internal_data["role"] == "dear"


@pytest.mark.parametrize(
    ("body", "role"),
    [
        ({"role": "CHEAP"}, "cheap"),
        ({"team": "cheap"}, "cheap"),
        ({"role": "nobody", "team": "cheap"}, "cheap"),
        ({}, "dear"),
        ({"role": None, "data": []}, "dear"),
    ],
    ids=[
        "its field",
        "the field of another login",
        "the first one that is there",
        "the default",
        "null is none",
    ],
)
async def test_roles_are_resolved_for_every_login(body: dict[str, Any], role: str) -> None:
    """On the path `login`; fields that name no role do not matter."""
    assert await resolved(await mounted(Both), body) == role


class OneRole(AuthMethod, name="one_role"):
    """One login, as most methods have it."""

    roles = Collection(Role, "role/{name}", lower_names=True)

    @login("login")
    async def log_in(self, role: Role) -> Identity:
        """Log in."""
        return Identity(name="ann")


async def test_a_role_in_memory_is_told_without_waiting() -> None:
    """Until it is written or deleted, and never one that was not looked up: a host then asks in full."""
    mount = Mount(OneRole)
    await mount.write("role/dear")
    assert mount.backend.known_role("login", {"role": "dear"}) is None
    assert await resolved(mount, {"role": "Dear", "x": 1}) == "dear"
    assert mount.backend.known_role("login", {"role": "Dear"}) == "dear"
    assert mount.backend.known_role("elsewhere", {"role": "dear"}) is None
    for body in ({}, {"role": None}, {"role": "cheap"}, {"role": "../dear"}):
        assert mount.backend.known_role("login", body) is None
    with pytest.raises(FieldError):
        mount.backend.known_role("login", {"role": ["dear"]})
    await mount.request(Operation.DELETE, "role/dear")
    assert mount.backend.known_role("login", {"role": "dear"}) is None


async def test_roles_that_nobody_has_are_not_resolved() -> None:
    """Never nothing: an error, which hosts take for no role. No other path answers."""
    mount = await mounted(Both)
    for body in ({"role": "nobody"}, {"role": "nobody", "team": "nobody"}):
        with pytest.raises(UserError, match='role "nobody" could not be found'):
            await mount.request(Operation.RESOLVE_ROLE, "login", body)
    with pytest.raises(UnsupportedOperationError):
        await mount.request(Operation.RESOLVE_ROLE, "as/team", {"team": "dear"})


NAMES = st.sampled_from(
    ["dear", "cheap", "DEAR", "Cheap", "", "nobody", "x/y", None, 5, True, ["dear"], {"a": 1}]
)
BODIES = st.dictionaries(st.sampled_from(["role", "team", "Role", "roles", "data"]), NAMES, max_size=5)


@pytest.mark.parametrize(("kind", "path"), [(Both, "login"), (Both, "as/team")])
async def test_hosts_are_told_the_role_that_a_login_has(kind: type[Any], path: str) -> None:
    """Whatever the body is, both are the same, or the login is refused."""
    mount = await mounted(kind)
    bodies: list[dict[str, Any]] = []

    @settings(max_examples=300, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(BODIES)
    def collect(body: dict[str, Any]) -> None:
        bodies.append(body)

    collect()
    granted = 0
    for body in bodies:
        role = await used(mount, path, body)
        granted += role is not None
        assert role in (None, await resolved(mount, body)), body
    assert granted > 5


# --- classes whose bodies do not tell ----------------------------------------------------------


def roles_in_two_cases() -> type[AuthMethod]:
    """Names of roles that one login folds and the other does not."""

    class Cased(Shared, name="cased"):
        teams = Collection(TeamRole, "team/{name}", lower_names=False)

        @login("login")
        async def log_in(self, role: Role) -> Identity:
            """Log in."""
            return Identity(name="ann")

        @login("as/team", role_field="team")
        async def log_in_as_team(self, team: TeamRole) -> Identity:
            """Log in."""
            return Identity(name="ann")

    return Cased


def two_defaults() -> type[AuthMethod]:
    """Bodies without role have two roles."""

    class Defaults(Shared, name="defaults"):
        @login("login", default_role=Shared.default_role)
        async def log_in(self, role: Role) -> Identity:
            """Log in."""
            return Identity(name="ann")

        @login("other", default_role=Shared.other_default_role)
        async def log_in_otherwise(self, role: Role) -> Identity:
            """Log in."""
            return Identity(name="ann")

    return Defaults


def a_default_and_none() -> type[AuthMethod]:
    """Bodies without role have one, or none."""

    class Sometimes(Shared, name="sometimes"):
        @login("login", default_role=Shared.default_role)
        async def log_in(self, role: Role) -> Identity:
            """Log in."""
            return Identity(name="ann")

        @login("other")
        async def log_in_without(self, user: Str) -> Identity:
            """Log in."""
            return Identity(name=user)

    return Sometimes


def a_field_that_is_no_role() -> type[AuthMethod]:
    """The field of one login's role is something else to another."""

    class Field(Shared, name="field"):
        @login("login")
        async def log_in(self, role: Role) -> Identity:
            """Log in."""
            return Identity(name="ann")

        @login("as/team", role_field="team")
        async def log_in_as_team(self, team: TeamRole, call: LoginCall, role: Str = "") -> Identity:
            """Log in."""
            return Identity(name="ann")

    return Field


@pytest.mark.parametrize(
    "define", [lambda: Paths, roles_in_two_cases, two_defaults, a_default_and_none, a_field_that_is_no_role]
)
async def test_classes_whose_bodies_do_not_tell_take_no_quotas(define: Any) -> None:
    """A host that asks before it takes a quota is told that there are none, not that they hold."""
    mount = await mounted(define())
    for body in ({}, {"role": "dear"}):
        with pytest.raises((UnsupportedOperationError, UnsupportedPathError)):
            await mount.request(Operation.RESOLVE_ROLE, "login", body)


def test_a_resolution_of_ones_own_is_for_classes_that_have_none() -> None:
    """Where the bodies tell the role a handler for it would never be reached."""

    async def resolve(self: Any) -> dict[str, Any]:
        """Tell the role."""
        return {"role": "dear"}

    own = {"resolve": route("login", Operation.RESOLVE_ROLE)(resolve)}
    with pytest.raises(TypeError, match="a handler of resolve-role is never reached"):
        type("Own", (Both,), own)
    type("Own", (Paths,), own)
