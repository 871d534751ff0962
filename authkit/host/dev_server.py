"""The development server: a core with its API and page on a socket.

See `authkit.cli.dev` for which plugins it enables, when it reloads them, and what it prints.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from authkit.errors import HostingError
from authkit.host.api_client import APIClient, APIError
from authkit.host.built_in import add_built_in
from authkit.host.http.access_log import AccessLog
from authkit.host.http.application import Application
from authkit.host.http.server import serving
from authkit.host.mount_overview import MountDescription
from authkit.host.page.application import Page
from authkit.host.server.core import Core
from authkit.host.store.catalog import AUTH, DATABASE, CatalogEntry, CatalogError
from authkit.host.store.plugins import HostedDatabase, HostedPlugin
from authkit.host.store.storage import PhysicalStorage
from authkit.host.supervisor.databases.process import DatabaseProcess
from authkit.host.supervisor.environment import BACKEND_COOKIE, DATABASE_COOKIE, Cookie
from authkit.host.supervisor.executable import find_command
from authkit.host.supervisor.plugin_process import PluginFile, PluginProcess
from authkit.values import Value

__all__ = ["DATABASE_ROUTE", "DevelopmentServer", "development_server"]

DATABASE_ROUTE = "database"
"""Where the database engine is enabled for the first database plugin."""


class DevelopmentServer(Value, frozen=True):
    """A running server with a root client. Set by `development_server`."""

    core: Core
    address: str
    """`http://127.0.0.1:8200`, for VAULT_ADDR."""
    client: APIClient
    """Acts with the root token."""
    plugin_directory: Path

    async def enable(self, name: str, *, type: str = "") -> str:
        """Register a file of the plugin directory as what it is, and enable it at the path of its name.

        A database plugin has no path of its own: the database engine is enabled. An existing registration is
        updated, and an enabled plugin reloaded. Returns where it is mounted, such as `auth/jwt`. With a
        `type` of the catalog the plugin is started as that kind alone.

        Raises:
            APIError: the host refused it. The text is a Vault server's.
        """
        sha256 = hashlib.sha256((self.plugin_directory / name).read_bytes()).hexdigest()
        try:
            entry = await self.core.catalog.register(
                CatalogEntry(type=type, name=name, command=name, sha256=sha256)
            )
        except (CatalogError, HostingError) as error:
            raise APIError(400, [str(error)]) from error
        if entry.type == DATABASE:
            return await self._enable_database(entry)
        table, route = ("sys/auth", f"auth/{name}") if entry.type == AUTH else ("sys/mounts", name)
        if self.core.state.mounts.find(f"{route}/") is not None:
            await self.reload(name)
        else:
            await self.client.write(f"{table}/{name}", {"type": name})
        return route

    async def _enable_database(self, entry: CatalogEntry) -> str:
        # The file may be the same and what it runs another. Connections of the old process are opened again.
        await self.core.catalog.discard(entry)
        try:
            await self.core.catalog.database(entry).probe()
        except HostingError as error:
            raise APIError(400, [str(error)]) from error
        if self.core.state.mounts.find(f"{DATABASE_ROUTE}/") is None:
            await self.client.write(f"sys/mounts/{DATABASE_ROUTE}", {"type": DATABASE})
        return DATABASE_ROUTE

    async def reload(self, name: str) -> None:
        """Restart the plugin's process.

        Raises:
            APIError: the reload failed.
        """
        await self.client.write("sys/plugins/reload/backend", {"plugin": name})

    async def describe(self, route: str) -> MountDescription:
        """Return what a mount offers."""
        return await self.client.describe(f"{route}/")


@contextlib.asynccontextmanager
async def development_server(
    listener: socket.socket,
    storage: PhysicalStorage,
    *,
    plugin_directory: Path,
    root_token: str,
    names: Iterable[str] = (),
    with_page: bool = True,
) -> AsyncIterator[DevelopmentServer]:
    """Serve on a listening socket inside the context. Its end stops all processes and closes the socket.

    `names` are accepted in the Host header, besides addresses and `localhost`.
    """

    def find_file(entry: CatalogEntry, cookie: Cookie) -> PluginFile:
        return PluginFile(
            find_command(plugin_directory, entry.command),
            sha256=entry.sha256,
            arguments=entry.args,
            environment=dict(pair.split("=", 1) for pair in entry.env),
            name=entry.name,
            cookie=cookie,
        )

    def make(entry: CatalogEntry) -> HostedPlugin:
        return PluginProcess(find_file(entry, BACKEND_COOKIE))

    def make_database(entry: CatalogEntry) -> HostedDatabase:
        return DatabaseProcess(find_file(entry, DATABASE_COOKIE))

    core = Core(storage=storage, root_token=root_token, plugin_maker=make, database_maker=make_database)
    add_built_in(core.catalog)
    await core.start()
    try:
        application = Application(core, page=Page(core) if with_page else None, names=names)
        async with serving(AccessLog(application), listener):
            host, port = listener.getsockname()[:2]
            address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
            yield DevelopmentServer(core, address, APIClient(core, root_token), plugin_directory)
    finally:
        await core.stop()
