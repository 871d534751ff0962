"""An HTTP request turned into a `HostRequest`, by the rules of a Vault server.

See `bodies.py` for bodies, `targets.py` for paths and queries, and `authkit.host.server.operations` for
what method and query mean (a list, a help page).
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from authkit.host.http.bodies import media_type, read_object
from authkit.host.http.targets import read_path, read_query
from authkit.host.messages import Failure, HostRequest

__all__ = ["API", "MERGE_PATCH", "read_request", "read_token"]

API = "/v1/"
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
MERGE_PATCH = "application/merge-patch+json"


def read_request(request: Request, body: bytes) -> HostRequest:
    """Parse a request below `/v1/`. Names of headers are spelled as by Go: `X-Vault-Token`.

    Raises:
        Failure: the body or a header is invalid.
    """
    headers: dict[str, list[str]] = {}
    for name, value in request.headers.items():
        headers.setdefault(name.title(), []).append(value)
    read = HostRequest(
        method=request.method,
        path=read_path(request.scope["raw_path"].decode("ascii", "replace")).removeprefix(API),
        body=_read_body(request, body),
        query=read_query(request.scope["query_string"].decode("latin-1")),
        token=read_token(request),
        headers=headers,
        remote_addr=request.client.host if request.client else "",
        remote_port=request.client.port if request.client else 0,
        wrap_ttl=request.headers.get("X-Vault-Wrap-TTL", ""),
        namespace=request.headers.get("X-Vault-Namespace", ""),
    )
    _check_headers(request)
    return read


def read_token(request: Request) -> str:
    """Return the client's token. The scheme `Bearer` is case-sensitive, as on a Vault server."""
    token = request.headers.get("X-Vault-Token", "")
    authorization = request.headers.get("Authorization", "")
    if token or not authorization.startswith("Bearer "):
        return token
    return authorization.removeprefix("Bearer ").strip()


def _read_body(request: Request, body: bytes) -> dict[str, Any] | None:
    """Return the parsed body of a write. The body of a read is ignored."""
    if request.method not in WITH_BODY:
        return None
    content_type = request.headers.get("Content-Type", "")
    kind = media_type(content_type)
    if request.method == "PATCH" and not kind:
        raise Failure(400, "mime: no media type")
    if request.method == "PATCH" and kind != MERGE_PATCH:
        raise Failure(415, f"PATCH requires Content-Type of {MERGE_PATCH}, provided {kind}")
    return read_object(body, content_type)


def _check_headers(request: Request) -> None:
    if request.headers.get("X-Vault-Forward"):
        raise Failure(400, "forwarding via header X-Vault-Forward disabled in configuration")
    for value in request.headers.getlist("X-Vault-MFA"):
        method, colon, code = value.partition(":")
        if colon and not (method and code):
            missing = "method value" if method else "method name or ID"
            text = (
                f'failed to parse X-Vault-MFA header: invalid data in header "X-Vault-MFA"; missing {missing}'
            )
            raise Failure(400, text)
