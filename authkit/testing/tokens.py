"""A token that a login has granted, in the hands of a test."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Protocol

from authkit.logical import Entity
from authkit.testing.responses import ClientResponse
from authkit.values import Value

__all__ = ["GrantedToken", "TokenHost"]


class TokenHost(Protocol):
    """A host that takes the token: the simulator, or a real server."""

    async def call(
        self,
        method: str,
        path: str,
        data: Mapping[str, Any] | None = None,
        /,
        *,
        token: GrantedToken | str = "",
        addr: str = "",
    ) -> ClientResponse:
        """Send a request."""
        ...

    def find_entity(self, entity_id: str) -> Entity | None:
        """Return an entity."""
        ...


class GrantedToken(Value, frozen=True):
    """What the client of a login has. Made by `login` and `renew`."""

    host: TokenHost
    auth: Mapping[str, Any]
    """The `auth` of the answer."""
    warnings: tuple[str, ...] = ()
    """Of the answer."""
    data: Mapping[str, Any] | None = None
    """What stood beside the grant."""

    unshown: ClassVar = ("host", "auth", "data")

    @property
    def client_token(self) -> str:
        """The token itself."""
        token: str = self.auth["client_token"]
        return token

    @property
    def accessor(self) -> str:
        """Its accessor, empty for a batch token."""
        accessor: str = self.auth["accessor"]
        return accessor

    @property
    def policies(self) -> tuple[str, ...]:
        """All policies, those of the identity included."""
        return tuple(self.auth["policies"])

    @property
    def token_policies(self) -> tuple[str, ...]:
        """The policies that the plugin asked for, and `default`."""
        return tuple(self.auth.get("token_policies") or ())

    @property
    def identity_policies(self) -> tuple[str, ...]:
        """The policies of the entity and its groups."""
        return tuple(self.auth.get("identity_policies") or ())

    @property
    def metadata(self) -> Mapping[str, str]:
        """The metadata of the token."""
        return self.auth["metadata"] or {}

    @property
    def ttl(self) -> timedelta:
        """The lifetime as it was granted."""
        return timedelta(seconds=self.auth["lease_duration"])

    @property
    def renewable(self) -> bool:
        """Whether it can be renewed."""
        return bool(self.auth["renewable"])

    @property
    def token_type(self) -> str:
        """`service` or `batch`."""
        kind: str = self.auth["token_type"]
        return kind

    @property
    def num_uses(self) -> int:
        """For how many requests it was granted; 0 means no limit."""
        return int(self.auth["num_uses"])

    @property
    def entity_id(self) -> str:
        """The id of its entity, empty without one."""
        entity_id: str = self.auth["entity_id"]
        return entity_id

    @property
    def entity(self) -> Entity | None:
        """Its entity as the host knows it now, with the aliases."""
        return self.host.find_entity(self.entity_id)

    async def renew(self, increment: str = "", *, addr: str = "") -> GrantedToken:
        """Renew it, as the holder does at `auth/token/renew-self`; return what is granted now.

        Raises:
            RefusedError: the plugin or the host refuses.
            AssertionError: the answer granted nothing.
        """
        body = {"increment": increment} if increment else {}
        response = await self._send("POST", "auth/token/renew-self", body, addr)
        return GrantedToken.of(self.host, response)

    async def revoke(self, *, addr: str = "") -> None:
        """Revoke it, as the holder.

        Raises:
            RefusedError: it is not valid any more, or may not do that.
        """
        await self._send("POST", "auth/token/revoke-self", {}, addr)

    async def lookup(self, *, addr: str = "") -> Mapping[str, Any]:
        """Return what the host knows of it, asked by the holder.

        Raises:
            RefusedError: it is not valid any more, or may not do that.
        """
        data = (await self._send("GET", "auth/token/lookup-self", None, addr)).data
        assert data is not None
        return data

    async def _send(self, method: str, path: str, body: Any, addr: str) -> ClientResponse:
        response = await self.host.call(method, path, body, token=self.client_token, addr=addr)
        return response.verified()

    @classmethod
    def of(cls, host: TokenHost, response: ClientResponse) -> GrantedToken:
        """Return the token that an answer grants.

        Raises:
            AssertionError: it grants none.
        """
        if response.auth is None:
            raise AssertionError(f"HTTP {response.status} grants no token")
        return cls(host, response.auth, response.warnings, response.data)
