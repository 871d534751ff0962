"""The calls of a host to one connection of a database plugin (`dbplugin.v5.Database`), over any channel.

Failed calls are worded as by the client in Vault SDK 0.21 (database/dbplugin/v5/grpc_client.go).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from authkit.database import ExpirationChange, NewUser, PasswordChange, UserDeletion
from authkit.database.messages import CREDENTIAL_TYPES
from authkit.framework.fields.frozen import thaw
from authkit.host.supervisor.backend_client import parse_reply
from authkit.rpc.interface import Channel
from authkit.wire.multiplexing import MULTIPLEX_ID
from authkit.wire.pb import database_pb2 as pb
from authkit.wire.well_known import EPOCH, decode_struct

__all__ = ["CLOSE_TIMEOUT", "TYPE_TIMEOUT", "DatabaseClient"]

TYPE_TIMEOUT: Final = timedelta(seconds=1)
"""A server takes a slower plugin for one of an older protocol (Vault SDK 0.21, same file)."""

CLOSE_TIMEOUT: Final = timedelta(seconds=1)
"""The same source. A server waits no longer."""

_EMPTY: Final = pb.Empty().SerializeToString()


class DatabaseClient:
    """One connection. Every call raises `RPCError` with the status that the plugin gave.

    `multiplex_id` names the connection to a plugin that serves several; empty for one that does not.
    """

    def __init__(self, channel: Channel, multiplex_id: str = "") -> None:
        self._channel = channel
        self._metadata = ((MULTIPLEX_ID, multiplex_id),) if multiplex_id else ()

    async def type(self) -> str:
        """Return the name of the kind of database."""
        return str(parse_reply(pb.TypeResponse, await self._call("Type", _EMPTY, TYPE_TIMEOUT)).Type)

    async def initialize(self, settings: Mapping[str, Any], *, verify: bool) -> dict[str, Any]:
        """Configure the connection; return the settings to store."""
        request = pb.InitializeRequest(verify_connection=verify)
        request.config_data.update(thaw(settings))
        reply = parse_reply(
            pb.InitializeResponse, await self._call("Initialize", request.SerializeToString())
        )
        stored: dict[str, Any] = _whole_numbers(decode_struct(reply.config_data))
        return stored

    async def create_user(self, user: NewUser) -> str:
        """Create a user, and return its name."""
        request = pb.NewUserRequest(
            username_config=pb.UsernameConfig(display_name=user.display_name, role_name=user.role_name),
            password=user.password.reveal(),
            statements=pb.Statements(Commands=user.commands),
            rollback_statements=pb.Statements(Commands=user.rollback_commands),
            credential_type=CREDENTIAL_TYPES.index(user.credential_type),
            public_key=user.public_key.encode(),
            subject=user.subject,
        )
        _set_time(request.expiration, user.expiration)
        reply = await self._call("NewUser", request.SerializeToString())
        return str(parse_reply(pb.NewUserResponse, reply).username)

    async def change_user(self, change: PasswordChange | ExpirationChange) -> None:
        """Change a user."""
        request = pb.UpdateUserRequest(username=change.username)
        match change:
            case PasswordChange():
                request.password.new_password = change.password.reveal()
                request.password.statements.Commands.extend(change.commands)
            case ExpirationChange():
                _set_time(request.expiration.new_expiration, change.expiration)
                request.expiration.statements.Commands.extend(change.commands)
        await self._call("UpdateUser", request.SerializeToString())

    async def delete_user(self, user: UserDeletion) -> None:
        """Delete a user."""
        request = pb.DeleteUserRequest(
            username=user.username, statements=pb.Statements(Commands=user.commands)
        )
        await self._call("DeleteUser", request.SerializeToString())

    async def close(self) -> None:
        """End the connection."""
        await self._call("Close", _EMPTY, CLOSE_TIMEOUT)

    async def _call(self, method: str, data: bytes, timeout: timedelta | None = None) -> bytes:
        path = f"/dbplugin.v5.Database/{method}"
        return await self._channel.call(path, data, timeout=timeout, metadata=self._metadata)


def _set_time(field: Any, moment: datetime | None) -> None:
    if moment is not None:
        seconds, rest = divmod(moment - EPOCH, timedelta(seconds=1))
        field.seconds, field.nanos = seconds, rest.microseconds * 1000


def _whole_numbers(value: Any) -> Any:
    """Return JSON in which numbers without a fraction are integers: a `Struct` has no others than doubles."""
    if isinstance(value, Mapping):
        return {name: _whole_numbers(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
