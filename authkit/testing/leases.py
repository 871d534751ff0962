"""A credential with its lease, in the hands of a test."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from authkit.testing.responses import ClientResponse
from authkit.testing.tokens import GrantedToken, TokenHost
from authkit.values import Value

__all__ = ["IssuedCredential"]


class IssuedCredential(Value, frozen=True):
    """What the client of a secrets engine has. Made by `issue` and `renew`."""

    host: TokenHost
    token: GrantedToken | str
    """Of the client, who asks for renewals and revocations as well."""
    data: Mapping[str, Any]
    """The credential itself. A renewal has what the engine answers then, mostly nothing."""
    lease_id: str
    ttl: timedelta
    """Of the lease, as it was granted."""
    renewable: bool
    warnings: tuple[str, ...] = ()
    """Of the answer."""

    unshown: ClassVar = ("host", "token", "data")

    async def renew(self, increment: str = "") -> IssuedCredential:
        """Renew it; return what is granted now.

        Raises:
            RefusedError: the engine or the host refuses.
            AssertionError: the engine has left the lease as it was: a client takes that for a success.
        """
        body = {"lease_id": self.lease_id} | ({"increment": increment} if increment else {})
        return IssuedCredential.of(self.host, await self._call("renew", body), self.token)

    async def revoke(self, *, sync: bool = True) -> None:
        """Revoke it. Without `sync` that is done at the next `tick`, and tried again if it fails.

        Raises:
            RefusedError: the engine fails, or the client may not.
        """
        await self._call("revoke", {"lease_id": self.lease_id, "sync": sync})

    async def lookup(self) -> Mapping[str, Any]:
        """Return what the host knows of the lease.

        Raises:
            RefusedError: it is not there, or the client may not.
        """
        return (await self._call("lookup", {"lease_id": self.lease_id})).data or {}

    async def _call(self, action: str, body: Mapping[str, Any]) -> ClientResponse:
        response = await self.host.call("PUT", f"sys/leases/{action}", body, token=self.token)
        return response.verified()

    @classmethod
    def of(cls, host: TokenHost, response: ClientResponse, token: GrantedToken | str) -> IssuedCredential:
        """Return the credential in an answer.

        Raises:
            AssertionError: it has no lease.
        """
        body = response.body
        if not body.get("lease_id"):
            raise AssertionError(f"HTTP {response.status} has no lease")
        return cls(
            host,
            token,
            body.get("data") or {},
            body["lease_id"],
            timedelta(seconds=body["lease_duration"]),
            body["renewable"],
            response.warnings,
        )
