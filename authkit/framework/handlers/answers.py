"""What a handler answers: a model, a mapping, or one of the forms below, each checked when it is made.

How the host puts an answer into HTTP is the host's; failures are raised (see `authkit.errors`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Final

from authkit.errors import InternalError
from authkit.framework.models import Model
from authkit.logical import RawBody, Response, WrapInfo
from authkit.values import Value, field, verify_collections

__all__ = ["Answer", "Answerable", "Listing", "Raw", "Redirect", "make_response"]

_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_NO_CONTENT: Final = 204

Headers = Mapping[str, str | Sequence[str]]
"""Response headers by name. The mount's `allowed_response_headers` decide which reach the client."""


class Listing(Value, frozen=True):
    """The keys of a list. Without keys the list is not found (HTTP 404), as hosts have it."""

    keys: Sequence[str]
    info: Mapping[str, Any] = field(default_factory=dict)
    """More about some keys, by key. Entries that are not in `keys` are dropped."""

    def __post_init__(self) -> None:
        verify_collections(keys=self.keys, info=self.info)
        if not all(isinstance(key, str) for key in self.keys):
            raise ValueError("the keys of a list are texts")


class Raw(Value, frozen=True):
    """An HTTP answer in place of the usual JSON envelope.

    Raises:
        ValueError: no host could send it.
    """

    body: bytes | str
    """Text is sent as UTF-8."""
    content_type: str = "application/octet-stream"
    status: int = 200
    cache_control: str = ""
    pragma: str = ""
    www_authenticate: str = ""
    headers: Headers = field(default_factory=dict)

    unshown: ClassVar = ("body",)

    def __post_init__(self) -> None:
        verify_collections(headers=self.headers)
        if not 200 <= self.status <= 599:
            raise ValueError(f"a raw answer cannot have the status {self.status}")
        if self.status == _NO_CONTENT and self.body:
            raise ValueError("an answer with status 204 has no body")
        if self.status != _NO_CONTENT and not self.content_type:
            raise ValueError("a raw answer needs a content type")
        for value in (self.content_type, self.cache_control, self.pragma, self.www_authenticate):
            _verify_header_value(value)
        _header_lists(self.headers)


class Redirect(Value, frozen=True):
    """HTTP 307 to a URL. Nothing else of the answer survives.

    Raises:
        ValueError: it is neither a whole `http` or `https` URL nor a path of the host.
    """

    url: str

    def __post_init__(self) -> None:
        from urllib.parse import urlsplit

        parts = urlsplit(self.url)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname)
        # Browsers read '//x' and '/\\x' as another host.
        local = self.url.startswith("/") and not self.url.startswith(("//", "/\\"))
        if not (whole or local) or _CONTROL.search(self.url) or " " in self.url:
            raise ValueError("a redirect needs an http(s) URL, or a path that begins with one '/'")


class Answer(Value, frozen=True):
    """An answer with more than its data."""

    data: Model | Mapping[str, Any] | Listing | None = None
    """`None` is an answer without data (HTTP 200), not an absent one."""
    warnings: Sequence[str] = ()
    """For the client."""
    headers: Headers = field(default_factory=dict)
    wrap_ttl: timedelta | None = None
    """Wrap the answer for so long; the client's wrap TTL applies if it is shorter."""

    def __post_init__(self) -> None:
        verify_collections(data=self.data, warnings=self.warnings, headers=self.headers)
        if self.wrap_ttl is not None and self.wrap_ttl <= timedelta(0):
            raise ValueError("an answer is wrapped for a positive time")
        _header_lists(self.headers)


Answerable = Model | Mapping[str, Any] | Listing | Raw | Redirect | Answer | Response | None
"""What a handler may return."""


def make_response(answer: object, *, may_grant: bool = False) -> Response | None:
    """Return what goes to the host. `may_grant` says whether the path is one that gives out tokens.

    Raises:
        InternalError: it is not a valid answer, or it grants a token where none may be granted.
    """
    match answer:
        case None:
            return None
        case Response():
            if answer.auth is not None and not may_grant:
                raise InternalError("only a path that is open without a token grants a token")
            return answer
        case Raw():
            return _raw_response(answer)
        case Redirect():
            return Response(redirect=answer.url)
        case Listing() if not answer.keys:
            return None
        case Answer():
            wrap = None if answer.wrap_ttl is None else WrapInfo(ttl=answer.wrap_ttl)
            return Response(
                data=None if answer.data is None else _data(answer.data),
                warnings=tuple(answer.warnings),
                headers=_header_lists(answer.headers),
                wrap_info=wrap,
            )
        case _:
            return Response(data=_data(answer))


def _raw_response(answer: Raw) -> Response:
    raw = RawBody(
        status=answer.status,
        content_type=answer.content_type,
        body=answer.body.encode() if isinstance(answer.body, str) else answer.body,
        cache_control=answer.cache_control,
        pragma=answer.pragma,
        www_authenticate=answer.www_authenticate,
    )
    return Response(raw=raw, headers=_header_lists(answer.headers))


def _data(answer: object) -> dict[str, Any]:
    match answer:
        case Model():
            data = answer.read_shape()
        case Listing():
            info = {key: answer.info[key] for key in answer.keys if key in answer.info}
            data = {"keys": list(answer.keys)} | ({"key_info": info} if info else {})
        case Mapping():
            data = dict(answer)
        case _:
            raise InternalError("the handler returned something that is not a valid answer")
    if Response(data=data).is_error:
        # A host would turn this success into HTTP 400 (Vault SDK 0.21, logical/response.go, IsError).
        raise InternalError("data of this form would arrive as an error; raise UserError for one")
    return data


def _header_lists(headers: Headers) -> dict[str, tuple[str, ...]]:
    lists = {}
    for name, values in headers.items():
        if _HEADER_NAME.fullmatch(name) is None:
            raise ValueError(f"{name!r} is not a header name")
        lists[name] = (values,) if isinstance(values, str) else tuple(values)
        for value in lists[name]:
            _verify_header_value(value)
    return lists


def _verify_header_value(value: str) -> None:
    if _CONTROL.search(value):
        raise ValueError("the value of a header has control characters")
