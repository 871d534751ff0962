"""Connections of a database plugin, and the catalog entry that opens them.

A connection ends with the run that it was opened in. Its owner opens another one: no state is lost, because
the host has the settings. A Vault server does the same, but answers one more request with `plugin shutdown`
(Vault 1.21, builtin/logical/database/backend.go, CloseIfShutdown).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from authkit.database import ExpirationChange, NewUser, PasswordChange, UserDeletion
from authkit.errors import AuthKitError, RPCError
from authkit.host.store.plugins import DatabaseConnection
from authkit.host.supervisor.backend_client import reported_version
from authkit.host.supervisor.databases.client import DatabaseClient
from authkit.host.supervisor.supervised import gone, is_over, new_multiplex_id, run_for_probe
from authkit.host.supervisor.supervisor import Launch, Run, Supervisor, Supervisors

__all__ = ["SupervisedConnection", "SupervisedDatabase", "database_client_of"]

logger = logging.getLogger("authkit.host")

_T = TypeVar("_T")


class SupervisedConnection:
    """One connection. See `authkit.host.store.plugins.DatabaseConnection`. Call `open` first."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._run: Run | None = None
        self._client: DatabaseClient | None = None

    @property
    def is_open(self) -> bool:
        """Whether the run in which it was opened has not ended."""
        return self._run is not None and not self._run.ended.done()

    async def open(self, settings: Mapping[str, Any], *, verify: bool) -> dict[str, Any]:
        """Configure it in the current run; return the settings to store."""
        self._run = await self._supervisor.current()
        self._client = database_client_of(self._run)
        await self._do(lambda client: client.type())
        return await self._do(lambda client: client.initialize(settings, verify=verify))

    async def create_user(self, user: NewUser) -> str:
        """Create a user, and return its name."""
        return await self._do(lambda client: client.create_user(user))

    async def change_user(self, change: PasswordChange | ExpirationChange) -> None:
        """Change a user."""
        await self._do(lambda client: client.change_user(change))

    async def delete_user(self, user: UserDeletion) -> None:
        """Delete a user."""
        await self._do(lambda client: client.delete_user(user))

    async def close(self) -> None:
        """End the connection. The plugin ends with its last one."""
        client, is_open = self._client, self.is_open
        self._client = self._run = None
        try:
            if client is not None and is_open:
                await client.close()
        except RPCError as error:
            logger.warning("a database plugin's Close failed: %s", error)
        finally:
            await self._supervisor.leave(self)

    async def cleanup(self) -> None:
        """End the connection: the plugin is to end."""
        await self.close()

    async def revive(self) -> None:
        """Do nothing: it ended with its run."""

    async def _do(self, call: Callable[[DatabaseClient], Awaitable[_T]]) -> _T:
        run, client = self._run, self._client
        if run is None or client is None:
            raise AuthKitError("connection has not been initialized")
        try:
            return await call(client)
        except RPCError as error:
            if await is_over(run, error):
                raise gone(run) from error
            raise


class SupervisedDatabase:
    """A database plugin. See `authkit.host.store.plugins.HostedDatabase`.

    `launch` starts it. One that is not multiplexed is started once for each connection.
    """

    def __init__(self, launch: Launch, launch_for_probe: Launch | None = None) -> None:
        self._launch_for_probe = launch_for_probe or launch
        self._supervisors = Supervisors(launch)
        self.version = ""

    async def probe(self) -> None:
        """Start the plugin on its own, ask for its version, and stop it."""
        async with run_for_probe(self._launch_for_probe) as run:
            self.version = await reported_version(run.channel)

    async def connect(
        self, settings: Mapping[str, Any], *, verify: bool
    ) -> tuple[DatabaseConnection, Mapping[str, Any]]:
        """Configure a connection; return it, and the settings to store."""
        connection = await self._supervisors.join(SupervisedConnection)
        try:
            return connection, await connection.open(settings, verify=verify)
        except BaseException:
            await connection.close()
            raise

    async def close(self) -> None:
        """End every connection and the process."""
        await self._supervisors.close()


def database_client_of(run: Run) -> DatabaseClient:
    """Return a client for a new connection."""
    return DatabaseClient(run.channel, new_multiplex_id() if run.is_multiplexed else "")
