"""Requests and where they come from (`pb.Request`, `pb.Connection`, `pb.RequestWrapInfo`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from authkit.errors import UnsupportedOperationError
from authkit.logical import Connection, Operation, Request, TLSState, WrapRequest
from authkit.wire.jsontext import decode_object, encode_object
from authkit.wire.messages._values import decode_duration, encode_duration, texts
from authkit.wire.messages.grants import (
    decode_auth,
    decode_leased_secret,
    encode_auth,
    encode_leased_secret,
)
from authkit.wire.pb import backend_pb2 as pb

__all__ = [
    "decode_connection",
    "decode_headers",
    "decode_request",
    "encode_connection",
    "encode_headers",
    "encode_request",
]

_OPERATIONS = {operation.value: operation for operation in Operation}


def encode_headers(headers: Mapping[str, Sequence[str]]) -> dict[str, pb.Header]:
    """Return the messages for headers, by name.

    Raises:
        InternalError: the values of a header are not a list of texts.
    """
    return {name: pb.Header(header=texts(values, "a header")) for name, values in headers.items()}


def decode_headers(messages: Mapping[str, pb.Header]) -> dict[str, tuple[str, ...]]:
    """Return the headers in messages."""
    return {name: tuple(message.header) for name, message in messages.items()}


def _chain(certificates: Iterable[bytes]) -> pb.CertificateChain:
    return pb.CertificateChain(certificates=[pb.Certificate(asn1_data=der) for der in certificates])


def _certificates(chain: pb.CertificateChain) -> tuple[bytes, ...]:
    return tuple(certificate.asn1_data for certificate in chain.certificates)


def _encode_tls(state: TLSState) -> pb.ConnectionState:
    return pb.ConnectionState(
        version=state.version,
        handshake_complete=state.handshake_complete,
        did_resume=state.did_resume,
        cipher_suite=state.cipher_suite,
        negotiated_protocol=state.negotiated_protocol,
        negotiated_protocol_is_mutual=state.negotiated_protocol_is_mutual,
        server_name=state.server_name,
        peer_certificates=_chain(state.peer_certificates),
        verified_chains=[_chain(chain) for chain in state.verified_chains],
        signed_certificate_timestamps=state.signed_certificate_timestamps,
        ocsp_response=state.ocsp_response,
        tls_unique=state.tls_unique,
    )


def _decode_tls(message: pb.ConnectionState) -> TLSState:
    return TLSState(
        version=message.version,
        handshake_complete=message.handshake_complete,
        did_resume=message.did_resume,
        cipher_suite=message.cipher_suite,
        negotiated_protocol=message.negotiated_protocol,
        negotiated_protocol_is_mutual=message.negotiated_protocol_is_mutual,
        server_name=message.server_name,
        peer_certificates=_certificates(message.peer_certificates),
        verified_chains=tuple(_certificates(chain) for chain in message.verified_chains),
        signed_certificate_timestamps=tuple(message.signed_certificate_timestamps),
        ocsp_response=message.ocsp_response,
        tls_unique=message.tls_unique,
    )


def encode_connection(connection: Connection) -> pb.Connection:
    """Return the message for a connection."""
    return pb.Connection(
        remote_addr=connection.remote_addr,
        connection_state=None if connection.tls is None else _encode_tls(connection.tls),
        remote_port=connection.remote_port,
        proxied_certificates_raw=connection.proxied_certificates,
        peer_certificates_raw=connection.peer_certificates,
    )


def decode_connection(message: pb.Connection) -> Connection:
    """Return the connection in a message."""
    return Connection(
        remote_addr=message.remote_addr,
        remote_port=message.remote_port,
        tls=_decode_tls(message.connection_state) if message.HasField("connection_state") else None,
        peer_certificates=tuple(message.peer_certificates_raw),
        proxied_certificates=tuple(message.proxied_certificates_raw),
    )


def _encode_wrap_request(wrap: WrapRequest) -> pb.RequestWrapInfo:
    return pb.RequestWrapInfo(TTL=encode_duration(wrap.ttl), format=wrap.format, seal_wrap=wrap.seal_wrap)


def _decode_wrap_request(message: pb.RequestWrapInfo) -> WrapRequest:
    return WrapRequest(ttl=decode_duration(message.TTL), format=message.format, seal_wrap=message.seal_wrap)


def encode_request(request: Request) -> pb.Request:
    """Return the message for a request, as a host sends it.

    Raises:
        InternalError: a field holds what cannot be sent.
    """
    has_data = request.has_data or bool(request.data)
    return pb.Request(
        id=request.id,
        ReplicationCluster=request.replication_cluster,
        operation=request.operation,
        path=request.path,
        data=encode_object(request.data if has_data else None),
        secret=None if request.secret is None else encode_leased_secret(request.secret),
        auth=None if request.auth is None else encode_auth(request.auth),
        headers=encode_headers(request.headers),
        client_token=request.client_token,
        client_token_accessor=request.client_token_accessor,
        display_name=request.display_name,
        mount_point=request.mount_point,
        mount_type=request.mount_type,
        mount_accessor=request.mount_accessor,
        wrap_info=None if request.wrap_info is None else _encode_wrap_request(request.wrap_info),
        client_token_remaining_uses=request.client_token_remaining_uses,
        entity_id=request.entity_id,
        policy_override=request.policy_override,
        unauthenticated=request.unauthenticated,
        connection=None if request.connection is None else encode_connection(request.connection),
        requires_snapshot_id=request.requires_snapshot_id,
        recover_source_path=request.recover_source_path,
    )


def decode_request(message: pb.Request) -> Request:
    """Return the request in a message.

    Raises:
        BadRequestError: its data is not a JSON object, or has more than `MAX_REQUEST_VALUES` values.
        UnsupportedOperationError: its operation is one that we do not know.
    """
    operation = _OPERATIONS.get(message.operation)
    if operation is None:
        raise UnsupportedOperationError
    data = decode_object(message.data, is_request=True)
    has = message.HasField
    return Request(
        operation=operation,
        path=message.path,
        id=message.id,
        data={} if data is None else data,
        has_data=data is not None,
        auth=decode_auth(message.auth) if has("auth") else None,
        secret=decode_leased_secret(message.secret) if has("secret") else None,
        headers=decode_headers(message.headers) if message.headers else {},
        connection=decode_connection(message.connection) if has("connection") else None,
        unauthenticated=message.unauthenticated,
        client_token=message.client_token,
        client_token_accessor=message.client_token_accessor,
        client_token_remaining_uses=message.client_token_remaining_uses,
        display_name=message.display_name,
        entity_id=message.entity_id,
        mount_point=message.mount_point,
        mount_type=message.mount_type,
        mount_accessor=message.mount_accessor,
        wrap_info=_decode_wrap_request(message.wrap_info) if has("wrap_info") else None,
        policy_override=message.policy_override,
        replication_cluster=message.ReplicationCluster,
        requires_snapshot_id=message.requires_snapshot_id,
        recover_source_path=message.recover_source_path,
    )
