"""An HTTP request turned into a `HostRequest`, by the rules of a Vault server.

Reading the body from the connection is left to application.py, its JSON to bodies.py, and what the request
means to the core. Observed on Vault 1.21.1: tests/live/test_http_rules.py runs the cases on a real one too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from authkit.host.exchange import HostRequest
from authkit.host.http.bodies import BodyError, check_limits, media_type, read_object
from authkit.host.http.targets import first, read_query

__all__ = ["MERGE_PATCH", "METHODS", "Incoming", "RequestError", "is_help", "read_request"]

METHODS = frozenset({"GET", "HEAD", "LIST", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HELP"})
"""All others are a 405."""
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
MERGE_PATCH = "application/merge-patch+json"
TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
"""What Go's strconv.ParseBool reads."""


class RequestError(Exception):
    """The request is refused before anybody looks at it: the status of the answer and the texts of it."""

    def __init__(self, status: int, *texts: str) -> None:
        super().__init__(", ".join(texts))
        self.status = status
        self.texts = texts


@dataclass(frozen=True)
class Incoming:
    """A request as it came over the connection. Set by the application."""

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
        """Return the first value of a header, "" without."""
        return next(iter(self.headers.get(name, ())), "")


def read_request(incoming: Incoming) -> HostRequest:
    """Return what is asked.

    Raises:
        RequestError: it breaks a rule of HTTP or of its JSON; the core needn't know about it.
    """
    if incoming.method not in METHODS:
        raise RequestError(405)
    query = read_query(incoming.query_string)
    request = HostRequest(
        method=incoming.method,
        path=incoming.path,
        query=query,
        token=_token(incoming),
        headers=incoming.headers,
        remote_addr=incoming.remote_addr,
        remote_port=incoming.remote_port,
        wrap_ttl=incoming.header("X-Vault-Wrap-Ttl"),
        namespace=incoming.header("X-Vault-Namespace"),
    )
    try:
        body = _body(incoming)
    except BodyError as error:
        raise RequestError(error.status, error.text) from None
    _check_headers(incoming)
    return _as_list(replace(request, body=body)) if not is_help(request) else request


def is_help(request: HostRequest) -> bool:
    """Whether the help page of the path is wanted, whatever the method says."""
    return request.method == "HELP" or bool(first(request.query, "help"))


def _token(incoming: Incoming) -> str:
    """Return the client's token. The scheme is spelt `Bearer`: the server knows no other spelling."""
    token = incoming.header("X-Vault-Token")
    authorization = incoming.header("Authorization")
    if token or not authorization.startswith("Bearer "):
        return token
    return authorization.removeprefix("Bearer ").strip()


def _body(incoming: Incoming) -> dict[str, Any] | None:
    """Return the parsed body of a write. That of a read is looked at as well, and left out."""
    content_type = incoming.header("Content-Type")
    if incoming.method not in WITH_BODY:
        if incoming.body.lstrip()[:1] in (b"{", b"["):
            check_limits(incoming.body)
        return None
    if incoming.method == "PATCH":
        return _patch(incoming.body, content_type)
    return read_object(incoming.body, content_type)


def _patch(body: bytes, content_type: str) -> dict[str, Any] | None:
    kind = media_type(content_type)
    if not kind:
        raise BodyError(400, "mime: no media type")
    if kind != MERGE_PATCH:
        raise BodyError(415, f"PATCH requires Content-Type of {MERGE_PATCH}, provided {kind}")
    try:
        return read_object(body, content_type)
    except BodyError as error:
        raise BodyError(error.status, "error parsing JSON" if error.status == 400 else error.text) from None


def _check_headers(incoming: Incoming) -> None:
    if incoming.header("X-Vault-Forward"):
        raise RequestError(400, "forwarding via header X-Vault-Forward disabled in configuration")
    for value in incoming.headers.get("X-Vault-Mfa", ()):
        method, colon, code = value.partition(":")
        if colon and not (method and code):
            missing = "method value" if method else "method name or ID"
            text = (
                f'failed to parse X-Vault-MFA header: invalid data in header "X-Vault-MFA"; missing {missing}'
            )
            raise RequestError(400, text)


def _as_list(request: HostRequest) -> HostRequest:
    """Return a list where one is asked for, by method or by `?list=true`: its path ends with a slash.

    Raises:
        RequestError: `list` is neither true nor false.
    """
    wanted = first(request.query, "list") if request.method == "GET" else ""
    if wanted and wanted not in TRUE | FALSE:
        raise RequestError(400)
    if wanted in TRUE:
        query = {name: values for name, values in request.query.items() if name != "list"}
        request = replace(request, method="LIST", query=query)
    if request.method == "LIST" and not request.path.endswith("/"):
        request = replace(request, path=request.path + "/")
    return request
