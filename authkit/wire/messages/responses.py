"""Responses, raw bodies and response wrapping (`pb.Response`, `pb.ResponseWrapInfo`).

Which response an operation may have is decided in `authkit.wire.guards`.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from authkit.errors import BadRequestError, InternalError
from authkit.logical import RawBody, Response, WrapInfo
from authkit.wire.jsontext import NULL, decode_object, encode_object
from authkit.wire.messages._values import (
    decode_duration,
    decode_time,
    encode_positive_duration,
    encode_time,
    texts,
)
from authkit.wire.messages.grants import (
    decode_auth,
    decode_leased_secret,
    encode_auth,
    encode_leased_secret,
)
from authkit.wire.messages.requests import decode_headers, encode_headers
from authkit.wire.pb import backend_pb2 as pb

__all__ = ["decode_response", "decode_wrap_info", "encode_response", "encode_wrap_info"]

# Vault SDK 0.21, logical/response.go: the keys under which a raw answer travels in the data.
_STATUS = "http_status_code"
_CONTENT_TYPE = "http_content_type"
_BODY = "http_raw_body"
_CACHE_CONTROL = "http_raw_cache_control"
_PRAGMA = "http_raw_pragma"
_WWW_AUTHENTICATE = "http_www_authenticate"

_NO_CONTENT = 204


def encode_wrap_info(info: WrapInfo) -> pb.ResponseWrapInfo:
    """Return the message for response wrapping, its creation time always set.

    Raises:
        InternalError: the lifetime is negative.
    """
    return pb.ResponseWrapInfo(
        TTL=encode_positive_duration(info.ttl, "wrap_info.ttl"),
        token=info.token,
        accessor=info.accessor,
        creation_time=encode_time(info.creation_time),
        wrapped_accessor=info.wrapped_accessor,
        wrapped_entity_id=info.wrapped_entity_id,
        format=info.format,
        creation_path=info.creation_path,
        seal_wrap=info.seal_wrap,
    )


def decode_wrap_info(message: pb.ResponseWrapInfo) -> WrapInfo:
    """Return the response wrapping in a message."""
    return WrapInfo(
        ttl=decode_duration(message.TTL),
        token=message.token,
        accessor=message.accessor,
        creation_time=decode_time(message.creation_time) if message.HasField("creation_time") else None,
        wrapped_accessor=message.wrapped_accessor,
        wrapped_entity_id=message.wrapped_entity_id,
        format=message.format,
        creation_path=message.creation_path,
        seal_wrap=message.seal_wrap,
    )


def encode_response(response: Response) -> pb.Response:
    """Return the message for a response.

    Raises:
        InternalError: something in it cannot be sent, or would make the host fail. The text names
            the place, never a value, and is for the log.
    """
    try:
        return _encode(response)
    except (AttributeError, OverflowError, TypeError, ValueError) as exc:
        raise InternalError("a field of the response has the wrong type") from exc


def _encode(response: Response) -> pb.Response:
    if (response.auth is not None or response.secret is not None) and (response.is_error or response.raw):
        raise InternalError("a response that grants something is an error or a raw body as well")
    return pb.Response(
        secret=None if response.secret is None else encode_leased_secret(response.secret),
        auth=None if response.auth is None else encode_auth(response.auth),
        data=_encode_data(response),
        redirect=response.redirect,
        warnings=texts(response.warnings, "warnings"),
        wrap_info=None if response.wrap_info is None else encode_wrap_info(response.wrap_info),
        headers=encode_headers(response.headers),
        mount_type=response.mount_type,
    )


def _encode_data(response: Response) -> str:
    if response.raw is not None:
        return encode_object(_raw_data(response.raw))
    data = response.data
    if data is None:
        return NULL
    if _STATUS in data:
        raise InternalError(f"data has the key {_STATUS}, which makes it a raw answer: use Response.raw")
    return encode_object(data)


def _raw_data(raw: RawBody) -> dict[str, Any]:
    """Return what the host makes the answer of. The body is always base64: a host decodes it if it can."""
    if not 200 <= raw.status <= 599:
        raise InternalError(f"a raw answer cannot have the status {raw.status}")
    if raw.status == _NO_CONTENT:
        if raw.body:
            raise InternalError("a raw answer with status 204 has a body")
    elif not raw.content_type:
        raise InternalError("a raw answer needs a content type")
    data: dict[str, Any] = {_STATUS: raw.status, _CONTENT_TYPE: raw.content_type, _BODY: bytes(raw.body)}
    optional = {
        _CACHE_CONTROL: raw.cache_control,
        _PRAGMA: raw.pragma,
        _WWW_AUTHENTICATE: raw.www_authenticate,
    }
    return data | {key: value for key, value in optional.items() if value}


def decode_response(message: pb.Response) -> Response:
    """Return the response in a message, as a host understands it.

    Raises:
        InternalError: its data, or that of a grant, is not a JSON object; it grants something and
            is an error or a raw answer as well.
    """
    try:
        data = decode_object(message.data)
        raw = _decode_raw(data)
        return Response(
            data=data if raw is None else None,
            auth=decode_auth(message.auth) if message.HasField("auth") else None,
            secret=decode_leased_secret(message.secret) if message.HasField("secret") else None,
            warnings=tuple(message.warnings),
            redirect=message.redirect,
            headers=decode_headers(message.headers),
            wrap_info=decode_wrap_info(message.wrap_info) if message.HasField("wrap_info") else None,
            raw=raw,
            mount_type=message.mount_type,
        )
    except (BadRequestError, ValueError) as exc:
        raise InternalError(f"the backend's response cannot be read: {exc}") from exc


def _decode_raw(data: Mapping[str, Any] | None) -> RawBody | None:
    if data is None or _STATUS not in data:
        return None
    status = data[_STATUS]
    if not isinstance(status, int | float) or status != int(status):
        raise ValueError("the status of a raw answer is not a number")
    return RawBody(
        status=int(status),
        content_type=_raw_text(data, _CONTENT_TYPE),
        body=_decode_body(_raw_text(data, _BODY)),
        cache_control=_raw_text(data, _CACHE_CONTROL),
        pragma=_raw_text(data, _PRAGMA),
        www_authenticate=_raw_text(data, _WWW_AUTHENTICATE),
    )


def _raw_text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key) or ""
    if not isinstance(value, str):
        raise ValueError(f"{key} is not text")
    return value


def _decode_body(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return text.encode()
