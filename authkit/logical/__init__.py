"""Vault's vocabulary: requests, responses, storage, the system view.

Frozen values and Protocols; no I/O, no gRPC. Everything that an auth method and its host say to
each other is said in these words.
"""

from authkit.logical.auth import Alias, Auth, LeasedSecret, LeaseOptions, TokenType
from authkit.logical.backend import (
    Backend,
    BackendConfig,
    BackendFactory,
    BackendType,
    EventSender,
    Gauges,
    HasExistenceChecks,
    HasGauges,
    HasKnownRoles,
    HasSecretFields,
    Servable,
    SpecialPaths,
)
from authkit.logical.request import Connection, JSONNumber, Operation, Request, TLSState, WrapRequest
from authkit.logical.response import RawBody, Response, WrapInfo
from authkit.logical.storage import Storage, StorageEntry, check_key, check_prefix
from authkit.logical.system import (
    ClusterInfo,
    Entity,
    Group,
    IdentityToken,
    PluginEnvironment,
    ReplicationState,
    RotationInfo,
    RotationJob,
    SystemView,
)

__all__ = [
    "Alias",
    "Auth",
    "Backend",
    "BackendConfig",
    "BackendFactory",
    "BackendType",
    "ClusterInfo",
    "Connection",
    "Entity",
    "EventSender",
    "Gauges",
    "Group",
    "HasExistenceChecks",
    "HasGauges",
    "HasKnownRoles",
    "HasSecretFields",
    "IdentityToken",
    "JSONNumber",
    "LeaseOptions",
    "LeasedSecret",
    "Operation",
    "PluginEnvironment",
    "RawBody",
    "ReplicationState",
    "Request",
    "Response",
    "RotationInfo",
    "RotationJob",
    "Servable",
    "SpecialPaths",
    "Storage",
    "StorageEntry",
    "SystemView",
    "TLSState",
    "TokenType",
    "WrapInfo",
    "WrapRequest",
    "check_key",
    "check_prefix",
]
