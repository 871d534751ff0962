"""The service `dbplugin.v5.Database` as the host calls it, one instance for each connection.

Status codes, prefixes of texts, and when an instance begins and ends are those of Vault SDK 0.21
(database/dbplugin/v5/grpc_server.go). A host makes nothing of the codes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final
from weakref import WeakSet

from google.protobuf.descriptor_pool import DescriptorPool

from authkit.database.errors import failure_text, secrets_of
from authkit.database.instance import Instance, read_settings
from authkit.database.messages import (
    decode_changes,
    decode_deletion,
    decode_new_user,
    decode_settings,
    encode_settings,
)
from authkit.database.plugin import Database
from authkit.errors import RPCError, StatusCode
from authkit.rpc.cancellation import is_cancellation
from authkit.rpc.interface import CallContext, Method, RevocableReply, UnaryMethod
from authkit.wire.failures import note_late
from authkit.wire.multiplexing import instance_id, read_message, self_description
from authkit.wire.pb import database_pb2 as pb
from authkit.wire.pb._pool import POOL

__all__ = ["CLOSE_TIMEOUT", "DatabaseService"]

log = logging.getLogger(__name__)

CLOSE_TIMEOUT: Final = timedelta(milliseconds=700)
"""For Close, to which a host gives a second."""

_EMPTY = pb.Empty().SerializeToString()
_UPDATED = pb.UpdateUserResponse().SerializeToString()
_DELETED = pb.DeleteUserResponse().SerializeToString()


class DatabaseService:
    """Serves connections of one class of databases, any number at once.

    `metadata_mode` is a start in which the host only asks what the plugin is.
    """

    def __init__(self, database: type[Database[Any, Any]], *, metadata_mode: bool = False) -> None:
        self._database = database
        self._metadata_mode = metadata_mode
        self._instances: dict[str, Instance | None] = {}
        """By id; `None` from the first `Type` until `Initialize`."""
        self._used: WeakSet[Instance] = WeakSet()
        """Also those that were closed or replaced: until nothing of theirs runs, such as a deletion."""
        self._type_reply = pb.TypeResponse(Type=database.name).SerializeToString()

    def methods(self) -> list[Method]:
        """Return everything to be served, by path."""
        return [
            UnaryMethod("/dbplugin.v5.Database/Type", self._type),
            UnaryMethod("/dbplugin.v5.Database/Initialize", self._initialize),
            UnaryMethod("/dbplugin.v5.Database/NewUser", self._new_user),
            UnaryMethod("/dbplugin.v5.Database/UpdateUser", self._update_user),
            UnaryMethod("/dbplugin.v5.Database/DeleteUser", self._delete_user),
            UnaryMethod("/dbplugin.v5.Database/Close", self._close),
            *self_description(self._database.version),
        ]

    def pools(self) -> Sequence[DescriptorPool]:
        """Return the descriptors of what is served, for tools that ask."""
        return [POOL]

    async def close(self) -> None:
        """Close every instance, and let users be deleted that nobody will use."""
        instances, self._instances = list(self._instances.values()), {}
        open_ones = [each for each in instances if each is not None]
        await asyncio.gather(*(each.settle() for each in list(self._used)))
        await asyncio.gather(*(each.close() for each in open_ones), return_exceptions=True)

    # --- calls ---------------------------------------------------------------------------------

    def _type(self, data: bytes, call: CallContext) -> bytes:
        # At once: a host gives it a second, and takes no answer for a plugin of another age.
        self._instances.setdefault(instance_id(call), None)
        return self._type_reply

    async def _initialize(self, data: bytes, call: CallContext) -> bytes:
        if self._metadata_mode:
            raise RPCError(StatusCode.FAILED_PRECONDITION, "the plugin was started to describe itself only")
        key = instance_id(call)
        request = read_message(pb.InitializeRequest, data)
        raw = decode_settings(request)
        async with self._answering("failed to initialize", key, secrets_of(None, raw)):
            settings = read_settings(self._database.settings_type, raw)
            instance = Instance(self._database(settings), raw, key)
        if request.verify_connection:
            async with self._answering(
                "failed to initialize: error verifying connection", key, instance.secrets
            ):
                try:
                    await instance.verify()
                except BaseException:
                    # A connection whose caller has gone may have opened all the same.
                    await self._close_quietly(instance, key)
                    raise
        # Between these two nothing waits.
        replaced = self._instances.get(key)
        self._instances[key] = instance
        self._used.add(instance)
        if replaced is not None:
            await self._close_quietly(replaced, key)
        return encode_settings(request, list(map(str, self._database.credential_types)))

    async def _new_user(self, data: bytes, call: CallContext) -> bytes:
        key, instance = self._find(call)
        request = read_message(pb.NewUserRequest, data)
        secrets = {**instance.secrets, request.password: "password"}
        async with self._answering("unable to create new user", key, secrets, fresh=[request.password]):
            user = await instance.create_user(decode_new_user(request))
        reply = RevocableReply(pb.NewUserResponse(username=user.username).SerializeToString())

        def take_back() -> None:
            instance.undo(user)

        reply.on_untaken = take_back
        return reply

    async def _update_user(self, data: bytes, call: CallContext) -> bytes:
        key, instance = self._find(call)
        request = read_message(pb.UpdateUserRequest, data)
        own = (request.password.new_password, request.self_managed_password)
        secrets = {**instance.secrets, **dict.fromkeys(own, "password")}
        async with self._answering("unable to update user", key, secrets, fresh=own[:1]):
            await instance.update_user(decode_changes(request))
        return _UPDATED

    async def _delete_user(self, data: bytes, call: CallContext) -> bytes:
        key, instance = self._find(call)
        request = read_message(pb.DeleteUserRequest, data)
        async with self._answering("unable to delete user", key, instance.secrets):
            await instance.delete_user(decode_deletion(request))
        return _DELETED

    async def _close(self, data: bytes, call: CallContext) -> bytes:
        key = instance_id(call)
        instance = self._instances.pop(key, None)
        if instance is None:
            return _EMPTY
        closing = asyncio.ensure_future(instance.close())
        _, late = await asyncio.wait({closing}, timeout=CLOSE_TIMEOUT.total_seconds())
        if late:
            # The host has not waited either; what is left closes with the process.
            note_late("closing", key)
        elif closing.exception() is not None:
            self._instances[key] = instance
            instance.reopen()
            async with self._answering("unable to close database plugin", key, instance.secrets):
                closing.result()
        return _EMPTY

    # --- what they share -----------------------------------------------------------------------

    def _find(self, call: CallContext) -> tuple[str, Instance]:
        key = instance_id(call)
        instance = self._instances.get(key)
        if instance is None:
            raise RPCError(StatusCode.FAILED_PRECONDITION, "connection has not been initialized")
        return key, instance

    @asynccontextmanager
    async def _answering(
        self, prefix: str, key: str, secrets: Mapping[str, str], *, fresh: Sequence[str] = ()
    ) -> AsyncIterator[None]:
        """Answer what goes wrong inside with a status, its text after `prefix`."""
        try:
            yield
        except BaseException as exc:
            if is_cancellation(exc) or isinstance(exc, RPCError):
                raise
            text = failure_text(
                exc, self._database.driver_errors, secrets, what=prefix, connection=key, fresh=fresh
            )
            log.warning(prefix, extra={"kv": {"connection": key, "error": text}})
            raise RPCError(StatusCode.INTERNAL, f"{prefix}: {text}") from None

    async def _close_quietly(self, instance: Instance, key: str) -> None:
        try:
            await instance.close()
        except Exception as error:
            log.warning("closing failed", extra={"kv": {"connection": key, "error": type(error).__name__}})
