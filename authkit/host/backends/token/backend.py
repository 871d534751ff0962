"""`auth/token/`: tokens looked up, renewed and revoked.

The rules are those of Vault 1.21 (vault/token_store.go). Making tokens:
`authkit.host.backends.token.creation`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Protocol

from authkit.host.backends.router import Call, Routes, duration_of, text_of
from authkit.host.backends.token.creation import add_creation_routes
from authkit.host.messages import Answer, Failure, listed
from authkit.host.state import HostState
from authkit.host.store.times import seconds_left, show_time, whole_seconds
from authkit.host.store.tokens import BATCH, Token

__all__ = ["Renewer", "token_routes"]


class Renewer(Protocol):
    """Renews a token, at the backend that granted it."""

    async def __call__(
        self, state: HostState, token: Token, increment: timedelta, *, text: str, remote_addr: str
    ) -> Answer | None:
        """Return the renewed grant, `None` when nothing was changed.

        Raises:
            Failure: the token cannot be renewed, or the backend refuses.
        """


def token_routes(state: HostState, renew: Renewer) -> Routes:
    """Return the table of `auth/token/`."""
    tokens = _Tokens(state, renew)
    routes = Routes(root=("revoke-orphan", "accessors/"))
    routes.add("accessors/?", list=tokens.accessors)
    add_creation_routes(routes, state)
    routes.add("lookup(?:/.+)?", "token", read=tokens.lookup, update=tokens.lookup)
    routes.add("lookup-accessor(?:/.+)?", "accessor", update=tokens.lookup_accessor)
    routes.add("lookup-self", "token", read=tokens.lookup_self, update=tokens.lookup_self)
    routes.add("revoke-accessor(?:/.+)?", "accessor", update=tokens.revoke_accessor)
    routes.add("revoke-self", update=tokens.revoke_self)
    routes.add("revoke-orphan(?:/.+)?", "token", update=tokens.revoke_orphan)
    routes.add("revoke(?:/.+)?", "token", update=tokens.revoke)
    routes.add("renew-accessor(?:/.+)?", "accessor increment", update=tokens.renew_accessor)
    routes.add("renew-self", "token increment", update=tokens.renew_self)
    routes.add("renew(?:/.+)?", "token increment", update=tokens.renew)
    return routes


class _Tokens:
    def __init__(self, state: HostState, renew: Renewer) -> None:
        self._state = state
        self._renew_token = renew
        self._store = state.tokens

    # --- finding -------------------------------------------------------------------------------

    async def accessors(self, call: Call) -> Answer:
        return Answer(data={"keys": self._store.accessors()})

    async def lookup(self, call: Call) -> Answer:
        text = text_of(call.data, "token") or call.request.token
        token = self._store.find(text, with_used_up=True)
        if token is None:
            raise Failure(403, "bad token")
        return Answer(data=self._show(token, text))

    async def lookup_self(self, call: Call) -> Answer:
        return Answer(data=self._show(call.known_caller.token, call.request.token))

    async def lookup_accessor(self, call: Call) -> Answer:
        return Answer(data=self._show(self._by_accessor(call), ""))

    def _by_accessor(self, call: Call) -> Token:
        accessor = text_of(call.data, "accessor")
        if not accessor:
            raise Failure(400, listed("missing accessor"))
        token = self._store.find_accessor(accessor)
        if token is None:
            raise Failure(400, listed("invalid accessor"))
        return token

    def _show(self, token: Token, text: str) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "accessor": token.accessor,
            "creation_time": int(token.created.timestamp()),
            "creation_ttl": whole_seconds(token.ttl),
            "display_name": token.display_name,
            "entity_id": token.entity_id,
            "expire_time": None,
            "explicit_max_ttl": whole_seconds(token.explicit_max_ttl),
            "id": text,
            "issue_time": show_time(token.created),
            "meta": dict(token.meta) or None,
            "num_uses": token.num_uses,
            "orphan": not token.parent,
            "path": token.path,
            "policies": list(token.policies),
            "renewable": token.renewable,
            "ttl": 0,
            "type": token.type,
        }
        if token.expires is not None:
            left = seconds_left(token.expires, self._state.clock.now())
            shown |= {"expire_time": show_time(token.expires), "ttl": left}
        if token.renewed is not None:
            shown["last_renewal"] = show_time(token.renewed)
            shown["last_renewal_time"] = int(token.renewed.timestamp())
        if token.period:
            shown["period"] = whole_seconds(token.period)
        if token.bound_cidrs:
            shown["bound_cidrs"] = list(token.bound_cidrs)
        derived = self._state.identity.policies_of(token.entity_id)
        if derived:
            shown |= {"identity_policies": list(derived), "external_namespace_policies": {}}
        return shown

    # --- renewing and revoking -----------------------------------------------------------------

    async def renew(self, call: Call) -> Answer | None:
        text = text_of(call.data, "token")
        if not text:
            raise Failure(400, "missing token ID")
        token = self._store.find(text)
        if token is None:
            raise Failure(400, "token not found")
        return await self._renew(call, token, text)

    async def renew_self(self, call: Call) -> Answer | None:
        return await self._renew(call, call.known_caller.token, call.request.token)

    async def renew_accessor(self, call: Call) -> Answer | None:
        return await self._renew(call, self._by_accessor(call), "")

    async def _renew(self, call: Call, token: Token, text: str) -> Answer | None:
        increment = duration_of(call.data, "increment")
        return await self._renew_token(
            self._state, token, increment, text=text, remote_addr=call.request.remote_addr
        )

    async def revoke(self, call: Call) -> None:
        text = text_of(call.data, "token")
        if not text:
            raise Failure(400, "missing token ID")
        await self._revoke(self._store.find(text))

    async def revoke_self(self, call: Call) -> None:
        await self._revoke(call.known_caller.token)

    async def revoke_accessor(self, call: Call) -> Answer | None:
        accessor = text_of(call.data, "accessor")
        if not accessor:
            raise Failure(400, listed("missing accessor"))
        token = self._store.find_accessor(accessor)
        if token is None:
            return Answer(warnings=("No token found with this accessor",))
        await self._revoke(token)
        return None

    async def revoke_orphan(self, call: Call) -> None:
        text = text_of(call.data, "token")
        if not text:
            raise Failure(400, "missing token ID")
        token = self._store.find(text)
        if token is None:
            raise Failure(400, "token to revoke not found")
        if token.type == BATCH:
            raise Failure(400, "batch tokens cannot be revoked")
        await self._store.revoke_orphaning(token.key)

    async def _revoke(self, token: Token | None) -> None:
        if token is None:
            return
        if token.type == BATCH:
            raise Failure(400, "batch tokens cannot be revoked")
        await self._store.revoke(token.key)
