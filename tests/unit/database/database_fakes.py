"""A database in memory, its plugin, and a host that calls the plugin's methods."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from canaries import canary

from authkit import Int, Secret, Str, field
from authkit.database import (
    Database,
    DatabaseSettings,
    ExpirationChange,
    NewUser,
    PasswordChange,
    UserDeletion,
)
from authkit.database.service import DatabaseService
from authkit.errors import RPCError
from authkit.rpc import CallContext
from authkit.wire.pb import database_pb2 as pb

ROOT_PASSWORD = canary("r00t")
PASSWORD = canary("n3w")


class ShelfError(Exception):
    """What the driver of the fake database raises."""


class Shelf:
    """The database: users with their passwords, and what was done to it."""

    def __init__(self) -> None:
        self.users: dict[str, str] = {}
        self.done: list[str] = []
        self.opened = 0
        self.closed = 0
        self.is_down = False
        self.hold: asyncio.Event | None = None
        """While it is not set, changes wait after they were made."""
        self.fail: Exception | None = None
        """Raised by each change after it was made."""

        self.on_disconnect: Callable[[], Awaitable[None]] | None = None
        """Called when a connection is to be closed."""

    @property
    def open(self) -> int:
        """How many connections are open."""
        return self.opened - self.closed

    async def change(self, what: str) -> None:
        """Note a change that was made."""
        self.done.append(what)
        if self.hold is not None:
            await self.hold.wait()
        if self.fail is not None:
            raise self.fail


class Settings(DatabaseSettings):
    """Where the database is."""

    host: Str = field(help="Its name.")
    port: Int = field(default=1, help="Its port.")
    username: Str = field(default="root", help="Who makes users.")
    password: Secret = field(default="", help="The password.")


class Connection:
    """One connection."""

    is_broken = False


class ShelfDatabase(Database[Settings, Connection], name="shelf", version="1.2.3"):
    """Users of a shelf."""

    driver_errors = (ShelfError,)
    shelf: ClassVar[Shelf]

    async def connect(self) -> Connection:
        if self.shelf.is_down:
            raise ShelfError(f"no answer from {self.settings.host}, password {ROOT_PASSWORD}")
        self.shelf.opened += 1
        return Connection()

    async def ping(self, connection: Connection) -> None:
        if connection.is_broken or self.shelf.is_down:
            raise ShelfError("broken")

    async def disconnect(self, connection: Connection) -> None:
        if self.shelf.on_disconnect is not None:
            await self.shelf.on_disconnect()
        self.shelf.closed += 1

    async def create_user(self, connection: Connection, user: NewUser) -> None:
        self.shelf.users[user.username] = user.password.reveal()
        await self.shelf.change(f"create {user.role_name}")

    async def change_password(self, connection: Connection, change: PasswordChange) -> None:
        self.shelf.users[change.username] = change.password.reveal()
        await self.shelf.change(f"password {change.username}")

    async def change_expiration(self, connection: Connection, change: ExpirationChange) -> None:
        await self.shelf.change(f"expiration {change.username} {change.placeholders['expiration']}")

    async def delete_user(self, connection: Connection, user: UserDeletion) -> None:
        self.shelf.users.pop(user.username, None)
        self.shelf.done.append(" ".join(["delete", *user.commands]))


class Host:
    """What a server does with a plugin, for one connection after the other."""

    def __init__(
        self, database: type[Database[Any, Any]] = ShelfDatabase, *, metadata_mode: bool = False
    ) -> None:
        self.shelf = Shelf()
        if issubclass(database, ShelfDatabase):
            database.shelf = self.shelf
        self.service = DatabaseService(database, metadata_mode=metadata_mode)
        self.methods = {method.path: method.handler for method in self.service.methods()}

    async def call(self, name: str, request: Any, key: str | None = "a") -> bytes:
        """Call a method of the database service for the instance `key`."""
        return await self.call_path(f"/dbplugin.v5.Database/{name}", request.SerializeToString(), key)

    async def call_path(self, path: str, data: bytes, key: str | None) -> bytes:
        """Call any method."""
        metadata = {} if key is None else {"multiplex_id": [key]}
        reply: Any = self.methods[path](data, CallContext(path, metadata))
        return await reply if isinstance(reply, Awaitable) else reply

    async def initialize(
        self, key: str = "a", *, verify: bool = False, **settings: Any
    ) -> pb.InitializeResponse:
        """Configure a connection."""
        await self.call("Type", pb.Empty(), key)
        request = pb.InitializeRequest(verify_connection=verify)
        request.config_data.update({"host": "shelf", "password": ROOT_PASSWORD, **settings})
        return pb.InitializeResponse.FromString(await self.call("Initialize", request, key))

    async def new_user(self, key: str = "a", **fields: Any) -> str:
        """Have a user created, with `PASSWORD` and these messages, and return its name."""
        request = pb.NewUserRequest(
            username_config=pb.UsernameConfig(display_name="token", role_name="app"), password=PASSWORD
        )
        for name, value in fields.items():
            getattr(request, name).CopyFrom(value)
        return pb.NewUserResponse.FromString(await self.call("NewUser", request, key)).username


async def refused(call: Awaitable[Any]) -> RPCError:
    """Return the error with which a call ends."""
    try:
        await call
    except RPCError as error:
        return error
    raise AssertionError("the call was answered")
