"""The calls of a host to one mounted backend (`pb.Backend`), over any channel.

Failed calls are treated as by the client in Vault SDK 0.21 (plugin/grpc_backend_client.go). See
`authkit.host.supervisor.supervised` for restarts after a crash.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from datetime import timedelta
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from authkit.errors import LogicalError, PluginSetupError, RPCError, StatusCode
from authkit.logical import BackendType, Request, Response, SpecialPaths
from authkit.rpc.interface import Channel
from authkit.wire.errors import decode_error
from authkit.wire.messages import (
    MountSetup,
    decode_response,
    decode_special_paths,
    encode_request,
    encode_setup,
)
from authkit.wire.multiplexing import MULTIPLEX_ID
from authkit.wire.pb import backend_pb2 as pb
from authkit.wire.pb.logical_version_pb2 import VersionReply
from authkit.wire.pb.multiplexing_pb2 import MultiplexingSupportResponse

__all__ = [
    "CLEANUP_TIMEOUT",
    "LIFECYCLE_TIMEOUT",
    "BackendClient",
    "is_multiplexed",
    "parse_reply",
    "reported_version",
]

logger = logging.getLogger("authkit.host")

LIFECYCLE_TIMEOUT = timedelta(seconds=90)
"""For setup, initialization, type, version and special paths: a Vault server's limit of a request."""

CLEANUP_TIMEOUT = timedelta(seconds=10)
"""For calls whose failure is only logged: cleanup and key invalidation."""

_R = TypeVar("_R", bound=Message)

_EMPTY = pb.Empty()


class BackendClient:
    """One mounted backend. See `authkit.host.store.plugins.HostedBackend`.

    `multiplex_id` names the mount to a plugin that serves several; empty for one that does not.
    """

    def __init__(self, channel: Channel, multiplex_id: str = "") -> None:
        self._channel = channel
        self._metadata = ((MULTIPLEX_ID, multiplex_id),) if multiplex_id else ()

    # --- setup and cleanup ---------------------------------------------------------------------

    async def set_up(self, setup: MountSetup) -> None:
        """Set the backend up.

        Raises:
            PluginSetupError: the plugin refused. The text is the plugin's.
            RPCError: the call failed.
        """
        reply = await self._call("Setup", encode_setup(setup), pb.SetupReply, timeout=LIFECYCLE_TIMEOUT)
        if reply.err:
            raise PluginSetupError(reply.err)

    async def initialize(self) -> None:
        """Initialize the backend. A plugin that does not implement the call needs none."""
        try:
            reply = await self._call(
                "Initialize", pb.InitializeArgs(), pb.InitializeReply, timeout=LIFECYCLE_TIMEOUT
            )
        except RPCError as error:
            if error.code is StatusCode.UNIMPLEMENTED:
                return
            raise
        _raise_reported(reply, None)

    async def cleanup(self) -> None:
        """End the mount. A failure is logged."""
        await _contain("cleanup", self._call("Cleanup", _EMPTY, pb.Empty, timeout=CLEANUP_TIMEOUT))

    # --- what it is ----------------------------------------------------------------------------

    async def backend_type(self) -> BackendType:
        """Return what it can be mounted as; `UNKNOWN` when it does not say."""
        try:
            reply = await self._call("Type", _EMPTY, pb.TypeReply, timeout=LIFECYCLE_TIMEOUT)
            return BackendType(reply.type)
        except (RPCError, ValueError) as error:
            _log("type", error)
            return BackendType.UNKNOWN

    async def version(self) -> str:
        """Return its version, empty when it has none."""
        return await reported_version(self._channel, self._metadata)

    async def special_paths(self) -> SpecialPaths:
        """Return its special paths. Fail closed: after a failure no path is unauthenticated."""
        try:
            reply = await self._call("SpecialPaths", _EMPTY, pb.SpecialPathsReply, timeout=LIFECYCLE_TIMEOUT)
        except RPCError as error:
            _log("special paths", error)
            return SpecialPaths()
        return decode_special_paths(reply.paths)

    # --- requests ------------------------------------------------------------------------------

    async def handle_request(self, request: Request) -> Response | None:
        """Return its answer to a request."""
        args = pb.HandleRequestArgs(request=encode_request(request))
        reply = await self._call("HandleRequest", args, pb.HandleRequestReply)
        response = decode_response(reply.response) if reply.HasField("response") else None
        _raise_reported(reply, response)
        return response

    async def handle_existence_check(self, request: Request) -> bool | None:
        """Return whether the object of a request exists."""
        args = pb.HandleExistenceCheckArgs(request=encode_request(request))
        reply = await self._call("HandleExistenceCheck", args, pb.HandleExistenceCheckReply)
        _raise_reported(reply, None)
        return bool(reply.exists) if reply.check_found else None

    async def invalidate_key(self, key: str) -> None:
        """Report that a storage key was changed elsewhere. A failure is logged."""
        args = pb.InvalidateKeyArgs(key=key)
        call = self._call("InvalidateKey", args, pb.Empty, timeout=CLEANUP_TIMEOUT)
        await _contain("key invalidation", call)

    # --- calls ---------------------------------------------------------------------------------

    async def _call(
        self, method: str, args: Message, reply: type[_R], *, timeout: timedelta | None = None
    ) -> _R:
        path = f"/pb.Backend/{method}"
        data = args.SerializeToString()
        return parse_reply(
            reply, await self._channel.call(path, data, timeout=timeout, metadata=self._metadata)
        )


