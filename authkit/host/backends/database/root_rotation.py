"""`rotate-root/`: a connection gets a new password for its own user, which nobody else knows.

The new password is stored before it is set. If a rotation breaks off in between, the next tick or the next
rotation connects with both passwords, and keeps the one that is valid.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from authkit.credentials import generate_password
from authkit.database import PasswordChange
from authkit.framework import Map, Model, Name, Task, Timestamp, every, field, write
from authkit.host.backends.database.connections import PREFIX
from authkit.host.backends.database.errors import EngineError
from authkit.host.backends.database.open_connections import call_plugin
from authkit.host.backends.database.settings import ConnectionConfig
from authkit.host.backends.database.static_roles import StaticRoles
from authkit.masking import Secret

__all__ = ["RootRotation"]

PENDING: Final = "rotating-root/"

SETTLES_AFTER: Final = timedelta(minutes=1)
"""After this time no request can still set the password (Vault 1.21, rollback.go, age of a log entry)."""


class PendingPassword(Model):
    """A password of a connection's own user that may have been set."""

    password: Secret = field(default="")
    begun: Timestamp | None = None
    settings: Map = field(default={})
    """The connection's other settings at that time: if they have changed, the password is dropped."""


class RootRotation(StaticRoles):
    """Changes the passwords of connections."""

    @write("rotate-root/{name}")
    async def rotate_root(self, name: Name) -> None:
        """Change the password of a connection's own user."""
        async with self.objects.lock(PREFIX + name):
            await self._settle(name)
            config = await self.get_config(name)
            _verify_rotatable(config)
            opened = await self.open_connections.get(name, config)
            left = await self.objects.find(PENDING + name, PendingPassword)
            # An earlier try may still set the password that it left: use the same one again.
            password = left.password if left else await generate_password(self.system, config.password_policy)
            pending = PendingPassword(
                password=password, begun=self.clock.now(), settings=_without_password(config)
            )
            await self.objects.put(PENDING + name, pending, seal_wrap=True)
            change = PasswordChange(
                username=config.username, password=password, commands=config.root_rotation_statements
            )
            try:
                await call_plugin(
                    "failed to update user: unable to update user", opened.connection.change_user(change)
                )
                await self._keep(name, config, password)
            finally:
                await self.open_connections.drop(name)

    @every("1m", writes=True)
    async def settle_rotations(self, task: Task) -> None:
        """Finish rotations that broke off."""
        for name in await self.objects.names(PENDING):
            async with self.objects.lock(PREFIX + name):
                await self._settle(name)

    async def _settle(self, name: str) -> None:
        """Find out whether a rotation that broke off has set its password.

        Raises:
            EngineError: neither password is valid, or the database does not answer.
        """
        pending = await self.objects.find(PENDING + name, PendingPassword)
        if pending is None:
            return
        config = await self.objects.find(PREFIX + name, ConnectionConfig)
        if config is None or _without_password(config) != pending.settings:
            await self.objects.delete(PENDING + name)
        elif await self._connects(_with_password(config, pending.password)):
            await self._keep(name, config, pending.password)
            await self.open_connections.drop(name)
        elif await self._connects(config):
            if pending.begun is None or self.clock.now() - pending.begun >= SETTLES_AFTER:
                await self.objects.delete(PENDING + name)
        else:
            raise EngineError(
                f'"{name}" connects neither with the password before rotate-root nor the new one'
            )

    async def _keep(self, name: str, config: ConnectionConfig, password: Secret) -> None:
        await self.objects.put(PREFIX + name, _with_password(config, password), seal_wrap=True)
        await self.objects.delete(PENDING + name)

    async def _connects(self, config: ConnectionConfig) -> bool:
        try:
            opened, _ = await self.open_connections.open(config, verify=True)
        except EngineError:
            return False
        await opened.connection.close()
        return True


def _without_password(config: ConnectionConfig) -> dict[str, Any]:
    return {name: each for name, each in config.connection_details.items() if name != "password"}


def _with_password(config: ConnectionConfig, password: Secret) -> ConnectionConfig:
    details = {**config.connection_details, "password": password.reveal()}
    return config.replaced(connection_details=details)


def _verify_rotatable(config: ConnectionConfig) -> None:
    """Raise EngineError unless the connection logs in with a user and a password. The texts are Vault's."""
    what = "unable to rotate root credentials: "
    if not config.username:
        raise EngineError(f"{what}no username in configuration")
    if not config.password and not config.private_key:
        fields = "both private_key and password fields are"
        raise EngineError(f"{what}{fields} missing from the configuration")
    if config.password and config.private_key:
        raise EngineError(f"{what}both private_key and password fields are set in the configuration")
    if config.private_key:
        raise EngineError(f"{what}no valid credential type found")
