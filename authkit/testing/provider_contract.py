"""What every identity provider has to keep: a test suite to derive from, for pytest or unittest.

::

    class TestTicketProvider(ProviderContract):
        def provider(self): return TicketProvider(KEY)
        def accepted(self): return Credentials(secret=Secret(make_ticket("ann")))
        def refused(self): return [Credentials(secret=Secret("forged"))]

How a provider is used: `authkit.auth.providers`.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from authkit.auth.identity import Identity
from authkit.auth.providers import (
    Credentials,
    GroupsProvider,
    IdentityProvider,
    RefreshProvider,
    UserInfoProvider,
    Verified,
    fetch_identity,
)
from authkit.errors import CodedError, InvalidCredentialsError, LoginError, PermissionDeniedError
from authkit.framework.handler_threads import invoke
from authkit.masking import Secret
from authkit.values import replace

__all__ = ["ProviderContract"]

_REFUSALS = (InvalidCredentialsError, LoginError, PermissionDeniedError)


class ProviderContract(ABC):
    """Tests of one provider. A failure is an `AssertionError` that says what was promised."""

    @abstractmethod
    def provider(self) -> IdentityProvider:
        """Return a new provider; each test has its own."""

    @abstractmethod
    def accepted(self) -> Credentials:
        """Return credentials that the provider accepts. Called again, those of the same person."""

    @abstractmethod
    def refused(self) -> Sequence[Credentials]:
        """Return credentials that it refuses: forged ones, old ones, somebody else's."""

    def unknown(self) -> Verified | None:
        """Return somebody who may not be refreshed any more; `None` when that cannot happen."""
        return None

    def test_it_is_a_provider(self) -> None:
        """It has a `verify` method."""
        _promise(isinstance(self.provider(), IdentityProvider), "a provider has a method verify")

    def test_accepted_credentials_have_a_name(self) -> None:
        """The same person has the same name at every login."""
        first, second = self._verify(self.accepted()), self._verify(self.accepted())
        _promise(bool(first.name), "a verified person has a name")
        _promise(first.name == second.name, "a name is stable")
        _promise(first.metadata == second.metadata, "metadata does not vary from login to login")

    def test_the_identity_is_one_that_hosts_take(self) -> None:
        """Name, groups and metadata keep to the limits of hosts."""
        identity = _run(fetch_identity, self.provider(), self.accepted())
        _promise(isinstance(identity, Identity), "verify leads to an identity")

    def test_refused_credentials_are_refused(self) -> None:
        """By one of the errors that callers know, and not by an accident."""
        for credentials in self.refused():
            self._refusal(credentials)

    def test_altered_secrets_are_refused(self) -> None:
        """An accepted secret with something more, something less, or nothing left of it, is not accepted."""
        credentials = self.accepted()
        text = credentials.secret.reveal()
        for altered in ("", text[:-1], text + "x", "x" + text):
            self._refusal(replace(credentials, secret=Secret(altered)))

    def test_secrets_are_not_told(self) -> None:
        """Neither the verified person nor a refusal repeats the secret."""
        credentials = self.accepted()
        text = credentials.secret.reveal()
        verified = self._verify(credentials)
        shown = [repr(verified), verified.name, verified.display_name, *verified.metadata.values()]
        _promise(not any(text in each for each in shown), "a secret is in no metadata and no representation")
        for wrong in self.refused():
            error = self._refusal(wrong)
            secret = wrong.secret.reveal()
            detail = getattr(error, "detail", "")
            _promise(not secret or secret not in f"{error} {detail}", "a refusal does not repeat the secret")

    def test_groups_are_names(self) -> None:
        """Groups, looked up or not, are texts that are not empty."""
        provider = self.provider()
        verified = self._verify(self.accepted())
        groups = verified.groups or ()
        if isinstance(provider, GroupsProvider):
            groups = _run(provider.fetch_groups, verified)
        _promise(not isinstance(groups, str), "groups are a list, not a text")
        _promise(all(isinstance(group, str) and group for group in groups), "a group is a name")

    def test_user_info_is_metadata(self) -> None:
        """What is looked up about somebody is texts by key."""
        provider = self.provider()
        if isinstance(provider, UserInfoProvider):
            found = _run(provider.fetch_user_info, self._verify(self.accepted()))
            _promise(all(isinstance(each, str) for pair in found.items() for each in pair), "texts by key")

    def test_refresh_keeps_the_name(self) -> None:
        """A refresh keeps the name, twice in a row; an unknown user is refused."""
        provider = self.provider()
        if not isinstance(provider, RefreshProvider):
            return
        verified = self._verify(self.accepted())
        once = _run(provider.refresh, replace(verified, groups=()))
        twice = _run(provider.refresh, once)
        _promise(once.name == verified.name == twice.name, "refresh keeps the name")
        gone = self.unknown()
        if gone is not None:
            _refusal_of(provider.refresh, gone)

    def _verify(self, credentials: Credentials) -> Verified:
        verified = _run(self.provider().verify, credentials)
        _promise(isinstance(verified, Verified), "verify returns a Verified")
        assert isinstance(verified, Verified)
        return verified

    def _refusal(self, credentials: Credentials) -> Exception:
        return _refusal_of(self.provider().verify, credentials)


def _refusal_of(method: Any, argument: object) -> Exception:
    try:
        _run(method, argument)
    except _REFUSALS as error:
        return error
    except CodedError as error:
        _promise(400 <= error.status < 500, "a refusal is the caller's mistake, not a fault")
        return error
    raise AssertionError("what must be refused was accepted")


def _run(method: Any, *arguments: object) -> Any:
    return asyncio.run(invoke(method, *arguments))


def _promise(kept: bool, promise: str) -> None:
    if not kept:
        raise AssertionError(promise)
