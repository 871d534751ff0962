"""One API request and its answer, as the HTTP layer hands them in and out.

HTTP itself: `authkit.host.http`. Deciding on the answer: `authkit.host.server.core`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from authkit.logical import Auth, LeasedSecret, RawBody, WrapInfo
from authkit.values import Value, field

__all__ = ["Failure", "HostRequest", "HostResponse", "Outcome", "join_errors"]


class HostRequest(Value, frozen=True, kw_only=True):
    """One request below `/v1/`. All fields are set by the caller."""

    method: str
    """`GET`, `LIST`, `POST`, `PUT`, `DELETE`, `PATCH`, `HEAD` or `OPTIONS`."""
    path: str
    """Below `/v1/`, without leading slash; a trailing one is kept."""
    body: Mapping[str, Any] | None = None
    """The parsed JSON object; integers exact, other numbers `JSONNumber`. `None`: no body."""
    query: Mapping[str, Sequence[str]] = field(default_factory=dict)
    token: str = ""
    """From `X-Vault-Token` or `Authorization: Bearer`; empty without."""
    headers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    remote_addr: str = "127.0.0.1"
    remote_port: int = 0
    wrap_ttl: str = ""
    """From `X-Vault-Wrap-TTL`; empty without."""
    namespace: str = ""
    """From `X-Vault-Namespace`; empty without."""

    unshown: ClassVar = ("body", "token", "headers")


class HostResponse(Value, frozen=True, kw_only=True):
    """The answer to one request. All fields are set by the core."""

    status: int
    body: Mapping[str, Any] | None = None
    """The JSON object of the answer, Vault's envelope or `errors`. `None`: no body, or a raw one."""
    headers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    raw: bytes | None = None
    """The body of an answer that is not a JSON envelope."""
    content_type: str = "application/json"

    unshown: ClassVar = ("body", "raw")


class Outcome(Value, frozen=True, kw_only=True):
    """The result of a request, before it is put into the envelope. Set by its handler."""

    data: Mapping[str, Any] | None = None
    auth: Auth | None = None
    secret: LeasedSecret | None = None
    """Of an answer with a lease, without its internal data."""
    warnings: tuple[str, ...] = ()
    raw: RawBody | None = None
    redirect: str = ""
    headers: Mapping[str, Any] = field(default_factory=dict)
    wrap_ttl: timedelta = timedelta(0)
    """Requested by the backend or the client; the shorter one applies."""
    wrap_info: WrapInfo | None = None
    """Of a wrapped answer: nothing else is shown then."""
    mount_type: str = ""
    status: int = 200
    bare: Mapping[str, Any] | None = None
    """The whole body, without an envelope."""


class Failure(Exception):
    """A request is refused: the status, the texts of `errors`, and what a plugin sent beside its error."""

    def __init__(self, status: int, *errors: str, data: Any = None) -> None:
        super().__init__(f"HTTP {status}: {'; '.join(errors)}")
        self.status = status
        self.errors = errors
        self.data = data

    def response(self) -> HostResponse:
        """Return the answer that the client gets."""
        body: dict[str, Any] = {"errors": list(self.errors)}
        if self.data is not None:
            body["data"] = self.data
        return HostResponse(status=self.status, body=body)


def join_errors(*texts: str) -> str:
    """Return the texts as a server words errors of authenticated requests (Go's multierror).

    Observed on Vault 1.21.1: `1 error occurred:\\n\\t* permission denied\\n\\n`.
    """
    head = "1 error" if len(texts) == 1 else f"{len(texts)} errors"
    return f"{head} occurred:\n\t" + "\n\t".join(f"* {text}" for text in texts) + "\n\n"
