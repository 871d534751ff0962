"""The services of a backend plugin as the host calls them, one backend per mount.

`pb.Backend`, `logical.PluginVersion` and `pluginutil.multiplexing.PluginMultiplexing`
(Vault SDK 0.21, plugin/grpc_backend_server.go). What a reply may hold is decided in
`authkit.wire.guards`; who listens and dials, above and below.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from google.protobuf.descriptor_pool import DescriptorPool

from authkit.errors import AuthKitError, PluginError, RPCError, StatusCode
from authkit.logical import (
    Backend,
    BackendConfig,
    BackendFactory,
    HasExistenceChecks,
    HasKnownRoles,
    Operation,
    Storage,
)
from authkit.masking import is_secret_name
from authkit.rpc.cancellation import is_cancellation
from authkit.rpc.interface import CallContext, Channel, Method, UnaryMethod
from authkit.values import Value
from authkit.wire import guards
from authkit.wire.errors import shown_text
from authkit.wire.failures import contain, failure, neutral_text, note_late, within
from authkit.wire.host_services import HostEvents, HostStorage, HostSystemView
from authkit.wire.messages import MountSetup, decode_setup, encode_special_paths
from authkit.wire.multiplexing import instance_id, read_message, self_description
from authkit.wire.pb import backend_pb2 as pb
from authkit.wire.pb._pool import POOL

__all__ = ["CLOSE_TIMEOUT", "HOOK_TIMEOUT", "Answer", "BackendService"]

logger = logging.getLogger("authkit.wire")

HOOK_TIMEOUT = timedelta(seconds=5)
"""For one mount's cleanup, during which the host holds a lock on its mounts, and for one invalidation, of
which a host has many to pass on."""

CLOSE_TIMEOUT = timedelta(milliseconds=700)
"""For each step of the cleanup at the end of the process, which a host kills two seconds after `Shutdown`."""

_METADATA_MODE = "plugin server can not perform action while in metadata mode"

_EMPTY = pb.Empty().SerializeToString()
_NO_SETUP_ERROR = pb.SetupReply().SerializeToString()


Answer = Callable[[Backend, pb.Request], Awaitable[bytes]]
"""Returns a backend's reply to a request, as `guards.answer` does."""


class _Mount(Value, frozen=True, eq=False):
    backend: Backend
    has_checks: HasExistenceChecks | None
    """The backend, if it has that capability."""
    has_roles: HasKnownRoles | None
    """The backend, if it has that capability."""
    channel: Channel
    name: str
    """For the log: the stable id of the mount, since the host does not say where it is mounted."""


