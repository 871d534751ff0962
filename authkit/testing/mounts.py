"""What a test asks of one mount, whichever host serves it: the simulator, or a real server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from authkit.logical import BackendType
from authkit.testing.leases import IssuedCredential
from authkit.testing.responses import ClientResponse
from authkit.testing.tokens import GrantedToken, TokenHost
from authkit.values import verify_collections

__all__ = ["ROOT_TOKEN", "Host", "MountClient"]

ROOT_TOKEN = "root"  # noqa: S105 - it opens nothing but a host of a test


class Host(TokenHost, Protocol):
    """A server of a test."""

    async def call(
        self,
        method: str,
        path: str,
        data: Mapping[str, Any] | None = None,
        /,
        *,
        token: GrantedToken | str | None = ROOT_TOKEN,
        addr: str = "",
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        wrap_ttl: str = "",
    ) -> ClientResponse:
        """Send a request to any path of the API."""
        ...


class MountClient:
    """One mount. Paths are relative to it; requests are made with the root token unless told.

    `path` and `data` are given by position: fields of these names are given by name. Every method raises
    `RefusedError` when the host does not serve the request.
    """

    def __init__(self, host: Host, path: str, backend_type: BackendType = BackendType.CREDENTIAL) -> None:
        self._host = host
        self.path = path
        """Without `auth/` and without slashes around it."""
        is_auth = backend_type is not BackendType.LOGICAL
        self.route = f"auth/{path}" if is_auth else path
        """Where its requests begin: `auth/jwt` for an auth method, `accounts` for a secrets engine."""
        self.settings = f"sys/auth/{path}" if is_auth else f"sys/mounts/{path}"
        """The path of the mount among those of the host."""

    # --- requests ------------------------------------------------------------------------------

    async def request(
        self,
        method: str,
        path: str,
        data: Mapping[str, Any] | None = None,
        /,
        *,
        token: GrantedToken | str | None = ROOT_TOKEN,
        addr: str = "",
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        wrap_ttl: str = "",
    ) -> ClientResponse:
        """Send any request and return the answer, whatever it is: this method alone does not raise.

        Args:
            token: who asks; `None` for a stranger.
            addr: the client's IP address.
            headers: the mount's `passthrough_request_headers` decide which reach the plugin.
            wrap_ttl: as in `X-Vault-Wrap-TTL`.
        """
        return await self._host.call(
            method,
            f"{self.route}/{path}" if path else self.route,
            data,
            token=token,
            addr=addr,
            query=query,
            headers=headers,
            wrap_ttl=wrap_ttl,
        )

    async def write(
        self, path: str, data: Mapping[str, Any] | None = None, /, **fields: Any
    ) -> ClientResponse:
        """Write fields, given as a mapping, by name, or both; return the answer."""
        return (await self.request("POST", path, {**(data or {}), **fields})).verified()

    async def patch(
        self, path: str, data: Mapping[str, Any] | None = None, /, **fields: Any
    ) -> ClientResponse:
        """Change some fields of an object; return the answer."""
        return (await self.request("PATCH", path, {**(data or {}), **fields})).verified()

    async def read(self, path: str, /, **query: str) -> Mapping[str, Any]:
        """Return the data of a read, empty when the answer has none. What is not there is refused: 404."""
        return (await self.request("GET", path, query=query)).verified().data or {}

    async def list(self, path: str, /, **query: str) -> list[str]:
        """Return the keys of a list, none when there are none."""
        response = await self.request("LIST", path, query=query)
        if response.status == 404 and not response.errors:
            return []
        keys: list[str] = (response.verified().data or {}).get("keys") or []
        return list(keys)

    async def delete(self, path: str, /, **query: str) -> None:
        """Delete."""
        (await self.request("DELETE", path, query=query)).verified()

    async def login(
        self,
        path: str = "login",
        data: Mapping[str, Any] | None = None,
        /,
        *,
        addr: str = "",
        headers: Mapping[str, str] | None = None,
        **fields: Any,
    ) -> GrantedToken:
        """Log in as a stranger does; return the token.

        Raises:
            RefusedError: the plugin or the host refuses.
            AssertionError: the answer grants nothing.
        """
        body = {**(data or {}), **fields}
        response = await self.request("POST", path, body, token=None, addr=addr, headers=headers)
        return GrantedToken.of(self._host, response.verified())

    async def issue(
        self,
        path: str,
        data: Mapping[str, Any] | None = None,
        /,
        *,
        token: GrantedToken | str = ROOT_TOKEN,
        **query: str,
    ) -> IssuedCredential:
        """Read a path of a secrets engine, or write `data` to it; return the credential with its lease.

        Raises:
            RefusedError: the engine or the host refuses.
            AssertionError: the answer has no lease.
        """
        method = "GET" if data is None else "POST"
        response = await self.request(method, path, data, token=token, query=query)
        return IssuedCredential.of(self._host, response.verified(), token)

    async def help(self, path: str = "") -> str:
        """Return the help page of a path, or that of the whole backend."""
        response = await self.request("GET", path, query={"help": "1"})
        text: str = response.verified().body["help"]
        return text

    # --- the mount itself ----------------------------------------------------------------------

    async def tune(self, **settings: Any) -> None:
        """Tune the mount: `default_lease_ttl`, `token_type`, `passthrough_request_headers` and so on."""
        (await self._host.call("POST", f"{self.settings}/tune", settings)).verified()

    async def map_group(self, name: str, *, policies: Sequence[str] = (), group: str = "") -> str:
        """Map a group name of this mount to an external group with these policies; return the group's id."""
        verify_collections(policies=policies)
        call = self._host.call
        body = {"name": group or f"{self.path}-{name}", "type": "external", "policies": list(policies)}
        created = (await call("POST", "identity/group", body)).verified().data or {}
        alias = {"name": name, "mount_accessor": await self.accessor(), "canonical_id": created["id"]}
        (await call("POST", "identity/group-alias", alias)).verified()
        group_id: str = created["id"]
        return group_id

    async def accessor(self) -> str:
        """Return what the host calls this mount."""
        data = (await self._host.call("GET", self.settings)).verified().data or {}
        accessor: str = data["accessor"]
        return accessor

    async def lease_ids(self, prefix: str = "") -> Sequence[str]:
        """Return the ids of all leases whose path begins with a folder of this mount, by default of all."""
        found = []
        folders = [f"{self.route}/{prefix}".rstrip("/") + "/"]
        while folders:
            folder = folders.pop()
            response = await self._host.call("LIST", f"sys/leases/lookup/{folder}")
            names = (response.body.get("data") or {}).get("keys") or []
            found += [folder + name for name in names if not name.endswith("/")]
            folders += [folder + name for name in names if name.endswith("/")]
        return sorted(found)

    async def revoke_leases(self, prefix: str = "", *, force: bool = False) -> None:
        """Revoke all leases below a folder of this mount; `force` forgets them whatever the engine says."""
        action, folder = "revoke-force" if force else "revoke-prefix", f"{self.route}/{prefix}".rstrip("/")
        (await self._host.call("PUT", f"sys/leases/{action}/{folder}")).verified()

    async def make_token(self, *policies: str, **fields: Any) -> GrantedToken:
        """Make a token with these policies, a child of the root token; `fields` as of `auth/token/create`."""
        body = {"policies": list(policies), **fields}
        response = await self._host.call("POST", "auth/token/create", body)
        return GrantedToken.of(self._host, response.verified())

    async def reload(self) -> None:
        """Reload the plugin, as an operator does after an upgrade: a new backend on the same storage."""
        body = {"mounts": [f"{self.route}/"]}
        (await self._host.call("PUT", "sys/plugins/reload/backend", body)).verified()

    async def disable(self) -> None:
        """Remove the mount, its tokens or leases, and its storage."""
        (await self._host.call("DELETE", self.settings)).verified()
