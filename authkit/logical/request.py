"""A request as a backend receives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Any, ClassVar

from authkit.logical.auth import Auth, LeasedSecret
from authkit.values import Value, field

__all__ = ["Connection", "JSONNumber", "Operation", "Request", "TLSState", "WrapRequest"]


class Operation(StrEnum):
    """The verb of a request (Vault SDK 0.21, logical/request.go; OpenBao adds `scan`)."""

    CREATE = "create"
    READ = "read"
    UPDATE = "update"
    PATCH = "patch"
    DELETE = "delete"
    LIST = "list"
    SCAN = "scan"
    HEADER = "header"
    HELP = "help"
    ALIAS_LOOKAHEAD = "alias-lookahead"
    RESOLVE_ROLE = "resolve-role"
    RECOVER = "recover"
    ROTATE = "rotate"
    RENEW = "renew"
    REVOKE = "revoke"
    ROLLBACK = "rollback"


class JSONNumber(float):
    """A number with a fraction or an exponent, together with its literal text.

    Hosts pass on the client's literal (`1e3`, `5.0`) as it was; to keep all its digits, read
    `literal`, everybody else has a float.
    """

    __slots__ = ("literal",)
    literal: str

    def __new__(cls, literal: str) -> JSONNumber:
        """Parse a JSON number literal."""
        number = super().__new__(cls, literal)
        number.literal = literal
        return number

    def __reduce__(self) -> tuple[type[JSONNumber], tuple[str]]:
        return JSONNumber, (self.literal,)


class TLSState(Value, frozen=True, kw_only=True):
    """The TLS session between the client and the host (`pb.ConnectionState`). Set by the host."""

    version: int = 0
    handshake_complete: bool = False
    did_resume: bool = False
    cipher_suite: int = 0
    negotiated_protocol: str = ""
    negotiated_protocol_is_mutual: bool = False
    server_name: str = ""
    peer_certificates: tuple[bytes, ...] = ()
    """DER."""
    verified_chains: tuple[tuple[bytes, ...], ...] = ()
    """DER."""
    signed_certificate_timestamps: tuple[bytes, ...] = ()
    ocsp_response: bytes = b""
    tls_unique: bytes = b""


class Connection(Value, frozen=True, kw_only=True):
    """Where a request came from. Set by the host."""

    remote_addr: str = ""
    """The client's IP address, without port."""
    remote_port: int = 0
    """OpenBao only; 0 on Vault."""
    tls: TLSState | None = None
    """Only on a TLS listener."""
    peer_certificates: tuple[bytes, ...] = ()
    """DER; OpenBao 2.6 and later."""
    proxied_certificates: tuple[bytes, ...] = ()
    """DER, from a trusted proxy's header; OpenBao 2.6 and later."""


class WrapRequest(Value, frozen=True, kw_only=True):
    """The client asked for response wrapping. Set by the host."""

    ttl: timedelta = timedelta(0)
    format: str = ""
    seal_wrap: bool = False


class Request(Value, frozen=True, kw_only=True):
    """One request. All fields are set by the host."""

    operation: Operation
    path: str = ""
    """Below the mount, without leading slash. Paths of list and scan end with one."""
    id: str = ""
    """Empty on renew, rollback, resolve-role and alias-lookahead."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """Body, or query of read, list and delete. Integers are exact, other numbers `JSONNumber`."""
    has_data: bool = False
    """Whether the host sent an object (even an empty one) rather than `null`."""
    auth: Auth | None = None
    """On renewal of a token."""
    secret: LeasedSecret | None = None
    """On renewal and revocation of a leased secret."""
    headers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The ones that the mount passes through, spelled as the client did."""
    connection: Connection | None = None
    """Absent on rollback, and where the host knows no client."""
    unauthenticated: bool = False
    """The path is one that needs no token. The only sure sign; `client_token` is never empty."""
    client_token: str = ""
    """A salted hash, also for requests without token."""
    client_token_accessor: str = ""
    client_token_remaining_uses: int = 0
    display_name: str = ""
    """Of the caller's token."""
    entity_id: str = ""
    """Of the caller's token."""
    mount_point: str = ""
    """As `auth/x/`, with the namespace in front, if any."""
    mount_type: str = ""
    """The catalog name under which the plugin was enabled; the operator chose it."""
    mount_accessor: str = ""
    """Often empty: filled only when the host had routed the request before."""
    wrap_info: WrapRequest | None = None
    policy_override: bool = False
    replication_cluster: str = ""
    requires_snapshot_id: str = ""
    recover_source_path: str = ""

    unshown: ClassVar[tuple[str, ...]] = ("data", "headers", "client_token")
