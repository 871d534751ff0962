"""What a plugin of any kind answers beside its own service: its version, and that it serves many instances.

`logical.PluginVersion` and `pluginutil.multiplexing.PluginMultiplexing` (Vault SDK 0.21). Hosts call both
without an instance.
"""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from authkit.errors import RPCError, StatusCode
from authkit.rpc.interface import CallContext, Method, UnaryMethod
from authkit.wire.pb.logical_version_pb2 import VersionReply
from authkit.wire.pb.multiplexing_pb2 import MultiplexingSupportResponse

__all__ = ["MULTIPLEX_ID", "instance_id", "read_message", "self_description"]

MULTIPLEX_ID = "multiplex_id"
"""Metadata key that names the instance of a call (Vault SDK 0.21, helper/pluginutil/multiplexing.go)."""

_MULTIPLEXED = MultiplexingSupportResponse(supported=True).SerializeToString()

_M = TypeVar("_M", bound=Message)


def instance_id(call: CallContext) -> str:
    """Return which instance a call is for; empty if it says nothing.

    Raises:
        RPCError: it names more than one.
    """
    ids = call.metadata.get(MULTIPLEX_ID)
    if not ids:
        return ""
    if len(ids) > 1:
        raise RPCError(StatusCode.INVALID_ARGUMENT, f"more than one {MULTIPLEX_ID}")
    return ids[0]


def read_message(kind: type[_M], data: bytes) -> _M:
    """Return the message of a call.

    Raises:
        RPCError: it cannot be read.
    """
    try:
        return kind.FromString(data)
    except DecodeError:
        raise RPCError(StatusCode.INVALID_ARGUMENT, "the message cannot be read") from None


def self_description(version: str) -> list[Method]:
    """Return the methods that tell the version (`v1.2.0`, or empty) and that many instances are served."""
    reply = VersionReply(plugin_version=version).SerializeToString()
    return [
        UnaryMethod("/logical.PluginVersion/Version", lambda _, __: reply),
        UnaryMethod(
            "/pluginutil.multiplexing.PluginMultiplexing/MultiplexingSupport", lambda _, __: _MULTIPLEXED
        ),
    ]
