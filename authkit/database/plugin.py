"""The class that an author derives from: one object for each connection that an operator has configured."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Collection
from datetime import timedelta
from inspect import iscoroutinefunction
from typing import Any, ClassVar, Final, Generic, TypeVar, get_args, get_origin

from authkit.credentials import make_default_template
from authkit.database.requests import (
    CredentialType,
    ExpirationChange,
    NewUser,
    PasswordChange,
    PublicKeyChange,
    UserDeletion,
)
from authkit.database.settings import DatabaseSettings
from authkit.errors import UserError
from authkit.names import plugin_version, verify_plugin_name

__all__ = ["Database"]

SettingsT = TypeVar("SettingsT", bound=DatabaseSettings)
ConnectionT = TypeVar("ConnectionT")

MAX_TIME_LIMIT: Final = timedelta(seconds=80)
"""Below the 90 s that a host gives to a revocation in its queue (Vault 1.21, vault/expiration.go)."""


class Database(ABC, Generic[SettingsT, ConnectionT]):
    """One connection of an operator's: how its users are created, changed and deleted.

    ::

        class RedisACL(Database[Settings, Redis], name="redis-acl", version="0.1.0"): ...

    The methods are `async def`; run a driver that blocks with `asyncio.to_thread`. They are called many at
    once, each with a connection of its own, that has just answered a ping. A call that takes longer than
    `time_limit` is cancelled. An error of authkit, of `driver_errors` or of the system is told to the client,
    with secrets masked; any other is a neutral text with a reference to the log.

    Raises:
        TypeError: at definition, the settings are not named or a method is not `async def`.
    """

    name: ClassVar[str] = ""
    version: ClassVar[str] = ""
    """As `v1.2.0`."""
    settings_type: ClassVar[type[DatabaseSettings]] = DatabaseSettings
    """The first type in the brackets of `Database[...]`."""
    credential_types: ClassVar[Collection[str]] = (CredentialType.PASSWORD,)
    """What users may prove their identity with; of the values of `CredentialType`."""
    driver_errors: ClassVar[tuple[type[Exception], ...]] = ()
    """Errors of the database's driver whose texts help an operator."""
    username_template: ClassVar[str] = make_default_template(max_length=63)
    """Of user names, if the operator has set none."""
    time_limit: ClassVar[timedelta] = timedelta(seconds=30)
    """For one call, connecting included."""

    def __init_subclass__(cls, *, name: str = "", version: str = "", **options: Any) -> None:
        super().__init_subclass__(**options)
        if name:
            verify_plugin_name(cls.__name__, name)
        cls.name, cls.version = name, plugin_version(cls.__name__, version) if version else ""
        for base in getattr(cls, "__orig_bases__", ()):
            origin, arguments = get_origin(base), get_args(base)
            if isinstance(origin, type) and issubclass(origin, Database) and isinstance(arguments[0], type):
                cls.settings_type = arguments[0]
        cls.credential_types = tuple(map(CredentialType, cls.credential_types))
        if not timedelta(0) < cls.time_limit <= MAX_TIME_LIMIT:
            longest = f"{MAX_TIME_LIMIT.total_seconds():g} s"
            raise TypeError(f"{cls.__name__}.time_limit is not between 0 and {longest}")
        for method in _METHODS:
            if not iscoroutinefunction(getattr(cls, method)):
                raise TypeError(f"{cls.__name__}.{method} is not async: use asyncio.to_thread to block in it")

    @classmethod
    def verify_servable(cls) -> None:
        """Raise TypeError if the class cannot be served: it has no name, or lacks a method."""
        if not cls.name:
            raise TypeError(f'{cls.__name__} cannot be served: class {cls.__name__}(..., name="...")')
        if cls.__abstractmethods__:
            missing = ", ".join(sorted(cls.__abstractmethods__))
            raise TypeError(f"{cls.__name__} cannot be served: it has no {missing}")

    def __init__(self, settings: SettingsT) -> None:
        self.settings: Final = settings
        """What the operator has configured."""
        self.log: Final = logging.getLogger(f"authkit.database.{type(self).name}")

    @abstractmethod
    async def connect(self) -> ConnectionT:
        """Open a connection."""

    @abstractmethod
    async def ping(self, connection: ConnectionT) -> None:
        """Return if the database answers on this connection; raise if not."""

    @abstractmethod
    async def disconnect(self, connection: ConnectionT) -> None:
        """Close a connection, which may be broken."""

    @abstractmethod
    async def create_user(self, connection: ConnectionT, user: NewUser) -> None:
        """Create a user. If this fails, or the client leaves, `delete_user` is called for it.

        Raise if there is a user of this name, which may be another lease's.
        """

    @abstractmethod
    async def change_password(self, connection: ConnectionT, change: PasswordChange) -> None:
        """Give a user another password. Raise if there is no such user."""

    @abstractmethod
    async def delete_user(self, connection: ConnectionT, user: UserDeletion) -> None:
        """Delete a user; one that is gone already is no error."""

    async def change_expiration(self, connection: ConnectionT, change: ExpirationChange) -> None:
        """Let a user live longer. By default nothing: for databases whose users have no end."""

    async def change_public_key(self, connection: ConnectionT, change: PublicKeyChange) -> None:
        """Give a user another public key. By default refused."""
        raise UserError("this plugin cannot change public keys")


_METHODS: Final = (
    "connect",
    "ping",
    "disconnect",
    "create_user",
    "change_password",
    "delete_user",
    "change_expiration",
    "change_public_key",
)
