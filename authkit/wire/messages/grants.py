"""What a login grants, and leases (`pb.Auth`, `pb.LeaseOptions`, `pb.Secret`).

Whether a grant is allowed in a reply at all is decided in `authkit.wire.guards`.
"""

from __future__ import annotations

from authkit.errors import InternalError
from authkit.logical import Auth, LeasedSecret, LeaseOptions, TokenType
from authkit.wire.jsontext import decode_object, encode_object
from authkit.wire.messages._values import (
    decode_duration,
    decode_time,
    encode_duration,
    encode_positive_duration,
    encode_time,
    fill_map,
    texts,
)
from authkit.wire.messages.identity import decode_alias, encode_alias
from authkit.wire.pb import backend_pb2 as pb

__all__ = [
    "decode_auth",
    "decode_lease",
    "decode_leased_secret",
    "encode_auth",
    "encode_lease",
    "encode_leased_secret",
]


def encode_lease(lease: LeaseOptions) -> pb.LeaseOptions:
    """Return the message for a lease, its issue time always set: a host refuses it otherwise.

    Raises:
        InternalError: a lifetime is negative.
    """
    return pb.LeaseOptions(
        TTL=encode_positive_duration(lease.ttl, "ttl"),
        renewable=lease.renewable,
        increment=encode_duration(lease.increment),
        issue_time=encode_time(lease.issue_time),
        MaxTTL=encode_positive_duration(lease.max_ttl, "max_ttl"),
    )


def decode_lease(message: pb.LeaseOptions) -> LeaseOptions:
    """Return the lease in a message."""
    return LeaseOptions(
        ttl=decode_duration(message.TTL),
        max_ttl=decode_duration(message.MaxTTL),
        renewable=message.renewable,
        increment=decode_duration(message.increment),
        issue_time=decode_time(message.issue_time) if message.HasField("issue_time") else None,
    )


def encode_auth(auth: Auth) -> pb.Auth:
    """Return the message for a grant.

    Raises:
        InternalError: a field holds what cannot be sent, or what a host would misread: a negative
            number, a token type that does not exist, a text where a list of texts belongs.
    """
    if auth.num_uses < 0:
        raise InternalError("num_uses is negative")
    if not isinstance(auth.token_type, TokenType):
        raise InternalError("token_type is not a TokenType")
    message = pb.Auth(
        lease_options=encode_lease(auth.lease),
        internal_data=encode_object(auth.internal_data, "internal_data"),
        display_name=auth.display_name,
        policies=texts(auth.policies, "policies"),
        client_token=auth.client_token,
        accessor=auth.accessor,
        period=encode_positive_duration(auth.period, "period"),
        num_uses=auth.num_uses,
        entity_id=auth.entity_id,
        alias=None if auth.alias is None else encode_alias(auth.alias),
        group_aliases=[encode_alias(alias) for alias in auth.group_aliases],
        bound_cidrs=texts(auth.bound_cidrs, "bound_cidrs"),
        token_policies=texts(auth.token_policies, "token_policies"),
        identity_policies=texts(auth.identity_policies, "identity_policies"),
        explicit_max_ttl=encode_positive_duration(auth.explicit_max_ttl, "explicit_max_ttl"),
        token_type=auth.token_type,
        no_default_policy=auth.no_default_policy,
    )
    fill_map(message.metadata, auth.metadata)
    return message


def decode_auth(message: pb.Auth) -> Auth:
    """Return the grant in a message. An unknown token type is `BATCH`, as hosts have it.

    Raises:
        BadRequestError: its internal data is not a JSON object.
    """
    return Auth(
        lease=decode_lease(message.lease_options),
        internal_data=decode_object(message.internal_data) or {},
        display_name=message.display_name,
        policies=tuple(message.policies),
        metadata=dict(message.metadata),
        client_token=message.client_token,
        accessor=message.accessor,
        period=decode_duration(message.period),
        num_uses=message.num_uses,
        entity_id=message.entity_id,
        alias=decode_alias(message.alias) if message.HasField("alias") else None,
        group_aliases=tuple(decode_alias(alias) for alias in message.group_aliases),
        bound_cidrs=tuple(message.bound_cidrs),
        token_policies=tuple(message.token_policies),
        identity_policies=tuple(message.identity_policies),
        explicit_max_ttl=decode_duration(message.explicit_max_ttl),
        token_type=_token_type(message.token_type),
        no_default_policy=message.no_default_policy,
    )


def _token_type(number: int) -> TokenType:
    try:
        return TokenType(number)
    except ValueError:
        return TokenType.BATCH


def encode_leased_secret(secret: LeasedSecret) -> pb.Secret:
    """Return the message for a leased secret.

    Raises:
        InternalError: a field holds what cannot be sent.
    """
    return pb.Secret(
        lease_options=encode_lease(secret.lease),
        internal_data=encode_object(secret.internal_data, "internal_data"),
        lease_id=secret.lease_id,
    )


def decode_leased_secret(message: pb.Secret) -> LeasedSecret:
    """Return the leased secret in a message.

    Raises:
        BadRequestError: its internal data is not a JSON object.
    """
    return LeasedSecret(
        lease=decode_lease(message.lease_options),
        internal_data=decode_object(message.internal_data) or {},
        lease_id=message.lease_id,
    )
