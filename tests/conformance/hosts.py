"""The ways to a host that the cases take: a core in this process, or any address that speaks Vault's API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx

from authkit.host.server.core import Core, HostRequest
from authkit.testing import MovableClock
from authkit.wire.jsontext import decode_object

__all__ = ["CoreWay", "HTTPWay", "Reply", "Way"]

HERE = "127.0.0.1"
REQUEST_SECONDS = 30.0


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    body: Any
    """Decoded when it is JSON, otherwise text; `None` when there is none."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """In lower case."""


class Way(Protocol):
    """A way to a host."""

    clock: MovableClock | None
    """`None` where time cannot be moved."""

    async def send(
        self,
        method: str,
        path: str,
        body: Any,
        *,
        token: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        address: str,
    ) -> Reply:
        """Send one request."""
        ...


class CoreWay:
    """Straight into a core."""

    def __init__(self, core: Core, clock: MovableClock | None = None) -> None:
        self._core = core
        self.clock = clock

    async def send(
        self,
        method: str,
        path: str,
        body: Any,
        *,
        token: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        address: str,
    ) -> Reply:
        """Send one request."""
        rest = dict(headers)
        response = await self._core.handle(
            HostRequest(
                method=method,
                path=path,
                body=None if body is None else decode_object(json.dumps(body)),
                query={name: [value] for name, value in query.items()},
                token=token,
                wrap_ttl=rest.pop("X-Vault-Wrap-TTL", ""),
                headers={name: [value] for name, value in rest.items()},
                remote_addr=address,
            )
        )
        shown = {name.lower(): ", ".join(values) for name, values in response.headers.items()}
        if method == "HEAD":
            return Reply(response.status, None, shown)
        if response.raw is not None:
            return Reply(
                response.status,
                response.raw.decode() or None,
                shown | {"content-type": response.content_type},
            )
        return Reply(
            response.status, None if response.body is None else json.loads(json.dumps(response.body)), shown
        )


class HTTPWay:
    """Over HTTP."""

    clock = None

    def __init__(self, address: str) -> None:
        self._address = address
        self._clients: dict[str, httpx.AsyncClient] = {}

    async def send(
        self,
        method: str,
        path: str,
        body: Any,
        *,
        token: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        address: str,
    ) -> Reply:
        """Send one request."""
        sent = dict(headers) | ({"X-Vault-Token": token} if token else {})
        if method == "PATCH":
            sent["Content-Type"] = "application/merge-patch+json"
        response = await self._client(address).request(
            method,
            f"{self._address}/v1/{path}",
            content=None if body is None else json.dumps(body),
            params=dict(query),
            headers=sent,
        )
        return Reply(
            response.status_code, _decoded(response), {k.lower(): v for k, v in response.headers.items()}
        )

    async def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            await client.aclose()

    def _client(self, address: str) -> httpx.AsyncClient:
        if address not in self._clients:
            transport = httpx.AsyncHTTPTransport(local_address=None if address == HERE else address)
            self._clients[address] = httpx.AsyncClient(
                timeout=REQUEST_SECONDS, trust_env=False, transport=transport
            )
        return self._clients[address]


def _decoded(response: httpx.Response) -> Any:
    if not response.content:
        return None
    if response.headers.get("content-type", "").startswith("application/json"):
        return response.json()
    return response.text
