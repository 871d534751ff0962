"""Renewals at the provider: a token is renewed as long as the provider accepts its refresh token.

A refresh token is sealed and kept with the Vault token, beside the provider and the client it is for, and
is sent to no other. Most providers replace it at each use, and the host gets the new one only if everything
after that succeeds. So it is stored first: after a renewal that fails or is cut off, the next one uses it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from authkit import (
    Identity,
    LoginError,
    RenewCall,
    Secret,
    Storage,
    StorageEntry,
    StorageView,
    TooManyRequestsError,
    replace,
)
from authkit.oidc import NO_RECORD
from jwt_auth.admission.admit import admit, verify_role_type
from jwt_auth.admission.id_tokens import ProviderContext, RenewedProof
from jwt_auth.browser.pending import forget_old
from jwt_auth.browser.sealing_keys import RefreshTokens
from jwt_auth.settings.config import JWTConfig
from jwt_auth.settings.role import JWTRole
from jwt_auth.texts.words import say

if TYPE_CHECKING:
    from authkit.oidc import OIDCClient, TokenSet
    from jwt_auth.admission.trust import Trust

__all__ = ["Renewals"]

REPLACED_SECONDS: Final = 32 * 86400
"""How long a new refresh token is stored: as long as a token can live on a server that sets no other limit
(Vault 1.21, `max_lease_ttl`). Each token has one at most, until its next renewal."""


class Renewals:
    """The renewals of one mount.

    Args:
        tokens: seals refresh tokens, for the provider, client and subject that they are of.
        now: seconds since 1970.
    """

    def __init__(self, storage: Storage, tokens: RefreshTokens, now: Callable[[], float] = time.time) -> None:
        self._replaced = StorageView(storage, "oidc/replaced/")
        self._tokens = tokens
        self._now = now
        self._under_way: set[str] = set()
        self._refreshing: set[asyncio.Task[TokenSet]] = set()

    def at(self, client: OIDCClient, trust: Trust, before: str = "") -> ProviderContext:
        """Return the provider of the mount.

        Args:
            before: in a renewal, where it stores the new refresh token; see `_stored_name`.
        """

        async def keep(token: Secret, sub: str) -> Mapping[str, Any]:
            parties = _parties(trust.config)
            return {
                **parties,
                "sub": sub,
                "refresh": await self._tokens.hide(token, *parties.values(), sub),
                "until": str(int(self._now()) + REPLACED_SECONDS),
                "before": before,
            }

        return ProviderContext(client=client, lookups=trust.provider, issuers=trust.issuers, keep=keep)

    async def renew(self, client: OIDCClient, trust: Trust, role: JWTRole, call: RenewCall) -> Identity:
        """Return the identity, with current groups and the state for the next renewal.

        Raises:
            LoginError: the provider refuses, or the role does not allow the login any more.
            TooManyRequestsError: the same token is being renewed.
            StorageError: a new refresh token cannot be stored.
        """
        verify_role_type(role, RenewedProof.role_type)
        kept, parties = call.state, _parties(trust.config)
        if any(kept.get(name) != value for name, value in parties.items()):
            raise LoginError(
                "the token was issued for another provider or client than the configured one, log in again"
            )
        sub, name = str(kept.get("sub", "")), _stored_name(kept)
        if not sub:
            raise LoginError("the token names no subject, log in again")
        context = (*parties.values(), sub)
        with self._alone(name):
            await self._forget(str(kept.get("before", "")))
            refreshing = asyncio.ensure_future(self._refresh(client, kept, context))
            self._refreshing.add(refreshing)
            refreshing.add_done_callback(self._end_refreshing)
            # The provider goes on when the host does not wait any more: so do we, or its answer is lost.
            tokens = await asyncio.shield(refreshing)
            proof = RenewedProof(self.at(client, trust, name), tokens, iss=parties["iss"], subject=sub)
            identity = await admit(
                role, call.role_name, proof, NO_RECORD, connection=call.connection, is_from_user=False
            )
        if identity.name != call.name:
            raise LoginError("the name has changed")
        return identity

    async def _refresh(self, client: OIDCClient, kept: Mapping[str, Any], context: Sequence[str]) -> TokenSet:
        """Send the newest refresh token; return what comes, of which a new one has been stored."""
        name = _stored_name(kept)
        with self._alone(f"refresh {name}"):
            replaced = await self._replaced.get(name)
            hidden = str(kept.get("refresh", "")) if replaced is None else replaced.value.decode()
            token = await self._tokens.unhide(hidden, *context)
            try:
                tokens = await client.refresh(token)
            except LoginError as error:
                raise say(error) from error
            if tokens.refresh_token is None:
                return replace(tokens, refresh_token=token)
            value = (await self._tokens.hide(tokens.refresh_token, *context)).encode()
            await self._replaced.put(StorageEntry(name, value, seal_wrap=True))
            return tokens

    async def forget(self) -> None:
        """Delete refresh tokens of tokens that nobody has renewed again.

        Raises:
            StorageError: one cannot be deleted.
        """
        await forget_old(self._replaced, self._now())

    async def _forget(self, name: str) -> None:
        """Delete what the last renewal has stored: the host has shown that it has a newer state."""
        if name:
            await self._replaced.delete(name)

    def _end_refreshing(self, refreshing: asyncio.Task[TokenSet]) -> None:
        """Take its error too, which nobody may be waiting for any more."""
        self._refreshing.discard(refreshing)
        if not refreshing.cancelled():
            refreshing.exception()

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        """Refuse a second renewal of the same token: one refresh token must not be sent twice."""
        if name in self._under_way:
            raise TooManyRequestsError("this token is being renewed at the provider, try again")
        self._under_way.add(name)
        try:
            yield
        finally:
            self._under_way.discard(name)


def _parties(config: JWTConfig) -> dict[str, str]:
    """Return who a refresh token is for: the provider and the client."""
    return {"iss": config.oidc_discovery_url, "client_id": config.oidc_client_id}


def _stored_name(kept: Mapping[str, Any]) -> str:
    """Return where a new refresh token is stored until the host has the state that holds it."""
    digest = sha256(str(kept.get("refresh")).encode()).hexdigest()
    return f"{kept.get('until', '')}-{digest}"
