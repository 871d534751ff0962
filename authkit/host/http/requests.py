"""An HTTP request turned into a `HostRequest`, by the rules of a Vault server.

See `bodies.py` for bodies, `targets.py` for paths and queries, and `authkit.host.server.operations` for
what method and query mean (a list, a help page).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from authkit.host.http.bodies import media_type, read_object
from authkit.host.http.targets import read_query
from authkit.host.messages import Failure, HostRequest
from authkit.values import Value

__all__ = ["MERGE_PATCH", "Incoming", "read_request"]

WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
MERGE_PATCH = "application/merge-patch+json"


class Incoming(Value, frozen=True):
    """A request as received. Set by the application."""

    method: str
    path: str
    """Decoded, below `/v1/`."""
    query_string: str
    headers: Mapping[str, Sequence[str]]
    """Names as Go writes them: `X-Vault-Token`."""
    body: bytes = b""
    remote_addr: str = ""
    remote_port: int = 0

    def header(self, name: str) -> str:
        """Return the first value of a header; empty without it."""
        return next(iter(self.headers.get(name, ())), "")


def read_request(incoming: Incoming) -> HostRequest:
    """Parse a request.

    Raises:
        Failure: the body or a header is invalid.
    """
    request = HostRequest(
        method=incoming.method,
        path=incoming.path,
        body=_body(incoming),
        query=read_query(incoming.query_string),
        token=_token(incoming),
        headers=incoming.headers,
        remote_addr=incoming.remote_addr,
        remote_port=incoming.remote_port,
        wrap_ttl=incoming.header("X-Vault-Wrap-Ttl"),
        namespace=incoming.header("X-Vault-Namespace"),
    )
    _check_headers(incoming)
    return request


def _token(incoming: Incoming) -> str:
    """Return the client's token. The scheme `Bearer` is case-sensitive, as on a Vault server."""
    token = incoming.header("X-Vault-Token")
    authorization = incoming.header("Authorization")
    if token or not authorization.startswith("Bearer "):
        return token
    return authorization.removeprefix("Bearer ").strip()


def _body(incoming: Incoming) -> dict[str, Any] | None:
    """Return the parsed body of a write. The body of a read is ignored."""
    content_type = incoming.header("Content-Type")
    if incoming.method not in WITH_BODY:
        return None
    if incoming.method == "PATCH":
        return _patch(incoming.body, content_type)
    return read_object(incoming.body, content_type)


def _patch(body: bytes, content_type: str) -> dict[str, Any] | None:
    kind = media_type(content_type)
    if not kind:
        raise Failure(400, "mime: no media type")
    if kind != MERGE_PATCH:
        raise Failure(415, f"PATCH requires Content-Type of {MERGE_PATCH}, provided {kind}")
    return read_object(body, content_type)


def _check_headers(incoming: Incoming) -> None:
    if incoming.header("X-Vault-Forward"):
        raise Failure(400, "forwarding via header X-Vault-Forward disabled in configuration")
    for value in incoming.headers.get("X-Vault-Mfa", ()):
        method, colon, code = value.partition(":")
        if colon and not (method and code):
            missing = "method value" if method else "method name or ID"
            text = (
                f'failed to parse X-Vault-MFA header: invalid data in header "X-Vault-MFA"; missing {missing}'
            )
            raise Failure(400, text)
