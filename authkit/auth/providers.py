"""Identity providers: who checks what somebody presents, apart from the method that serves it.

A provider is any object with a `verify` method. What else it can do is found out from the methods that
it has: `fetch_groups`, `fetch_user_info`, `refresh`. Each may be `async def` or plain `def`, which runs
in a thread. `fetch_identity` puts the answers together for a login handler, `refresh_identity` for a
renewal handler; paths, fields and roles are theirs.

The capabilities are those of dex's connectors (dexidp/dex, connector/connector.go).
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

from authkit.auth.identity import Identity
from authkit.auth.renewal import Renewal, RenewCall
from authkit.errors import InternalError, PermissionDeniedError
from authkit.framework.handler_threads import invoke
from authkit.masking import Secret
from authkit.values import Value, field, verify_collections

__all__ = [
    "Credentials",
    "GroupsProvider",
    "IdentityProvider",
    "RefreshProvider",
    "UserInfoProvider",
    "Verified",
    "fetch_identity",
    "refresh_identity",
]


class Credentials(Value, frozen=True, kw_only=True):
    """What somebody presents. Set by the login handler."""

    secret: Secret
    """A token, a ticket, a password."""
    username: str = ""
    """For providers that are told who it is, and check it."""
    remote_addr: str = ""
    """The client's IP address, empty when the host does not know it."""


class Verified(Value, frozen=True, kw_only=True):
    """The user that a provider has recognised. Set by the provider."""

    name: str
    """Stable and never given to somebody else; it becomes the name of the alias."""
    groups: Sequence[str] | None = None
    """`None` when the provider knows nothing of groups, which is not the same as being in none."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """For token and entity: nothing that varies from login to login."""
    display_name: str = ""
    state: Mapping[str, Any] = field(default_factory=dict)
    """What `refresh` needs: JSON, kept with the token on the host and never shown."""

    unshown: ClassVar = ("state",)

    def __post_init__(self) -> None:
        verify_collections(groups=self.groups, metadata=self.metadata, state=self.state)


@runtime_checkable
class IdentityProvider(Protocol):
    """Recognises somebody. All that a provider must be able to do."""

    def verify(self, credentials: Credentials) -> Verified | Awaitable[Verified]:
        """Return who presents these credentials. Has no effect: it is asked for alias lookaheads too.

        Raises:
            InvalidCredentialsError, PermissionDeniedError, LoginError: nobody who may log in. No
                text holds the secret.
            UpstreamError: a service that has to be asked cannot answer.
        """
        ...


@runtime_checkable
class GroupsProvider(Protocol):
    """Can look groups up."""

    def fetch_groups(self, verified: Verified) -> Sequence[str] | Awaitable[Sequence[str]]:
        """Return all groups of somebody who has been verified or refreshed, in place of `groups`.

        Raises:
            UpstreamError: the groups cannot be had. The login or renewal is refused: without groups
                it would end memberships.
        """
        ...


@runtime_checkable
class UserInfoProvider(Protocol):
    """Can look up more about somebody."""

    def fetch_user_info(self, verified: Verified) -> Mapping[str, str] | Awaitable[Mapping[str, str]]:
        """Return metadata of somebody who has been verified. What `verify` said wins over it.

        Raises:
            UpstreamError: it cannot be had.
        """
        ...


@runtime_checkable
class RefreshProvider(Protocol):
    """Can tell later, without credentials, whether somebody is still who they were."""

    def refresh(self, verified: Verified) -> Verified | Awaitable[Verified]:
        """Return what is known today of somebody who logged in earlier.

        `verified` has the name, the metadata, the state that the login or the last refresh left, and
        those groups that the host has mapped. The answer has the same name.

        Raises:
            PermissionDeniedError, LoginError: they may not go on.
            UpstreamError: a service that has to be asked cannot answer. The token keeps its end.
        """
        ...


async def fetch_identity(provider: IdentityProvider, credentials: Credentials) -> Identity:
    """Return the identity of the user who presents these credentials, for a login handler to return.

    Raises:
        AuthKitError: what the provider raised; the identity is not established.
        InternalError: the provider returned something else than it promises.
        LoginError: a host would refuse the identity.
    """
    verified = _checked(await invoke(provider.verify, credentials))
    groups = await _fetch_groups(provider, verified)
    metadata = dict(verified.metadata)
    if isinstance(provider, UserInfoProvider):
        metadata = {**await invoke(provider.fetch_user_info, verified), **metadata}
    return Identity(
        name=verified.name,
        groups=groups or (),
        alias_metadata=metadata,
        metadata=metadata,
        display_name=verified.display_name,
        state=verified.state,
    )


async def refresh_identity(provider: IdentityProvider, call: RenewCall) -> Renewal:
    """Return the decision on a renewal, for a renewal handler to return.

    A provider that can refresh decides, and its groups and state replace what the login left. Any
    other has nothing to say at renewal: the token goes on as it is.

    Raises:
        PermissionDeniedError: the provider answers for somebody else than the one who logged in.
        AuthKitError: what the provider raised; the token is not renewed.
        InternalError: the provider returned something else than it promises.
    """
    if not isinstance(provider, RefreshProvider):
        return Renewal.keep()
    known = Verified(name=call.name, groups=call.groups, metadata=call.metadata, state=call.state)
    verified = _checked(await invoke(provider.refresh, known))
    if verified.name != call.name:
        raise PermissionDeniedError
    return Renewal.update(groups=await _fetch_groups(provider, verified), state=verified.state)


async def _fetch_groups(provider: IdentityProvider, verified: Verified) -> Sequence[str] | None:
    if not isinstance(provider, GroupsProvider):
        return verified.groups
    groups: Sequence[str] = await invoke(provider.fetch_groups, verified)
    if isinstance(groups, str) or not all(isinstance(group, str) and group for group in groups):
        raise InternalError("the provider's groups are not a list of names")
    return groups


def _checked(verified: object) -> Verified:
    if not isinstance(verified, Verified):
        raise InternalError(f"the provider returned a {type(verified).__name__}, not a Verified")
    return verified
