"""Auth methods with roles, as an author would write them: targets of tests/live/test_roles.py."""

from __future__ import annotations

from authkit import (
    AuthMethod,
    Collection,
    Identity,
    Map,
    Model,
    Renewal,
    Role,
    Singleton,
    Str,
    login,
    renewal,
)


class Team(Role):
    """Another kind of role."""

    rules: Map = {}


class TwoKinds(AuthMethod, name="two_kinds", version="0.1.0"):
    """Log in by name, as one of two kinds of role."""

    roles = Collection(Role, "role/{name}")
    teams = Collection(Team, "team/{name}")

    @login("login")
    async def log_in(self, role: Role, user: Str) -> Identity:
        """Log in with a role."""
        return Identity(name=user)

    @login("as/team", role_field="team")
    async def log_in_as_team(self, team: Team, user: Str, data: Map = {}) -> Identity:  # noqa: B006 - not changed
        """Log in with a team, whose rules this handler forgets to copy."""
        if "grow" in data:
            team.rules["users"] += [user]
        if user not in team.rules.get("users", [user]):
            raise PermissionError
        return Identity(name=user)

    @renewal
    async def renew(self) -> Renewal:
        """Go on, whatever the role is."""
        return Renewal.keep()


class InThePath(AuthMethod, name="in_the_path", version="0.1.0"):
    """Log in with a role that stands in the path."""

    roles = Collection(Role, "role/{name}")

    @login("login/{role}")
    async def log_in(self, role: Role, user: Str) -> Identity:
        """Log in."""
        return Identity(name=user)


class Settings(Model):
    """Settings that nobody means as a role."""

    url: Str = ""


def shared_keys() -> type[AuthMethod]:
    """Define a method whose configuration is a role as well."""

    class SharedKeys(AuthMethod, name="shared_keys", version="0.1.0"):
        """Log in by name."""

        settings = Singleton(Settings, "role/config")
        roles = Collection(Role, "role/{name}")

        @login("login")
        async def log_in(self, role: Role, user: Str) -> Identity:
            """Log in."""
            return Identity(name=user)

    return SharedKeys
