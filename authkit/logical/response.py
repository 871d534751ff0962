"""A response as a backend gives it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from authkit.logical.auth import Auth, LeasedSecret
from authkit.values import Value, field, verify_collections

__all__ = ["RawBody", "Response", "WrapInfo"]


class WrapInfo(Value, frozen=True, kw_only=True):
    """Response wrapping.

    A plugin sets `ttl`, `format`, `creation_path` and `seal_wrap`; the host sets the rest.
    """

    ttl: timedelta = timedelta(0)
    format: str = ""
    creation_path: str = ""
    seal_wrap: bool = False
    token: str = ""
    accessor: str = ""
    creation_time: datetime | None = None
    wrapped_accessor: str = ""
    wrapped_entity_id: str = ""

    unshown: ClassVar = ("token",)


class RawBody(Value, frozen=True, kw_only=True):
    """An HTTP answer in place of the usual JSON envelope."""

    status: int
    content_type: str = ""
    """Required by the host unless the status is 204."""
    body: bytes = b""
    cache_control: str = ""
    pragma: str = ""
    www_authenticate: str = ""

    unshown: ClassVar = ("body",)


class Response(Value, frozen=True, kw_only=True):
    """A successful answer, or an error response. All fields are set by the plugin.

    Raises:
        ValueError: it grants something (`auth`, `secret`) and is an error or a raw answer as well.
    """

    data: Mapping[str, Any] | None = None
    """Anything that JSON can express. Integers beyond 2**53 arrive as strings: a host would round them."""
    auth: Auth | None = None
    secret: LeasedSecret | None = None
    warnings: Sequence[str] = ()
    redirect: str = ""
    """HTTP 307 to this URL; nothing else of the response survives."""
    headers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The mount's `allowed_response_headers` decide which reach the client."""
    wrap_info: WrapInfo | None = None
    raw: RawBody | None = None
    mount_type: str = ""
    on_sent: Callable[[], None] | None = None
    """Called once the answer is on its way, and not if it cannot be sent. It must not wait."""

    on_untaken: Callable[[], None] | None = None
    """Called if the host does not take the answer: in place of `on_sent` if it cannot be sent, after it if
    the host had given up. It must not wait."""

    unshown: ClassVar = ("data", "on_sent", "on_untaken")

    def __post_init__(self) -> None:
        verify_collections(data=self.data, warnings=self.warnings, headers=self.headers)
        if (self.auth is not None or self.secret is not None) and (self.is_error or self.raw):
            raise ValueError("a response that grants something cannot be an error or a raw body")
        if self.raw is not None and self.data is not None:
            raise ValueError("a raw response has no data")

    @classmethod
    def error(cls, text: str, data: Any = None) -> Response:
        """Return an error response: HTTP 400 with `text`, and `data` beside it when given."""
        body = {"error": text} if data is None else {"error": text, "data": data}
        return cls(data=body)

    @property
    def is_error(self) -> bool:
        """Whether the host takes it for an error (Vault SDK 0.21, logical/response.go, IsError)."""
        if not self.data or self.data.get("error") is None:
            return False
        return self.data.keys() <= {"error", "data"}
