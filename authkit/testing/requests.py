"""A request of a test, as a host in this process takes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authkit.host.server.core import HostRequest
from authkit.testing.tokens import GrantedToken

__all__ = ["make_request"]

DEFAULT_ADDRESS = "127.0.0.1"


def make_request(
    method: str,
    path: str,
    data: Mapping[str, Any] | None,
    *,
    token: GrantedToken | str | None,
    addr: str,
    query: Mapping[str, str] | None,
    headers: Mapping[str, str] | None,
    wrap_ttl: str,
) -> HostRequest:
    """Return the request. Without `addr` it comes from `127.0.0.1`."""
    return HostRequest(
        method=method,
        path=path,
        body=data,
        query={name: (value,) for name, value in (query or {}).items()},
        token=token.client_token if isinstance(token, GrantedToken) else token or "",
        headers={name: (value,) for name, value in (headers or {}).items()},
        remote_addr=addr or DEFAULT_ADDRESS,
        wrap_ttl=wrap_ttl,
    )
