"""An answer of a host, simulated or real, and the error that refuses a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from authkit.errors import AuthKitError
from authkit.host.server.core import HostResponse
from authkit.values import Value, field

__all__ = ["ClientResponse", "RefusedError"]


class RefusedError(AuthKitError):
    """A request was not served: any status outside 200 to 299."""

    def __init__(self, response: ClientResponse) -> None:
        super().__init__(f"HTTP {response.status}: {', '.join(response.errors) or 'no text'}")
        self.response = response

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.response.status

    @property
    def errors(self) -> tuple[str, ...]:
        """The texts, exactly as a client of a server reads them."""
        return self.response.errors

    @property
    def text(self) -> str:
        """All texts in one."""
        return "\n".join(self.errors)


class ClientResponse(Value, frozen=True):
    """An answer as a client of the HTTP API sees it."""

    status: int
    body: Mapping[str, Any] = field(default_factory=dict)
    """The decoded JSON object; empty without one."""
    headers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    raw: bytes | None = None
    """The body of an answer that is not a JSON envelope."""
    content_type: str = ""

    unshown: ClassVar = ("body", "raw")

    @classmethod
    def of(cls, response: HostResponse) -> ClientResponse:
        """Return what the client gets of a host's response."""
        return cls(
            response.status, response.body or {}, response.headers, response.raw, response.content_type
        )

    @property
    def is_success(self) -> bool:
        """Whether the status is one of 200 to 299."""
        return 200 <= self.status < 300

    @property
    def errors(self) -> tuple[str, ...]:
        """The texts of the errors."""
        return tuple(self.body.get("errors") or ())

    @property
    def data(self) -> Mapping[str, Any] | None:
        """The `data` of the answer."""
        data: Mapping[str, Any] | None = self.body.get("data")
        return data

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings beside the answer."""
        return tuple(self.body.get("warnings") or ())

    @property
    def auth(self) -> Mapping[str, Any] | None:
        """What a login grants."""
        auth: Mapping[str, Any] | None = self.body.get("auth")
        return auth

    def verified(self) -> ClientResponse:
        """Return this response if it is a success.

        Raises:
            RefusedError: it is not.
        """
        if not self.is_success:
            raise RefusedError(self)
        return self