async def is_multiplexed(channel: Channel) -> bool:
    """Return whether a plugin serves many mounts in one process; false without the call.

    Raises:
        RPCError: the call failed. A Vault server then refuses the plugin.
    """
    path = "/pluginutil.multiplexing.PluginMultiplexing/MultiplexingSupport"
    data = await _answer_if_implemented(channel, path, ())
    return data is not None and bool(parse_reply(MultiplexingSupportResponse, data).supported)


async def reported_version(channel: Channel, metadata: tuple[tuple[str, str], ...] = ()) -> str:
    """Return the version of a plugin, empty when it has none.

    Raises:
        RPCError: the call failed.
    """
    data = await _answer_if_implemented(channel, "/logical.PluginVersion/Version", metadata)
    return "" if data is None else str(parse_reply(VersionReply, data).plugin_version)


async def _answer_if_implemented(
    channel: Channel, path: str, metadata: tuple[tuple[str, str], ...]
) -> bytes | None:
    try:
        return await channel.call(path, b"", timeout=LIFECYCLE_TIMEOUT, metadata=metadata)
    except RPCError as error:
        if error.code is StatusCode.UNIMPLEMENTED:
            return None
        raise


def parse_reply(kind: type[_R], data: bytes) -> _R:
    """Return a plugin's reply.

    Raises:
        RPCError: it cannot be read.
    """
    try:
        return kind.FromString(data)
    except DecodeError:
        raise RPCError(StatusCode.INTERNAL, "the plugin's reply cannot be read") from None


def _raise_reported(
    reply: pb.HandleRequestReply | pb.HandleExistenceCheckReply | pb.InitializeReply,
    response: Response | None,
) -> None:
    """Raise the error in a reply, if any. A grant in a response beside it is dropped, as by OpenBao 2.5.4.

    Vault 1.21 makes the token in spite of the error (vault/request_handling.go, handleLoginRequest).
    """
    if not reply.HasField("err"):
        return
    error = decode_error(reply.err) or LogicalError()
    if response is not None:
        error.response_data = response.data or {}
    raise error


async def _contain(what: str, call: Awaitable[object]) -> None:
    try:
        await call
    except RPCError as error:
        _log(what, error)


def _log(what: str, error: Exception) -> None:
    logger.warning("a plugin's %s failed: %s", what, error)
