"""Identity providers: what they can do is found out, and what they say becomes identity and renewal.

Two providers that have nothing to do with JSON Web Tokens keep the contract: signed tickets, which need
nobody else, and a directory of people, which knows groups and can be asked again.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from factories import FakeClock, Mount

from authkit.auth import (
    AuthMethod,
    Credentials,
    GroupsProvider,
    Identity,
    IdentityProvider,
    LoginCall,
    RefreshProvider,
    Renewal,
    RenewCall,
    Role,
    UserInfoProvider,
    Verified,
    fetch_identity,
    login,
    refresh_identity,
    renewal,
)
from authkit.errors import InternalError, InvalidCredentialsError, PermissionDeniedError, UpstreamError
from authkit.framework import Collection, Model, Singleton, Str, cached
from authkit.logical import Auth
from authkit.masking import Secret
from authkit.testing import ProviderContract
from authkit.values import replace

KEY = b"a key that only issuer and provider have"


# --- signed tickets ----------------------------------------------------------------------------


def make_ticket(name: str, expires: int, key: bytes = KEY) -> Secret:
    """Return a ticket: a name, its end, and an HMAC over both."""
    body = f"{name}:{expires}"
    return Secret(f"{body}:{hmac.new(key, body.encode(), 'sha256').hexdigest()}")


class TicketProvider:
    """Takes tickets until they expire. A plain class with a plain method."""

    def __init__(self, clock: FakeClock, key: bytes = KEY) -> None:
        self._clock = clock
        self._key = key

    def verify(self, credentials: Credentials) -> Verified:
        """Return the ticket's name."""
        body, _, signature = credentials.secret.reveal().rpartition(":")
        expected = hmac.new(self._key, body.encode(), "sha256").hexdigest()
        if not hmac.compare_digest(signature.encode(), expected.encode()):
            raise InvalidCredentialsError
        name, _, expires = body.rpartition(":")
        if self._clock() >= int(expires):
            raise InvalidCredentialsError
        return Verified(name=name)


class TestTicketProvider(ProviderContract):
    """Tickets keep the contract."""

    def provider(self) -> IdentityProvider:
        """Return one at second 1000."""
        return TicketProvider(FakeClock())

    def accepted(self) -> Credentials:
        """Return a ticket of Ann's."""
        return Credentials(secret=make_ticket("ann", 2000))

    def refused(self) -> Sequence[Credentials]:
        """Return an old one, one of another issuer, one whose name was changed, and no ticket at all."""
        forged = make_ticket("ann", 2000).reveal().replace("ann", "bob")
        texts = [make_ticket("ann", 1000), make_ticket("ann", 2000, b"another"), Secret(forged)]
        return [Credentials(secret=each) for each in (*texts, Secret("words"), Secret("::"), Secret("é:1:2"))]


# --- a directory -------------------------------------------------------------------------------

PEOPLE: Mapping[str, Mapping[str, Any]] = {
    "ann": {"password": "correct horse", "groups": ("ops", "dev"), "mail": "ann@example.test"},
    "bob": {"password": "battery staple", "groups": (), "mail": "bob@example.test"},
}


class DirectoryProvider:
    """Knows people, their passwords, groups and mail addresses, and can be asked again."""

    def __init__(self) -> None:
        self.people = dict(PEOPLE)
        self.up = True

    async def verify(self, credentials: Credentials) -> Verified:
        """Return whose password it is."""
        person = self.people.get(credentials.username, {"password": ""})
        known = Secret(person["password"])
        if credentials.secret != known or not known:
            raise InvalidCredentialsError
        return Verified(name=credentials.username, display_name="A Person", state={"logins": 1})

    async def fetch_groups(self, verified: Verified) -> Sequence[str]:
        """Return the groups of today."""
        if not self.up:
            raise UpstreamError("the directory does not answer")
        return self.people[verified.name]["groups"]

    async def fetch_user_info(self, verified: Verified) -> Mapping[str, str]:
        """Return the mail address."""
        return {"mail": self.people[verified.name]["mail"]}

    async def refresh(self, verified: Verified) -> Verified:
        """Return the person, if there still is one."""
        if verified.name not in self.people:
            raise PermissionDeniedError
        return replace(verified, state={"logins": verified.state["logins"] + 1})


class TestDirectoryProvider(ProviderContract):
    """The directory keeps the contract."""

    def provider(self) -> IdentityProvider:
        """Return a new directory."""
        return DirectoryProvider()

    def accepted(self) -> Credentials:
        """Return Ann's password."""
        return Credentials(username="ann", secret=Secret("correct horse"))

    def refused(self) -> Sequence[Credentials]:
        """Return somebody else's password, and somebody unknown."""
        return [
            Credentials(username="bob", secret=Secret("correct horse")),
            Credentials(username="eve", secret=Secret("correct horse")),
        ]

    def unknown(self) -> Verified | None:
        """Return somebody who has left."""
        return Verified(name="eve", state={"logins": 1})


