"""What an author must not write: each line with a comment is an error to type checkers.

A comment that is not needed is an error as well (`warn_unused_ignores`), so that a mistake which nobody
finds any more shows. Nothing here is ever imported.
"""

from __future__ import annotations

from typing import Any

from authkit import (
    AuthMethod,
    Collection,
    Credentials,
    Identity,
    IdentityProvider,
    InvalidCredentialsError,
    LoginCall,
    Model,
    Renewal,
    RenewCall,
    Role,
    Secret,
    Singleton,
    TokenSettings,
    UpstreamError,
    Verified,
    fetch_identity,
    login,
    renewal,
)
from authkit.testing import Simulator


class Team(Role):
    """A role."""

    pin: Secret


class Wrong(AuthMethod, name="wrong"):
    """Handlers that return something else than they must."""

    teams = Collection(Team, "role/{name}")

    async def number(self) -> int:
        """Return no name."""
        return 1

    @login("a")  # type: ignore[type-var]
    async def a_name(self, user: str) -> str:
        """Return a name in place of an identity."""
        return user

    @login("b")  # type: ignore[type-var]
    def perhaps(self, user: str) -> Identity | None:
        """Return nothing sometimes."""
        return None

    @login("c")  # type: ignore[type-var]
    async def nothing(self, user: str) -> None:
        """Return nothing."""

    @login("d", default_role=number)  # type: ignore[arg-type]
    async def number_as_role(self, team: Team) -> Identity:
        """Have a number for the default role."""
        return Identity(name="x")

    @login("e", alias=number)  # type: ignore[arg-type]
    async def number_as_alias(self, team: Team) -> Identity:
        """Have a number for the alias."""
        return Identity(name="x")

    @login  # type: ignore[arg-type]
    async def without_parentheses(self, user: str) -> Identity:
        """Forget the path."""
        return Identity(name=user)

    @renewal  # type: ignore[type-var]
    async def agreed(self, call: RenewCall) -> bool:
        """Return no decision."""
        return True

    @renewal  # type: ignore[type-var]
    def silent(self, call: RenewCall) -> None:
        """Return nothing."""

    async def misuse(self, call: LoginCall) -> None:
        """Use what is there in ways that it is not meant for."""
        await self.teams.put("dev", Wrong)  # type: ignore[arg-type]
        (await self.teams.find("dev")).pin  # type: ignore[union-attr]  # noqa: B018
        call.role_name = "x"  # type: ignore[misc]
        call.roles  # type: ignore[attr-defined]  # noqa: B018


Singleton(int, "config")  # type: ignore[type-var]
Collection(Model)  # type: ignore[call-arg]
Identity("ann")  # type: ignore[call-arg]
Identity(nam="ann")  # type: ignore[call-arg]
Identity(name=1)  # type: ignore[arg-type]
Identity(name="ann", groups=5)  # type: ignore[arg-type]
Identity(name="ann", token=Team)  # type: ignore[arg-type]
TokenSettings(ttl="1h")  # type: ignore[arg-type]
TokenSettings(token_ttl=1)  # type: ignore[call-arg]
Team()  # type: ignore[call-arg]
Credentials(secret="text")  # type: ignore[arg-type]
Renewal(state=1)  # type: ignore[arg-type]
Renewal.update(["g"])  # type: ignore[call-arg]
Renewal.keep("g")  # type: ignore[call-arg]
InvalidCredentialsError("wrong password")  # type: ignore[call-arg]
UpstreamError(502)  # type: ignore[arg-type]


class NoVerify:
    """Not a provider."""


class OddVerify:
    """A provider that returns a name."""

    async def verify(self, credentials: Credentials) -> str:
        """Return a name."""
        return "ann"


class OtherVerify:
    """A provider that wants something else."""

    async def verify(self, token: str, audience: str) -> Verified:
        """Take two texts."""
        return Verified(name="ann")


async def use_providers(credentials: Any) -> None:
    """None of them is a provider."""
    await fetch_identity(NoVerify(), credentials)  # type: ignore[arg-type]
    await fetch_identity(OddVerify(), credentials)  # type: ignore[arg-type]
    provider: IdentityProvider = OtherVerify()  # type: ignore[assignment]
    await fetch_identity(provider, "text")  # type: ignore[arg-type]


async def use_the_simulator(vault: Simulator) -> None:
    """Wrong ways to test."""
    Simulator(Team)  # type: ignore[arg-type]
    Simulator("tested")  # type: ignore[arg-type]
    vault.clock.tick(None)  # type: ignore[arg-type]
    await vault.login(addr=5)  # type: ignore[arg-type]
    await vault.request("GET")  # type: ignore[call-arg]
    await vault.map_group("devs", "policy")  # type: ignore[call-arg]
    vault.storage.hold("read")  # type: ignore[arg-type]
    token = await vault.login(role="dev")
    await token.renew(3600)  # type: ignore[arg-type]
    token.policies = ()  # type: ignore[misc]


class Plain(AuthMethod, name="plain"):
    """A method whose login is called by its own code."""

    @login()
    def log_in(self, user: str, days: int = 1) -> Identity:
        """Log in."""
        return Identity(name=user)


def call_otherwise(plain: Plain) -> None:
    """Call a declared method in another way than it was written."""
    plain.log_in(1)  # type: ignore[arg-type]
    plain.log_in()  # type: ignore[call-arg]
