"""The reply that grants a token, written as bytes: what every login is answered with.

It says what `encode_response` says, at a third of its cost. What role and mount decide is encoded once, by
protobuf's own encoder, and kept; what varies from login to login is written here, field by field
(https://protobuf.dev/programming-guides/encoding/). Fields may come in any order.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Final

from authkit.errors import InternalError
from authkit.logical import Alias, Auth, LeaseOptions, Response, TokenType
from authkit.wire.jsontext import NULL, encode_object
from authkit.wire.messages.grants import encode_auth
from authkit.wire.messages.identity import encode_alias

__all__ = ["encode_grant", "is_plain_grant"]

MAX_KEPT_SETTINGS: Final = 256
"""Combinations of a role's token parameters that are encoded once; each is a few hundred bytes."""

# A key is the field's number times eight, plus 2 for what has a length.
_REPLY_RESPONSE: Final = b"\x0a"
_RESPONSE_AUTH: Final = b"\x12"
_RESPONSE_WARNING: Final = b"\x2a"
_INTERNAL_DATA: Final = b"\x12"
_DISPLAY_NAME: Final = b"\x1a"
_METADATA: Final = b"\x2a"
_ALIAS: Final = b"\x5a"
_GROUP_ALIAS: Final = b"\x62"
_ALIAS_NAME: Final = b"\x1a"
_ALIAS_METADATA: Final = b"\x22"
_ALIAS_CUSTOM_METADATA: Final = b"\x3a"
_ENTRY_KEY: Final = b"\x0a"
_ENTRY_VALUE: Final = b"\x12"

# The length of each part of a short entry is one byte.
_SHORT_ENTRY: Final = b"%b%c" + _ENTRY_KEY + b"%c%b" + _ENTRY_VALUE + b"%c%b"
_SHORT_ENTRY_OVERHEAD: Final = 4

_NO_DATA: Final = b"\x1a" + bytes([len(NULL)]) + NULL.encode()
_LENGTHS: Final = tuple(bytes([length]) for length in range(128))


def is_plain_grant(response: Response) -> bool:
    """Whether a response is a grant, and perhaps warnings, and nothing else."""
    auth = response.auth
    return (
        auth is not None
        and response.data is None
        and response.secret is None
        and response.raw is None
        and response.wrap_info is None
        and not (response.redirect or response.headers or response.mount_type)
        # A list cannot be remembered, nor a text taken for one.
        and type(auth.policies) is type(auth.bound_cidrs) is tuple
        and not (auth.client_token or auth.accessor or auth.entity_id)
        and not (auth.token_policies or auth.identity_policies)
    )


def encode_grant(response: Response) -> bytes:
    """Return the `pb.HandleRequestReply` of a response for which `is_plain_grant` holds.

    Raises:
        InternalError: something in it cannot be sent. The text names the place, never a value.
    """
    auth = response.auth
    assert auth is not None
    try:
        parts = [_RESPONSE_AUTH, _sized(_encode_auth(auth)), _NO_DATA]
        for warning in response.warnings:
            parts += (_RESPONSE_WARNING, _sized(warning.encode()))
        return _REPLY_RESPONSE + _sized(b"".join(parts))
    except (AttributeError, OverflowError, TypeError, ValueError) as exc:
        raise InternalError("a field of the response has the wrong type") from exc


def _encode_auth(auth: Auth) -> bytes:
    parts = [
        _encode_settings(
            auth.lease,
            auth.policies,
            auth.period,
            auth.num_uses,
            auth.bound_cidrs,
            auth.explicit_max_ttl,
            auth.token_type,
            auth.no_default_policy,
        ),
        _INTERNAL_DATA,
        _sized(encode_object(auth.internal_data, "internal_data").encode()),
        _DISPLAY_NAME,
        _sized(auth.display_name.encode()),
    ]
    _add_pairs(parts, _METADATA, auth.metadata)
    if auth.alias is not None:
        parts += (_ALIAS, _sized(_encode_alias(auth.alias)))
    for alias in auth.group_aliases:
        parts += (_GROUP_ALIAS, _sized(_encode_alias(alias)))
    return b"".join(parts)


@lru_cache(MAX_KEPT_SETTINGS, typed=True)
def _encode_settings(
    lease: LeaseOptions,
    policies: tuple[str, ...],
    period: timedelta,
    num_uses: int,
    bound_cidrs: tuple[str, ...],
    explicit_max_ttl: timedelta,
    token_type: TokenType,
    no_default_policy: bool,
) -> bytes:
    """Return the fields of a grant that its role decides. Refusals are not kept."""
    message = encode_auth(
        Auth(
            lease=lease,
            policies=policies,
            period=period,
            num_uses=num_uses,
            bound_cidrs=bound_cidrs,
            explicit_max_ttl=explicit_max_ttl,
            token_type=token_type,
            no_default_policy=no_default_policy,
        )
    )
    message.ClearField("internal_data")
    return message.SerializeToString()


def _encode_alias(alias: Alias) -> bytes:
    if alias.mount_type or alias.mount_accessor or alias.id or alias.namespace_id or alias.local:
        return encode_alias(alias).SerializeToString()
    name = _ALIAS_NAME + _sized(alias.name.encode())
    if not alias.metadata and not alias.custom_metadata:
        return name
    parts = [name]
    _add_pairs(parts, _ALIAS_METADATA, alias.metadata)
    _add_pairs(parts, _ALIAS_CUSTOM_METADATA, alias.custom_metadata)
    return b"".join(parts)


def _add_pairs(parts: list[bytes], key: bytes, pairs: Mapping[str, str]) -> None:
    for name, value in pairs.items():
        first, second = name.encode(), value.encode()
        length = len(first) + len(second) + _SHORT_ENTRY_OVERHEAD
        if length < 128:
            parts.append(_SHORT_ENTRY % (key, length, len(first), first, len(second), second))
        else:
            parts += (key, _sized(_ENTRY_KEY + _sized(first) + _ENTRY_VALUE + _sized(second)))


def _sized(data: bytes) -> bytes:
    """Return the data with its length in front, in groups of seven bits."""
    length = len(data)
    if length < 128:
        return _LENGTHS[length] + data
    groups = bytearray()
    while length > 127:
        groups.append(length & 127 | 128)
        length >>= 7
    groups.append(length)
    return bytes(groups) + data