# --- capabilities ------------------------------------------------------------------------------


def test_capabilities_are_discovered() -> None:
    """By the methods that a provider has, without a base class or a list."""
    tickets, directory = TicketProvider(FakeClock()), DirectoryProvider()
    for capability in (GroupsProvider, UserInfoProvider, RefreshProvider):
        assert isinstance(directory, capability)
        assert not isinstance(tickets, capability)
    assert isinstance(tickets, IdentityProvider)
    assert not isinstance(object(), IdentityProvider)


class Directory(AuthMethod, name="directory"):
    """Log in with a password of the directory."""

    roles = Collection(Role, "role/{name}")
    provider: Any = None

    async def alias(self, role: Role, user: Str, password: Secret) -> str:
        """Return who would log in."""
        return (await self.provider.verify(Credentials(username=user, secret=password))).name

    @login("login", alias=alias)
    async def log_in(self, call: LoginCall, role: Role, user: Str, password: Secret) -> Identity:
        """Log in."""
        credentials = Credentials(username=user, secret=password, remote_addr=call.remote_addr)
        return await fetch_identity(self.provider, credentials)

    @renewal
    async def renew(self, call: RenewCall, role: Role) -> Renewal:
        """Ask the directory again."""
        return await refresh_identity(self.provider, call)


async def directory_mount() -> Mount[Directory]:
    """A mount with a directory and a role."""
    mount = Mount(Directory)
    mount.backend.provider = DirectoryProvider()
    await mount.write("role/dev", token_ttl=60)
    return mount


async def ann(mount: Mount[Directory]) -> Auth:
    """Log Ann in."""
    return await mount.login(role="dev", user="ann", password="correct horse")


async def test_a_login_with_everything() -> None:
    """Groups, user info and state of the provider are in the login."""
    auth = await ann(await directory_mount())
    assert auth.alias is not None
    assert (auth.alias.name, auth.alias.metadata) == ("ann", {"mail": "ann@example.test"})
    assert auth.metadata == {"mail": "ann@example.test"}
    assert [group.name for group in auth.group_aliases] == ["ops", "dev"]
    assert auth.display_name == "A Person"
    assert auth.internal_data == {"role": "dev", "roles": "role/", "state": {"logins": 1}}


async def test_what_verify_said_wins() -> None:
    """Over what was looked up, which nobody has signed."""

    class Generous(DirectoryProvider):
        """Says more at once."""

        async def verify(self, credentials: Credentials) -> Verified:
            """Return a mail address too."""
            return replace(await super().verify(credentials), metadata={"mail": "verified"})

    mount = await directory_mount()
    mount.backend.provider = Generous()
    assert (await ann(mount)).metadata == {"mail": "verified"}


async def test_a_refresh_brings_the_groups_and_state_of_today() -> None:
    """Also such groups as were not mapped before, and none at all."""
    mount = await directory_mount()
    auth = replace(await ann(mount), group_aliases=())
    people = mount.backend.provider.people
    people["ann"] = people["ann"] | {"groups": ("ops", "new")}
    renewed = await mount.renew(auth)
    assert [group.name for group in renewed.group_aliases] == ["ops", "new"]
    assert renewed.internal_data == {"role": "dev", "roles": "role/", "state": {"logins": 2}}
    people["ann"] = people["ann"] | {"groups": ()}
    again = await mount.renew(renewed)
    assert (again.group_aliases, again.internal_data["state"]) == ((), {"logins": 3})


async def test_whoever_has_left_is_not_renewed() -> None:
    """The provider's refusal is the renewal's."""
    mount = await directory_mount()
    auth = await ann(mount)
    del mount.backend.provider.people["ann"]
    with pytest.raises(PermissionDeniedError):
        await mount.renew(auth)


async def test_somebody_else_is_not_renewed() -> None:
    """A provider that answers for another person does not hand a token over."""

    class Confused(DirectoryProvider):
        """Knows one person only."""

        async def refresh(self, verified: Verified) -> Verified:
            """Return Bob."""
            return replace(verified, name="bob")

    mount = await directory_mount()
    auth = await ann(mount)
    mount.backend.provider = Confused()
    with pytest.raises(PermissionDeniedError):
        await mount.renew(auth)


async def test_groups_that_cannot_be_had_end_the_login() -> None:
    """A login without them would end memberships; a renewal as well."""
    mount = await directory_mount()
    auth = await ann(mount)
    mount.backend.provider.up = False
    for attempt in (ann(mount), mount.renew(auth)):
        with pytest.raises(UpstreamError, match="does not answer") as caught:
            await attempt
        assert caught.value.status == 502


async def test_a_provider_that_cannot_refresh_renews_as_it_is() -> None:
    """Mapped groups are kept, and so is everything else."""
    mount = await directory_mount()
    auth = await ann(mount)
    mount.backend.provider = TicketProvider(FakeClock())
    renewed = await mount.renew(auth)
    assert (renewed.group_aliases, renewed.internal_data) == (auth.group_aliases, auth.internal_data)


