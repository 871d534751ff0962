"""What an author may write: read by type checkers alone, and nothing here is an error to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, assert_type

from authkit import (
    AuthMethod,
    Clock,
    Collection,
    CommaList,
    Credentials,
    Identity,
    IdentityProvider,
    Int,
    LoginCall,
    LowerStr,
    Model,
    Renewal,
    RenewCall,
    Role,
    Seconds,
    Secret,
    Singleton,
    Str,
    Task,
    TokenSettings,
    Verified,
    Write,
    cached,
    every,
    fetch_identity,
    field,
    login,
    refresh_identity,
    renewal,
)
from authkit.logical import Entity
from authkit.testing import (
    ClientResponse,
    GrantedToken,
    HeldCall,
    MountClient,
    MovableClock,
    RealServer,
    SimulatedMount,
    Simulator,
)


class Config(Model):
    """A configuration."""

    url: Str = field(help="Where it is.")
    attempts: Int = 3


class Team(Role):
    """A role."""

    pin: Secret
    members: CommaList = ()
    pause: Seconds = timedelta(seconds=1)


class Async(AuthMethod, name="async", version="1.0.0", compare_policies=True):
    """Every decorator on an `async def`."""

    config = Singleton(Config, "config")
    teams = Collection(Team, "role/{name}")

    @teams.on_write
    async def check_team(self, write: Write[Team]) -> None:
        """See both sides of a write."""
        assert_type(write.new, Team)
        assert_type(write.stored, Team | None)

    async def default_team(self) -> str:
        """Return a name."""
        return "dev"

    def alias(self, team: Team, member: Str) -> str:
        """Return a name."""
        return member

    @cached
    def connection(self, config: Config) -> Directory:
        """Make a value from a model."""
        return Directory()

    @cached
    def limit(self, team: Team) -> int:
        """Make a value from each object of a collection."""
        return len(team.members)

    @login("login", "login/{role}", default_role=default_team, alias=alias)
    async def log_in(
        self,
        call: LoginCall,
        config: Config,
        team: Team,
        member: LowerStr,
        pin: Annotated[Secret, field(missing="missing pin")],
    ) -> Identity:
        """Log in."""
        assert_type(await self.config.get(), Config)
        assert_type(await self.teams.find("dev"), Team | None)
        assert_type(await self.teams.all(), Mapping[str, Team])
        assert_type(self.connection(config), Directory)
        assert_type(self.limit.each(await self.teams.all()), Mapping[str, int])
        assert_type(team.pin, Secret)
        assert_type(team.members, tuple[str, ...])
        assert_type(team.pause, timedelta)
        token = TokenSettings(ttl=timedelta(minutes=5), policies=["a"])
        return Identity(name=member, token=token, groups=("g",))

    @renewal
    async def renew(self, call: RenewCall, team: Team) -> Renewal:
        """Decide."""
        assert_type(call.groups, tuple[str, ...])
        call.verify_policies(team.token_policies)
        return Renewal.update(groups=[*call.groups, "g"], state={"seen": 1})

    @every("1h")
    async def prune(self, task: Task) -> None:
        """Tidy up."""


class Plain(AuthMethod, name="plain"):
    """Every decorator on a plain method."""

    @login()
    def log_in(self, user: str, days: int = 1) -> Identity:
        """Log in."""
        return Identity(name=user)

    @renewal
    def renew(self) -> Renewal:
        """Go on."""
        return Renewal.keep()


def call_as_written(plain: Plain) -> None:
    """A declared method keeps its parameters and its result."""
    assert_type(plain.log_in("ann", days=2), Identity)
    assert_type(plain.renew(), Renewal)


class Directory:
    """A provider that has everything, without a base class."""

    async def verify(self, credentials: Credentials) -> Verified:
        """Recognise."""
        return Verified(name=credentials.username)

    async def fetch_groups(self, verified: Verified) -> Sequence[str]:
        """Look up."""
        return ["g"]

    def fetch_user_info(self, verified: Verified) -> Mapping[str, str]:
        """Look up, in a thread."""
        return {"mail": "x"}

    async def refresh(self, verified: Verified) -> Verified:
        """Ask again."""
        return verified


class Tickets:
    """A provider that can only verify, in a thread."""

    def verify(self, credentials: Credentials) -> Verified:
        """Recognise."""
        return Verified(name="ann")


async def use_providers(call: RenewCall) -> None:
    """Both are providers."""
    providers: list[IdentityProvider] = [Directory(), Tickets()]
    for provider in providers:
        assert_type(await fetch_identity(provider, Credentials(secret=Secret("x"))), Identity)
        assert_type(await refresh_identity(provider, call), Renewal)


class Tested(AuthMethod, name="tested", version="0.1.0"):
    """A method for the simulator."""

    def tell_time(self) -> None:
        """Read the mount's clock."""
        assert_type(self.clock, Clock)
        assert_type(self.clock.now(), datetime)
        assert_type(self.clock.time(), float)
        assert_type(self.clock.monotonic(), float)


async def use_a_real_server() -> None:
    """What both hosts have is the same."""
    async with RealServer(Tested, "vault", path="other") as vault:
        mounts: list[MountClient] = [vault, Simulator(Tested)]
        for mount in mounts:
            assert_type(await mount.login(role="dev"), GrantedToken)


async def use_the_simulator() -> None:
    """What a test gets has types."""
    async with Simulator(Tested, clock=MovableClock(), config={"max_lease_ttl": "1h"}) as vault:
        assert_type(vault, Simulator)
        assert_type(await vault.write("role/dev", {"ttl": 1}, token_ttl="1h"), ClientResponse)
        assert_type(await vault.read("role/dev"), Mapping[str, Any])
        assert_type(await vault.list("role"), list[str])
        token = await vault.login(role="dev", addr="10.0.0.1")
        assert_type(token, GrantedToken)
        assert_type(token.policies, tuple[str, ...])
        assert_type(token.ttl, timedelta)
        assert_type(token.entity, Entity | None)
        assert_type(await token.renew("1h"), GrantedToken)
        vault.clock.tick("30m")
        vault.clock.tick(timedelta(minutes=1))
        vault.clock.tick(60)
        assert_type(await vault.enable("other"), SimulatedMount)
        assert_type(await vault.storage.list(), list[str])
        assert_type(await vault.storage.get("key"), str | None)
        async with vault.storage.hold("put", "nonce/") as held:
            assert_type(held, HeldCall)
        await vault.request("GET", "role/dev", token=token, wrap_ttl="5m")
        await vault.request("GET", "role/dev", token=None)
