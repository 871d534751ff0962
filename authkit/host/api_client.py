"""An API client in the same process, for the page and the development server.

It goes through the API, so a caller sees only what its token may see.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authkit.host.http.application import Answering
from authkit.host.messages import HostRequest, HostResponse
from authkit.host.mount_overview import MountDescription, as_mapping, describe
from authkit.values import Value

__all__ = ["APIClient", "APIError", "MountSummary"]


class APIError(Exception):
    """The host refused a request. Has its status and error texts."""

    def __init__(self, status: int, texts: list[str]) -> None:
        super().__init__("; ".join(texts))
        self.status = status
        self.texts = texts


class MountSummary(Value, frozen=True):
    """One mount, as the host describes it."""

    path: str
    """With a slash at the end; that of an auth method without `auth/`."""
    type: str
    description: str
    accessor: str
    version: str


class APIClient(Value, frozen=True):
    """Requests of one token, from one browser."""

    core: Answering
    token: str
    remote_addr: str = "127.0.0.1"

    async def is_known(self) -> bool:
        """Whether the host knows the token."""
        return (await self._send("GET", "auth/token/lookup-self")).status < 300

    async def mounts(self) -> list[MountSummary]:
        """Return all auth methods except the token store."""
        return await self._mounts("sys/auth", without=("token",))

    async def engines(self) -> list[MountSummary]:
        """Return all secrets engines that are not the host's own."""
        return await self._mounts("sys/mounts", without=("cubbyhole", "identity", "system"))

    async def _mounts(self, table: str, *, without: tuple[str, ...]) -> list[MountSummary]:
        data = as_mapping(_checked(await self._send("GET", table)).get("data"))
        return [
            MountSummary(
                path=str(path),
                type=str(entry.get("type", "")),
                description=str(entry.get("description", "")),
                accessor=str(entry.get("accessor", "")),
                version=str(entry.get("running_plugin_version") or entry.get("plugin_version") or ""),
            )
            for path, entry in sorted(data.items())
            if isinstance(entry, Mapping) and entry.get("type") not in without
        ]

    async def describe(self, route: str) -> MountDescription:
        """Return what the mount at a route such as `auth/jwt/` offers; empty if it does not answer help."""
        answer = await self._send("GET", route, query={"help": ["1"]})
        return describe(as_mapping(answer.body).get("openapi"))

    async def names(self, mount: MountSummary, listed: str) -> list[str]:
        """Return the keys of a list of the mount."""
        answer = await self._send("LIST", f"auth/{mount.path}{listed}")
        keys = as_mapping(as_mapping(answer.body).get("data")).get("keys")
        return [str(key) for key in keys] if isinstance(keys, list) else []

    async def read(self, path: str) -> Mapping[str, Any] | None:
        """Return the data of a path; `None` if the host refuses the read or has none."""
        answer = await self._send("GET", path)
        return as_mapping(as_mapping(answer.body).get("data")) if answer.status < 300 else None

    async def write(self, path: str, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """Write; return the data of the answer.

        Raises:
            APIError: the host refused it.
        """
        return as_mapping((await self.post(path, fields)).get("data"))

    async def post(self, path: str, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """Write; return the whole answer, with `auth` and `warnings`.

        Raises:
            APIError: the host refused it.
        """
        return _checked(await self._send("POST", path, body=fields))

    async def get(self, path: str, query: Mapping[str, str]) -> Mapping[str, Any]:
        """Read with a query; return the whole answer.

        Raises:
            APIError: the host refused it.
        """
        return _checked(await self._send("GET", path, query={name: [value] for name, value in query.items()}))

    async def _send(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, list[str]] | None = None,
    ) -> HostResponse:
        return await self.core.handle(
            HostRequest(
                method=method,
                path=path,
                body=body,
                query=query or {},
                token=self.token,
                remote_addr=self.remote_addr,
            )
        )


def _checked(answer: HostResponse) -> Mapping[str, Any]:
    body = as_mapping(answer.body)
    if answer.status >= 300:
        texts = body.get("errors")
        raise APIError(answer.status, [str(text) for text in texts] if isinstance(texts, list) else [])
    return body