@pytest.mark.parametrize("answer", [None, "ann", {"name": "ann"}, Identity(name="ann")])
async def test_something_else_is_a_fault(answer: Any) -> None:
    """Whatever a provider returns that is not what it promises, nobody is logged in or renewed."""

    class Odd(DirectoryProvider):
        """Returns what it was told."""

        async def verify(self, credentials: Credentials) -> Any:
            """Return it."""
            return answer

        async def refresh(self, verified: Verified) -> Any:
            """Return it."""
            return answer

    mount = await directory_mount()
    auth = await ann(mount)
    mount.backend.provider = Odd()
    for attempt in (ann(mount), mount.renew(auth)):
        with pytest.raises(InternalError, match="not a Verified"):
            await attempt


@pytest.mark.parametrize("groups", ["ops", ["ops", ""], [1], [None]])
async def test_groups_that_are_no_names_are_a_fault(groups: Any) -> None:
    """A text would be a group for each letter."""

    class Odd(DirectoryProvider):
        """Returns what it was told."""

        async def fetch_groups(self, verified: Verified) -> Any:
            """Return it."""
            return groups

    mount = await directory_mount()
    mount.backend.provider = Odd()
    with pytest.raises(InternalError, match="not a list of names"):
        await ann(mount)


class TicketConfig(Model):
    """Configure tickets."""

    key: Secret


class Tickets(AuthMethod, name="tickets"):
    """Log in with a ticket: a provider made from the configuration."""

    config = Singleton(TicketConfig, "config")

    @cached
    def provider(self, config: TicketConfig) -> TicketProvider:
        """Keep one as long as the configuration stays."""
        return TicketProvider(FakeClock(), config.key.reveal().encode())

    @login("login")
    async def log_in(self, config: TicketConfig, ticket: Secret) -> Identity:
        """Log in."""
        return await fetch_identity(self.provider(config), Credentials(secret=ticket))


async def test_a_provider_follows_the_configuration() -> None:
    """Another key takes other tickets from the next login on."""
    mount = Mount(Tickets)
    for key in ("first", "second"):
        await mount.write("config", key=key)
        good = make_ticket("ann", 2000, key.encode()).reveal()
        auth = await mount.login(ticket=good)
        assert auth.alias is not None
        assert auth.alias.name == "ann"
        with pytest.raises(InvalidCredentialsError):
            await mount.login(ticket=make_ticket("ann", 2000, b"other").reveal())


# --- the contract itself -----------------------------------------------------------------------


class Careless(DirectoryProvider):
    """A provider that keeps none of its promises, one at a time."""

    broken = ""

    async def verify(self, credentials: Credentials) -> Verified:
        """Break a promise."""
        secret = credentials.secret.reveal()
        match self.broken:
            case "accepts everything":
                return Verified(name="ann")
            case "tells the secret":
                return replace(await super().verify(credentials), metadata={"password": secret})
            case "tells it in a refusal":
                try:
                    return await super().verify(credentials)
                except InvalidCredentialsError as error:
                    raise PermissionDeniedError(f"not {secret}") from error
            case "varies":
                self.count = getattr(type(self), "count", 0) + 1
                type(self).count = self.count
                return replace(await super().verify(credentials), metadata={"n": str(self.count)})
            case "has bad keys":
                return replace(await super().verify(credentials), metadata={"a.b": "c"})
            case "changes names":
                return replace(await super().verify(credentials), name="bob")
            case "fails by accident":
                return Verified(name={"ann": "ann"}[secret])
        return await super().verify(credentials)

    async def refresh(self, verified: Verified) -> Verified:
        """Break a promise."""
        if self.broken == "refreshes everybody":
            return verified
        return replace(await super().refresh(verified), name="ann")


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        ("accepts everything", "test_refused_credentials_are_refused"),
        ("accepts everything", "test_altered_secrets_are_refused"),
        ("tells the secret", "test_secrets_are_not_told"),
        ("tells it in a refusal", "test_secrets_are_not_told"),
        ("varies", "test_accepted_credentials_have_a_name"),
        ("has bad keys", "test_the_identity_is_one_that_hosts_take"),
        ("changes names", "test_refresh_keeps_the_name"),
        ("refreshes everybody", "test_refresh_keeps_the_name"),
        ("fails by accident", "test_refused_credentials_are_refused"),
    ],
)
def test_the_contract_finds(broken: str, test: str) -> None:
    """Each broken promise fails the test that is about it."""

    class Suite(TestDirectoryProvider):
        """The contract on the careless one."""

        __test__ = False

        def provider(self) -> IdentityProvider:
            """Return it."""
            provider = Careless()
            provider.broken = broken
            return provider

    with pytest.raises(Exception):  # noqa: B017 - an assertion, or the accident itself
        getattr(Suite(), test)()
