"""One API request and its answer, as whoever speaks HTTP hands them in and out.

Parsing and writing HTTP is left to `authkit.host.http`, deciding on the answer to `authkit.host.core`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Failure", "HostRequest", "HostResponse", "listed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRequest:
    """One request below `/v1/`. All fields are set by the caller."""

    method: str
    """`GET`, `LIST`, `POST`, `PUT`, `DELETE`, `PATCH`, `HEAD` or `OPTIONS`."""
    path: str
    """Below `/v1/`, without leading slash; a trailing one is kept."""
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    """The parsed JSON object; integers exact, other numbers `JSONNumber`. `None`: no body."""
    query: Mapping[str, Sequence[str]] = field(default_factory=dict)
    token: str = field(default="", repr=False)
    """From `X-Vault-Token` or `Authorization: Bearer`; empty without."""
    headers: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    remote_addr: str = "127.0.0.1"
    remote_port: int = 0
    wrap_ttl: str = ""
    """From `X-Vault-Wrap-TTL`; empty without."""
    namespace: str = ""
    """From `X-Vault-Namespace`; empty without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostResponse:
    """The answer to one request. All fields are set by the core."""

    status: int
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    """The JSON object of the answer, Vault's envelope or `errors`. `None`: no body, or a raw one."""
    headers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    raw: bytes | None = field(default=None, repr=False)
    """The body of an answer that is no JSON envelope."""
    content_type: str = "application/json"


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


def listed(*texts: str) -> str:
    """Return the texts as a server words errors of authenticated requests (Go's multierror).

    Observed on Vault 1.21.1: `1 error occurred:\\n\\t* permission denied\\n\\n`.
    """
    head = "1 error" if len(texts) == 1 else f"{len(texts)} errors"
    return f"{head} occurred:\n\t" + "\n\t".join(f"* {text}" for text in texts) + "\n\n"
