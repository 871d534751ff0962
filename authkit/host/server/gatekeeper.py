"""Who gets through to a path that needs a token, and what that costs the token.

Which path needs what: `authkit.host.server.core`. What a token allows: `authkit.host.authorization`.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from authkit.host.authorization import Caller, DeniedError, ForeignAddressError, identify
from authkit.host.messages import Failure, HostRequest, join_errors
from authkit.host.server.operations import Asked
from authkit.host.state import HostState
from authkit.host.store.policies import FilledPolicyError
from authkit.host.store.tokens import Token
from authkit.logical import Operation
from authkit.values import replace

__all__ = ["Gatekeeper"]

logger = logging.getLogger("authkit.host")

_DENIED = "permission denied"


class Gatekeeper:
    """Lets requests through, or refuses them with the words of a Vault server."""

    def __init__(self, state: HostState) -> None:
        self._state = state

    def find_caller(self, request: HostRequest) -> Caller | None:
        """Return the caller on a path that needs no token. An invalid token counts as no token.

        Raises:
            Failure: the token's entity is disabled or gone.
        """
        token = self._state.tokens.find(request.token) if request.token else None
        if token is None:
            return None
        try:
            return self._identify(request, token)
        except ForeignAddressError:
            return None
        except DeniedError as error:
            raise Failure(403, _DENIED) from error

    async def get_caller(self, request: HostRequest) -> Caller:
        """Return the caller where a token is needed.

        Raises:
            Failure: the token is missing, invalid, or bound to other addresses.
        """
        if not request.token:
            raise Failure(403, _DENIED)
        token = self._state.tokens.find(request.token)
        if token is None:
            raise Failure(403, join_errors(_DENIED, "invalid token"))
        try:
            return self._identify(request, token)
        except ForeignAddressError as error:
            raise Failure(403, _DENIED) from error
        except DeniedError as error:
            await self.count_use(token)
            raise Failure(403, _DENIED) from error

    async def authorize(
        self,
        request: HostRequest,
        asked: Asked,
        operation: Operation | None,
        *,
        sudo: bool,
        caller: Caller | None = None,
    ) -> Caller:
        """Return the caller, who may do what is asked for. A refusal costs a use of the token as well.

        Raises:
            Failure: they may not.
        """
        caller = caller or await self.get_caller(request)
        if operation is None:
            is_allowed = caller.acl.is_root
        else:
            is_allowed = caller.acl.allows(operation, asked.path, sudo=sudo)
        if not is_allowed:
            await self.count_use(caller.token)
            raise Failure(403, join_errors(_DENIED))
        return caller

    @asynccontextmanager
    async def used(self, caller: Caller) -> AsyncIterator[Caller]:
        """Count a use of the caller's token, and yield the caller as they are then.

        A token that this was the last use of is revoked in the end.

        Raises:
            Failure: another request has had the last use.
        """
        token = await self._state.tokens.use(caller.token)
        if token is None:
            raise Failure(403, join_errors(_DENIED, "invalid token"))
        try:
            yield caller if token is caller.token else replace(caller, token=token)
        finally:
            if token.is_used_up:
                await self._state.tokens.revoke(token.key)

    def _identify(self, request: HostRequest, token: Token) -> Caller:
        state = self._state
        try:
            return identify(
                request.token, token, request.remote_addr, identity=state.identity, policies=state.policies
            )
        except FilledPolicyError as error:
            logger.error("a token's policies cannot be told", exc_info=error)
            raise Failure(500, join_errors("internal error")) from error

    async def count_use(self, token: Token) -> None:
        """Count a use of a token for a request that is refused."""
        used = await self._state.tokens.use(token)
        if used is not None and used.is_used_up:
            await self._state.tokens.revoke(used.key)