class BackendService:
    """Serves the backends that one factory makes, any number of mounts at once.

    `dial` connects to the host's services for one mount, by broker id. `metadata_mode` is the probe
    of protocol 4, in which nothing but self-description is answered. `answer` and `storage` may be replaced
    by ones that measure (`authkit.metrics`).
    """

    def __init__(
        self,
        factory: BackendFactory,
        dial: Callable[[int], Awaitable[Channel]],
        *,
        metadata_mode: bool = False,
        answer: Answer = guards.answer,
        storage: Callable[[Channel], Storage] = HostStorage,
    ) -> None:
        self._factory = factory
        self._dial = dial
        self._answer = answer
        self._storage = storage
        self._metadata_mode = metadata_mode
        self._mounts: dict[str, _Mount] = {}
        self._closed = False
        self._type = pb.TypeReply(type=factory.backend_type).SerializeToString()

    def methods(self) -> list[Method]:
        """Return everything to be served, by path."""
        return [
            UnaryMethod("/pb.Backend/Setup", self._setup),
            UnaryMethod("/pb.Backend/Type", lambda _, __: self._type),
            UnaryMethod("/pb.Backend/SpecialPaths", self._special_paths),
            UnaryMethod("/pb.Backend/HandleRequest", self._handle_request),
            UnaryMethod("/pb.Backend/HandleExistenceCheck", self._handle_existence_check),
            UnaryMethod("/pb.Backend/Initialize", self._initialize),
            UnaryMethod("/pb.Backend/InvalidateKey", self._invalidate_key),
            UnaryMethod("/pb.Backend/Cleanup", self._cleanup),
            *self_description(self._factory.version),
        ]

    def pools(self) -> Sequence[DescriptorPool]:
        """Return the descriptors of what is served, for tools that ask."""
        return [POOL]

    def backends(self) -> list[Backend]:
        """Return the backend of each mount that is set up. May be called from any thread."""
        return [mount.backend for mount in self._mounts.copy().values()]

    async def close(self) -> None:
        """Clean up every mount, all at once, within twice `CLOSE_TIMEOUT`.

        No mount is set up afterwards."""
        self._closed = True
        mounts, self._mounts = list(self._mounts.values()), {}
        await asyncio.gather(*(_retire(mount, CLOSE_TIMEOUT) for mount in mounts))

    # --- setup and cleanup ---------------------------------------------------------------------

    async def _setup(self, data: bytes, call: CallContext) -> bytes:
        setup = decode_setup(read_message(pb.SetupArgs, data))
        key = instance_id(call)
        try:
            mount = await self._build(setup)
        except BaseException as exc:
            if is_cancellation(exc):
                raise
            return pb.SetupReply(err=_setup_text(exc, setup)).SerializeToString()
        if self._closed:
            await _retire(mount, CLOSE_TIMEOUT)
            return pb.SetupReply(err="the plugin is stopping").SerializeToString()
        # Between these two nothing waits: of two setups at once the later one replaces the other.
        replaced = self._mounts.get(key)
        self._mounts[key] = mount
        if replaced is not None:
            await _retire(replaced, HOOK_TIMEOUT)
        return _NO_SETUP_ERROR

    async def _build(self, setup: MountSetup) -> _Mount:
        channel = await self._dial(setup.broker_id)
        try:
            config = BackendConfig(
                storage=self._storage(channel),
                system=HostSystemView(channel),
                events=HostEvents(channel),
                options=setup.options,
                backend_uuid=setup.backend_uuid,
            )
            backend = self._factory.build(config)
            has_checks = backend if isinstance(backend, HasExistenceChecks) else None
            has_roles = backend if isinstance(backend, HasKnownRoles) else None
            return _Mount(backend, has_checks, has_roles, channel, setup.backend_uuid)
        except BaseException:
            await channel.close()
            raise

    async def _initialize(self, data: bytes, call: CallContext) -> bytes:
        mount = self._find_for_work(call)
        return await guards.initialize(mount.backend, mount.name)

    async def _cleanup(self, data: bytes, call: CallContext) -> bytes:
        mount = self._mounts.pop(instance_id(call), None)
        if mount is not None:
            await _retire(mount, HOOK_TIMEOUT)
        return _EMPTY

    # --- requests ------------------------------------------------------------------------------

    def _handle_request(self, data: bytes, call: CallContext) -> bytes | Awaitable[bytes]:
        mount = self._find_for_work(call)
        request = read_message(pb.HandleRequestArgs, data).request
        if mount.has_roles is not None and request.operation == Operation.RESOLVE_ROLE:
            reply = guards.answer_known_role(mount.has_roles, request)
            if reply is not None:
                return reply
        return self._answer(mount.backend, request)

    def _handle_existence_check(self, data: bytes, call: CallContext) -> bytes | Awaitable[bytes]:
        mount = self._find_for_work(call)
        request = read_message(pb.HandleExistenceCheckArgs, data).request
        if mount.has_checks is not None and guards.is_unchecked(mount.has_checks, request.path):
            return guards.NO_CHECK
        return guards.check_existence(mount.backend, request)

    async def _invalidate_key(self, data: bytes, call: CallContext) -> bytes:
        mount = self._find_for_work(call)
        key = read_message(pb.InvalidateKeyArgs, data).key
        # In this task, unlike a cleanup: the backend forgets the key in the first step, come what may.
        try:
            async with asyncio.timeout(HOOK_TIMEOUT.total_seconds()):
                await contain(lambda: mount.backend.invalidate_key(key), "invalidation failed", mount.name)
        except TimeoutError:
            note_late("invalidation", mount.name)
        return _EMPTY

    def _special_paths(self, data: bytes, call: CallContext) -> bytes:
        mount = self._find(call)
        try:
            paths = encode_special_paths(mount.backend.special_paths())
        except BaseException as exc:
            reference = failure("special paths failed", exc, mount=mount.name)
            # The reply has no place for an error. The host then opens no path to anybody.
            raise RPCError(StatusCode.INTERNAL, neutral_text(reference)) from None
        return pb.SpecialPathsReply(paths=paths).SerializeToString()

    def _find_for_work(self, call: CallContext) -> _Mount:
        if self._metadata_mode:
            raise RPCError(StatusCode.FAILED_PRECONDITION, _METADATA_MODE)
        return self._find(call)

    def _find(self, call: CallContext) -> _Mount:
        mount = self._mounts.get(instance_id(call))
        if mount is None:
            raise RPCError(StatusCode.FAILED_PRECONDITION, "no backend is set up for this mount")
        return mount


def _setup_text(exc: BaseException, setup: MountSetup) -> str:
    """Return what the operator reads of a failed setup, and log the cause."""
    neutral = neutral_text(failure("setup failed", exc, mount=setup.backend_uuid))
    own_secrets = [value for name, value in setup.options.items() if is_secret_name(name)]
    if isinstance(exc, PluginError | RPCError | OSError):
        return f"the plugin could not connect back to the server: {shown_text(exc, neutral, own_secrets)}"
    if isinstance(exc, AuthKitError):
        return f"the backend could not be set up: {shown_text(exc, neutral, own_secrets)}"
    return f"the backend could not be set up: {neutral}"


async def _retire(mount: _Mount, timeout: timedelta) -> None:
    """Clean up the backend, then close its way to the host, each within `timeout`."""
    try:
        await within(timeout, mount.backend.cleanup, "cleanup", mount.name)
    finally:
        await within(timeout, mount.channel.close, "closing the connection", mount.name)
