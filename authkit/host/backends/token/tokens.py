"""Tokens looked up, renewed and revoked. The rules are those of Vault 1.21 (vault/token_store.go)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from authkit.errors import BadRequestError, FieldError, UserError
from authkit.framework import Answer, Str, route, write
from authkit.host.backends.base import HostBackend, OwnCall
from authkit.host.messages import Failure
from authkit.host.store.times import read_duration, seconds_left, show_time, whole_seconds
from authkit.host.store.tokens import BATCH, Token
from authkit.logical import Operation, Response

__all__ = ["Tokens"]


class Tokens(HostBackend):
    """Lookup, renewal and revocation of tokens."""

    # --- finding -------------------------------------------------------------------------------

    @route("lookup", Operation.READ, Operation.UPDATE)
    async def look_up(self, call: OwnCall, token: Str = "") -> dict[str, Any]:
        """Return what is known of a token, by default of the caller's."""
        text = token or call.token
        found = self.state.tokens.find(text, with_used_up=True)
        if found is None:
            raise Failure(403, "bad token")
        return self._show(found, text)

    @route("lookup-self", Operation.READ, Operation.UPDATE)
    async def look_up_self(self, call: OwnCall, token: Str = "") -> dict[str, Any]:
        """Return what is known of the caller's token."""
        return self._show(call.caller.token, call.token)

    @write("lookup-accessor")
    async def look_up_accessor(self, accessor: Str = "") -> dict[str, Any]:
        """Return what is known of the token of an accessor."""
        return self._show(self._of_accessor(accessor), "")

    def _of_accessor(self, accessor: str) -> Token:
        if not accessor:
            raise BadRequestError("missing accessor")
        token = self.state.tokens.find_accessor(accessor)
        if token is None:
            raise BadRequestError("invalid accessor")
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
            left = seconds_left(token.expires, self.state.clock.now())
            shown |= {"expire_time": show_time(token.expires), "ttl": left}
        if token.renewed is not None:
            shown["last_renewal"] = show_time(token.renewed)
            shown["last_renewal_time"] = int(token.renewed.timestamp())
        if token.period:
            shown["period"] = whole_seconds(token.period)
        if token.bound_cidrs:
            shown["bound_cidrs"] = list(token.bound_cidrs)
        of_identity = self.state.identity.policies_of(token.entity_id)
        if of_identity:
            shown |= {"identity_policies": list(of_identity), "external_namespace_policies": {}}
        return shown

    # --- renewing ------------------------------------------------------------------------------

    @write("renew")
    async def renew(self, call: OwnCall, token: Str = "", increment: Str = "") -> Response | None:
        """Renew a token."""
        return await self._renew(call, self._named(token, "token not found"), token, increment)

    @write("renew-self")
    async def renew_self(self, call: OwnCall, token: Str = "", increment: Str = "") -> Response | None:
        """Renew the caller's token."""
        return await self._renew(call, call.caller.token, call.token, increment)

    @write("renew-accessor")
    async def renew_accessor(self, call: OwnCall, accessor: Str = "", increment: Str = "") -> Response | None:
        """Renew the token of an accessor."""
        return await self._renew(call, self._of_accessor(accessor), "", increment)

    async def _renew(self, call: OwnCall, token: Token, text: str, increment: str) -> Response | None:
        try:
            wanted = read_duration(increment)
        except ValueError as error:
            raise FieldError("increment", str(error)) from error
        if wanted < timedelta(0):
            raise FieldError("increment", f"cannot provide negative value '{whole_seconds(wanted)}'")
        return await self.server.renew(token, wanted, text=text, remote_addr=call.remote_addr)

    def _named(self, text: str, unknown: str) -> Token:
        """Return the token that the body names; `unknown` is the error text if there is none."""
        token = self._find_named(text)
        if token is None:
            raise UserError(unknown)
        return token

    def _find_named(self, text: str) -> Token | None:
        if not text:
            raise UserError("missing token ID")
        return self.state.tokens.find(text)

    # --- revoking ------------------------------------------------------------------------------

    @write("revoke")
    async def revoke(self, token: Str = "") -> None:
        """Revoke a token and its children. An unknown token is a success."""
        await self._revoke(self._find_named(token))

    @write("revoke-self")
    async def revoke_self(self, call: OwnCall) -> None:
        """Revoke the caller's token."""
        await self._revoke(call.caller.token)

    @write("revoke-accessor")
    async def revoke_accessor(self, accessor: Str = "") -> Answer | None:
        """Revoke the token of an accessor."""
        if not accessor:
            raise BadRequestError("missing accessor")
        token = self.state.tokens.find_accessor(accessor)
        if token is None:
            return Answer(warnings=["No token found with this accessor"])
        await self._revoke(token)
        return None

    @write("revoke-orphan")
    async def revoke_orphan(self, token: Str = "") -> None:
        """Revoke a token. Its children become orphans."""
        found = self._named(token, "token to revoke not found")
        if found.type == BATCH:
            raise UserError("batch tokens cannot be revoked")
        await self.state.tokens.revoke_orphaning(found.key)

    async def _revoke(self, token: Token | None) -> None:
        if token is None:
            return
        if token.type == BATCH:
            raise UserError("batch tokens cannot be revoked")
        await self.state.tokens.revoke(token.key)
